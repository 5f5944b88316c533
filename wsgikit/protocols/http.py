"""HTTP/1.1 for a server: between the codecs of `wire.http11` and the WSGI core.

Owns one connection's place in the stream of requests: the head being read, the body being spooled, the leftover bytes
of a pipelined request, and whether the connection may persist. It must not know sockets or threads.
"""

from __future__ import annotations

import errno
import logging
import threading
from dataclasses import dataclass
from io import BytesIO
from time import monotonic, time
from typing import IO, TYPE_CHECKING, Any

from wsgikit.errors import Disconnected, ProtocolError
from wsgikit.observe.record import Access
from wsgikit.protocols import Action
from wsgikit.protocols.answers import REASONS, answer
from wsgikit.protocols.body import Body
from wsgikit.protocols.link import Link
from wsgikit.protocols.service import Service
from wsgikit.protocols.takeover import Takeover
from wsgikit.wire.http11 import Head, parse_head
from wsgikit.wire.http11.persistence import Step, after_response
from wsgikit.wsgi.environ import build
from wsgikit.wsgi.exchange import Exchange
from wsgikit.wsgi.respond import Suspended, abandon, respond, resume
from wsgikit.wsgi.stream_input import StreamInput

if TYPE_CHECKING:
    from typing import TypeAlias

    Input: TypeAlias = IO[bytes] | StreamInput

log = logging.getLogger("wsgikit.error")

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(slots=True)
class Paused:
    """A request whose app has paused, and what its end will need."""

    suspended: Suspended
    environ: dict[str, Any]
    facts: dict[str, str]
    stream: Input
    takeover: Takeover | None
    begun: float


