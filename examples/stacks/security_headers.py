"""What browsers should be told, and a policy for scripts.

wsgikit serve examples.stacks.security_headers:app
curl -si http://127.0.0.1:8000/
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import SecurityHeaders, Stack, Use

app = Stack(
    shop,
    [Use(SecurityHeaders, csp="default-src 'self'", hsts="1d")],
)
