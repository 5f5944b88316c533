"""Mounts upstreams: UPSTREAMS = {"/php": {"to": "fastcgi://...", ...}} as JSON; "/" is a Python app beside them.

A key `static` of an upstream is a folder whose style sheets and pictures are served before it is asked.
"""

from __future__ import annotations

import json
import os

from wsgikit.middleware.forward import Forward
from wsgikit.middleware.mount import Mount
from wsgikit.middleware.static import Static


def python(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"python at ", environ["PATH_INFO"].encode("latin-1")]


def upstream(options):
    folder = options.pop("static", "")
    forward = Forward(**options)
    if not folder:
        return forward
    files = Static(forward, directory=folder)

    def app(environ, start_response):
        # Static would show the source of a script: only what can be none is its business
        plain = environ["PATH_INFO"].endswith((".css", ".js", ".png", ".ico"))
        return (files if plain else forward)(environ, start_response)

    return app


app = Mount({"/": python} | {path: upstream(options) for path, options in json.loads(os.environ["UPSTREAMS"]).items()})