class HttpProtocol:
    """One connection's HTTP/1.1 side. Feed it with `receive`; do what the returned `Action` says."""

    __slots__ = (
        "body", "buffer", "exchange", "head", "last", "link", "paused", "polled", "seen", "service", "started"
    )  # fmt: skip

    def __init__(self, service: Service, link: Link) -> None:
        self.service = service
        self.link = link
        self.buffer = b""
        self.head: Head | None = None
        self.last: Head | None = None  # kept for comparison: most clients send the same fields again
        self.seen = 0  # bytes of `buffer` that were no whole head yet
        self.body: Body | None = None
        self.exchange: Exchange | None = None
        self.paused: Paused | None = None
        self.started = 0.0  # time.time() of the complete head, kept for the access log alone
        self.polled = 0.0  # monotonic, when the poller told of the bytes that completed the head

    # Bytes in

    def receive(self, data: bytes) -> int:
        """Take bytes from the peer."""
        if self.body is not None:
            return self._store(data)
        return self._parse(self.buffer + data if self.buffer else data)

    def advance(self) -> int:
        """Go on with the bytes that are here already, after a response."""
        return self._parse(self.buffer)

    def _parse(self, buffer: bytes) -> int:
        try:
            head = parse_head(buffer, 0, self.service.limits, self.seen, self.last)
        except ProtocolError as error:
            return self.refuse(error.status, error)
        if head is None:
            self.buffer = buffer
            self.seen = len(buffer)
            return Action.READ
        self.head = self.last = head
        self.seen = 0
        self.buffer = buffer[head.end :] if len(buffer) > head.end else b""
        if self.service.record is not None:
            self.started = time()
        if head.path == b"*" or head.method == "CONNECT":
            return self._special(head)
        if head.chunked or head.content_length:
            return self._open_body(head)
        return Action.RUN

    def _special(self, head: Head) -> int:
        """Targets that are no path: `*` asks the server itself, CONNECT is for apps that may take the socket over."""
        has_body = head.chunked or bool(head.content_length)
        if head.method == "CONNECT":
            if not self.service.takeover:
                return self.refuse(501)
            return self._open_body(head) if has_body else Action.RUN
        persist = not has_body and self._may_persist(head)
        if not self._answer(204, close=not persist):
            return Action.CLOSE
        self.head = None
        if persist:
            return Action.NEXT if self.buffer else Action.READ
        return Action.LINGER

    def _open_body(self, head: Head) -> int:
        settings = self.service.settings
        if settings.max_body and (head.content_length or 0) > settings.max_body:
            return self.refuse(413, ProtocolError("body-too-large", 413, f"Content-Length {head.content_length}"))
        self.body = body = Body(head, self.service.limits, settings.max_body, self.link)
        body.rest, self.buffer = self.buffer, b""
        mode = self.service.body_mode
        if (settings.body if mode is None else mode(head)) == "stream":
            return Action.RUN
        try:
            body.collect(settings)
        except Disconnected:
            return Action.CLOSE
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

    def eof(self) -> int:
        """The peer ended its side: no request can be completed any more."""
        if self.body is None and not self.buffer.strip(b"\r\n"):
            return Action.CLOSE
        code = "incomplete-head" if self.body is None else "incomplete-body"
        return self.refuse(400, ProtocolError(code, 400, "the client ended its side"))

    def expire(self) -> int:
        """The time for the head or the body is over; an idle connection closes without a word."""
        if self.idle:
            return Action.CLOSE
        return self.refuse(408, ProtocolError("request-timeout", 408))

    def close(self) -> None:
        """The connection is closed: let go of what a request has left behind."""
        self.abandon()
        if self.body is not None:
            self.body.discard()

    def abandon(self) -> None:
        """End an app that has paused; nothing where there is none."""
        paused, exchange = self.paused, self.exchange
        if paused is None or exchange is None or exchange.pause is None:
            return
        self.paused = None
        exchange.guard = None
        exchange.pause.context.run(abandon, paused.suspended, exchange, self.request_line)
        self._over(paused.environ, paused.facts, paused.stream, paused.takeover, paused.begun)

    def rest(self) -> None:
        """Nothing has come for a while: let go of what only saves time."""
        self.last = None

    @property
    def idle(self) -> bool:
        """Whether no byte of a request is here."""
        return self.body is None and not self.buffer

    # The app

    def run(self, now: float) -> int:
        """Run the app for the request that is here, send its response, and say how the connection goes on.

        `now` is the time (monotonic seconds) at which the thread took it up.
        """
        head, service, link = self.head, self.service, self.link
        if head is None:
            return Action.CLOSE
        exchange = Exchange(link, service.lines, head.method, head.minor, self._may_persist(head))
        self.exchange = exchange
        exchange.bypass = link.bypass
        settings = service.settings
        exchange.debug = settings.debug
        if settings.timeout:
            exchange.guard = link.guard()
            exchange.timeout = settings.timeout
            exchange.deadline = now + settings.timeout
        environ = build(service.template, head)
        link.describe(environ)
        environ["wsgi.input"] = stream = self._input(environ, exchange)
        environ["wsgi.early_hints"] = exchange.early_hints
        environ["wsgikit.flush_head"] = exchange.flush_head
        environ["wsgikit.on_close"] = exchange.on_close
        facts: dict[str, str] = {}
        environ["wsgikit.log"] = facts
        if service.forwarded is not None:
            service.forwarded(environ, link.remote)
        takeover = Takeover(link, exchange, head, self._rest) if service.takeover else None
        if takeover is not None:
            environ["wsgikit.takeover"] = takeover
        pause = link.pauses
        if pause is not None:
            environ["wsgikit.pause"] = exchange.pause = pause
        try:
            if pause is None:
                suspended = respond(service.app, environ, exchange, self.request_line)
            else:
                suspended = pause.context.run(respond, service.app, environ, exchange, self.request_line)
        except BaseException:
            self._release(stream)
            raise
        if suspended is None:
            return self._over(environ, facts, stream, takeover, now)
        self.paused = Paused(suspended, environ, facts, stream, takeover, now)
        return Action.PAUSE

    def resume(self) -> int:
        """Go on with the app that has paused. As `run`."""
        paused, exchange = self.paused, self.exchange
        if paused is None or exchange is None or exchange.pause is None:
            return Action.CLOSE
        if exchange.timeout:
            exchange.guard = self.link.guard()
            exchange.renew()
        try:
            if exchange.pause.context.run(resume, paused.suspended, exchange, self.request_line) is not None:
                return Action.PAUSE
        except BaseException:
            self.paused = None
            self._release(paused.stream)
            raise
        self.paused = None
        return self._over(paused.environ, paused.facts, paused.stream, paused.takeover, paused.begun)

    def _release(self, stream: Input) -> None:
        if self.body is not None and not isinstance(stream, StreamInput):
            stream.close()

    def _over(
        self, environ: dict[str, Any], facts: dict[str, str], stream: Input, takeover: Takeover | None, begun: float
    ) -> int:
        """The app has ended: what is left to do, and how the connection goes on."""
        exchange = self.exchange
        self._release(stream)
        if exchange is None:
            return Action.CLOSE
        if self.service.record is not None and not exchange.replaced:
            self._log(environ, facts, exchange, begun)
        if takeover is not None and takeover.taken:
            return Action.TAKEN
        return self._after(exchange)

    def _input(self, environ: dict[str, Any], exchange: Exchange) -> Input:
        body = self.body
        if body is None:
            environ["wsgikit.trailers"] = []
            return BytesIO()
        environ["wsgikit.trailers"] = body.trailers
        if body.spool is None:
            return body.stream(exchange)
        environ["CONTENT_LENGTH"] = str(body.received)  # a chunked body has a length now
        return body.file()

    def _rest(self) -> bytes:
        """What came after the request. Raises RuntimeError while its body is not read."""
        body = self.body
        if body is not None and not body.done:
            raise RuntimeError("the body has to be read before the socket is taken over (RFC 9110 7.8)")
        return self.buffer if body is None else body.rest

    def _may_persist(self, head: Head) -> bool:
        service = self.service
        return head.keep_alive and not service.stopping and service.settings.keep_alive > 0

    def _after(self, exchange: Exchange) -> int:
        """How the connection goes on: the table of `wire.http11.persistence`, and what each of its steps is here."""
        head, body = self.head, self.body
        if body is None and exchange.persist and not exchange.dead:  # the table's last row, and nearly every request's
            self.head = self.exchange = None
            return Action.NEXT if self.buffer else Action.READ
        if body is not None and not exchange.dead:
            if not body.done and exchange.persist:
                body.drain(self.service.settings.drain)
            self.buffer = body.rest
        rule = after_response(
            exchange.framing,
            broken=exchange.dead and not exchange.replaced,
            error=exchange.replaced,
            body_read=body is None or body.done,
            keep_alive=head is not None and head.keep_alive,
            closing=not exchange.persist,
            pending=bool(self.buffer),
        )
        self.head = self.exchange = self.body = None
        if rule.step is Step.NEXT:
            return Action.NEXT if self.buffer else Action.READ
        if rule.step is Step.LINGER:
            return Action.LINGER
        # A client that learns only now that we close may have sent its next request (RFC 9112 9.6).
        return Action.LINGER if head is not None and head.keep_alive and not exchange.dead else Action.CLOSE

    # What the server says by itself

    def refuse(self, status: int, error: ProtocolError | None = None) -> int:
        """Answer an error that is not the app's and close the connection."""
        if error is not None:
            log.info("%s: %s %s", self.request_line(), status, error)
        if self.body is not None:
            self.body.discard()
        return Action.LINGER if self._answer(status, error, close=True) else Action.CLOSE

    def _answer(self, status: int, error: ProtocolError | None = None, *, close: bool) -> bool:
        head = self.head
        data = answer(
            self.service.lines, status, error=error, close=close, head_only=head is not None and head.method == "HEAD"
        )
        try:
            self.link.send(data)
        except Disconnected:
            return False
        if self.service.record is not None:
            self._log_own(f"{status} {REASONS[status]}")
        return True

    def give_up(self) -> None:
        """The request is past its deadline: 504, or a reset once the response has begun. Called by another thread."""
        exchange = self.exchange
        if exchange is None or exchange.complete:  # it has answered, and close() takes long
            return
        if exchange.give_up():
            self._answer(504, close=True)
        else:
            self.link.abort()

    # Logging

    def request_line(self) -> str:
        """Method, target and client, for the log. Escaped: it is the client's text."""
        head = self.head
        where = self.link.remote or "a local client"
        if head is None:
            return f"request from {where}"
        return f"{head.method} {ascii(str(head.target, 'latin-1'))[1:-1]} from {where}"

    def _log(self, environ: dict[str, Any], facts: dict[str, str], exchange: Exchange, begun: float) -> None:
        head = self.head
        if head is None or self.service.record is None:
            return
        body_seconds = 0.0 if self.body is None else self.body.seconds
        status, headers = "", []
        if exchange.head_sent and exchange.head is not None:
            status, headers = exchange.head.status, exchange.head.headers
        self.service.record(
            Access(
                environ, head.method, head.target, self.link.remote, "HTTP/1.1" if head.minor else "HTTP/1.0", status,
                headers, exchange.sent, self.started, max(0.0, begun - self.polled - body_seconds), body_seconds,
                monotonic() - begun, 0.0, facts, threading.current_thread().name,
            )
        )  # fmt: skip

    def _log_own(self, status: str) -> None:
        head = self.head
        method, target = ("-", b"-") if head is None else (head.method, head.target)
        if self.service.record is not None:
            self.service.record(
                Access(
                    {}, method, target, self.link.remote, "HTTP/1.1", status, [], 0, time(), 0.0, 0.0, 0.0, 0.0, {},
                    threading.current_thread().name,
                )
            )  # fmt: skip
