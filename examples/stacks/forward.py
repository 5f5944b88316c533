"""Some paths are another server's: what is below /api goes to port 9000, which answers 502 while nobody listens there.

wsgikit serve examples.stacks.forward:app
curl -s http://127.0.0.1:8000/api/prices
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import Forward, Stack, Use, path

app = Stack(
    shop,
    [Use(Forward, to="http://127.0.0.1:9000", when=path("/api"))],
)
