"""Reading one HTTP/1.1 response strictly: bytes in, a `Response` out.

This is the client's half of RFC 9112, written apart from `wsgikit.wire` on purpose, so that a mistake in the server's
codec cannot hide itself from the tests. It knows no socket and no clock; `RawClient` feeds it. What breaks the
grammar is collected as stable codes in `Response.defects`; a strict reader raises the first of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from wsgikit.errors import Disconnected, LimitError, ProtocolError

# Larger than any server's own head limit (64 KiB is usual), so that only rubbish meets it.
HEAD_LIMIT = 256 * 1024
# Enough for every test body; a target that answers without end is cut off here.
BODY_LIMIT = 64 * 1024 * 1024

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?:( )([^\x00-\x08\x0a-\x1f\x7f]*))?")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?")


@dataclass(slots=True)
class Response:
    """One final response, or an interim (1xx) one in `interim` of the final one.

    `framing` says how the body ended: "none", "length", "chunked" or "close" (RFC 9112 6.3). `complete` is False when
    the peer's bytes ended before the framing did. `chunks` are the sizes of the chunks in the order of arrival.
    """

    minor: int
    status: int
    reason: bytes
    fields: list[tuple[bytes, bytes]]
    head: bytes
    framing: str = "none"
    length: int | None = None
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)
    interim: list[Response] = field(default_factory=list)
    complete: bool = False

    def get_all(self, name: str) -> list[bytes]:
        """Every value of the field `name` (any case), in the order of the wire."""
        wanted = name.lower().encode("ascii")
        return [value for key, value in self.fields if key.lower() == wanted]

    def get(self, name: str) -> bytes | None:
        """The first value of the field `name`, or None."""
        values = self.get_all(name)
        return values[0] if values else None

    def tokens(self, name: str) -> list[bytes]:
        """The comma-separated elements of the field, lower-cased: for Connection and Transfer-Encoding."""
        joined = b",".join(self.get_all(name))
        return [part.strip(b" \t").lower() for part in joined.split(b",") if part.strip(b" \t")]

    @property
    def persistent(self) -> bool:
        """Whether the response promises another one on the same connection (RFC 9112 9.3)."""
        options = self.tokens("Connection")
        if b"close" in options or self.framing == "close":
            return False
        return self.minor == 1 or b"keep-alive" in options


class ResponseReader:
    """Takes bytes until one final response is whole.

    `method` is the request's: a response to HEAD has no body (RFC 9110 9.3.2). With `strict` the first defect raises
    ProtocolError; without it defects are only recorded, as long as the response can be framed at all.
    """

    def __init__(self, method: str = "GET", *, strict: bool = True, body_limit: int = BODY_LIMIT) -> None:
        self.response: Response | None = None
        self.done = False
        self._method = method
        self._strict = strict
        self._body_limit = body_limit
        self._buffer = bytearray()
        self._interim: list[Response] = []
        self._body = bytearray()
        self._wanted = 0
        self._step: Callable[[], bool] = self._head

    @property
    def rest(self) -> bytes:
        """The bytes after the response; they belong to the next one. Only meaningful when `done`."""
        return bytes(self._buffer)

    @property
    def partial(self) -> Response | None:
        """The response as far as it has arrived; None before its head is whole."""
        if self.response is not None and not self.done:
            self.response.body = bytes(self._body)
        return self.response

    def feed(self, data: bytes) -> bool:
        """Takes more bytes; True when the final response is whole. Raises ProtocolError or LimitError."""
        self._buffer += data
        while not self.done and self._step():
            pass
        return self.done

    def eof(self) -> Response:
        """The peer closed. Returns the response if that ends it, else raises Disconnected."""
        if self.response is None:
            raise Disconnected("the connection was closed before a response head was whole")
        if self.response.framing == "close":
            self._finish()
        if not self.done:
            raise Disconnected(f"the connection was closed inside a {self.response.framing} body")
        return self.response

    def _defect(self, code: str, response: Response, detail: str = "") -> None:
        response.defects.append(code)
        if self._strict:
            raise ProtocolError(code, 502, detail)

    def _finish(self) -> bool:
        response = self._current()
        response.body = bytes(self._body)
        response.complete = True
        self.done = True
        return False

    def _current(self) -> Response:
        if self.response is None:
            raise RuntimeError("no head has been read")
        return self.response

    def _line(self) -> bytes | None:
        """One line without its end; a bare LF ends it too, as a defect (RFC 9112 2.2)."""
        end = self._buffer.find(b"\n")
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise LimitError("response-line-too-long", 502)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        if line.endswith(b"\r"):
            return line[:-1]
        self._defect("bare-lf", self._current())
        return line

    def _head(self) -> bool:
        end = _head_end(self._buffer)
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise LimitError("response-head-too-large", 502)
            return False
        head = bytes(self._buffer[:end])
        del self._buffer[:end]
        response = _parse_head(head)
        if response.defects and self._strict:
            raise ProtocolError(response.defects[0], 502, repr(head[:200]))
        if 100 <= response.status < 200 and response.status != 101:
            response.complete = True
            self._interim.append(response)
            return True
        response.interim = self._interim
        self.response = response
        self._frame(response)
        return True

    def _frame(self, response: Response) -> None:
        """RFC 9112 6.3: how the body ends."""
        codings, lengths = response.tokens("Transfer-Encoding"), response.get_all("Content-Length")
        if lengths:
            self._declared_length(response, lengths)
        if codings and response.minor == 0:
            self._defect("transfer-encoding-in-1.0", response)
        if codings and lengths:
            self._defect("content-length-with-transfer-encoding", response)
        if response.status in (101, 204) and (codings or lengths):
            self._defect("framing-on-bodiless-status", response)
        if self._method == "HEAD" or response.status in (101, 204, 304):
            response.framing = "none"
            self._finish()
        elif codings:
            if codings != [b"chunked"]:
                self._defect("bad-transfer-encoding", response, repr(codings))
            response.framing, self._step = "chunked", self._chunk_size
        elif response.length is not None:
            response.framing, self._wanted, self._step = "length", response.length, self._length
        else:
            response.framing, self._step = "close", self._until_close

    def _declared_length(self, response: Response, values: list[bytes]) -> None:
        if len(set(values)) > 1:
            self._defect("conflicting-content-length", response, repr(values))
        elif len(values) > 1:
            self._defect("repeated-content-length", response)
        if _LENGTH.fullmatch(values[0]):
            response.length = int(values[0])
        else:
            self._defect("bad-content-length", response, repr(values[0]))

    def _take(self, count: int) -> None:
        if len(self._body) + count > self._body_limit:
            raise LimitError("response-body-too-large", 502, f"more than {self._body_limit} bytes")
        self._body += self._buffer[:count]
        del self._buffer[:count]

    def _length(self) -> bool:
        count = min(self._wanted, len(self._buffer))
        self._take(count)
        self._wanted -= count
        return self._finish() if self._wanted == 0 else False

    def _until_close(self) -> bool:
        self._take(len(self._buffer))
        return False

    def _chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise ProtocolError("bad-chunk-size", 502, repr(line[:80]))
        self._wanted = int(match[1], 16)
        if self._wanted:
            self._current().chunks.append(self._wanted)
        self._step = self._chunk_data if self._wanted else self._trailer
        return True

    def _chunk_data(self) -> bool:
        count = min(self._wanted, len(self._buffer))
        self._take(count)
        self._wanted -= count
        if self._wanted or len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise ProtocolError("chunk-without-crlf", 502, repr(bytes(self._buffer[:20])))
        del self._buffer[:2]
        self._step = self._chunk_size
        return True

    def _trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if not line:
            return self._finish()
        response = self._current()
        name, value, code = _parse_field(line)
        if code:
            self._defect(code, response, repr(line[:80]))
        response.trailers.append((name, value))
        return True


def _head_end(buffer: bytearray) -> int:
    """Offset after the first empty line, or -1. A bare LF counts as a line end here; `_parse_head` objects to it."""
    crlf, lone = buffer.find(b"\r\n\r\n"), buffer.find(b"\n\n")
    ends = [end for end in (crlf + 4 if crlf >= 0 else -1, lone + 2 if lone >= 0 else -1) if end >= 0]
    return min(ends) if ends else -1


def _parse_head(head: bytes) -> Response:
    lines = head.split(b"\n")
    defects = []
    if not all(line.endswith(b"\r") for line in lines[:-1]):
        defects.append("bare-lf")
    lines = [line[:-1] if line.endswith(b"\r") else line for line in lines[:-2]]
    match = _STATUS_LINE.fullmatch(lines[0])
    if match is None:
        raise ProtocolError("bad-status-line", 502, repr(lines[0][:200]))
    if match[3] is None:
        defects.append("status-line-without-space")  # RFC 9112 4: the space stays when the reason is empty
    fields = []
    for line in lines[1:]:
        name, value, code = _parse_field(line)
        if code:
            defects.append(code)
        fields.append((name, value))
    return Response(int(match[1]), int(match[2]), match[4] or b"", fields, head, defects=defects)


def _parse_field(line: bytes) -> tuple[bytes, bytes, str]:
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if line[:1] in (b" ", b"\t"):
        return name, value, "folded-field"
    if not colon or not _TOKEN.fullmatch(name):
        return name, value, "bad-field-name"
    if not _FIELD_VALUE.fullmatch(value):
        return name, value, "bad-field-value"
    return name, value, ""
