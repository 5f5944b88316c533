"""Answers that a middleware gives by itself: a refusal, an error, a short page.

Owns their form: `application/problem+json` (RFC 9457), HTML or plain text, as the client accepts; true headers for
HEAD. Must not know why a request is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    Headers = list[tuple[str, str]]

__all__ = ["JSON", "STATUSES", "answer", "page", "preferred", "send"]

STATUSES = {
    200: "200 OK",
    204: "204 No Content",
    304: "304 Not Modified",
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    412: "412 Precondition Failed",
    413: "413 Content Too Large",
    416: "416 Range Not Satisfiable",
    429: "429 Too Many Requests",
    500: "500 Internal Server Error",
    503: "503 Service Unavailable",
}
PROBLEM = "application/problem+json"
JSON = (PROBLEM, "application/json")
_KINDS = ("text/plain", "text/html", *JSON)


def answer(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    code: int,
    detail: str = "",
    headers: Iterable[tuple[str, str]] = (),
) -> Iterable[bytes]:
    """Answer a request: a page about `code`, with `detail` for the person who reads it.

    `no-store`, as it is about this moment and not about the resource.
    """
    media, body = page(environ, STATUSES[code], detail)
    fields = [("Content-Type", media), ("Cache-Control", "no-store"), ("Vary", "Accept"), *headers]
    return send(environ, start_response, STATUSES[code], fields, body)


def send(
    environ: WSGIEnvironment, start_response: StartResponse, status: str, headers: Headers, body: bytes
) -> Iterable[bytes]:
    """A whole response; the body is left out for HEAD, its length is not."""
    if status[:3] not in ("204", "304"):
        headers.append(("Content-Length", str(len(body))))
    start_response(status, headers)
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def page(environ: WSGIEnvironment, status: str, detail: str = "", **members: Any) -> tuple[str, bytes]:
    """(Content-Type, body) that says a status, in the form the client likes best; `members` go into problem+json."""
    kind = preferred(environ)
    if kind in JSON:
        import json

        problem = {"type": "about:blank", "title": status[4:], "status": int(status[:3])}
        problem.update({"detail": detail} if detail else {}, **members)
        return PROBLEM, json.dumps(problem, ensure_ascii=False).encode()
    lines = [detail, *(f"{name.replace('_', ' ')}: {value}" for name, value in members.items())]
    if kind == "text/html":
        return "text/html; charset=utf-8", _html(status, [line for line in lines if line])
    return "text/plain; charset=utf-8", "\n".join([status, *(line for line in lines if line), ""]).encode()


def preferred(environ: WSGIEnvironment) -> str:
    """The media type for a short page: what Accept (RFC 9110 12.5.1) ranks first, plain text where it does not say."""
    accept = environ.get("HTTP_ACCEPT", "")
    if not accept or accept == "*/*":
        return _KINDS[0]
    try:
        from werkzeug.datastructures import MIMEAccept
        from werkzeug.http import parse_accept_header
    except ImportError:  # a refusal does not need a library; RFC 9110 12.4.1 lets a server disregard Accept
        return _KINDS[0]
    return parse_accept_header(accept, MIMEAccept).best_match(_KINDS, _KINDS[0]) or _KINDS[0]


def _html(status: str, lines: list[str]) -> bytes:
    from html import escape

    text = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(status)}</title><h1>{escape(status[4:])}</h1>{text}</html>\n"
    ).encode()
