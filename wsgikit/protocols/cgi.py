"""CGI (RFC 3875): a WSGI app as a program that a web server starts for each request.

    #!/usr/bin/env python3
    from wsgikit.protocols.cgi import run_cgi
    from shop import app

    run_cgi(app)

or, as a script of one line, `#!/usr/bin/env -S wsgikit cgi shop:app`.

Owns the process's side of it: variables from the environment as bytes, the body from descriptor 0, the response on
descriptor 1, which nobody else may write to meanwhile. It must not know command lines.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any, BinaryIO
from wsgiref.types import WSGIApplication

from wsgikit.errors import Disconnected, ProtocolError
from wsgikit.protocols.cgi_environ import build
from wsgikit.protocols.cgi_exchange import GatewayExchange, own_answer
from wsgikit.wire.cgi import mend_slashes, read_request, unquote_path
from wsgikit.wire.http11 import Head
from wsgikit.wsgi.environ import template
from wsgikit.wsgi.error_stream import ErrorStream
from wsgikit.wsgi.exchange import Exchange
from wsgikit.wsgi.respond import RequestTimeout, respond
from wsgikit.wsgi.stream_input import StreamInput

_BLOCK = 64 * 1024


class Pipe:
    """The way to the web server. Implements `wsgikit.wsgi.transport.Transport` on a blocking descriptor."""

    __slots__ = ("broken", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.broken = False

    def send(self, data: bytes) -> None:
        """See `Transport`."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self.fd, view) :]
        except OSError as error:
            self.broken = True
            raise Disconnected(f"the web server is gone: {error.strerror}") from None

    def send_parts(self, parts: Sequence[bytes]) -> None:
        """See `Transport`."""
        for part in parts:
            self.send(part)

    def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """See `Transport`."""
        while count:
            data = os.pread(file.fileno(), min(count, _BLOCK), offset)
            if not data:
                raise OSError("the file became shorter while it was sent")
            self.send(data)
            offset += len(data)
            count -= len(data)

    def abort(self) -> None:
        """See `Transport`. A web server takes the end of the output for the end of the response: only a
        Content-Length, or the exit status, can tell it that there should have been more."""
        self.broken = True


class Body:
    """The request's body, as far as CONTENT_LENGTH says; without one there is none, or all that comes of a body that
    the client sent in chunks."""

    __slots__ = ("_fd", "_left")

    def __init__(self, fd: int, length: int) -> None:
        self._fd = fd
        self._left = length  # -1: up to the end

    def pull(self) -> bytes:
        """The next block; b"" at the end. Raises ProtocolError("incomplete-body")."""
        if not self._left:
            return b""
        data = os.read(self._fd, _BLOCK if self._left < 0 else min(_BLOCK, self._left))
        if self._left > 0:
            if not data:
                raise ProtocolError("incomplete-body", 400, f"{self._left} bytes are missing")
            self._left -= len(data)
        return data


def run_cgi(
    app: WSGIApplication, environ: Mapping[bytes, bytes] | None = None, *, script_name: str | None = None
) -> int:
    """Answer the one request that this process was started for. Returns the exit status.

    What the app prints goes to the web server's log, as wsgi.errors does: standard output is the response's.
    `environ` is the process's own. `script_name` stands in for SCRIPT_NAME, for a web server that rewrites `/shop` to
    `/cgi-bin/shop.cgi`: the app then makes URLs as the client knows them.
    """
    if sys.stdout is not None:
        sys.stdout.flush()
    output = os.dup(1)
    os.dup2(2, 1)
    pipe = Pipe(output)
    guard = TermGuard()
    signal.signal(signal.SIGTERM, guard.on_signal)
    try:
        _answer(app, os.environb if environ is None else environ, pipe, script_name, guard)
    finally:
        os.close(output)
    return 1 if pipe.broken else 0


class TermGuard:
    """TERM, which a web server sends when its client has left or its patience is over: it ends the app's code, once,
    and never what we do around it, so that close() runs whenever it comes. A response that is whole it does not end.
    """

    __slots__ = ("_due", "_inside", "_struck")

    def __init__(self) -> None:
        self._inside: Exchange | None = None
        self._due = self._struck = False

    def enter(self, exchange: Exchange) -> None:
        """See `wsgikit.wsgi.exchange.Guard`."""
        self._inside = exchange
        if self._due:
            self._strike(exchange)

    def leave(self) -> None:
        """See `wsgikit.wsgi.exchange.Guard`."""
        self._inside = None

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The signal's handler."""
        self._due = True
        if self._inside is not None:
            self._strike(self._inside)

    def _strike(self, exchange: Exchange) -> None:
        if not (self._struck or exchange.complete or exchange.dead):
            self._struck = True
            raise RequestTimeout


def _answer(
    app: WSGIApplication, given: Mapping[bytes, bytes], pipe: Pipe, script_name: str | None, guard: TermGuard
) -> None:
    try:
        head, variables = read_request(given.items())
    except ProtocolError as error:
        sys.stderr.write(f"wsgikit: {error}\n")
        pipe.send(own_answer(error.status, error))
        return
    script = variables.get(b"SCRIPT_NAME", b"") if script_name is None else script_name.encode("utf-8")
    paths = mend_slashes(script.rstrip(b"/"), variables.get(b"PATH_INFO", b""), unquote_path(head.path))
    environ = build(_base(), head, variables, paths)
    exchange = GatewayExchange(pipe, head.method, http=False)
    exchange.guard = guard
    environ["wsgi.input"] = StreamInput(Body(0, _length(head, given)).pull)
    environ["wsgikit.flush_head"] = exchange.flush_head
    environ["wsgikit.on_close"] = exchange.on_close
    environ["wsgikit.log"] = {}
    respond(app, environ, exchange, lambda: f"{head.method} {ascii(str(head.target, 'latin-1'))[1:-1]}")


def _base() -> dict[str, Any]:
    base = template(
        scheme="http", name="localhost", port="80", errors=ErrorStream(), multithread=False, multiprocess=True
    )
    base["wsgi.run_once"] = True
    return base


def _length(head: Head, given: Mapping[bytes, bytes]) -> int:
    if head.content_length is not None:
        return head.content_length
    # Apache passes a chunked body on as it decodes it, without a length, up to the end of the input
    return -1 if given.get(b"HTTP_TRANSFER_ENCODING") else 0
