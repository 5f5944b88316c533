"""Decoders of message bodies (RFC 9112 6 and 7), one contract for all.

    feed(data) -> bytes    the content in `data`; b"" when there is none in it (yet)
    done                   the body is complete
    rest                   after `done`: the bytes fed that belong to what follows
    trailers               after `done`: (name, value) of the trailer section, as sent
    eof()                  the peer has ended its side: raises ProtocolError "incomplete-body" unless that ends the body

Owns where a body ends. Must not know where it goes, nor how large the content may become (that is for who stores it).
Errors carry `status`: 400 for what a client sent, 502 for what an upstream did.

Where the RFC leaves room: lines end with CRLF only; a chunk size has at most 16 hex digits; extensions must follow
their grammar and are then ignored; trailers that frame, route, authenticate or control are dropped (RFC 9110 6.5.1),
and nothing is ever merged into the head.
"""

from __future__ import annotations

from typing import Protocol

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.http11.grammar import CHUNK_DIGITS, CHUNK_LINE, LINE_RUN
from wsgikit.wire.http11.head import Head
from wsgikit.wire.http11.limits import Limits
from wsgikit.wire.http11.response_head import ResponseHead
from wsgikit.wire.http11.walk import Fields, Walk, excerpt

_SIZE, _CONTENT, _TRAILER = range(3)
_CHUNK_DIGITS = 16
# The extensions of one body, in chunk lines of the longest kind. A peer that sends one byte of content for kilobytes
# of extensions wants our time (CVE-2023-39326 in Go).
_EXTENSION_LINES = 16

FORBIDDEN_TRAILERS = frozenset(
    b"""
    transfer-encoding content-length host connection upgrade keep-alive te trailer proxy-connection
    authorization proxy-authorization proxy-authenticate www-authenticate authentication-info cookie set-cookie
    content-encoding content-type content-range
    cache-control expect max-forwards pragma range if-match if-none-match if-modified-since if-unmodified-since if-range
    age date expires location retry-after vary warning
    forwarded via x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port x-forwarded-prefix x-real-ip
    """.split()  # ASCII source text, not wire data
)


class Decoder(Protocol):
    """The contract of this module."""

    done: bool
    rest: bytes
    trailers: Fields

    def feed(self, data: bytes) -> bytes: ...
    def eof(self) -> None: ...


class LengthDecoder:
    """A body of `length` bytes (RFC 9112 6.2)."""

    __slots__ = ("done", "remaining", "rest", "status", "trailers")

    def __init__(self, length: int, *, status: int = 400) -> None:
        self.remaining = length
        self.done = length == 0
        self.rest = b""
        self.trailers: Fields = []
        self.status = status

    def feed(self, data: bytes) -> bytes:
        if len(data) > self.remaining:
            self.rest += data[self.remaining :]
            data = data[: self.remaining]
        self.remaining -= len(data)
        self.done = not self.remaining
        return data

    def skip(self, count: int) -> None:
        """So many bytes, no more than are `remaining`, went another way."""
        self.remaining -= count
        self.done = not self.remaining

    def eof(self) -> None:
        if not self.done:
            raise ProtocolError("incomplete-body", self.status, f"{self.remaining} bytes are missing")


