"""SCGI and uwsgi for a server: wires that carry one request on a connection.

Owns such a connection's way: variables, body, app, end. How the variables are read, and how a response head begins, a
subclass says. It must not know sockets or threads.
"""

from __future__ import annotations

import errno
import logging
from typing import IO, Any

from wsgikit.errors import Disconnected, ProtocolError
from wsgikit.protocols import Action
from wsgikit.protocols.body import Body
from wsgikit.protocols.cgi_call import GatewayCall
from wsgikit.protocols.cgi_exchange import GatewayExchange
from wsgikit.protocols.link import Link
from wsgikit.protocols.service import Service
from wsgikit.wire.cgi import VariableLimits
from wsgikit.wire.http11 import Head
from wsgikit.wsgi.exchange import Guard
from wsgikit.wsgi.stream_input import StreamInput

log = logging.getLogger("wsgikit.error")

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
Pairs = list[tuple[bytes, bytes]]


class SingleProtocol(GatewayCall):
    """One connection. Feed it with `receive`; do what the returned `Action` says."""

    __slots__ = ("body", "buffer", "limits", "link")

    def __init__(self, service: Service, link: Link) -> None:
        super().__init__(service)
        self.link = link
        self.limits = VariableLimits.of(service.limits)
        self.buffer = bytearray()
        self.body: Body | None = None

    def parse(self, buffer: bytearray) -> tuple[Pairs, int] | None:
        """The variables and the offset after them; None for more. Raises ProtocolError."""
        raise NotImplementedError

    # Bytes in

    def receive(self, data: bytes) -> int:
        """Take bytes from the web server."""
        if self.body is not None:
            return self._store(data)
        self.buffer += data
        try:
            found = self.parse(self.buffer)
            if found is None:
                return Action.READ
            head = self.read_head(found[0])
        except ProtocolError as error:
            return self.refuse(error.status, error)
        rest, self.buffer = bytes(self.buffer[found[1] :]), bytearray()
        return self._open_body(head, rest) if head.content_length else Action.RUN

    def _open_body(self, head: Head, rest: bytes) -> int:
        settings = self.service.settings
        if settings.max_body and (head.content_length or 0) > settings.max_body:
            return self.refuse(413, ProtocolError("body-too-large", 413, f"CONTENT_LENGTH {head.content_length}"))
        self.body = body = Body(head, self.service.limits, settings.max_body, self.link)
        body.rest = rest
        if self.streams(head):
            return Action.RUN
        body.collect(settings)
        data, body.rest = body.rest, b""
        return self._store(data) if data else Action.READ

    def _store(self, data: bytes) -> int:
        body = self.body
        if body is None:
            return Action.CLOSE
        try:
            return Action.RUN if body.store(data) else Action.READ
        except ProtocolError as error:
            return self.refuse(error.status, error)
        except OSError as error:
            log.error("%s: cannot spool the body: %s", self.request_line(), error)
            return self.refuse(507 if error.errno in _NO_SPACE else 500)

    def advance(self) -> int:
        """Nothing follows a response on these wires."""
        return Action.CLOSE

    def eof(self) -> int:
        """The web server ended its side before the request was complete."""
        if self.idle:
            return Action.CLOSE
        code = "incomplete-head" if self.body is None else "incomplete-body"
        return self.refuse(400, ProtocolError(code, 400, "the web server ended its side"))

    def expire(self) -> int:
        """The time for the variables or the body is over; an idle connection closes without a word."""
        return Action.CLOSE if self.idle else self.refuse(408, ProtocolError("request-timeout", 408))

    def close(self) -> None:
        """The connection is closed: let go of what the request has left behind."""
        self.exchange = None  # it knows us by its transport: a cycle would wait for the garbage collector
        if self.body is not None:
            self.body.discard()

    def rest(self) -> None:
        """Nothing is kept that only saves time."""

    @property
    def idle(self) -> bool:
        """Whether no byte of a request is here."""
        return self.head is None and not self.buffer

    # The app

    def run(self, now: float) -> int:
        """Run the app for the request that is here, and send its response."""
        head = self.head
        if head is None:
            return Action.CLOSE
        exchange = self.call(head, now)
        return Action.CLOSE if exchange.dead or self.body is None or self.body.done else Action.LINGER

    @property
    def peer(self) -> str:
        return self.link.remote

    @property
    def body_seconds(self) -> float:
        return 0.0 if self.body is None else self.body.seconds

    def describe(self, environ: dict[str, Any]) -> None:
        address, port = environ["REMOTE_ADDR"], environ.get("REMOTE_PORT")
        self.link.describe(environ)  # it would give the web server's address for the client's
        environ["REMOTE_ADDR"] = address
        if port is None:
            environ.pop("REMOTE_PORT", None)
        else:
            environ["REMOTE_PORT"] = port

    def guard(self) -> Guard | None:
        return self.link.guard()

    def make_exchange(self, head: Head) -> GatewayExchange:
        return GatewayExchange(self.link, head.method, http=self.http)

    def open_input(self, environ: dict[str, Any], exchange: GatewayExchange) -> IO[bytes] | StreamInput:
        body = self.body
        if body is None:
            return super().open_input(environ, exchange)
        return body.stream(exchange) if body.spool is None else body.file()

    # What the server says by itself

    def refuse(self, status: int, error: ProtocolError | None = None) -> int:
        """Answer an error that is not the app's and close the connection."""
        if self.body is not None:
            self.body.discard()
        return Action.LINGER if self.refuse_with(status, error) else Action.CLOSE

    def answer(self, data: bytes) -> bool:
        try:
            self.link.send(data)
        except Disconnected:
            return False
        return True

    def give_up(self) -> None:
        """The request is past its deadline: 504, or a reset once the response has begun. Called by another thread."""
        exchange = self.exchange
        if exchange is None or exchange.complete:  # it has answered, and close() takes long
            return
        if exchange.give_up():
            self.refuse_with(504)
        else:
            self.link.abort()
