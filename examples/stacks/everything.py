"""A whole stack in the order in which its layers belong.

wsgikit serve examples.stacks.everything:app
python -c "from examples.stacks.everything import app; print(app.describe())"
"""

from __future__ import annotations

from pathlib import Path

from examples.stacks.shop import shop
from wsgikit.middleware import (
    CORS,
    BodyLimit,
    Compress,
    Conditional,
    ErrorPages,
    Health,
    ProxyHeaders,
    RateLimit,
    RequestId,
    SecurityHeaders,
    Stack,
    Static,
    Timing,
    Use,
    path,
)

HERE = Path(__file__).parent

app = Stack(
    shop,
    [
        Use(ProxyHeaders, trusted=["127.0.0.1"]),
        Use(RequestId),
        Use(Timing, slow="1s"),
        Use(ErrorPages, pages={"5xx": str(HERE / "pages" / "5xx.html")}),
        Use(Health),
        Use(RateLimit, rate="50/s", when=~path("/logo.svg")),
        Use(BodyLimit, limit="1MiB"),
        Use(CORS, origins=["https://app.example"]),
        Use(SecurityHeaders),
        Use(Compress),
        Use(Conditional),
        Use(Static, directory=str(HERE / "public")),
    ],
    order="raise",
)
