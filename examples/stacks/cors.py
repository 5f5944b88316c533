"""Scripts of one other site may read the answers, with cookies.

wsgikit serve examples.stacks.cors:app
curl -si -X OPTIONS -H 'Origin: https://app.example' -H 'Access-Control-Request-Method: PUT' http://127.0.0.1:8000/who
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import CORS, Stack, Use

app = Stack(
    shop,
    [Use(CORS, origins=["https://app.example"], credentials=True)],
)
