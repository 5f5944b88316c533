"""ETags for an app that makes none: the second request is answered 304.

wsgikit serve examples.stacks.conditional:app
curl -si -H 'If-None-Match: "..."' http://127.0.0.1:8000/
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import Conditional, Stack, Use

app = Stack(
    shop,
    [Use(Conditional)],
)
