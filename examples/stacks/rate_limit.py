"""Three requests a minute for each client, counted over all workers.

wsgikit serve examples.stacks.rate_limit:app
for i in 1 2 3 4; do curl -si http://127.0.0.1:8000/who | head -1; done
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import RateLimit, Stack, Use

app = Stack(
    shop,
    [Use(RateLimit, rate="3/m", headers=True)],
)
