"""Compression that lets each server-sent event through at once.

wsgikit serve examples.stacks.compress:app
curl -sN --compressed http://127.0.0.1:8000/events
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import Compress, Stack, Use

app = Stack(
    shop,
    [Use(Compress, level=5)],
)
