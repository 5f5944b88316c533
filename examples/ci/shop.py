"""A small app in a small stack, as a project would have it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

PRICES = {"apple": 30, "pear": 40}


def shop(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """`/` lists the fruit, `/apple` is one of them."""
    name = environ.get("PATH_INFO", "").strip("/")
    if name in PRICES:
        return answer(environ, start_response, "200 OK", json.dumps({name: PRICES[name]}), "application/json")
    if name:
        return answer(environ, start_response, "404 Not Found", "no such fruit\n", "text/plain")
    links = "".join(f'<li><a href="/{fruit}">{fruit}</a>' for fruit in PRICES)
    return answer(environ, start_response, "200 OK", f"<!doctype html><title>Shop</title><ul>{links}</ul>", "text/html")


def answer(
    environ: dict[str, Any], start_response: Callable[..., Any], status: str, text: str, media_type: str
) -> Iterable[bytes]:
    body = text.encode()
    start_response(status, [("Content-Type", media_type), ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class Powered:
    """A middleware of the project's own."""

    def __init__(self, app: Callable[..., Any], *, by: str = "wsgikit") -> None:
        self.app = app
        self.by = by

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            return start_response(status, [*headers, ("X-Powered-By", self.by)], *exc_info)

        result: Iterable[bytes] = self.app(environ, start)
        return result


application = Powered(shop)
