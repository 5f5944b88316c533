"""One request that came over a gateway wire: from its variables to the app and into the access log.

Owns the call of the app. The wires differ in how variables, body and response travel; a subclass each says how. It must
not know sockets or threads.
"""

from __future__ import annotations

import logging
import threading
from io import BytesIO
from time import monotonic, time
from typing import IO, Any

from wsgikit.errors import ProtocolError
from wsgikit.observe.record import Access
from wsgikit.protocols.answers import REASONS
from wsgikit.protocols.cgi_environ import build, paths_of
from wsgikit.protocols.cgi_exchange import GatewayExchange, own_answer
from wsgikit.protocols.service import Service
from wsgikit.wire.cgi import Variables, read_request
from wsgikit.wire.http11 import Head
from wsgikit.wsgi.exchange import Guard
from wsgikit.wsgi.respond import respond
from wsgikit.wsgi.stream_input import StreamInput

log = logging.getLogger("wsgikit.error")


class GatewayCall:
    """A request and its response. `http`: its response head begins with HTTP's status line."""

    __slots__ = ("exchange", "head", "polled", "service", "started", "variables")

    http = False

    def __init__(self, service: Service) -> None:
        self.service = service
        self.head: Head | None = None
        self.variables: Variables = {}
        self.exchange: GatewayExchange | None = None
        self.started = 0.0  # time.time() of the complete head, kept for the access log alone
        self.polled = 0.0  # monotonic, when the poller told of the bytes that completed the request

    # What a wire says

    @property
    def peer(self) -> str:
        """Address of the web server, "" on a Unix socket."""
        raise NotImplementedError

    @property
    def body_seconds(self) -> float:
        """How long the body took to come."""
        return 0.0

    def describe(self, environ: dict[str, Any]) -> None:
        """Add what the wire knows besides the variables, `wsgikit.client_gone` at least."""
        raise NotImplementedError

    def guard(self) -> Guard | None:
        """The present thread's interruptible region."""
        raise NotImplementedError

    def make_exchange(self, head: Head) -> GatewayExchange:
        raise NotImplementedError

    def open_input(self, environ: dict[str, Any], exchange: GatewayExchange) -> IO[bytes] | StreamInput:
        """`wsgi.input`."""
        return BytesIO()

    def answer(self, data: bytes) -> bool:
        """Send a whole response that is the server's own. False: nobody is there to take it."""
        raise NotImplementedError

    # The call

    def read_head(self, pairs: list[tuple[bytes, bytes]]) -> Head:
        """Take the variables up. Raises ProtocolError."""
        self.head, self.variables = head, _ = read_request(pairs)
        if self.service.record is not None:
            self.started = time()
        return head

    def streams(self, head: Head) -> bool:
        """Whether the app is to run before its body is here."""
        mode = self.service.body_mode
        return (self.service.settings.body if mode is None else mode(head)) == "stream"

    def call(self, head: Head, now: float) -> GatewayExchange:
        """Run the app and send its response. `now`: monotonic seconds at which the thread took the request up."""
        service = self.service
        settings = service.settings
        self.exchange = exchange = self.make_exchange(head)
        exchange.debug = settings.debug
        if settings.timeout:
            exchange.guard = self.guard()
            exchange.timeout = settings.timeout
            exchange.deadline = now + settings.timeout
        environ = build(service.template, head, self.variables, paths_of(head, self.variables))
        self.describe(environ)
        environ["wsgi.input"] = stream = self.open_input(environ, exchange)
        environ["wsgikit.flush_head"] = exchange.flush_head
        environ["wsgikit.on_close"] = exchange.on_close
        facts: dict[str, str] = {}
        environ["wsgikit.log"] = facts
        if service.forwarded is not None:
            service.forwarded(environ, environ["REMOTE_ADDR"] or "unknown")
        try:
            respond(service.app, environ, exchange, self.request_line)
        finally:
            if not isinstance(stream, StreamInput):
                stream.close()
        if service.record is not None and not exchange.replaced:
            self._log(head, environ, facts, now)
        return exchange

    # What the server says by itself

    def refuse_with(self, status: int, error: ProtocolError | None = None) -> bool:
        """Answer an error that is not the app's. False: nobody is there to take it."""
        if error is not None:
            log.info("%s: %s %s", self.request_line(), status, error)
        head = self.head
        data = own_answer(status, error, http=self.http, head_only=head is not None and head.method == "HEAD")
        if not self.answer(data):
            return False
        if self.service.record is not None:
            self._log_own(f"{status} {REASONS[status]}")
        return True

    # Logging

    def request_line(self) -> str:
        """Method, target and client, for the log. Escaped: it is the client's text."""
        head = self.head
        if head is None:
            return f"request from {self.peer or 'a local server'}"
        where = self._client() or "an unknown client"
        return f"{head.method} {ascii(str(head.target, 'latin-1'))[1:-1]} from {ascii(where)[1:-1]}"

    def _client(self) -> str:
        return str(self.variables.get(b"REMOTE_ADDR", b""), "latin-1")

    def _log(self, head: Head, environ: dict[str, Any], facts: dict[str, str], begun: float) -> None:
        exchange, record = self.exchange, self.service.record
        if record is None or exchange is None:
            return
        status, headers = "", []
        if exchange.head_sent and exchange.head is not None:
            status, headers = exchange.head.status, exchange.head.headers
        body_seconds = self.body_seconds
        wait = max(0.0, begun - self.polled - body_seconds)
        record(
            Access(
                environ, head.method, head.target, self._client(), self._protocol(), status, headers, exchange.sent,
                self.started, wait, body_seconds, monotonic() - begun, 0.0, facts, threading.current_thread().name,
            )
        )  # fmt: skip

    def _log_own(self, status: str) -> None:
        head, record = self.head, self.service.record
        method, target = ("-", b"-") if head is None else (head.method, head.target)
        if record is not None:
            record(
                Access(
                    {}, method, target, self._client() or self.peer, self._protocol(), status, [], 0, time(), 0.0, 0.0,
                    0.0, 0.0, {}, threading.current_thread().name,
                )
            )  # fmt: skip

    def _protocol(self) -> str:
        return str(self.variables.get(b"SERVER_PROTOCOL", b"HTTP/1.1"), "latin-1")
