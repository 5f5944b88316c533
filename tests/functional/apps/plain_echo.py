"""A plain WSGI app for any server: says what it was asked, in several framings."""

from __future__ import annotations

import json


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/file":
        start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(1 << 20))])
        return [b"0123456789abcdef" * 4096] * 16
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"%d\n" % number * 100 for number in range(100))
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    if path == "/missing":
        start_response("404 Not Found", [("Content-Length", "4")])
        return [b"none"]
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if path == "/echo":
        body = environ["wsgi.input"].read(length)
        start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
        return [body]
    fields = {key: value for key, value in environ.items() if key.startswith("HTTP_")}
    names = ("REQUEST_METHOD", "QUERY_STRING", "PATH_INFO", "REMOTE_ADDR", "wsgi.url_scheme")
    said = json.dumps({**fields, **{name: environ.get(name, "") for name in names}}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(said)))])
    return [said]
