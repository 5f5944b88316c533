"""Reads a body to its end, in blocks, and says hello."""

from __future__ import annotations


def app(environ, start_response):
    read = environ["wsgi.input"].read
    while read(65536):
        pass
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "14")])
    return [b"Hello, World!\n"]
