"""Response heads as CGI programs write them (RFC 3875 6), read; and the one line of ours that differs from HTTP's.

FastCGI and SCGI use the same heads. A uwsgi server, and a program whose name begins with `nph-`, sends HTTP's status
line instead of Status; both are read. Lines end with LF or CRLF: RFC 3875 6.2 leaves it to the system.

Owns what a program may leave out (a status), and what it must not say. Errors carry status 502. Where there is room:
Transfer-Encoding is refused, because a gateway response has no coding and a reader that believed the field would see
another body; Content-Length may come twice with one value.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.http11.grammar import DIGITS, TOKEN, VALUE_RUN
from wsgikit.wire.http11.limits import Limits
from wsgikit.wire.http11.response_head import ResponseHead

_END = re.compile(rb"(?:\A|\n)\r?\n")
_OVERLAP = 3  # bytes of an end of head that an earlier look may have seen
_STATUS_VALUE = re.compile(rb"([1-9][0-9]{2})(?: ([\t -~\x80-\xff]*+))?+")
_STATUS_LINE = re.compile(rb"HTTP/[0-9](?:\.[0-9])?+ ([1-9][0-9]{2})(?: ([\t -~\x80-\xff]*+))?+")
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*+:")
_LENGTH_DIGITS = 18


class CgiResponse(NamedTuple):
    """`head` as HTTP's, without Status. `local`: the path and query of a local redirect (RFC 3875 6.2.2), which the
    server is to answer as if it had been asked for; else b""."""

    head: ResponseHead
    local: bytes


def status_line(line: bytes) -> bytes:
    """HTTP's status line as the Status field: `HTTP/1.1 404 Not Found` is `Status: 404 Not Found`."""
    return b"Status: " + line[len(b"HTTP/1.1 ") :]


def parse_cgi_response(buffer: bytes | bytearray, limits: Limits, seen: int = 0) -> CgiResponse | None:
    """The head at the start of `buffer`; None: not complete. `seen`: bytes that an earlier call said None for.

    Raises ProtocolError("bad-cgi-field", "bad-cgi-status", "empty-head", ...) and LimitError("head-too-long",
    "too-many-fields").
    """
    match = _END.search(buffer, max(0, seen - _OVERLAP))
    if match is None or match.end() > limits.head:
        if len(buffer) > limits.head:
            raise LimitError("head-too-long", 502, f"a response head is longer than {limits.head} bytes")
        return None
    if not match.start():
        raise ProtocolError("empty-head", 502, "the response has no head")
    lines = bytes(buffer[: match.start()]).split(b"\n")
    head = ResponseHead()
    head.end = match.end()
    head.minor = 1
    head.chunked = head.keep_alive = False
    head.fields = fields = []
    status = _STATUS_LINE.fullmatch(lines[0].removesuffix(b"\r"))
    if status is not None:
        del lines[0]
    if len(lines) > limits.fields:
        raise LimitError("too-many-fields", 502, f"more than {limits.fields} field lines")
    for line in lines:
        fields.append(_field(line.removesuffix(b"\r")))
    return _understood(head, status)


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or TOKEN.fullmatch(name) is None or VALUE_RUN.fullmatch(value) is None:
        raise ProtocolError("bad-cgi-field", 502, f"not a field: {line[:80]!r}")
    return name, value


def _understood(head: ResponseHead, status: re.Match[bytes] | None) -> CgiResponse:
    location = b""
    length: bytes | None = None
    kept = []
    for name, value in head.fields:
        lower = name.lower()
        if lower == b"status":
            if status is not None:
                raise ProtocolError("bad-cgi-status", 502, "two statuses")
            status = _STATUS_VALUE.fullmatch(value)
            if status is None:
                raise ProtocolError("bad-cgi-status", 502, f"Status is {value[:40]!r}")
            continue
        if lower == b"transfer-encoding":
            raise ProtocolError("transfer-encoding-in-cgi", 502, "a gateway's response has no transfer coding")
        if lower == b"content-length":
            length = _same_length(length, value)
        elif lower == b"location":
            location = value
        kept.append((name, value))
    head.fields = kept
    head.content_length = None if length is None else int(length)
    return _with_status(head, status, location)


def _same_length(before: bytes | None, value: bytes) -> bytes:
    if DIGITS.fullmatch(value) is None or len(value) > _LENGTH_DIGITS or before not in (None, value):
        raise ProtocolError("bad-content-length", 502, f"Content-Length is {value[:40]!r}")
    return value


def _with_status(head: ResponseHead, status: re.Match[bytes] | None, location: bytes) -> CgiResponse:
    if status is not None:
        head.status, head.reason = int(status[1]), status[2] or b""
        if head.status < 200:
            raise ProtocolError("bad-cgi-status", 502, f"{head.status} is no final status")
        return CgiResponse(head, b"")
    if not head.fields:
        raise ProtocolError("empty-head", 502, "the response has no head")
    head.status, head.reason = 200, b"OK"
    if location.startswith(b"/") and not location.startswith(b"//"):
        return CgiResponse(head, location)
    if location:
        if _ABSOLUTE.match(location) is None:
            raise ProtocolError("bad-cgi-field", 502, f"Location is neither a path nor a URL: {location[:80]!r}")
        head.status, head.reason = 302, b"Found"  # RFC 3875 6.2.3
    return CgiResponse(head, b"")
