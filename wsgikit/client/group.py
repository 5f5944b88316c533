"""A request on its way to the workers of another group, over their private Unix socket.

    forward = GroupForward("shop", address, limit=4)        # a WSGI app, in the front workers
    app = received(app)                                     # around the app, in the group's workers

The request goes as it came: raw target, raw headers in their order, the body as it arrives. What the server knows of
the connection (client address, TLS, scheme) goes along in one field that the other side takes off again; the socket
is private to the user of the workers, so that nobody else can send it. Each request has a connection of its own: on a
Unix socket that costs some 20 microseconds, and no request ever meets a connection whose worker has left.

A group that hangs holds threads of the front workers, so at most `limit` requests wait for a group in one worker; more
are answered 503 at once. A group that cannot be reached is 503, one that dies under a request 502, one that does not
answer in time 504; the log has the reason. Upgrade and `wsgikit.takeover` do not reach across; trailers are dropped.
While the client pauses inside its body, an answer that has begun already waits for its next block.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from wsgikit.client.relay import Relay
from wsgikit.errors import PeerTimeout, ProtocolError, WsgikitError
from wsgikit.wire.http11 import LAST_CHUNK, Limits, ResponseHead, chunk, parse_response_head, response_decoder
from wsgikit.wire.http11.body import Decoder

log = logging.getLogger("wsgikit.group")

FIELD = b"Wsgikit-Environ"
"""Carries what the front server knows of the connection."""
_VARIABLE = "HTTP_WSGIKIT_ENVIRON"
_CONNECTION = ("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme", "HTTPS", "HTTP_HOST")
# RFC 9110 7.6.1: fields that belong to one connection; what Connection names is added
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
_OURS = _HOP_BY_HOP | {b"content-length", b"expect", FIELD.lower()}
# our own workers answer, so these only bound what a broken app can do to its neighbours
_LIMITS = Limits(field=1 << 20, head=4 << 20, fields=10_000)
_BLOCK = 65536
_CONNECT_TIMEOUT = 5.0  # the backlog of a group is full only while it is stuck
_LENGTH = re.compile(r"[0-9]{1,19}")
_ANSWERS = {502: "502 Bad Gateway", 503: "503 Service Unavailable", 504: "504 Gateway Timeout"}
App = Callable[..., Iterable[bytes]]


class GroupForward:
    """A WSGI app that hands requests to the workers of a group.

    name: of the group, for the log. address: gives the path of its socket; asked for at each request. limit: requests
    that may wait for the group at a time. patience: longest silence of the group in seconds.
    """

    def __init__(self, name: str, address: Callable[[], str], *, limit: int, patience: float = 60.0) -> None:
        self.name = name
        self._address = address
        self._patience = patience
        self._places = threading.BoundedSemaphore(limit)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not self._places.acquire(blocking=False):
            log.warning("group %r: too many requests wait for it already", self.name)
            return _answer(503, environ, start_response)
        try:
            return self._forward(environ, start_response)
        except BaseException:
            self._places.release()
            raise

    def _forward(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            sock = _connect(self._address())
        except OSError as error:
            return self._failed(503, f"cannot be reached: {error}", environ, start_response)
        relay = Relay(sock, _request(environ), self._patience)
        try:
            head, rest = _response_head(relay, environ)
            decoder = response_decoder(environ["REQUEST_METHOD"], head, _LIMITS)
            start_response(f"{head.status} {head.reason.decode('latin-1')}", _headers(head.fields))
            if decoder is not None and not rest and "wsgikit.flush_head" in environ:
                environ["wsgikit.flush_head"]()  # a head that comes alone was meant to
        except _ClientFault as fault:
            relay.close()
            raise fault.error from None  # the front server knows what a client gets that breaks off, dawdles or floods
        except PeerTimeout as error:
            relay.close()
            return self._failed(504, str(error), environ, start_response)
        except (ProtocolError, OSError) as error:
            relay.close()
            return self._failed(502, str(error), environ, start_response)
        except BaseException:
            relay.close()
            raise
        return _Body(relay, decoder, rest, self._places.release)

    def _failed(
        self, status: int, reason: str, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        log.error("group %r: %s %s: %s", self.name, environ["REQUEST_METHOD"], _target(environ), reason)
        self._places.release()
        return _answer(status, environ, start_response)


class _ClientFault(Exception):
    """Reading the client's body failed, not the group."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class _Body:
    """The response body; close() lets the connection and the place go. ProtocolError: the group broke off."""

    def __init__(self, relay: Relay, decoder: Decoder | None, rest: bytes, done: Callable[[], None]) -> None:
        self._relay = relay
        self._decoder = decoder
        self._rest = rest
        self._done: Callable[[], None] | None = done

    def __iter__(self) -> Iterator[bytes]:
        decoder = self._decoder
        if decoder is None:
            return
        if self._rest:
            yield decoder.feed(self._rest)
        while not decoder.done:
            try:
                data = self._relay.receive()
            except _ClientFault as fault:
                raise fault.error from None
            if not data:
                decoder.eof()
                return
            yield decoder.feed(data)

    def close(self) -> None:
        self._relay.close()
        done, self._done = self._done, None
        if done is not None:
            done()


