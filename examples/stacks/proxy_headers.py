"""Behind a proxy on this machine: the client's address, scheme and host are the proxy's word, a stranger's is not.

wsgikit serve examples.stacks.proxy_headers:app
curl -s -H 'X-Forwarded-For: 192.0.2.1' -H 'X-Forwarded-Proto: https' http://127.0.0.1:8000/who
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import ProxyHeaders, Stack, Use

app = Stack(
    shop,
    [Use(ProxyHeaders, trusted=["127.0.0.1", "::1"])],
)
