"""`touch closed.flag` closes the shop, `rm closed.flag` opens it; health probes go through all the same.

wsgikit serve examples.stacks.maintenance:app
curl -si http://127.0.0.1:8000/
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import Health, Maintenance, Stack, Use

app = Stack(
    shop,
    [Use(Health), Use(Maintenance, flag="closed.flag", message="We are counting cups.")],
)
