"""An id for each request, for the app, the client and the log; a W3C trace goes on.

wsgikit serve examples.stacks.request_id:app
curl -si http://127.0.0.1:8000/who
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import RequestId, Stack, Use

app = Stack(
    shop,
    [Use(RequestId)],
)
