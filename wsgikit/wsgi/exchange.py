"""The response side of one request: start_response, write(), framing, and the order in which bytes may leave.

Owns the state machine of PEP 3333: nothing is sent before the first non-empty block or the end; an error may replace
status and headers until then; after that it aborts. It must not know sockets (it writes to a `Transport`), nor when the
connection is read again (it only says whether it may persist).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from time import monotonic
from types import TracebackType
from typing import Protocol

from wsgikit.errors import Disconnected
from wsgikit.wire.http11.framing import LAST_CHUNK, Framing, choose_framing, chunk, chunk_start, connection_field
from wsgikit.wsgi.file_wrapper import FileWrapper, regular_file
from wsgikit.wsgi.response_head import ResponseHead, response_head
from wsgikit.wsgi.transport import Bypass, Transport

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

_JOIN = 16 * 1024  # below this, copying blocks together costs less than a second system call or an iovec
# looked up once: an enum's attribute costs
_NONE, _LENGTH, _CHUNKED, _CLOSE = Framing.NONE, Framing.LENGTH, Framing.CHUNKED, Framing.CLOSE


class Guard(Protocol):
    """The region of a thread in which a request's deadline may interrupt it: the app's code and nothing else."""

    def enter(self, exchange: Exchange) -> None: ...

    def leave(self) -> None: ...


class Pause(Protocol):
    """What the app has said of a pause (`wsgikit.pause`)."""

    @property
    def context(self) -> Context:
        """What the app runs in, whichever threads that are."""

    @property
    def open(self) -> bool:
        """Whether the iteration is to wait, once an empty block has come."""


class Lines:
    """Head lines that depend on the server, not on the app. One object a listener; housekeeping renews `date`."""

    __slots__ = ("both", "date", "server")

    def __init__(self, server: str) -> None:
        self.server = f"Server: {server}\r\n".encode("latin-1") if server else b""
        self.date = self.both = b""

    def renew(self, date: bytes) -> None:
        """Set the Date line, with its CRLF."""
        self.date = date
        self.both = date + self.server


class Exchange:
    """One request's response. `persist` is true while the connection may serve another request afterwards."""

    __slots__ = (
        "_claim", "_lines", "bypass", "called", "closers", "complete", "content_length", "dead", "deadline", "debug",
        "framing", "guard", "head", "head_sent", "method", "minor", "pause", "persist", "replaced", "sent",
        "timeout", "transport",
    )  # fmt: skip

    def __init__(self, transport: Transport, lines: Lines, method: str, minor: int, persist: bool) -> None:
        self.transport = transport
        self._lines = lines
        self._claim = [None]  # whoever pops the element may send the head: the app's thread or a deadline
        self.method = method
        self.minor = minor
        self.persist = persist
        self.called = False
        self.head: ResponseHead | None = None
        self.head_sent = False
        self.complete = False
        self.dead = False  # nothing of the app's response may leave any more
        self.replaced = False  # because the server has answered in its place
        self.content_length: int | None = None  # what the client was told, once the head is out
        self.framing = _CLOSE
        self.sent = 0
        self.closers: list[Callable[[], object]] | None = None
        self.guard: Guard | None = None  # set while the app's call may be interrupted
        self.pause: Pause | None = None  # set where the app may ask for a pause
        self.timeout = 0.0  # seconds the app may take to begin its response, and from block to block; 0: no limit
        self.deadline = 0.0  # monotonic seconds at which that is over
        self.debug = False
        self.bypass: Bypass | None = None  # set where a body may go from socket to socket

    # What the app calls

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], None]:
        """PEP 3333 start_response. Raises what `ResponseHead` raises, at once, while the app can still react."""
        if exc_info is not None:
            try:
                if self.head_sent:
                    if exc_info[1] is None:
                        raise RuntimeError("start_response was called after the response had begun (PEP 3333)")
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # a kept traceback keeps every frame of the app alive
        elif self.called:
            raise RuntimeError("start_response was called a second time without exc_info (PEP 3333)")
        self.called = True
        self.head = None
        self.head = response_head(status, headers)
        return self.write

    def write(self, data: bytes, /) -> None:
        """PEP 3333 write(): `data` is sent, or queued by the operating system or us, when this returns."""
        if type(data) is not bytes:
            raise TypeError(f"write() takes bytes, not {type(data).__name__} (PEP 3333)")
        if self.complete:
            raise RuntimeError("write() was called after the response had ended (PEP 3333)")
        limit = None if self.head is None or self.method == "HEAD" else self.head.length
        past = limit is not None and self.sent + len(data) > limit
        with self.outside():
            self.send(data)
        if past:
            raise ValueError(f"write() went past Content-Length {limit} (PEP 3333)")

    def early_hints(self, headers: list[tuple[str, str]], /) -> None:
        """Send 103 Early Hints (RFC 8297). Ignored for HTTP/1.0 clients and once the response has begun."""
        if self.minor and not self.head_sent and not self.dead:
            head = ResponseHead("200 OK", headers)
            with self.outside():
                self.transport.send(b"HTTP/1.1 103 Early Hints" + head.lines[len(b"HTTP/1.1 200 OK") :] + b"\r\n")

    def flush_head(self) -> bool:
        """Send status and headers now, before there is a body. Whether they are out.

        After that they cannot be replaced: start_response with exc_info raises. Does nothing while there is no head
        here: before start_response, and where a layer further out holds it back to make it fit what it makes of the
        body. Not for bodies that are there already: these get their length by it.
        """
        if self.head is not None and not self.head_sent:
            with self.outside():
                self._begin(b"", None)
        return self.head_sent

    def on_close(self, callback: Callable[[], object], /) -> None:
        """Have `callback` called once, after the response was sent or aborted and close() has run."""
        if self.closers is None:
            self.closers = []
        self.closers.append(callback)

    # What the server calls

    def send(self, block: bytes) -> None:
        """Send one block of the body; the head goes with the first one that is not empty."""
        if type(block) is not bytes:
            raise TypeError(f"the app's iterable gave {type(block).__name__}, not bytes (PEP 3333)")
        if not block:
            return
        if not self.head_sent:
            self._begin(block, None)
            return
        if self.framing is _NONE or self.complete:
            return
        self.sent += len(block)
        if self.framing is not _CHUNKED:
            block = self._clip(block)
            if block:
                self.transport.send(block)
        elif len(block) < _JOIN:
            self.transport.send(chunk(block))
        else:
            self.transport.send_parts((chunk_start(len(block)), block, b"\r\n"))

    @property
    def relaying(self) -> bool:
        """Whether what comes next of the body may go by `relay`: its length was told, and some of it is to come."""
        length = self.content_length
        return self.head_sent and self.framing is _LENGTH and length is not None and self.sent < length

    def relay(self, source: int, most: int) -> int | None:
        """Send what has come on a socket, `most` bytes at most, without handing it through: how many bytes, 0 at the
        socket's end, None when nothing has come. For the app, while `relaying`. Raises OSError for what is wrong with
        the socket, Disconnected for the client."""
        bypass, length = self.bypass, self.content_length
        if bypass is None or length is None:
            raise RuntimeError("this response goes through the app; see relaying")
        with self.outside():
            count = bypass.send_from(source, min(most, length - self.sent))
        if count:
            self.sent += count
        return count

    def send_list(self, blocks: list[bytes] | tuple[bytes, ...]) -> None:
        """Send a whole body that is in memory already. Its length is known, so that it needs no chunks."""
        if len(blocks) == 1:
            body = blocks[0]
            if type(body) is not bytes:
                raise TypeError(f"the app's iterable gave {type(body).__name__}, not bytes (PEP 3333)")
            self._begin(body, len(body))
        else:
            self._begin_many(blocks)
        self.finish()

    def _begin_many(self, blocks: list[bytes] | tuple[bytes, ...]) -> None:
        total = 0
        for block in blocks:
            if type(block) is not bytes:
                raise TypeError(f"the app's iterable gave {type(block).__name__}, not bytes (PEP 3333)")
            total += len(block)
        if total < _JOIN:
            self._begin(b"".join(blocks), total)
            return
        self._begin(b"", total)
        for block in blocks:
            self.send(block)

    def send_file(self, wrapper: FileWrapper) -> bool:
        """Send the app's own file wrapper by the platform's means. False: iterate it instead."""
        found = regular_file(wrapper)
        if found is None:
            return False
        file, offset, left = found
        self._begin(b"", left)
        count = left if self.content_length is None else min(left, self.content_length)
        if count and self.framing is not _NONE:
            self.transport.send_file(file, offset, count)
            self.sent += count
        self.finish()
        return True

    def finish(self) -> None:
        """The body has ended. Raises ValueError when it was shorter than its Content-Length."""
        if self.complete:
            return
        if not self.head_sent:
            self._begin(b"", 0)
        self.complete = True
        if self.framing is _CHUNKED:
            self.transport.send(LAST_CHUNK)
        elif self.content_length is not None and self.sent < self.content_length:
            self.persist = False
            raise ValueError(f"the body ended after {self.sent} bytes of its Content-Length {self.content_length}")

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Our own code inside a call of the app: no interruption cuts it in half, and its time is not the app's."""
        guard = self.guard
        if guard is None:
            yield
            return
        guard.leave()
        try:
            if self.dead:
                raise Disconnected("the request was given up")
            yield
        finally:
            if not self.dead:
                self.renew()
            guard.enter(self)

    def renew(self) -> None:
        """The app has given something: its time begins anew."""
        self.deadline = monotonic() + self.timeout

    def satisfied(self) -> bool:
        """Whether nothing more of the body can be sent, so that the app need not be asked for more."""
        return self.head_sent and (self.framing is _NONE or self.sent == self.content_length)

    def claim(self) -> bool:
        """Take the right to send the head. Only the first caller gets it."""
        try:
            self._claim.pop()
        except IndexError:
            return False
        return True

    def give_up(self) -> bool:
        """The app is past its deadline, says another thread. True: that thread is to answer in the app's place."""
        self.dead = True
        self.replaced = self.claim()
        return self.replaced

    def _clip(self, block: bytes) -> bytes:
        """Cut what goes past Content-Length: the client would read it as the next response."""
        if self.content_length is not None and self.sent > self.content_length:
            block = block[: len(block) - (self.sent - self.content_length)]
            self.sent = self.content_length
        return block

    def _begin(self, body: bytes, total: int | None) -> None:
        """Send the head, with `body` behind it. `total`: the whole body's length in bytes, where it is known."""
        head = self.head
        if head is None:
            raise RuntimeError("the app sent a body, or ended, without a successful start_response (PEP 3333)")
        if not self.claim():
            self.dead = True
            raise Disconnected("the response was given up before the app began it")
        self.head_sent = True
        framing, self.content_length, field = choose_framing(self.method, head.code, self.minor, head.length, total)
        self.framing = framing
        if framing is _CLOSE:
            self.persist = False
        parts = [head.lines, field]
        if not head.has_date and not head.has_server:
            parts.append(self._lines.both)
        elif not head.has_date:
            parts.append(self._lines.date)
        elif not head.has_server:
            parts.append(self._lines.server)
        if not self.persist or not self.minor:
            parts.append(connection_field(self.minor, self.persist))
        parts.append(b"\r\n")
        if body and framing is not _NONE:
            self.sent = len(body)
            if framing is _CHUNKED:
                parts += (chunk_start(len(body)), body, b"\r\n")
            else:
                parts.append(self._clip(body))
            if len(body) >= _JOIN:
                self.transport.send_parts(parts)
                return
        self.transport.send(b"".join(parts))
