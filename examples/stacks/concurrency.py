"""At most two event streams at once, whatever the number of workers; the third client is answered 503.

wsgikit serve examples.stacks.concurrency:app
curl -sN http://127.0.0.1:8000/events
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import Concurrency, Stack, Use, path

app = Stack(
    shop,
    [Use(Concurrency, limit=2, when=path("/events"))],
)
