"""A client's request on its way to an upstream: target, fields, body.

Owns what a gateway has to change (RFC 9110 7.6, RFC 7239), and nothing else. Built once for each client's request;
`request()` makes what goes to one endpoint. Must not know which endpoint that is, nor what comes back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from wsgikit.client import Origin, Request
from wsgikit.client.request import WORTH_MOVING
from wsgikit.errors import Disconnected
from wsgikit.middleware.amounts import address, within
from wsgikit.middleware.forward_fields import Fields, client_fields, connection_options
from wsgikit.middleware.forward_settings import ForwardSettings
from wsgikit.middleware.router.target import SAFE_IN_PATH, raw_parts, raw_target
from wsgikit.wire.http11.grammar import TARGET_RUN, TOKEN
from wsgikit.wsgi.stream_input import StreamInput

_BLOCK = 64 * 1024
_LARGE = 512 * 1024  # a megabyte in sixteen pieces costs a third more CPU than in two or three
_LENGTH = re.compile(r"[0-9]{1,18}")
_FOR, _PROTO, _HOST = b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host"
_CHUNKED = (b"Transfer-Encoding", b"chunked")
# RFC 9110 9.2.2. A method that nobody has registered is not idempotent.
IDEMPOTENT = frozenset(("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"))
# What a query may hold besides unreserved characters; % because it is encoded already.
_SAFE_IN_QUERY = SAFE_IN_PATH + "%?[]^`{|}"


class LengthRequired(Exception):
    """The body has no length, and this server does not say where it ends: 411."""


class Upload:
    """The body of a client's request. `length` is None when it ends by itself (`wsgi.input_terminated`)."""

    __slots__ = ("_left", "_move", "_start", "_stream", "length", "touched")

    def __init__(self, stream: Any, length: int | None) -> None:
        self._stream = stream
        self.length = length
        self.touched = False
        self._left = length
        # how our own server passes a body on from socket to socket, unless a layer further out wants to see it
        self._move: Callable[[int, int], tuple[int, bytes] | None] | None = (
            stream.move if type(stream) is StreamInput else None
        )
        self._start = _position(stream)

    @property
    def spooled(self) -> bool:
        """Whether it is here as a whole, so that it can be sent again."""
        return self._start is not None

    def ready(self) -> bool:
        """Whether it can be sent from its first byte."""
        if self.touched and self._start is not None:
            self._stream.seek(self._start)
            self.touched = False
            self._left = self.length
        return not self.touched

    def __iter__(self) -> Iterator[bytes]:
        """The blocks as they arrive. Disconnected: the client has sent less than it said."""
        self.touched = True
        # read(n) blocks until all n bytes are there, and so would hold back what has come
        read1: Callable[[int], bytes] | None = getattr(self._stream, "read1", None)
        read, most = (self._stream.read, _BLOCK) if read1 is None else (read1, _LARGE)
        while (left := self._left) is None or left:
            block = read(most if left is None else min(left, most))
            if not block:
                if left:
                    raise Disconnected(f"the client's body ended {left} bytes early")
                return
            if left is not None:
                self._left = left - len(block)
            yield block

    def move(self, target: int) -> tuple[int, bytes] | None:
        """See `wsgikit.client.request.Movable`."""
        left = self._left
        if self._move is None or left is None or left < WORTH_MOVING:
            return None
        self.touched = True
        moved = self._move(target, left)
        if moved is not None:
            self._left = left - moved[0]
        return moved


def _position(stream: Any) -> int | None:
    try:
        return int(stream.tell()) if stream.seekable() else None
    except (AttributeError, OSError, ValueError):
        return None


def upload(environ: dict[str, Any], *, chunked: bool) -> Upload | None:
    """The request's body, None without one. LengthRequired: nobody can tell where it ends."""
    length = environ.get("CONTENT_LENGTH")
    if length:
        if not _LENGTH.fullmatch(length):
            raise LengthRequired
        return Upload(environ["wsgi.input"], int(length)) if int(length) else None
    if not chunked:
        return None
    if not environ.get("wsgi.input_terminated"):
        raise LengthRequired
    return Upload(environ["wsgi.input"], None)


