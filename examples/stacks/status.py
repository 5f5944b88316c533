"""A page about the upstreams of this server, for whoever sits at it: /-/status, and the same as JSON and metrics.

wsgikit serve examples.stacks.status:app
curl -s http://127.0.0.1:8000/-/status/json
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import Mount, Status

app = Mount({"/": shop, "/-/status": Status()})
