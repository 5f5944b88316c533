"""Response heads (RFC 9112 4): bytes from an upstream in, a `ResponseHead` out.

Owns the status line and what a client must refuse. All errors carry status 502, which is what a gateway answers with.
Where the RFC leaves room: a status line without the SP before an empty reason is accepted (the reason means nothing,
RFC 9112 4), equal repeated Content-Length fields are one (RFC 9110 8.6), HTTP/1.0 never persists; everything that could
make two readers see two messages is refused as in requests. Must not know pools, retries, or WSGI.
"""

from __future__ import annotations

from typing import Any

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.http11.grammar import PLAIN_RESPONSE, PLAIN_SPLIT, STATUS_RUN, VALUE_RUN
from wsgikit.wire.http11.limits import Limits
from wsgikit.wire.http11.meaning import RESPONSE_SINGLE, equal_lengths, index_fields, is_chunked, wants_persistence
from wsgikit.wire.http11.walk import Fields, Walk

# Heads of an upstream that are remembered, and how long they may be.
_KEPT, _SHORT = 64, 1024


class ResponseHead:
    """A complete, valid response head.

    `content_length` is what the field says: responses to HEAD, 1xx, 204 and 304 have no body whatever it is; see
    `body.response_decoder`. `keep_alive` is what version and Connection say; a body that a `CloseDecoder` reads ends
    the connection all the same. `memo` is a caller's own: what it has derived from the head alone. Nothing else is
    changed in a head that `ResponseHeads` has given: others may get the same one.
    """

    __slots__ = ("chunked", "content_length", "end", "fields", "keep_alive", "memo", "minor", "reason", "status")

    status: int
    reason: bytes
    minor: int
    fields: list[tuple[bytes, bytes]]
    content_length: int | None
    chunked: bool
    keep_alive: bool
    end: int
    memo: Any

    def __init__(self) -> None:
        self.memo = None

    @property
    def interim(self) -> bool:
        """A 1xx that another response follows (RFC 9110 15.2). 101 is final for HTTP."""
        return self.status < 200 and self.status != 101

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status} HTTP/1.{self.minor}, {len(self.fields)} fields>"


class ResponseHeads:
    """Reads the heads of one upstream's responses, as `parse_response_head` does, and remembers some of them.

    Within a second most of its responses have one of a few heads. Where the bytes are equal, so is all that they mean,
    and one look replaces reading them. Safe in threads.
    """

    __slots__ = ("_known", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: dict[bytes, ResponseHead] = {}

    def parse(self, buffer: bytes) -> ResponseHead | None:
        """The head that `buffer` begins with, None when it is not complete. Errors as `parse_response_head`."""
        end = buffer.find(b"\r\n\r\n", 0, _SHORT) + 4
        if end < 4:
            return parse_response_head(buffer, 0, self._limits)
        written = buffer[:end]
        head = self._known.get(written)
        if head is None:
            head = parse_response_head(buffer, 0, self._limits)
            if head is not None and not head.interim:
                if len(self._known) >= _KEPT:
                    self._known.clear()
                self._known[written] = head
        return head


def parse_response_head(buffer: bytes | bytearray, start: int, limits: Limits) -> ResponseHead | None:
    """Parse the response head that starts at `start`; None when it is not complete.

    Raises ProtocolError or LimitError with status 502; verdicts do not depend on how the bytes arrive.
    """
    try:
        return _parse(buffer, start, limits)
    except ProtocolError as error:
        raise type(error)(error.code, 502, error.detail) from None


def _parse(buffer: bytes | bytearray, start: int, limits: Limits) -> ResponseHead | None:
    match = PLAIN_RESPONSE.match(buffer, start)
    if match is None or match.end() - start > limits.quick:
        return parse_slowly(buffer, start, limits)
    minor, status, reason = match.groups()
    end = match.end()
    fields: Fields = PLAIN_SPLIT.findall(buffer, match.end(3) + 2, end - 2)
    if len(fields) > limits.fields:
        raise LimitError("too-many-fields", 431, f"more than {limits.fields} field lines")
    return _understood(int(status), reason, 1 if minor == b"1" else 0, fields, end)


def parse_slowly(buffer: bytes | bytearray, start: int, limits: Limits) -> ResponseHead | None:
    """As `_parse`, line by line."""
    walk = Walk(buffer, limits, start + limits.head, "head-too-long")
    edge = start + limits.request_line
    match = STATUS_RUN.match(buffer, start)
    end = match.end()  # type: ignore[union-attr]  # every part of the pattern is optional
    walk.check_line(end, edge, "status-line-too-long", 431)
    if end == walk.size:
        return None
    status = buffer[start + 9 : start + 12]
    if end < start + 12 or status[0] == 0x30 or buffer[start + 5] != 0x31:
        walk.newline(end, "bad-status-line", expected=False)
        return None
    reason_end = end
    if buffer[end] == 0x20:
        reason_end = VALUE_RUN.match(buffer, end).end()  # type: ignore[union-attr]
        walk.check_line(reason_end, edge, "status-line-too-long", 431)
    following = walk.newline(reason_end, "bad-status-line")
    fields: Fields = []
    fields_end = None if following is None else walk.fields(following, fields)
    if fields_end is None:
        return None
    reason = bytes(buffer[end + 1 : reason_end])
    return _understood(int(status), reason, 0 if buffer[start + 7] == 0x30 else 1, fields, fields_end)


def _understood(status: int, reason: bytes, minor: int, fields: Fields, end: int) -> ResponseHead:
    index = {name.lower(): value for name, value in fields}
    if len(index) != len(fields):
        index = index_fields(fields, single=RESPONSE_SINGLE)
    head = ResponseHead()
    head.status = status
    head.reason = reason
    head.minor = minor
    head.fields = fields
    head.end = end
    head.chunked = b"transfer-encoding" in index and is_chunked(index, minor)
    length = index.get(b"content-length")
    head.content_length = None if length is None else equal_lengths(length)
    head.keep_alive = minor == 1 and wants_persistence(index.get(b"connection", b""), minor)
    return head