class Call:
    """One client's request, ready to go to any endpoint.

    `upgrade` is what the client wants to change to, where we can (RFC 9110 7.8); `watch` the descriptor that tells
    whether it is still there, -1 where the server has none.
    """

    __slots__ = ("_common", "_host", "_settings", "_target", "early", "environ", "method", "upgrade", "upload", "watch")

    def __init__(self, environ: dict[str, Any], settings: ForwardSettings) -> None:
        """LengthRequired: see `upload`."""
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self._settings = settings
        gone = environ.get("wsgikit.client_gone")
        self.watch = gone.fileno() if gone is not None and settings.half_close == "leave" else -1
        self.upgrade = _upgrade(environ) if settings.upgrade else b""
        self.early: Callable[[Fields], object] | None = None
        self._target = target(environ, whole=settings.whole_path)
        host = client_host(environ)
        self._host = host if settings.host == "preserve" else settings.host.encode("latin-1")
        trusted = _is_trusted(environ.get("REMOTE_ADDR", ""), settings)
        fields, chunked = client_fields(environ, trusted=trusted)
        self.upload = upload(environ, chunked=chunked)
        self._common = self._completed(fields, host, trusted)

    def _completed(self, fields: Fields, host: bytes, trusted: bool) -> Fields:
        """The client's fields with ours: what is the same for all endpoints."""
        environ, settings = self.environ, self._settings
        if settings.forwarded == "x-forwarded":
            _add_x_forwarded(fields, environ, host, settings, trusted)
        elif settings.forwarded == "forwarded":
            _add_forwarded(fields, environ, host)
        if settings.via:
            version = b"1.0 " if environ.get("SERVER_PROTOCOL") == "HTTP/1.0" else b"1.1 "
            fields.append((b"Via", version + settings.via))
        if settings.request is not None:
            fields = settings.request.applied(fields)
        body = self.upload
        if body is not None:
            fields.append(_CHUNKED if body.length is None else (b"Content-Length", b"%d" % body.length))
            if self._expects(body):
                fields.append((b"Expect", b"100-continue"))
        elif environ.get("CONTENT_LENGTH") == "0":
            fields.append((b"Content-Length", b"0"))
        if self.upgrade:
            fields += ((b"Connection", b"Upgrade"), (b"Upgrade", self.upgrade))
        return fields

    def _expects(self, body: Upload) -> bool:
        """Pass the client's question on, where our first read is what makes the server answer it (RFC 9110 10.1.1)."""
        environ = self.environ
        return (
            "wsgikit.raw_target" in environ
            and not body.spooled
            and environ.get("HTTP_EXPECT", "").lower() == "100-continue"
        )

    def left(self) -> bool:
        """Whether the client has gone meanwhile, as far as that matters."""
        return self.watch >= 0 and bool(self.environ["wsgikit.client_gone"])

    def request(self, origin: Origin) -> Request:
        """The request for one endpoint."""
        host = origin.authority if self._settings.host == "upstream" else self._host
        body = self.upload
        wanted = origin.base.encode("ascii") + self._target if origin.base else self._target
        return Request(
            method=self.method,
            target=wanted if wanted[:1] == b"/" else b"/" + wanted,
            fields=[(b"Host", host), *self._common],
            body=body,
            trailers=self._trailers if body is not None and body.length is None else None,
            early=self.early,
            watch=self.watch,
            environ=self.environ,
            mount=b"" if self._settings.whole_path else self.environ.get("SCRIPT_NAME", "").encode("latin-1"),
        )

    def _trailers(self) -> Fields:
        """The trailers of the client's body, which are known once it was read."""
        found = self.environ.get("wsgikit.trailers") or ()
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in found]

    @property
    def idempotent(self) -> bool:
        """Whether sending it twice means the same as sending it once (RFC 9110 9.2.2)."""
        return self.method in IDEMPOTENT

    def may_go_again(self) -> bool:
        """Whether the body is still whole. Makes it so, where it can be."""
        return self.upload is None or self.upload.ready()


def _upgrade(environ: dict[str, Any]) -> bytes:
    """What the client wants to change to; b"" when it does not, or this server cannot."""
    wanted = environ.get("HTTP_UPGRADE")
    if not wanted or "wsgikit.takeover" not in environ:
        return b""
    if b"upgrade" not in connection_options(environ.get("HTTP_CONNECTION", "")):
        return b""
    return str(wanted).encode("latin-1")


