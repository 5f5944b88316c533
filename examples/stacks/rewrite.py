"""Old addresses that still work: /shop/who is /who, and whoever calls it gets the same answer.

wsgikit serve examples.stacks.rewrite:app
curl -s http://127.0.0.1:8000/shop/who
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import Rewrite, RewriteRule, Stack, Use

app = Stack(
    shop,
    [Use(Rewrite, rules=[RewriteRule("/shop/<path:rest>", path="/{rest}")])],
)
