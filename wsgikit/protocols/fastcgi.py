"""FastCGI for a server: between the records of `wire.fastcgi` and its requests.

Owns one connection's table of requests and its management records (section 4). Every record goes to its request; a
request that is complete is handed to the link to be run, and the connection is read on. It must not know sockets or
threads; which thread may call what is said in `wsgikit.workers.carrier`.

Where there is room: records for a request that has ended, and of types that make no sense, are ignored, as section 3.3
asks; a number that is in use cannot be begun again, and what is not FastCGI at all ends the connection.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from time import monotonic
from typing import Any, Protocol

from wsgikit.errors import ProtocolError
from wsgikit.protocols import Action
from wsgikit.protocols.fastcgi_call import FastcgiCall
from wsgikit.protocols.service import Service
from wsgikit.wire.cgi import VariableLimits
from wsgikit.wire.fastcgi import (
    Kind,
    Record,
    RecordReader,
    Role,
    Verdict,
    format_end,
    format_pairs,
    format_record,
    format_unknown_type,
    parse_begin,
    parse_pairs,
)

log = logging.getLogger("wsgikit.error")

_ROLES = (Role.RESPONDER, Role.AUTHORIZER, Role.FILTER)
_STREAMS = (Kind.PARAMS, Kind.STDIN, Kind.DATA)
_NEVER = float("inf")
# Pairs of a GET_VALUES record; there are three names (section 4.1).
_VALUES = VariableLimits(size=65535, count=64)


class Carriage(Protocol):
    """A connection that carries several requests, as this protocol sees it. `wsgikit.workers.carrier` is one."""

    @property
    def remote(self) -> str:
        """The web server's address, "" on a Unix socket."""

    def send(self, data: bytes) -> None:
        """Send in one piece; waits where too much is queued. For the thread of a request. Raises Disconnected."""

    def send_parts(self, parts: Any) -> None:
        """As `send`, without joining."""

    def reply(self, data: bytes) -> None:
        """Send in one piece and never wait. Never raises."""

    def start(self, call: FastcgiCall) -> Any:
        """Have a thread call `call.run(now)`. The result has `guard()`."""

    def end(self) -> None:
        """Close once all requests have ended and everything is sent."""

    def abort(self) -> None:
        """Reset the connection."""