def received(app: App) -> App:
    """Put around an app in a group's worker: gives it the environ the front server had."""

    def with_connection(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        text = environ.pop(_VARIABLE, None)
        if text is not None:
            for name in _CONNECTION:
                environ.pop(name, None)
            environ.update(json.loads(base64.b64decode(text)))
            raw = environ.get("wsgikit.raw_headers")
            if raw is not None:
                environ["wsgikit.raw_headers"] = [pair for pair in raw if pair[0] != FIELD]
        return app(environ, start_response)

    return with_connection


def _connect(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(_CONNECT_TIMEOUT)
        sock.connect(path.removeprefix("unix:"))
    except BaseException:
        sock.close()
        raise
    return sock


def _request(environ: dict[str, Any]) -> Iterator[bytes]:
    """The request as it came, head first. Read as the connection takes it."""
    length = environ.get("CONTENT_LENGTH") or ""
    chunked = not length and _was_chunked(environ)
    extra = [(FIELD, _connection_facts(environ))]
    if chunked:
        extra.append((b"Transfer-Encoding", b"chunked"))
    elif _LENGTH.fullmatch(length):
        extra.append((b"Content-Length", length.encode("ascii")))
    start = f"{environ['REQUEST_METHOD']} ".encode("ascii") + _target(environ)
    lines = [start + b" " + environ["SERVER_PROTOCOL"].encode("ascii")]
    lines += [name + b": " + value for name, value in (*_forwardable(environ), *extra, (b"Connection", b"close"))]
    yield b"\r\n".join(lines) + b"\r\n\r\n"
    if chunked:
        for block in _blocks(environ["wsgi.input"], -1):
            yield chunk(block)
        yield LAST_CHUNK
    elif _LENGTH.fullmatch(length):
        yield from _blocks(environ["wsgi.input"], int(length))


def _blocks(stream: Any, left: int) -> Iterator[bytes]:
    """What has arrived of the body, block by block; `left` bytes, -1 for all there are."""
    read = getattr(stream, "read1", stream.read)
    while left:
        try:
            block = read(_BLOCK if left < 0 else min(_BLOCK, left))
        except (WsgikitError, OSError) as error:
            raise _ClientFault(error) from error
        if not block:
            return
        left -= len(block) if left > 0 else 0
        yield block


def _was_chunked(environ: dict[str, Any]) -> bool:
    """Whether the body came in chunks; the environ itself does not tell (see `wsgikit.wsgi.environ`)."""
    return any(name.lower() == b"transfer-encoding" for name, _ in environ["wsgikit.raw_headers"])


def _target(environ: dict[str, Any]) -> bytes:
    target: bytes = environ["wsgikit.raw_target"]
    return target


def _forwardable(environ: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """The client's fields without those of its connection, and without those that the server took out."""
    fields: list[tuple[bytes, bytes]] = environ["wsgikit.raw_headers"]
    named = {
        token.strip(b" \t").lower()
        for name, value in fields
        if name.lower() == b"connection"
        for token in value.split(b",")
    }
    for name, value in fields:
        lower = name.lower()
        variable = "HTTP_" + lower.decode("latin-1").replace("-", "_").upper()
        known = variable in environ or lower == b"content-type"
        if known and lower not in _OURS and (lower not in named or lower == b"host"):
            yield name, value


def _connection_facts(environ: dict[str, Any]) -> bytes:
    facts = {name: environ[name] for name in _CONNECTION if name in environ}
    facts |= {name: value for name, value in environ.items() if name.startswith("SSL_")}
    return base64.b64encode(json.dumps(facts).encode("ascii"))


def _response_head(relay: Relay, environ: dict[str, Any]) -> tuple[ResponseHead, bytes]:
    """The final response head, and what came after it. Early hints are handed on, other interim responses are not."""
    buffer = bytearray()
    while True:
        head = parse_response_head(buffer, 0, _LIMITS)
        if head is not None and not head.interim:
            return head, bytes(buffer[head.end :])
        if head is not None:
            hints = environ.get("wsgi.early_hints")
            if head.status == 103 and hints is not None:
                hints(_headers(head.fields))
            del buffer[: head.end]
            continue
        data = relay.receive()
        if not data:
            raise ProtocolError("incomplete-head", 502, "the worker closed the connection without an answer")
        buffer += data


def _headers(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in fields if name.lower() not in _HOP_BY_HOP
    ]


def _answer(status: int, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    body = _ANSWERS[status].encode("ascii") + b"\n"
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    if status == 503:
        headers.append(("Retry-After", "1"))
    start_response(_ANSWERS[status], headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
