"""Uploads of at most a kilobyte.

wsgikit serve examples.stacks.body_limit:app
curl -si --data-binary @LICENSE http://127.0.0.1:8000/upload
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import BodyLimit, Stack, Use

app = Stack(
    shop,
    [Use(BodyLimit, limit="1KiB")],
)
