"""How a response is framed (RFC 9112 6, RFC 9110 6.4), and the bytes of it.

Owns the choice between a length, chunks, the end of the connection, and no body at all, the fields and bytes that go
with each, and how a response head is written. Knows nothing of where the body comes from.

Where the RFC leaves room: a response to HEAD carries the Content-Length that the app gave and never one that was
derived from the body (an app may leave that out for HEAD); nor does 304. 205 gets `Content-Length: 0`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple


class Framing(enum.Enum):
    """What ends a response: its head, its length, the last chunk, or the connection."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class Plan(NamedTuple):
    """How one response is framed.

    `framing`  what ends it; with NONE no byte of the body may be sent
    `length`   bytes of body to send, for LENGTH; else None
    `field`    the field line that says so, with its CRLF; b"" for none. It stands in place of a Content-Length that the
               app gave: that one is in it, or must not be sent (RFC 9110 8.6)
    """

    framing: Framing
    length: int | None
    field: bytes


_NOTHING = Plan(Framing.NONE, None, b"")
_EMPTY = Plan(Framing.LENGTH, 0, b"Content-Length: 0\r\n")
_CHUNKED = Plan(Framing.CHUNKED, None, b"Transfer-Encoding: chunked\r\n")
_CLOSE = Plan(Framing.CLOSE, None, b"")

_MAX_PLANS = 1024
_plans: dict[int, Plan] = {}  # by length: an app's pages have few, and looking one up costs less than making it

LAST_CHUNK = b"0\r\n\r\n"


def choose_framing(method: str, status: int, minor: int, given: int | None = None, derived: int | None = None) -> Plan:
    """The plan for a response.

    `minor` is the client's HTTP/1 minor version, `given` the Content-Length from the app, `derived` the length that is
    known otherwise (a body of one block, a file).
    """
    if status < 200 or status == 204 or (method == "CONNECT" and status < 300):
        return _NOTHING
    if method == "HEAD" or status == 304:
        return _NOTHING if given is None else Plan(Framing.NONE, None, _of_length(given).field)
    if status == 205:
        return _EMPTY
    if given is not None:
        return _plans.get(given) or _of_length(given)
    if derived is not None:
        return _plans.get(derived) or _of_length(derived)
    return _CHUNKED if minor else _CLOSE


def _of_length(length: int) -> Plan:
    plan = Plan(Framing.LENGTH, length, b"Content-Length: %d\r\n" % length)
    if len(_plans) >= _MAX_PLANS:
        _plans.clear()
    _plans[length] = plan
    return plan


def connection_field(minor: int, persists: bool) -> bytes:
    """The Connection field line to add (RFC 9112 9.3): HTTP/1.1 persists unless it is told otherwise, 1.0 does not."""
    if not persists:
        return b"Connection: close\r\n"
    return b"" if minor else b"Connection: keep-alive\r\n"


def chunk_start(size: int) -> bytes:
    """The line before `size` bytes of content (more than 0: an empty chunk is the last one); CRLF follows them."""
    return b"%x\r\n" % size


def chunk(data: bytes) -> bytes:
    """`data` as one chunk; b"" for b"", since an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def format_head(status: str, headers: Iterable[tuple[str, str]], extra: bytes = b"") -> bytes:
    """A response head: status line, `headers`, then `extra` (field lines with their CRLF), then the empty line.

    The strings must have passed `grammar.STATUS_TEXT`, `NAME_TEXT` and `VALUE_TEXT`. As a last line of defence against
    response splitting (CVE-2018-1000164) this raises ValueError when the lines are more than the headers, and when
    something is outside Latin-1. An empty reason keeps its SP (RFC 9112 4).
    """
    lines = [f"{name}: {value}" for name, value in headers]
    lines.insert(0, f"HTTP/1.1 {status}" if len(status) > 3 else f"HTTP/1.1 {status} ")
    text = "\r\n".join(lines)
    breaks = len(lines) - 1
    if text.count("\n") != breaks or text.count("\r") != breaks:
        raise ValueError("CR or LF in a status or header")
    return b"%b\r\n%b\r\n" % (text.encode("latin-1"), extra)
