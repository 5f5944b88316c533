"""A request body on its way to the app: spooled before the call, or streamed during it.

Owns the decoder, where decoded blocks go, the 100 (Continue) that is still owed, and the clock that a slow body is
held against. It must not know sockets; streamed bytes come from a `Link`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import IO, TypeVar

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.protocols.link import Link
from wsgikit.protocols.service import Settings
from wsgikit.wire.http11 import Head, LengthDecoder, Limits, request_decoder
from wsgikit.wsgi.exchange import Exchange
from wsgikit.wsgi.spool import Spool
from wsgikit.wsgi.stream_input import StreamInput

T = TypeVar("T")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Body:
    """One request's body. `received`: decoded bytes so far; `rest`: undecoded bytes that are here already."""

    __slots__ = (
        "continue_due", "decoder", "exchange", "left", "limit", "link", "received", "rest", "seconds", "since",
        "spool", "trailers",
    )  # fmt: skip

    def __init__(self, head: Head, limits: Limits, limit: int, link: Link) -> None:
        decoder = request_decoder(head, limits)
        if decoder is None:
            raise ValueError("this request has no body")
        self.decoder = decoder
        self.limit = limit
        self.link = link
        self.continue_due = head.expect_continue
        self.received = 0
        self.rest = b""
        self.since = self.left = monotonic()
        self.seconds = 0.0
        self.spool: Spool | None = None
        self.exchange: Exchange | None = None
        self.trailers: list[tuple[str, str]] = []

    @property
    def done(self) -> bool:
        return self.decoder.done

    def decode(self, data: bytes) -> bytes:
        """Decode what came from the peer. Raises ProtocolError, and LimitError("body-too-large", 413)."""
        block = self.decoder.feed(data)
        self.received += len(block)
        if self.limit and self.received > self.limit:
            raise LimitError("body-too-large", 413, f"the body is larger than {self.limit} bytes")
        if self.decoder.done:
            self._end()
        return block

    def _end(self) -> None:
        self.rest = self.decoder.rest
        self.seconds = monotonic() - self.since
        self.trailers += [(str(name, "latin-1"), str(value, "latin-1")) for name, value in self.decoder.trailers]

    # Spooled: before the app runs

    def collect(self, settings: Settings) -> None:
        """Read the body whole before the app runs. Tells a waiting client to send it."""
        self.spool = Spool(settings.body_memory, settings.spool_dir)
        if self.continue_due and not self.rest:
            self.link.send(CONTINUE)
        self.continue_due = False

    def store(self, data: bytes) -> bool:
        """Spool what came from the peer. True: the body is whole. Raises as `decode`, and OSError (disk full)."""
        block = self.decode(data)
        if self.spool is not None:
            if block:
                self.spool.write(block)
            if self.decoder.done:
                self.spool.flush()
        return self.decoder.done

    # Streamed: while the app runs

    def stream(self, exchange: Exchange) -> StreamInput:
        """`wsgi.input` that reads from the connection as the app asks."""
        self.exchange = exchange
        return StreamInput(self._pull, self._move)

    def _pull(self) -> bytes:
        return self._taken(self._next) or b""  # b"" also for an app that reads on after its response has ended

    def _move(self, target: int, most: int) -> tuple[int, bytes] | None:
        """See `StreamInput.move`."""
        if self.rest or self.continue_due or self.decoder.done or not isinstance(self.decoder, LengthDecoder):
            return None
        return self._taken(partial(self._moved, self.decoder, target, most))

    def _taken(self, take: Callable[[Exchange], T]) -> T | None:
        """What `take` takes from the connection, None once nobody may."""
        exchange = self.exchange
        if exchange is None or exchange.complete or exchange.dead:
            return None
        with exchange.outside():
            self.since += monotonic() - self.left  # the client is not to blame for the time in which nobody read
            try:
                return take(exchange)
            except ProtocolError:
                exchange.persist = False
                raise
            finally:
                self.left = monotonic()

    def _moved(self, decoder: LengthDecoder, target: int, most: int, _: Exchange) -> tuple[int, bytes] | None:
        moved = self.link.pass_on(target, min(most, decoder.remaining), self.received, self.since)
        if moved is not None:
            if not moved[0]:
                decoder.eof()
            decoder.skip(moved[0])
            self.received += moved[0]
            if decoder.done:
                self._end()
        return moved

    def _next(self, exchange: Exchange) -> bytes:
        if self.continue_due:
            self.continue_due = False
            if not exchange.head_sent and not self.rest:  # after a final status 100 would be out of order
                self.link.send(CONTINUE)
        while not self.decoder.done:
            data, self.rest = self.rest, b""
            data = data or self.link.receive(self.received, self.since)
            if not data:
                self.decoder.eof()
            block = self.decode(data)
            if block:
                return block
        return b""

    def drain(self, limit: int) -> bool:
        """Throw away what the app left of a streamed body, as far as it is here already. True: the body is over."""
        if self.continue_due:
            return False  # the client may send the body or not, nobody can tell which
        try:
            while not self.decoder.done and self.rest and limit > 0:
                data, self.rest = self.rest, b""
                limit -= len(data)
                self.decode(data)
        except ProtocolError:
            return False
        return self.decoder.done

    # After the response

    def file(self) -> IO[bytes]:
        """The spooled body as `wsgi.input`. The caller closes it."""
        if self.spool is None:
            raise ValueError("this body is streamed")
        return self.spool.stream()

    def discard(self) -> None:
        """Let go of what was spooled."""
        if self.spool is not None:
            self.spool.close()
