"""How long requests take, to their end; what takes more than a tenth of a second is logged.

wsgikit serve examples.stacks.timing:app
curl -sN http://127.0.0.1:8000/events
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import Stack, Timing, Use

app = Stack(
    shop,
    [Use(Timing, header=True, slow="100ms")],
)
