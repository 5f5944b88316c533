"""An access log on any server: a line for each request on standard output, with the request id of the layer inside.

wsgikit serve examples.stacks.access_log:app
curl -s http://127.0.0.1:8000/who
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import AccessLog, RequestId, Stack, Use

app = Stack(
    shop,
    [Use(AccessLog, format='%(h)s "%(r)s" %(s)s %(B)s'), Use(RequestId)],
)