class FastcgiProtocol:
    """One connection's FastCGI side. `calls`: all requests by number; `incomplete`: those that cannot run yet."""

    __slots__ = (
        "broken",
        "calls",
        "expects_more",
        "incomplete",
        "limits",
        "link",
        "polled",
        "reader",
        "service",
        "shared",
    )

    body = None  # of a connection as a whole; its requests have theirs
    head = None

    def __init__(self, service: Service, link: Carriage) -> None:
        self.service = service
        self.link = link
        self.limits = VariableLimits.of(service.limits)
        self.reader = RecordReader()
        self.calls: dict[int, FastcgiCall] = {}
        self.incomplete: dict[int, FastcgiCall] = {}
        self.broken = False  # nothing more can be understood, or is wanted
        self.expects_more = False  # the web server may still be sending what nobody reads
        self.shared = False  # the web server has several requests on this connection at a time
        self.polled = 0.0

    # Records in

    def receive(self, data: bytes) -> int:
        """Take bytes from the web server."""
        if self.broken:
            return Action.READ
        try:
            if not self.service_allows():
                raise ProtocolError("forbidden-address", 403, "not in FCGI_WEB_SERVER_ADDRS")
            for record in self.reader.feed(data):
                self._take(record)
        except ProtocolError as error:
            log.info("%s: %s", self.request_line(), error)
            self._stop_reading(error)
            self.link.end()
        return Action.READ

    def service_allows(self) -> bool:
        """Whether this web server may connect at all (section 3.2)."""
        allowed = _allowed_addresses()
        return not allowed or not self.link.remote or self.link.remote in allowed

    def _take(self, record: Record) -> None:
        kind, number = record.kind, record.request
        if number == 0:
            self._manage(kind, record.content)
            return
        call = self.calls.get(number)
        if kind == Kind.BEGIN_REQUEST:
            if call is not None:
                raise ProtocolError("request-number-in-use", 400, f"request {number} has not ended")
            self._begin(number, record.content)
        elif call is not None and kind == Kind.ABORT_REQUEST:
            self._abort(call)
        elif call is not None and kind in _STREAMS:
            self._feed(call, kind, record.content)

    def _begin(self, number: int, content: bytes) -> None:
        begin = parse_begin(content)
        verdict = Verdict.COMPLETE
        if begin.role not in _ROLES:
            verdict = Verdict.UNKNOWN_ROLE
        elif len(self.calls) >= self.service.settings.multiplex:
            verdict = Verdict.OVERLOADED
        if verdict != Verdict.COMPLETE:
            self.link.reply(format_end(number, verdict))
            return
        self.shared = self.shared or bool(self.calls)
        call = FastcgiCall(self, number, begin.role, keep=begin.keep)
        self.calls[number] = self.incomplete[number] = call

    def _feed(self, call: FastcgiCall, kind: int, content: bytes) -> None:
        try:
            ready = call.take(kind, content)
        except (ProtocolError, OSError) as error:
            if self.incomplete.pop(call.request, None) is not None:
                call.refuse(error)
            return
        if ready:
            del self.incomplete[call.request]
            call.channel = self.link.start(call)

    def _abort(self, call: FastcgiCall) -> None:
        call.abort()
        if self.incomplete.pop(call.request, None) is not None:
            call.break_off()
            call.close()

    def _manage(self, kind: int, content: bytes) -> None:
        if kind != Kind.GET_VALUES:
            self.link.reply(format_unknown_type(kind))
            return
        settings = self.service.settings
        known = {
            b"FCGI_MAX_CONNS": settings.connections,
            b"FCGI_MAX_REQS": settings.multiplex,
            b"FCGI_MPXS_CONNS": 1,
        }
        asked = dict(parse_pairs(content, _VALUES))
        values = [(name, b"%d" % known[name]) for name in asked if name in known]
        self.link.reply(format_record(Kind.GET_VALUES_RESULT, 0, format_pairs(values)))

    # Time and the end

    def eof(self) -> int:
        """The web server has ended its side, or is gone: nothing can be completed any more."""
        self._stop_reading(ProtocolError("incomplete-body", 400, "the web server ended its side"))
        return Action.CLOSE

    def _stop_reading(self, reason: Exception) -> None:
        self.broken = True
        self.expects_more = True
        for number, call in list(self.calls.items()):
            call.leave(reason)
            if self.incomplete.pop(number, None) is not None:
                self.calls.pop(number, None)
                call.close()

    def condemn(self) -> None:
        """A response was broken off, which only the end of the connection can say. Called by the request's thread.

        A reset, as over HTTP: nginx takes an orderly end for the end of a response without a length. But a reset would
        take responses of other requests with it that the web server has not read yet; who sends several requests on
        one connection looks for END_REQUEST, and will miss it.
        """
        self.expects_more = True
        if self.shared:
            self.link.end()
        else:
            self.link.abort()

    def due(self, idle_until: float) -> float:
        """Monotonic seconds at which `expire` is to be called, if nothing comes before."""
        if self.incomplete:
            return min(call.due for call in self.incomplete.values())
        return _NEVER if self.calls else idle_until

    def expire(self) -> int:
        """Time is over for some requests, or for an idle connection, which closes without a word."""
        if not self.calls:
            return Action.CLOSE
        now = monotonic()
        for number, call in list(self.incomplete.items()):
            if call.due <= now:
                del self.incomplete[number]
                call.refuse(ProtocolError("request-timeout", 408))
        return Action.READ

    @property
    def idle(self) -> bool:
        """Whether no byte of a request is here."""
        return not self.calls and not self.reader.pending

    def refuse(self, status: int, error: ProtocolError | None = None) -> int:
        """The worker is full. There is no request yet that could be answered."""
        return Action.CLOSE

    def advance(self) -> int:
        return Action.READ

    def rest(self) -> None:
        """Nothing is kept that only saves time."""

    def close(self) -> None:
        """The connection is closed."""
        self._stop_reading(ProtocolError("incomplete-body", 400, "the connection is closed"))

    def request_line(self) -> str:
        """For the log."""
        return f"FastCGI connection from {self.link.remote or 'a local server'}"


@cache
def _allowed_addresses() -> frozenset[str]:
    """FCGI_WEB_SERVER_ADDRS: who may connect, as whoever started this process wants it."""
    return frozenset(part for part in os.environ.get("FCGI_WEB_SERVER_ADDRS", "").replace(" ", "").split(",") if part)
