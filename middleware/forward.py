"""Forward requests to another server: a gateway (RFC 9110 3.7) that changes what a gateway must, and nothing else.

    app = Forward(to="http://127.0.0.1:9000")
    app = Forward(to=Balancer(["http://10.0.0.1:8000", "http://10.0.0.2:8000"]))     # several: see docs/balancing.md
    Stack(app, [Use(Forward, to="http://127.0.0.1:9000", when=path("/api"))])        # some paths, the others stay

    [[mount.use]]
    middleware = "forward"
    to = "http+unix:/run/app.sock"
    when = { path = "/api" }

Options
    to              "http://host:port/base", "https://...", "http+unix:/run/app.sock", "fastcgi://host:port", "scgi://",
                    "uwsgi://", each also "+unix:", or a Balancer
    host            Host to send: "preserve" the client's, "upstream" the endpoint's, or a name ("preserve")
    forwarded       how the upstream learns of the client: "x-forwarded" (-For, -Proto, -Host), "forwarded" (RFC 7239),
                    or "off" ("x-forwarded")
    trusted         peers that may say so themselves: their fields are kept and added to, everybody else's are replaced;
                    addresses and ranges, "unix" for a peer on a Unix socket ([]). That is about fields alone: Location
                    and cookies are made for the scheme and host of the environ, so that behind a proxy of yours
                    ProxyHeaders belongs around this, and nothing has to be trusted here
    via             our name in Via, both ways; "" for none ("wsgikit")
    whole_path      send SCRIPT_NAME + PATH_INFO; else what the mounts have left of the path (false)
    rewrite         make Location, Content-Location, Refresh and the Path and Domain of Set-Cookie the client's (true).
                    Without it the upstream is told X-Forwarded-Prefix, so that it can write them right by itself;
                    FastCGI, SCGI and uwsgi upstreams are told by SCRIPT_NAME, and what they write is left alone
    cookie_domain   Domain for cookies that have one; else one that names the endpoint is dropped ("")
    request         changes of the request's fields: { set = { Name = "value" }, add = {...}, remove = ["Name"] }
    response        the same for the response
    upgrade         pass Upgrade on where the server lets apps take sockets over (`takeover = true`); else it is dropped
                    (true)
    upgrades        connections of a worker that may be upgraded at once, each holds a thread (100)
    upgrade_idle    how long an upgraded connection may be silent ("5m")
    half_close      what a client means that ends its side and keeps reading: "leave", as nginx takes it, or "stay"
                    ("leave")
    pause           hold no thread while the upstream is silent, where the server can wait without one
                    (`wsgikit.pause`); false for layers further out that keep what they know in the thread (true).
                    Below a layer of somebody else's that has a start_response of its own only the body is waited for
                    that way: PEP 3333 lets it expect start_response before the first block
    connect_timeout, tls_timeout, first_byte_timeout, idle_timeout, total_timeout, keep_alive, max_idle, limits, tls
                    of the connections: see `wsgikit.client.ClientSettings` and docs/balancing.md
    gateway         for FastCGI, SCGI and uwsgi, such as { root = "/srv/php", front = "/index.php" }: see
                    docs/gateways.md

What goes on: method, path and query as the client wrote them (%2F stays %2F), all fields in order, case and repetition,
but those of the connection and those that Connection names. Names with an underscore are dropped: they could pose as
what a proxy sets. Bodies are decoded by nobody.

Streaming: both directions, block by block as they arrive, with backpressure; an event of a stream is with the client
as soon as it is here. A client that leaves closes the upstream's connection at once. An answer that comes before the
whole body was sent ends the upload and is relayed. An answer that is cut short aborts the client's connection, so that
nobody takes it for whole. 103 is relayed. The head of an event stream is with the client at once, that of another
answer whose body does not come after a moment. For bodies that come slowly let the listener stream (`body = "stream"`).

Errors: 502 no connection, or a broken answer; 503 with Retry-After nobody to ask; 504 too slow; 411 a body whose length
this server does not tell. The log (`wsgikit.forward`) has endpoint, phase and attempt; the client is told nothing.

On other servers: a request holds a thread until its answer is through, 103 is relayed where there is
`wsgi.early_hints`, no Upgrade, the head goes with the first byte of the body, a client that has left is noticed at the
next block, %2F arrives decoded unless the server gives REQUEST_URI or RAW_URI, and the order and case of fields are the
environ's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError, UpstreamError
from wsgikit.middleware.answer import page, send
from wsgikit.middleware.facts import line_of, note
from wsgikit.middleware.forward_backend import Backend, Patient, Reply
from wsgikit.middleware.forward_body import HeadAlone, RelayBody
from wsgikit.middleware.forward_fields import Fields
from wsgikit.middleware.forward_pending import PendingBody
from wsgikit.middleware.forward_request import Call, LengthRequired
from wsgikit.middleware.forward_response import early_fields, response_fields, status_text
from wsgikit.middleware.forward_settings import ForwardSettings, forward_settings
from wsgikit.wsgi.waiter import Waiter
from wsgikit.wsgi.wrap import may_start_late

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from wsgikit.middleware.balancer import Balancer

__all__ = ["Forward", "Gateway", "refuse"]

log = logging.getLogger("wsgikit.forward")

_ERRORS = {
    411: ("411 Length Required", "The body has to come with its length."),
    502: ("502 Bad Gateway", "The server behind this one cannot be reached, or gave no proper answer."),
    503: ("503 Service Unavailable", "No server can take this request now; please try again."),
    504: ("504 Gateway Timeout", "The server behind this one took too long."),
}


class Gateway:
    """The way of one request from WSGI to an upstream and back."""

    def __init__(self, upstream: Backend, settings: ForwardSettings) -> None:
        self.upstream = upstream
        self.settings = settings
        self._patient = upstream if settings.pause and isinstance(upstream, Patient) else None
        self._places = threading.BoundedSemaphore(settings.upgrades) if settings.upgrades else None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            call = Call(environ, self.settings)
        except LengthRequired:
            return refuse(environ, start_response, 411)
        hints = environ.get("wsgi.early_hints")
        if hints is not None:
            call.early = partial(_hint, hints)
        pause, waiter = environ.get("wsgikit.pause"), None
        patient = self._patient
        if pause is not None and patient is not None and not call.upgrade:
            if may_start_late(start_response):
                return self._begin(patient, call, start_response, pause)
            waiter = _waiter(call, pause)
        try:
            reply = self.upstream.send(call)
        except UpstreamError as error:
            return self._failed(environ, start_response, error)
        return self._answer(environ, start_response, waiter, reply)

    def _begin(
        self, patient: Patient, call: Call, start_response: StartResponse, pause: Callable[..., None]
    ) -> Iterable[bytes]:
        environ, waiter = call.environ, _waiter(call, pause)
        try:
            attempt = patient.begin(call)
        except UpstreamError as error:
            return self._failed(environ, start_response, error)
        answer = partial(self._answer, environ, start_response, waiter)
        if attempt.reply is not None:
            return answer(attempt.reply)
        return PendingBody(attempt, waiter, answer, partial(self._failed, environ, start_response))

    def _answer(
        self, environ: WSGIEnvironment, start_response: StartResponse, waiter: Waiter | None, reply: Reply
    ) -> Iterable[bytes]:
        try:
            note(environ, "upstream", reply.endpoint.url)
            if reply.response.status == 101:
                return self._upgrade(environ, start_response, reply)
            return self._relay(environ, start_response, waiter, reply)
        except BaseException as error:
            reply.response.close()
            reply.end(error)
            raise

    def _relay(
        self, environ: WSGIEnvironment, start_response: StartResponse, waiter: Waiter | None, reply: Reply
    ) -> Iterable[bytes]:
        response = reply.response
        fields = response_fields(response.head, environ, reply.endpoint.origin, self.settings)
        if reply.cookie:
            fields.append(("Set-Cookie", reply.cookie))
        start_response(status_text(response.head), fields)
        if response.arrived:
            # All of it is here, in one block: the endpoint is free before the client has read it.
            block = response.read()
            reply.end()
            return [block] if block else []

        def failed(error: UpstreamError, exc_info: Any) -> bytes:
            blocks = self._failed(environ, start_response, error, exc_info)
            return b"".join(blocks)

        flush = environ.get("wsgikit.flush_head")
        alone = HeadAlone(flush, at_once=_is_event_stream(fields)) if flush is not None else None
        waiter = waiter if response.pausable else None
        return RelayBody(response, failed, partial(self._ended, environ, reply), waiter, alone)

    def _ended(self, environ: WSGIEnvironment, reply: Reply, error: BaseException | None) -> None:
        if isinstance(error, UpstreamError):
            log.warning(
                "%s: upstream %s, endpoint %s, phase %s, attempt %d: %s",
                line_of(environ), self.upstream.name, error.endpoint, error.phase, reply.attempts, error.detail,
            )  # fmt: skip
        reply.end(error)

    def _failed(
        self, environ: WSGIEnvironment, start_response: StartResponse, error: UpstreamError, exc_info: Any = None
    ) -> Iterable[bytes]:
        note(environ, "upstream", error.endpoint)
        if error.status == 503:
            log.warning("%s: upstream %s, phase %s: %s", line_of(environ), error.endpoint, error.phase, error.detail)
        retry_after = getattr(error, "retry_after", 1.0)
        return refuse(environ, start_response, error.status, retry_after, exc_info)

    # Upgrade

    def _upgrade(self, environ: WSGIEnvironment, start_response: StartResponse, reply: Reply) -> Iterable[bytes]:
        if self._places is None or not self._places.acquire(blocking=False):
            reply.response.close()
            reply.end()
            log.warning("%s: %d connections are upgraded already", line_of(environ), self.settings.upgrades)
            return refuse(environ, start_response, 503)
        try:
            return self._tunnel(environ, environ["wsgikit.takeover"], reply)
        finally:
            self._places.release()

    def _tunnel(self, environ: WSGIEnvironment, takeover: Callable[..., Any], reply: Reply) -> Iterable[bytes]:
        from wsgikit.middleware.forward_upgrade import Tunnel

        head, endpoint = reply.response.head, reply.endpoint
        fields = response_fields(head, environ, endpoint.origin, self.settings)
        wanted = [str(value, "latin-1") for name, value in head.fields if name.lower() == b"upgrade"]
        fields += [("Connection", "Upgrade"), *(("Upgrade", value) for value in wanted)]
        upstream, first = reply.response.detach()
        with upstream:
            client, early = takeover(status_text(head), fields)
            began = monotonic()
            tunnel = Tunnel(self.settings.upgrade_idle, lambda: not self.upstream.serves(endpoint))
            why = tunnel.run(client, upstream, early, first)
        spent = monotonic() - began
        log.info("%s: upgraded connection to %s ended after %.1f s: %s", line_of(environ), endpoint.url, spent, why)
        reply.end()
        return []


class Forward:
    """Forwards every request that reaches it. See the module for the options. ConfigError names a wrong one.

    `app` is what a Stack puts inside; it is not called.
    """

    traits = frozenset({"terminal", "streams-request"})

    def __init__(self, app: WSGIApplication | None = None, *, to: str | Balancer, **options: Any) -> None:
        from wsgikit.middleware.balancer import Balancer
        from wsgikit.middleware.balancer.options import split

        if isinstance(to, str):
            # one endpoint: there is nobody to go to instead, so that nothing is gained by ejecting it
            to = Balancer([to], eject={"failures": 0}, **options)
            self._gateway: WSGIApplication = to.gateway
        elif isinstance(to, Balancer):
            own, others = split(options)
            if others:
                raise ConfigError(f"{', '.join(others)}: set for the Balancer, not here")
            self._gateway = Gateway(to.upstream, forward_settings(**own)) if own else to
        else:
            raise ConfigError(f"to = {to!r}: a URL such as 'http://127.0.0.1:8000', or a Balancer")
        self.app = app
        self.to = to

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self.to.running:
            self.to.start()
        return self._gateway(environ, start_response)

    def describe(self) -> str:
        """One line: where requests go."""
        return f"forward to {self.to.describe()}"


def _waiter(call: Call, pause: Callable[..., None]) -> Waiter:
    return Waiter(pause, call.environ["wsgikit.client_gone"] if call.watch >= 0 else None)


def _is_event_stream(fields: Iterable[tuple[str, str]]) -> bool:
    """A client takes such a stream for open when it has the head, which may be long before the first event."""
    return any(name.lower() == "content-type" and value[:17].lower() == "text/event-stream" for name, value in fields)


def _hint(hints: Callable[[list[tuple[str, str]]], object], fields: Fields) -> None:
    hints(early_fields(fields))


def refuse(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    code: int,
    retry_after: float = 1.0,
    exc_info: Any = None,
) -> Iterable[bytes]:
    """Answer for an upstream that does not, without a word about it."""
    status, detail = _ERRORS[code]
    media, body = page(environ, status, detail)
    fields = [("Content-Type", media), ("Cache-Control", "no-store"), ("Vary", "Accept")]
    if code == 503:
        fields.append(("Retry-After", str(max(1, round(retry_after)))))
    if exc_info is None:
        return send(environ, start_response, status, fields, body)
    fields.append(("Content-Length", str(len(body))))
    start_response(status, fields, exc_info)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
