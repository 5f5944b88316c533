"""A request on its way to the workers of another group, over their private Unix socket.

    forward = GroupForward("shop", address, limit=4)        # a WSGI app, in the front workers
    app = received(app)                                     # around the app, in the group's workers

The request goes as it came: raw target, raw headers in their order, the body as it arrives. What the server knows of
the connection (client address, TLS, scheme) goes along in one field that the other side takes off again; the socket
is private to the user of the workers, so that nobody else can send it. Each request has a connection of its own: on a
Unix socket that costs some 20 microseconds, and no request ever meets a connection whose worker has left.

A request without a body waits without a thread where the server can do that (`wsgikit.pause`), up to `WAITING` of them
in one worker. Any other holds a thread of the front worker, so that `limit` of them are let in; more are answered 503
at once. A group that cannot be reached is 503, one that dies under a request 502, one that does not answer in time 504;
the log has the reason. Upgrade and `wsgikit.takeover` do not reach across; trailers are dropped. While the client
pauses inside its body, an answer that has begun already waits for its next block.
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

from wsgikit.client.group_answer import HOP_BY_HOP, ClientFault, Response, answer
from wsgikit.client.relay import Relay
from wsgikit.errors import WsgikitError
from wsgikit.wire.http11 import LAST_CHUNK, chunk
from wsgikit.wsgi.waiter import Waiter
from wsgikit.wsgi.wrap import may_start_late

log = logging.getLogger("wsgikit.group")

FIELD = b"Wsgikit-Environ"
"""Carries what the front server knows of the connection."""
_VARIABLE = "HTTP_WSGIKIT_ENVIRON"
_CONNECTION = ("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme", "HTTPS", "HTTP_HOST")
# what Connection names is added
_OURS = HOP_BY_HOP | {b"content-length", b"expect", FIELD.lower()}
_BLOCK = 65536
_CONNECT_TIMEOUT = 5.0  # the backlog of a group is full only while it is stuck
_LENGTH = re.compile(r"[0-9]{1,19}")
App = Callable[..., Iterable[bytes]]

WAITING = 1000
"""Requests of a worker that may wait for one group without a thread."""


class GroupForward:
    """A WSGI app that hands requests to the workers of a group.

    name: of the group, for the log. address: gives the path of its socket; asked for at each request. limit: requests
    that may wait for the group in threads at a time. patience: longest silence of the group in seconds.
    """

    def __init__(self, name: str, address: Callable[[], str], *, limit: int, patience: float = 60.0) -> None:
        self.name = name
        self._address = address
        self._patience = patience
        self._threads = threading.BoundedSemaphore(limit)
        self._waiting = threading.BoundedSemaphore(WAITING)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        waits = "wsgikit.pause" in environ and not _has_body(environ) and may_start_late(start_response)
        places = self._waiting if waits else self._threads
        if not places.acquire(blocking=False):
            log.warning("group %r: too many requests wait for it already", self.name)
            return answer(503, environ, start_response)
        response = Response(self.name, environ, start_response, places.release)
        try:
            relay = Relay(_connect(self._address()), _request(environ), self._patience)
        except OSError as error:
            return response.failed(503, f"cannot be reached: {error}")
        except BaseException:
            response.close()
            raise
        return response.through(relay, Waiter(environ["wsgikit.pause"]) if waits else None)


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
            raise ClientFault(error) from error
        if not block:
            return
        left -= len(block) if left > 0 else 0
        yield block


def _has_body(environ: dict[str, Any]) -> bool:
    length = environ.get("CONTENT_LENGTH") or ""
    return length not in ("", "0") or _was_chunked(environ)


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
