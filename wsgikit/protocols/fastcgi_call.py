"""One FastCGI request: its streams in, its app, its records out (sections 5 and 6).

Two threads know it. Whoever owns the connection feeds it records, until it is complete and even while it runs (`queue`,
ABORT_REQUEST); the thread that runs it sends, and takes it out of the connection's table. `finished` is set before
END_REQUEST leaves, by whichever thread ends the request, because its number may be used again from then on.

The three roles reach a WSGI app like this. FCGI_ROLE in the environ is "RESPONDER", "AUTHORIZER" or "FILTER".

- A Responder is an ordinary request.
- An Authorizer has no body. Status 200 lets the client in, and each header `Variable-NAME: value` becomes a variable
  NAME of the request that follows; any other status, with its headers and body, is the client's answer.
- A Filter gets, besides the body, the file that is to be filtered as `wsgikit.fastcgi.data`, an object like wsgi.input,
  with FCGI_DATA_LENGTH (bytes) and FCGI_DATA_LAST_MOD (seconds since 1970) in the environ.
"""

from __future__ import annotations

import errno
import logging
from time import monotonic
from typing import IO, TYPE_CHECKING, Any

from wsgikit.errors import Disconnected, LimitError, PeerTimeout, ProtocolError
from wsgikit.protocols.cgi_call import GatewayCall
from wsgikit.protocols.cgi_exchange import GatewayExchange
from wsgikit.protocols.fastcgi_gone import RequestGone
from wsgikit.protocols.fastcgi_input import BodyQueue
from wsgikit.protocols.fastcgi_output import ErrorRecords, Records, closing
from wsgikit.wire.fastcgi import Kind, ParamsDecoder, Role, format_stream
from wsgikit.wire.http11 import Head
from wsgikit.wire.http11.grammar import DIGITS
from wsgikit.wsgi.exchange import Guard
from wsgikit.wsgi.spool import Spool
from wsgikit.wsgi.stream_input import StreamInput

if TYPE_CHECKING:
    from wsgikit.protocols.fastcgi import Carriage, FastcgiProtocol

log = logging.getLogger("wsgikit.error")

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ROLES = {Role.RESPONDER: "RESPONDER", Role.AUTHORIZER: "AUTHORIZER", Role.FILTER: "FILTER"}
_LENGTH_DIGITS = 18


class FastcgiExchange(GatewayExchange):
    """A response whose end is a record. One that is in memory leaves with its end in one piece."""

    __slots__ = ("records",)

    def __init__(self, records: Records, method: str) -> None:
        super().__init__(records, method, http=False)
        self.records = records

    def send_list(self, blocks: list[bytes] | tuple[bytes, ...]) -> None:
        self.records.cork()
        try:
            super().send_list(blocks)
        finally:
            self.records.uncork()

    def finish(self) -> None:
        if not self.complete:
            super().finish()
            self.records.end()


