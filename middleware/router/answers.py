"""The router's and the mount's own short answers.

Owns: status, headers and body of 204, 308, 400, 404, 405 and 503. An answer names no app, route, host or path, so that
it tells strangers nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

StartResponse = Callable[..., Any]


def answer(
    environ: dict[str, Any], start_response: StartResponse, status: str, *headers: tuple[str, str]
) -> Iterable[bytes]:
    """A response whose text is its own reason phrase; HEAD gets the headers alone."""
    body = status.partition(" ")[2].encode("ascii") + b"\n"
    fields = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *headers]
    start_response(status, fields)
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def options(start_response: StartResponse, allow: Iterable[str]) -> Iterable[bytes]:
    """204 with Allow (RFC 9110 9.3.7); a 204 has no Content-Length (RFC 9110 8.6)."""
    start_response("204 No Content", [("Allow", ", ".join(allow))])
    return []
