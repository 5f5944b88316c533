"""The app that the examples put into layers: plain WSGI, with a page, a stream of events, an upload and a failure.

wsgikit serve examples.stacks.shop:shop
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Start = Callable[..., Any]
PAGE = "<!doctype html><title>Shop</title><h1>Shop</h1>" + "<p>Tea, coffee, cups and saucers.</p>" * 40


def shop(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    path = environ.get("PATH_INFO", "/")
    if path == "/":
        return text(environ, start_response, "200 OK", PAGE, "text/html; charset=utf-8")
    if path == "/events":
        start_response("200 OK", [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")])
        return events()
    if path == "/upload" and environ["REQUEST_METHOD"] == "POST":
        return text(environ, start_response, "200 OK", f"{len(environ['wsgi.input'].read())} bytes\n")
    if path == "/who":
        facts = ("REMOTE_ADDR", "REMOTE_USER", "wsgi.url_scheme", "HTTP_HOST", "wsgikit.request_id")
        return text(environ, start_response, "200 OK", "".join(f"{name}: {environ.get(name)}\n" for name in facts))
    if path == "/fail":
        raise RuntimeError("the till is broken")
    return text(environ, start_response, "404 Not Found", "There is no such page in the shop.\n")


def text(
    environ: dict[str, Any], start_response: Start, status: str, body: str, media: str = "text/plain; charset=utf-8"
) -> Iterable[bytes]:
    data = body.encode()
    start_response(status, [("Content-Type", media), ("Content-Length", str(len(data)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [data]


def events() -> Iterator[bytes]:
    for number in range(3):
        yield b"data: %d cups sold\n\n" % number
        time.sleep(0.05)
