"""Two sites at one address: what the shop does not have, the archive is asked for.

wsgikit serve examples.stacks.cascade:app
curl -s http://127.0.0.1:8000/1999/prices
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from examples.stacks.shop import shop
from wsgikit.middleware import Cascade, Stack, Use


def archive(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Knows prices of old years, and nothing else."""
    if environ["PATH_INFO"] == "/1999/prices":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"A cup of tea: 40 pence\n"]
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"Not in the archive either.\n"]


app = Stack(
    shop,
    [Use(Cascade, then=[archive])],
)
