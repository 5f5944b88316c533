"""A bare WSGI app: it builds its own URL from SCRIPT_NAME, as PEP 3333 says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer /hello/NAME with a link to itself."""
    path = environ["PATH_INFO"]
    if not path.startswith("/hello/"):
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []
    url = quote(environ["SCRIPT_NAME"] + path, encoding="latin-1")
    name = path.removeprefix("/hello/").encode("latin-1").decode()
    body = f"raw: hello {name}\n{url}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
