"""A response: its head, and its body as it arrives.

Owns the end of the exchange: where the body ends, whether the connection may serve another request, and that a body
which was cut short never looks whole. Must not know where connections come from: a callback takes them back.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic
from typing import NoReturn

from wsgikit.client.connection import RECEIVE, RECEIVE_MOST, Connection
from wsgikit.client.exchange import Exchange
from wsgikit.client.request import WORTH_MOVING, Request
from wsgikit.client.settings import ClientSettings
from wsgikit.errors import LimitError, ProtocolError, UpstreamError, UpstreamTimeout
from wsgikit.wire.http11 import CloseDecoder, Decoder, LengthDecoder, ResponseHead, response_decoder

Fields = list[tuple[bytes, bytes]]


class Response:
    """What an upstream answered. Used by one thread. Close it, or read it to its end, else its connection is lost.

    `status`, `reason` and `fields` as they came (order, case, repetitions); `head`: version, length, framing;
    `trailers` once the body is through; `done`: it is; `whole`: the upstream took the whole request.
    """

    __slots__ = (
        "_block",
        "_connection",
        "_deadline",
        "_decoder",
        "_release",
        "_settings",
        "_url",
        "head",
        "status",
        "whole",
    )

    def __init__(
        self,
        url: str,
        connection: Connection,
        settings: ClientSettings,
        exchange: Exchange,
        release: Callable[[Connection], object],
    ) -> None:
        self._url = url
        self._settings = settings
        self._release = release
        self._connection: Connection | None = connection
        self._decoder: Decoder | None = None
        self._block = b""
        self._deadline = 0.0
        self.whole = exchange.whole
        self.head: ResponseHead = exchange.head  # type: ignore[assignment]  # run() has set it
        self.status = self.head.status

    def begin(self, request: Request, rest: bytes) -> None:
        """Take up the bytes that came with the head. Raises UpstreamError for a body that is broken already."""
        self._deadline = request.deadline
        head = self.head
        if head.status == 101 or (request.method == "CONNECT" and head.status < 300):
            self._block = rest  # another protocol begins here; see detach()
            return
        decoder = self._decoder = response_decoder(request.method, head, self._settings.limits)
        if decoder is None:
            # Some servers send the body to HEAD all the same (waitress 3 does): it would be read as the next response.
            risky = request.method == "HEAD" and (head.chunked or bool(head.content_length))
            self._finish(clean=not rest and not risky)
        else:
            if self._connection is not None:
                self._connection.most = RECEIVE_MOST if (head.content_length or 0) > RECEIVE else RECEIVE
            if rest:
                self._block = self._feed(decoder, rest)

    @property
    def reason(self) -> bytes:
        return self.head.reason

    @property
    def fields(self) -> Fields:
        return self.head.fields[:]  # the head may be another response's as well

    @property
    def trailers(self) -> Fields:
        return self._decoder.trailers if self._decoder is not None else []

    @property
    def done(self) -> bool:
        """All of the body has been read."""
        return self._connection is None and not self._block

    @property
    def arrived(self) -> bool:
        """All of the body has come; read() gives the rest of it without waiting."""
        return self._connection is None

    def get_all(self, name: bytes) -> list[bytes]:
        """The values of a field; `name` in lower case."""
        return [value for key, value in self.head.fields if key.lower() == name]

    def read(self, patience: float | None = None) -> bytes | None:
        """The next part of the body as soon as there is one; b"" at its end, None after `patience` seconds without.

        UpstreamError: it was cut short, or broke its framing; UpstreamTimeout; Disconnected: the watched peer has left.
        """
        return self._take(patience, wait=True)

    def read_now(self) -> bytes | None:
        """As `read`, without waiting: None when nothing is here. The caller keeps the time (`expire`)."""
        return self._take(None, wait=False)

    def _take(self, patience: float | None, *, wait: bool) -> bytes | None:
        if self._block:
            block, self._block = self._block, b""
            return block
        connection, decoder = self._connection, self._decoder
        if connection is None or decoder is None:
            return b""
        try:
            if wait:
                return self._awaited(connection, decoder, patience)
            return self._decoded(decoder, connection.receive_now)
        except BaseException:
            self.close()
            raise

    def _awaited(self, connection: Connection, decoder: Decoder, patience: float | None) -> bytes | None:
        end = self.patience()
        pause = end if patience is None else min(end, monotonic() + patience)
        block = self._decoded(decoder, partial(connection.receive, pause))
        if block is None and pause >= end:
            self.expire()
        return block

    def _decoded(self, decoder: Decoder, receive: Callable[[], bytes | None]) -> bytes | None:
        """The next block that `receive` brings, b"" at the end; None when it brings nothing."""
        while True:
            try:
                data = receive()
            except OSError as error:
                raise UpstreamError(self._url, "body", str(error), answered=True) from error
            if data is None:
                return None
            if not data:
                self._end(decoder)
                return b""
            block = self._feed(decoder, data)
            if block or decoder.done:
                return block

    @property
    def movable(self) -> bool:
        """Whether `move` can be used for what comes next."""
        decoder, connection = self._decoder, self._connection
        return (
            connection is not None
            and type(decoder) is LengthDecoder
            and decoder.remaining >= WORTH_MOVING
            and not self._block
            and connection.pausable
        )

    def move(self, pass_on: Callable[[int, int], int | None]) -> int | None:
        """As `read_now`, but the bytes are not handed out: `pass_on(fd, most)` takes them from the connection's
        descriptor, and gives back what we do: how many bytes, None when nothing is here. Only while `movable`.

        UpstreamError as `read`; what else `pass_on` raises comes through.
        """
        connection, decoder = self._connection, self._decoder
        if connection is None or not isinstance(decoder, LengthDecoder):
            raise RuntimeError("this body cannot be moved; see movable")
        try:
            try:
                count = pass_on(connection.fd, decoder.remaining)
            except OSError as error:
                raise UpstreamError(self._url, "body", str(error), answered=True) from error
            if count == 0:
                self._end(decoder)
        except BaseException:
            self.close()
            raise
        if count:
            connection.most = RECEIVE  # the head of the next response is all that has to be read
            decoder.skip(count)
            if decoder.done:
                self._finish(clean=connection.usable())  # what came behind it has been left where it was
        return count

    def patience(self) -> float:
        """Monotonic seconds until which the next byte may take, from now on."""
        end = monotonic() + self._settings.idle_timeout
        return min(end, self._deadline) if self._deadline else end

    def expire(self) -> NoReturn:
        """The patience is over: let go. Raises UpstreamTimeout."""
        self.close()
        over = self._deadline and monotonic() >= self._deadline
        detail = "the total time is over" if over else f"nothing within {self._settings.idle_timeout:g} s"
        raise UpstreamTimeout(self._url, "body", detail, answered=True)

    @property
    def pausable(self) -> bool:
        """Whether `read_now` can be used, and `fileno` tells when to."""
        return self._connection is not None and self._connection.pausable

    def fileno(self) -> int:
        """The connection's descriptor while more of the body is to come; -1 afterwards."""
        return -1 if self._connection is None else self._connection.fd

    def _feed(self, decoder: Decoder, data: bytes) -> bytes:
        if len(data) >= RECEIVE and self._connection is not None:  # it comes quicker than it is taken
            self._connection.most = RECEIVE_MOST
        try:
            block = decoder.feed(data)
        except ProtocolError as error:
            self.close()
            raise UpstreamError(self._url, "body", str(error), answered=True) from error
        if decoder.done:
            # Before the caller has dealt with the last block, another request may use the connection.
            self._finish(clean=not decoder.rest)
        return block

    def _end(self, decoder: Decoder) -> None:
        try:
            decoder.eof()
        except ProtocolError as error:
            raise UpstreamError(self._url, "body", str(error), answered=True) from error
        self._finish(clean=False)

    def _finish(self, *, clean: bool) -> None:
        """The response is complete. `clean`: nothing has come behind it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        # What a peer sends unasked behind a response would be read as the next one.
        if clean and self.whole and self.head.keep_alive and not isinstance(self._decoder, CloseDecoder):
            self._release(connection)
        else:
            connection.close()

    def read_all(self, limit: int) -> bytes:
        """The rest of the body. LimitError when it is more than `limit` bytes; else as read()."""
        parts: list[bytes] = []
        for block in self:
            parts.append(block)
            limit -= len(block)
            if limit < 0:
                self.close()
                raise LimitError("response-body-too-large", 502)
        return b"".join(parts)

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read():
            yield block

    def detach(self) -> tuple[socket.socket, bytes]:
        """After 101, or 2xx to CONNECT: the socket, blocking, and the bytes that have come on it already."""
        connection, self._connection = self._connection, None
        if connection is None or self._decoder is not None:
            raise RuntimeError("only a connection that has changed its protocol can be taken over (RFC 9110 7.8)")
        block, self._block = self._block, b""
        return connection.detach(), block

    def close(self) -> None:
        """Let go. A response that is not read to its end takes its connection with it. May be called twice."""
        connection, self._connection = self._connection, None
        self._block = b""
        if connection is not None:
            connection.close()

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
