"""An app for hostile clients: paths beside those of `many_sided` that end in the ways a server must survive."""

from __future__ import annotations

import os
import time

import many_sided


def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/").partition("/")[0]
    return PATHS.get(name, many_sided.app)(environ, start_response)


def taken(environ, start_response):
    """Take the socket over, say what came with the request, and leave the closing to the server."""
    sock, data = environ["wsgikit.takeover"]("101 Switching Protocols", UPGRADE)
    sock.sendall(b"<%b>" % data)
    return []


def taken_and_closed(environ, start_response):
    """Take the socket over, close it, and go on until the file in the query exists."""
    sock, _ = environ["wsgikit.takeover"]("101 Switching Protocols", UPGRADE)
    sock.close()
    while not os.path.exists(environ["QUERY_STRING"]):
        time.sleep(0.005)
    return []


UPGRADE = [("Upgrade", "x"), ("Connection", "upgrade")]

PATHS = {name: value for name, value in list(globals().items()) if callable(value) and name != "app"}