class FastcgiCall(GatewayCall):
    """One request. `ready`: it may run; `over`: its streams have ended, nothing more will come."""

    __slots__ = (
        "_claim", "channel", "data", "errors", "finished", "gone", "keep", "left", "link", "over", "params", "protocol",
        "queue", "received", "request", "role", "seconds", "since", "spool", "watch",
    )  # fmt: skip

    def __init__(self, protocol: FastcgiProtocol, request: int, role: int, *, keep: bool) -> None:
        super().__init__(protocol.service)
        self.protocol = protocol
        self.link: Carriage = protocol.link
        self.request = request
        self.role = role
        self.keep = keep
        self.since = monotonic()  # when the stream that is being read began
        self.params: ParamsDecoder | None = ParamsDecoder(protocol.limits)
        self.spool: Spool | None = None
        self.data: Spool | None = None  # of a Filter
        self.queue: BodyQueue | None = None  # of a body that is streamed
        self.received = 0
        self.seconds = 0.0
        self.channel: Any = None
        self.errors: ErrorRecords | None = None
        self.watch: RequestGone | None = None
        self.gone = False  # the web server wants no answer any more
        self.left = False  # nor, most likely, does the client: what `wsgikit.client_gone` tells
        self.finished = self.over = False
        self._claim = [None]  # whoever pops the element ends the request: its thread or a deadline

    # Records in, by the owner of the connection

    def take(self, kind: int, content: bytes) -> bool:
        """Take a record of this request up. True: the request is to be run now.

        Raises ProtocolError for what is wrong with this request alone, and OSError when the disk is full.
        """
        if kind == Kind.PARAMS:
            return self._on_params(content)
        if self.params is not None:
            raise ProtocolError("stream-before-params", 400, "a stream began before the params had ended")
        if self.queue is not None and kind == Kind.STDIN:
            self._feed(self.queue, content)
            return False
        if self.over or self.role == Role.AUTHORIZER:
            return False
        if kind == Kind.STDIN:
            return self._on_stdin(content)
        return self.role == Role.FILTER and kind == Kind.DATA and self._on_data(content)

    def _feed(self, queue: BodyQueue, content: bytes) -> None:
        if content:
            queue.put(content)
        else:
            self.over = True
            queue.end()

    def _on_params(self, content: bytes) -> bool:
        params = self.params
        if params is None:
            raise ProtocolError("params-twice", 400, "params after their end")
        if content:
            params.feed(content)
            return False
        self.params = None
        head = self.read_head(params.end())
        self.since = monotonic()
        if self.role == Role.AUTHORIZER:
            return True
        settings = self.service.settings
        if settings.max_body and (head.content_length or 0) > settings.max_body:
            raise LimitError("body-too-large", 413, f"CONTENT_LENGTH {head.content_length}")
        if self.role == Role.RESPONDER and self.streams(head):
            self.queue = BodyQueue(
                memory=settings.body_memory,
                folder=settings.spool_dir,
                limit=settings.max_body,
                length=head.content_length,
            )
            return True
        return False

    def _on_stdin(self, content: bytes) -> bool:
        if self.data is not None:
            raise ProtocolError("stdin-twice", 400, "a body after its end")
        if content:
            if self.spool is None:  # most requests have no body
                self.spool = Spool(self.service.settings.body_memory, self.service.settings.spool_dir)
            self._store(self.spool, content)
            return False
        length = self.head.content_length if self.head is not None else None
        if length is not None and self.received != length:
            raise ProtocolError("incomplete-body", 400, f"{self.received} of {length} bytes came")
        self.seconds = monotonic() - self.since
        if self.role == Role.FILTER:
            self.data = Spool(self.service.settings.body_memory, self.service.settings.spool_dir)
            return False
        self.over = True
        return True

    def _on_data(self, content: bytes) -> bool:
        data = self.data
        if data is None:
            raise ProtocolError("data-before-stdin", 400, "the file began before the body had ended")
        if content:
            self._store(data, content)
            return False
        said = self.variables.get(b"FCGI_DATA_LENGTH", b"")
        if DIGITS.fullmatch(said) is None or len(said) > _LENGTH_DIGITS or int(said) != data.size:
            raise ProtocolError("incomplete-data", 400, f"{data.size} bytes came, FCGI_DATA_LENGTH is {said[:20]!r}")
        self.over = True
        return True

    def _store(self, spool: Spool, content: bytes) -> None:
        self.received += len(content)
        limit = self.service.settings.max_body
        if limit and self.received > limit:
            raise LimitError("body-too-large", 413, f"the body is larger than {limit} bytes")
        spool.write(content)

    @property
    def due(self) -> float:
        """Monotonic seconds at which what has not come yet is too late. Only while the request is incomplete."""
        settings = self.service.settings
        if self.params is not None:
            return self.since + settings.head_timeout
        earned = self.received / settings.body_rate if settings.body_rate else monotonic() - self.since
        return self.since + settings.body_timeout + earned

    def abort(self) -> None:
        """ABORT_REQUEST. By the owner of the connection."""
        self.gone = True
        self.leave(Disconnected("the web server has aborted the request"))

    def leave(self, reason: Exception) -> None:
        """Nothing more will come of this request. By the owner of the connection.

        A web server that has only ended its side is still answered: if it is gone, sending will tell.
        """
        self.left = True
        if self.queue is not None:
            self.queue.fail(reason)
        watch = self.watch  # the thread of the request may end it now
        if watch is not None:
            watch.tell()

    # The app, in the thread that runs it

    def run(self, now: float) -> None:
        """Run the app and send its response, up to its END_REQUEST."""
        try:
            if self.head is not None:
                self.call(self.head, now)
        finally:
            self.break_off()
            self.close()

    def close(self) -> None:
        """Let go of what the request has left behind."""
        for spool in (self.spool, self.data, self.queue, self.watch):
            if spool is not None:
                spool.close()
        # they know us: cycles would wait for the garbage collector
        self.exchange = self.errors = self.watch = self.channel = None

    @property
    def peer(self) -> str:
        return self.link.remote

    @property
    def body_seconds(self) -> float:
        return self.seconds

    def describe(self, environ: dict[str, Any]) -> None:
        self.errors = environ["wsgi.errors"] = ErrorRecords(self)
        self.watch = environ["wsgikit.client_gone"] = RequestGone(self)
        environ["FCGI_ROLE"] = _ROLES[self.role]
        if self.data is not None:
            environ["wsgikit.fastcgi.data"] = self.data.stream()
        if self.queue is None and self.received and "CONTENT_LENGTH" not in environ and self.data is None:
            environ["CONTENT_LENGTH"] = str(self.received)

    def guard(self) -> Guard | None:
        guard: Guard | None = self.channel.guard()
        return guard

    def make_exchange(self, head: Head) -> GatewayExchange:
        return FastcgiExchange(Records(self), head.method)

    def open_input(self, environ: dict[str, Any], exchange: GatewayExchange) -> IO[bytes] | StreamInput:
        if self.queue is not None:
            return StreamInput(lambda: self._pull(exchange))
        return super().open_input(environ, exchange) if self.spool is None else self.spool.stream()

    def _pull(self, exchange: GatewayExchange) -> bytes:
        queue = self.queue
        if queue is None or exchange.complete or exchange.dead:
            return b""  # an app that reads on after its response has ended
        settings = self.service.settings
        with exchange.outside():
            while True:
                earned = queue.received / settings.body_rate if settings.body_rate else monotonic() - self.since
                left = self.since + settings.body_timeout + earned - monotonic()
                block = queue.get(max(0.0, left))
                if block is not None:
                    return block
                if left <= 0:
                    raise PeerTimeout("body", settings.body_timeout)

    # The end

    def finish(self, data: bytes) -> None:
        """The response is whole: send what is left of it, and END_REQUEST. Raises Disconnected."""
        if self._finished_now():
            errors = self.errors
            last = errors.last() if errors is not None else b""
            self.link.send(last + data + closing(self.request, errors=errors is not None and errors.used))
            self._part()

    def break_off(self) -> None:
        """The request ends here. A response that was begun must not look whole: it gets no END_REQUEST, and the
        connection ends with the last of its other requests."""
        if not self._finished_now():
            return
        if self.gone:
            self.link.reply(closing(self.request, errors=False))
            self._part()
        else:
            self.protocol.condemn()

    def _finished_now(self) -> bool:
        """Take the number back. False: another thread has, or this one before, and it may be another request's now."""
        calls = self.protocol.calls
        if calls.get(self.request) is not self:
            return False
        try:
            self._claim.pop()
        except IndexError:
            return False
        calls.pop(self.request, None)
        self.finished = True
        return True

    def _part(self) -> None:
        if not self.over:
            self.protocol.expects_more = True
        if not self.keep or self.service.stopping:
            self.link.end()

    def answer(self, data: bytes) -> bool:
        if self._finished_now():
            records = format_stream(Kind.STDOUT, self.request, data, end=True)
            self.link.reply(records + closing(self.request, errors=False))
            self._part()
        return True

    def refuse(self, error: Exception) -> None:
        """Answer an error that is not the app's, before the app has been asked. By the owner of the connection."""
        if isinstance(error, ProtocolError):
            self.refuse_with(error.status, error)
        else:
            log.error("%s: cannot spool the body: %s", self.request_line(), error)
            self.refuse_with(507 if getattr(error, "errno", 0) in _NO_SPACE else 500)
        self.close()

    def give_up(self) -> None:
        """The request is past its deadline: 504, or a response without its end. Called by another thread."""
        exchange = self.exchange
        if exchange is None or exchange.complete:  # it has answered, and close() takes long
            return
        if exchange.give_up():
            self.refuse_with(504)
        else:
            self.break_off()
