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


def read_and_taken(environ, start_response):
    environ["wsgi.input"].read()
    return taken(environ, start_response)


def taken_and_closed(environ, start_response):
    """Take the socket over, close it, and go on until the file in the query exists."""
    sock, _ = environ["wsgikit.takeover"]("101 Switching Protocols", UPGRADE)
    sock.close()
    while not os.path.exists(environ["QUERY_STRING"]):
        time.sleep(0.005)
    return []


def slow_close(environ, start_response):
    """A body of so many bytes, and a close() that takes longer than the deadline that the test sets."""
    size = int(environ["QUERY_STRING"])

    class Body:
        def __iter__(self):
            return iter([b"x" * size])

        def close(self):
            time.sleep(1.2)

    start_response("200 OK", [("Content-Length", str(size))])
    return Body()


def late_reader(environ, start_response):
    """Read the body after as many seconds as the query says."""
    time.sleep(float(environ["QUERY_STRING"]))
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [body]


UPGRADE = [("Upgrade", "x"), ("Connection", "upgrade")]

PATHS = {name: value for name, value in list(globals().items()) if callable(value) and name != "app"}
