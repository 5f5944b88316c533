"""The upload is for this machine alone; others do not learn that it is there.

wsgikit serve examples.stacks.ip_allow:app
curl -si --data x http://127.0.0.1:8000/upload
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import IpAllow, Stack, Use, path

app = Stack(
    shop,
    [Use(IpAllow, allow=["127.0.0.0/8", "::1"], status=404, when=path("/upload"))],
)