class CloseDecoder:
    """A response body that ends with the connection (RFC 9112 6.3, rule 8)."""

    __slots__ = ("done", "rest", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.trailers: Fields = []

    def feed(self, data: bytes) -> bytes:
        return data

    def eof(self) -> None:
        self.done = True


class ChunkedDecoder:
    """A chunked body (RFC 9112 7.1). After an error it must not be fed again."""

    __slots__ = (
        "_extensions", "_found", "_left", "_limits", "_pending", "_state", "_trailer",
        "done", "rest", "status", "trailers",
    )  # fmt: skip

    def __init__(self, limits: Limits, *, status: int = 400) -> None:
        self.done = False
        self.rest = b""
        self.trailers: Fields = []
        self.status = status
        self._limits = limits
        self._state = _SIZE
        self._pending = b""  # the piece of a line, never content
        self._left = 0  # bytes that are missing in the chunk; 0 outside a chunk
        self._extensions = 0
        self._found: Fields = []
        self._trailer = 0  # bytes of the trailer section that were read

    def feed(self, data: bytes) -> bytes:
        # In the midst of a chunk nothing is pending, and a piece that fits in it is passed on without a copy.
        if self._left > len(data):
            self._left -= len(data)
            return data
        if self.done:
            self.rest += data
            return b""
        if self._pending:
            data = self._pending + data
        out: list[bytes] = []
        try:
            position = self._decode(data, out)
        except ProtocolError as error:
            if self.status == 400:
                raise
            raise type(error)(error.code, self.status, error.detail) from None
        self._pending = data[position:]
        return out[0] if len(out) == 1 else b"".join(out)

    def eof(self) -> None:
        if not self.done:
            raise ProtocolError("incomplete-body", self.status, "the last chunk did not come")

    def _decode(self, data: bytes, out: list[bytes]) -> int:
        """Append the content in `data` to `out`; the offset of the first byte that is not used up."""
        position = 0
        while self._state != _TRAILER:
            if self._state == _SIZE:
                following = self._size_line(data, position)
                if following is None:
                    return position
                position = following
            if self._left:
                piece = data[position : position + self._left]
                if piece:
                    out.append(piece)
                    position += len(piece)
                    self._left -= len(piece)
                if self._left:
                    return position
            if self._state == _CONTENT:
                if not _chunk_ends(data, position):
                    return position
                position += 2
                self._state = _SIZE
        return self._read_trailers(data, position)

    def _size_line(self, data: bytes, position: int) -> int | None:
        match = CHUNK_LINE.match(data, position)
        limit = max(self._limits.chunk_line, _CHUNK_DIGITS)
        if match is None:
            _refuse_size_line(data, position, limit)
            return None
        end = match.end()
        if end - 2 - position > limit:
            raise LimitError("chunk-line-too-long", 400, f"more than {limit} bytes")
        self._extensions += len(match[2])
        if self._extensions > limit * _EXTENSION_LINES:
            raise LimitError(
                "chunk-extensions-too-long", 400, f"more than {limit * _EXTENSION_LINES} bytes in one body"
            )
        self._left = int(match[1], 16)
        self._state = _CONTENT if self._left else _TRAILER
        return end

    def _read_trailers(self, data: bytes, position: int) -> int:
        walk = Walk(data, self._limits, position + self._limits.trailer - self._trailer, "trailer-too-long")
        end = walk.fields(position, self._found)
        self._trailer += walk.position - position
        if end is None:
            return walk.position
        self.trailers = [field for field in self._found if field[0].lower() not in FORBIDDEN_TRAILERS]
        self.done = True
        self.rest = data[end:]
        return len(data)


def _chunk_ends(data: bytes, position: int) -> bool:
    """True when the CRLF after a chunk's content is at `position`, False for more (RFC 9112 7.1)."""
    mark = data[position : position + 2]
    if mark == b"\r\n":
        return True
    if mark not in (b"", b"\r"):
        code = "bare-lf" if mark[:1] == b"\n" else "bad-chunk-end"
        raise ProtocolError(code, 400, f"no CRLF after a chunk but {excerpt(data, position)}")
    return False


def _refuse_size_line(data: bytes, position: int, limit: int) -> None:
    """Name what is wrong with the chunk line at `position`; return when it is only incomplete."""
    size = len(data)
    digits = CHUNK_DIGITS.match(data, position).end()  # type: ignore[union-attr]  # an empty run matches too
    if digits - position > _CHUNK_DIGITS:
        raise LimitError("chunk-size-too-large", 413, f"more than {_CHUNK_DIGITS} hex digits")
    if digits == size:
        return
    if digits == position or data[digits] not in b"\r\n\t ;":
        raise ProtocolError("bad-chunk-size", 400, f"{excerpt(data, position)}")
    stop = LINE_RUN.match(data, digits).end()  # type: ignore[union-attr]
    if stop - position > limit:
        raise LimitError("chunk-line-too-long", 400, f"more than {limit} bytes")
    if stop == size:
        return
    if data[stop] == 0x0A:
        raise ProtocolError("bare-lf", 400, "a chunk line ends with LF alone")
    if stop + 1 == size:
        return
    if data[stop + 1] != 0x0A:
        raise ProtocolError("bare-cr", 400, "CR inside a chunk line")
    raise ProtocolError("bad-chunk-extension", 400, f"{excerpt(data, digits)}")


def request_decoder(head: Head, limits: Limits) -> LengthDecoder | ChunkedDecoder | None:
    """The decoder of a request's body, None without one (RFC 9112 6.3). The method does not matter (RFC 9110 9.3.1)."""
    if head.chunked:
        return ChunkedDecoder(limits)
    return LengthDecoder(head.content_length) if head.content_length else None


def response_decoder(request_method: str, head: ResponseHead, limits: Limits) -> Decoder | None:
    """The decoder of a response's body by the rules of RFC 9112 6.3, None when it has none.

    A tunnel (2xx to CONNECT) and 101 have none either: what follows the head is another protocol.
    """
    status = head.status
    if request_method == "HEAD" or status < 200 or status in (204, 304):
        return None
    if request_method == "CONNECT" and status < 300:
        return None
    if head.chunked:
        return ChunkedDecoder(limits, status=502)
    if head.content_length is None:
        return CloseDecoder()
    return LengthDecoder(head.content_length, status=502) if head.content_length else None
