"""What a FastCGI request sends: STDOUT, STDERR and END_REQUEST records.

Owns the cutting of a response into records. It must not know what the response says, nor who else sends on the
connection: whatever is handed to the link in one call leaves in one piece.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from wsgikit.errors import Disconnected
from wsgikit.wire.fastcgi import FRAGMENT, Kind, Verdict, format_end, format_stream, record_start
from wsgikit.wsgi.error_stream import ErrorStream

if TYPE_CHECKING:
    from wsgikit.protocols.fastcgi_call import FastcgiCall

_JOIN = 16 * 1024  # as in `Exchange`: below this, copying costs less than a system call with several buffers
_LINE = 8192  # bytes of an unfinished line of stderr that are kept back; as a pipe's atomic write, twice over


class Records:
    """The response of one request. Implements `wsgikit.wsgi.transport.Transport`.

    `protocol` is the request, as housekeeping asks for it. After `cork()` what is sent waits for `end()`, so that a
    response that is whole leaves with its END_REQUEST in one piece.
    """

    __slots__ = ("_corked", "_waiting", "protocol")

    def __init__(self, call: FastcgiCall) -> None:
        self.protocol = call
        self._corked = False
        self._waiting = b""

    def cork(self) -> None:
        self._corked = True

    def uncork(self) -> None:
        """Send what has waited."""
        waiting, self._waiting, self._corked = self._waiting, b"", False
        if waiting:
            self.protocol.link.send(waiting)

    def send(self, data: bytes) -> None:
        """See `Transport`. Raises Disconnected, also when the web server has aborted the request."""
        call = self.protocol
        if call.gone or call.finished:
            raise Disconnected("the web server has aborted the request")
        if len(data) < _JOIN:
            start = record_start(Kind.STDOUT, call.request, len(data))
            record = b"".join((start, data, bytes(-len(data) & 7)))
            if self._corked:
                self._waiting += record
            else:
                call.link.send(record)
        else:
            self.uncork()
            self._send_long(data)

    def _send_long(self, data: bytes) -> None:
        call = self.protocol
        view = memoryview(data)
        for offset in range(0, len(data), FRAGMENT):
            part = view[offset : offset + FRAGMENT]
            start = record_start(Kind.STDOUT, call.request, len(part))
            call.link.send_parts((start, part, bytes(-len(part) & 7)))

    def send_parts(self, parts: Sequence[bytes]) -> None:
        """See `Transport`."""
        self.send(b"".join(parts))

    def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """See `Transport`. Read and sent by records: no system call puts headers between the parts of a file."""
        fd = file.fileno()
        while count:
            data = os.pread(fd, min(count, FRAGMENT), offset)
            if not data:
                raise OSError("the file became shorter while it was sent")
            offset += len(data)
            count -= len(data)
            self.send(data)

    def end(self) -> None:
        """The response is whole: end its streams and the request (sections 5.3 and 5.5)."""
        call = self.protocol
        waiting, self._waiting, self._corked = self._waiting, b"", False
        call.finish(waiting + format_stream(Kind.STDOUT, call.request, b"", end=True))

    def abort(self) -> None:
        """The response must not look whole. See `Transport`."""
        self._waiting, self._corked = b"", False
        self.protocol.break_off()


class ErrorRecords(ErrorStream):
    """`wsgi.errors` that ends up in the web server's log, by lines, as they were printed."""

    __slots__ = ("_call", "_line", "used")

    def __init__(self, call: FastcgiCall) -> None:
        super().__init__()
        self._call = call
        self._line = b""
        self.used = False

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors.write() takes str, not {type(text).__name__}")
        if self._call.finished:
            return super().write(text)  # a thread of the app's that outlives the request
        self._line += text.encode("utf-8", "backslashreplace")
        end = self._line.rfind(b"\n") + 1
        if end or len(self._line) > _LINE:
            whole, self._line = self._line[: end or None], self._line[end:] if end else b""
            self._send(whole)
        return len(text)

    def flush(self) -> None:
        line, self._line = self._line, b""
        if line and not self._call.finished:
            self._send(line)

    def last(self) -> bytes:
        """Records with what was kept back, at the end of the request."""
        line, self._line = self._line, b""
        self.used = self.used or bool(line)
        return _stderr(self._call.request, line)

    def _send(self, data: bytes) -> None:
        self.used = True
        try:
            self._call.link.send(_stderr(self._call.request, data))
        except Disconnected:
            super().write(data.decode("utf-8", "replace"))


def _stderr(request: int, data: bytes) -> bytes:
    # HAProxy 2.6.12 (Debian 12) dies at a STDERR record without padding, as soon as a few have come on a connection.
    parts: list[bytes] = []
    for offset in range(0, len(data), FRAGMENT):
        part = data[offset : offset + FRAGMENT]
        padding = -len(part) & 7 or 8
        parts += (record_start(Kind.STDERR, request, len(part), padding), part, bytes(padding))
    return b"".join(parts)


def closing(request: int, *, errors: bool, status: int = 0, verdict: int = Verdict.COMPLETE) -> bytes:
    """The end of STDERR, where it was used, and of the request."""
    stderr = format_stream(Kind.STDERR, request, b"", end=True) if errors else b""
    return stderr + format_end(request, verdict, status)