def target(environ: dict[str, Any], *, whole: bool = False) -> bytes:
    """The path and query to ask for: what the mounts have left of the path, or the whole, as the client wrote it.

    Without its slash for the root of a mount that was asked for so.
    """
    script: str = environ.get("SCRIPT_NAME", "")
    info: str = environ.get("PATH_INFO", "")
    raw = environ.get("wsgikit.raw_target")
    if raw is not None and b"%" not in raw:
        path, question, query = raw.partition(b"?")
        if str(path, "latin-1") == script + info and str(query, "latin-1") == environ.get("QUERY_STRING", ""):
            return bytes(raw if whole or not script else path[len(script) :] + question + query)
    parts = raw_parts(environ)
    if parts is None:
        parts = quote(script, SAFE_IN_PATH, "latin-1"), quote(info, SAFE_IN_PATH, "latin-1")
    text = parts[0] + parts[1] if whole else parts[1]
    query_text = environ.get("QUERY_STRING", "")
    # an empty query is not the same as none (RFC 3986 6.2.3), but the environ shows no difference
    question = query_text or raw_target(environ).endswith("?")
    made = (f"{text}?{query_text}" if question else text).encode("latin-1")
    if TARGET_RUN.fullmatch(made) is None:  # another server's parser takes more than ours
        made = quote(made, _SAFE_IN_QUERY).encode("ascii")
    return made


def client_host(environ: dict[str, Any]) -> bytes:
    """The host that the client asked for."""
    host = environ.get("HTTP_HOST")
    if not host:
        host = environ["SERVER_NAME"]
        if environ["SERVER_PORT"] != ("443" if environ.get("wsgi.url_scheme") == "https" else "80"):
            host = f"{host}:{environ['SERVER_PORT']}"
    return str(host).encode("latin-1")


def _is_trusted(peer: str, settings: ForwardSettings) -> bool:
    if not peer:
        return settings.trust_unix
    return bool(settings.trusted) and within(address(peer), settings.trusted)


def _add_x_forwarded(
    fields: Fields, environ: dict[str, Any], host: bytes, settings: ForwardSettings, trusted: bool
) -> None:
    """X-Forwarded-For grows by the peer; the others are what the first proxy said, whom we trust if they are there."""
    ours = _x_forwarded(environ.get("REMOTE_ADDR", ""), environ.get("wsgi.url_scheme", "http"), host)
    there: set[bytes] = set()
    if trusted:
        there = {name.lower() for name, _ in fields}
        ours = tuple(field for field in ours if field[0] == _FOR or field[0].lower() not in there)
        if ours and ours[0][0] == _FOR and b"x-forwarded-for" in there:
            chain = [value for name, value in fields if name.lower() == b"x-forwarded-for"]
            fields[:] = [field for field in fields if field[0].lower() != b"x-forwarded-for"]
            ours = (_FOR, b", ".join((*chain, ours[0][1]))), *ours[1:]
    fields += ours
    # Either we mend what the upstream says of its URLs, or we tell it what stands before them; both would do it twice.
    prefix = environ.get("SCRIPT_NAME", "")
    if prefix and not settings.rewrite and not settings.whole_path and b"x-forwarded-prefix" not in there:
        fields.append((b"X-Forwarded-Prefix", quote(prefix, SAFE_IN_PATH, "latin-1").encode("ascii")))


@lru_cache(maxsize=256)
def _x_forwarded(peer: str, scheme: str, host: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The fields for one client. Its address goes without the name of an interface of ours (RFC 4007 11)."""
    fields = ((_PROTO, scheme.encode("latin-1")), (_HOST, host))
    address = peer.partition("%")[0].encode("latin-1")
    return ((_FOR, address), *fields) if address else fields


def _add_forwarded(fields: Fields, environ: dict[str, Any], host: bytes) -> None:
    """One more element of Forwarded (RFC 7239 4)."""
    peer = environ.get("REMOTE_ADDR", "").partition("%")[0]
    node = f'"[{peer}]"' if ":" in peer else peer or "_unix"
    if TOKEN.fullmatch(host) is None:
        host = b'"%b"' % host.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    scheme = environ.get("wsgi.url_scheme", "http")
    fields.append((b"Forwarded", f"for={node};proto={scheme};host=".encode("latin-1") + host))
