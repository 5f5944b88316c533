"""A forward proxy around an app; its options come as JSON in PROXY."""

from __future__ import annotations

import json
import os

from wsgikit.middleware.forward_proxy import ForwardProxy


def own(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the app itself"]


app = ForwardProxy(own, **json.loads(os.environ["PROXY"]))
