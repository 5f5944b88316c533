"""Answers that are the server's own: errors of the peer, limits, and requests to the server itself.

Owns their statuses and bytes. The text names the error's code, which says what to mend and nothing about the server.
"""

from __future__ import annotations

from wsgikit.errors import ProtocolError
from wsgikit.wsgi.exchange import Lines

REASONS = {
    204: "No Content",
    400: "Bad Request",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
}


def answer(lines: Lines, status: int, *, error: ProtocolError | None = None, close: bool, head_only: bool) -> bytes:
    """A whole response. `head_only`: to a HEAD request."""
    reason = REASONS[status]
    head = [f"HTTP/1.1 {status} {reason}\r\n".encode(), lines.both]
    body = b""
    if status != 204:
        body = (f"{status} {reason}\n" if error is None else f"{status} {reason}: {error.code}\n").encode()
        head.append(b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n" % len(body))
    if status == 503:
        head.append(b"Retry-After: 1\r\n")
    if close:
        head.append(b"Connection: close\r\n")
    head.append(b"\r\n")
    if not head_only:
        head.append(body)
    return b"".join(head)
