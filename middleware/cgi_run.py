"""One request at a CGI program: from the environ to the iterable that the server gets.

Owns the response: its head, local redirects, what is answered for a program that fails, and the end. How a program is
run stands in `cgi_process`, which one it is in `cgi_directory`.
"""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes

from wsgikit.errors import Disconnected, PeerTimeout, ProtocolError
from wsgikit.middleware.answer import answer, page, send
from wsgikit.middleware.cgi_process import Program
from wsgikit.middleware.cgi_variables import text, variables
from wsgikit.wire.cgi import CgiResponse, parse_cgi_response
from wsgikit.wire.http11 import DEFAULT_LIMITS

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

    from wsgikit.middleware.cgi_directory import CGIDirectory

log = logging.getLogger("wsgikit.cgi")

_REDIRECTS = 10  # RFC 3875 6.2.2 leaves the number to the server; as Apache's LimitInternalRecursion
_COUNT = "wsgikit.cgi.redirects"
_BLOCK = 64 * 1024
# How often an empty block tells the server that a silent program is still at work; its own time runs meanwhile.
_HEARTBEAT = 5.0
# RFC 9110 7.6.1: the connection is the server's, also where a program writes the whole head
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-connection", b"te", b"trailer", b"upgrade")
)
_TIMED_OUT = "504 Gateway Timeout"


class Script(NamedTuple):
    """A program, and how it was named: all as texts of the environ but `path`."""

    path: str
    command: tuple[str, ...]
    name: str
    info: str


class Run:
    """One program for one request, and the iterable that the server gets."""

    def __init__(self, settings: CGIDirectory, places: threading.BoundedSemaphore) -> None:
        self._settings = settings
        self._places: threading.BoundedSemaphore | None = places
        self._program: Program | None = None
        self._buffer = b""

    def begin(self, environ: dict[str, Any], start_response: StartResponse, script: Script) -> Iterable[bytes]:
        """Start the program, and the response when its head is here."""
        try:
            self._start(environ, script)
        except OSError as error:
            log.error("%s: cannot be run: %s", script.path, error)
            self.close()
            return answer(environ, start_response, 500)
        try:
            response = self._head()
        except PeerTimeout as error:
            log.error("%s: %s", script.path, error)
            self.close()
            media, body = page(environ, _TIMED_OUT)
            return send(environ, start_response, _TIMED_OUT, [("Content-Type", media)], body)
        except ProtocolError as error:
            log.error("%s: no response: %s", script.path, error)
            self.close()
            return answer(environ, start_response, 500)
        if response.local:
            self.close()
            return self._redirect(environ, start_response, response.local)
        return self._relay(start_response, response)

    def _start(self, environ: dict[str, Any], script: Script) -> None:
        settings = self._settings
        length, body = _body(environ)
        found = {
            "SCRIPT_NAME": environ.get("SCRIPT_NAME", "") + script.name,
            "PATH_INFO": script.info,
            "SCRIPT_FILENAME": text(script.path),
            "DOCUMENT_ROOT": text(settings.root),
        }
        if script.info:
            found["PATH_TRANSLATED"] = text(settings.root) + script.info
        told = variables(environ, found, length=length, secrets=settings.authorization)
        gone = environ.get("wsgikit.client_gone")
        watch = gone.fileno() if gone is not None else -1
        self._program = Program(script.command, settings.environment | told, body, watch, settings.limits)

    def _head(self) -> CgiResponse:
        seen = 0
        while True:
            found = parse_cgi_response(self._buffer, DEFAULT_LIMITS, seen)
            if found is not None:
                self._buffer = self._buffer[found.head.end :]
                return found
            seen = len(self._buffer)
            block = None if self._program is None else self._program.read(_HEARTBEAT)
            if block == b"":
                raise ProtocolError("incomplete-head", 502, "the program has ended before its head was complete")
            self._buffer += block or b""

    def _relay(self, start_response: StartResponse, response: CgiResponse) -> Iterable[bytes]:
        head = response.head
        fields = [
            (str(name, "latin-1"), str(value, "latin-1"))
            for name, value in head.fields
            if name.lower() not in _HOP_BY_HOP
        ]
        start_response(f"{head.status} {str(head.reason, 'latin-1')}", fields)
        return self

    def _redirect(self, environ: dict[str, Any], start_response: StartResponse, target: bytes) -> Iterable[bytes]:
        """Begin anew as a GET for another path, without a body (RFC 3875 6.2.2)."""
        path, _, query = target.partition(b"?")
        decoded = unquote_to_bytes(path).decode("latin-1")
        mount = environ.get("SCRIPT_NAME", "")
        count = environ.get(_COUNT, 0) + 1
        if count > _REDIRECTS:
            log.error("%s: more than %d local redirects", decoded, _REDIRECTS)
            return answer(environ, start_response, 500)
        if not decoded.startswith(mount + "/"):
            start_response("302 Found", [("Location", target.decode("latin-1")), ("Content-Length", "0")])
            return []
        again = {name: value for name, value in environ.items() if name not in ("CONTENT_TYPE", "CONTENT_LENGTH")}
        again |= {
            "REQUEST_METHOD": "HEAD" if environ["REQUEST_METHOD"] == "HEAD" else "GET",
            "PATH_INFO": decoded[len(mount) :],
            "QUERY_STRING": query.decode("latin-1"),
            "REQUEST_URI": target.decode("latin-1"),
            "wsgikit.raw_target": target,
            "wsgi.input": io.BytesIO(),
            _COUNT: count,
        }
        return self._settings(again, start_response)

    # What the server iterates

    def __iter__(self) -> Iterator[bytes]:
        if self._buffer:
            yield self._buffer
            self._buffer = b""
        program = self._program
        while program is not None:
            try:
                block = program.read(_HEARTBEAT)
            except PeerTimeout as error:
                log.error("%s: %s", program.name, error)
                raise Disconnected(f"the program was cut off: {error}") from error
            if block == b"":
                program.finish()
                return
            yield block or b""

    def close(self) -> None:
        """Called by the server in every case (PEP 3333). Ends a program that still runs."""
        program, self._program = self._program, None
        places, self._places = self._places, None
        try:
            if program is not None:
                program.close()
        finally:
            if places is not None:
                places.release()


def _body(environ: dict[str, Any]) -> tuple[int | None, Iterator[bytes]]:
    """The length of the request's body, None for none, and its blocks as they arrive."""
    stream = environ["wsgi.input"]
    length: str = environ.get("CONTENT_LENGTH") or ""
    if length.isascii() and length.isdigit():
        return int(length), _blocks(stream, int(length))
    if environ.get("wsgi.input_terminated"):
        from wsgikit.client.measured import measured  # few requests come without a length

        found, blocks = measured(iter(partial(stream.read, _BLOCK), b""))
        return (found, blocks) if found else (None, iter(()))
    return None, iter(())


def _blocks(stream: Any, left: int) -> Iterator[bytes]:
    # read(n) blocks until all n bytes are there, and so would hold back what has come
    read = getattr(stream, "read1", stream.read)
    while left:
        block = read(min(left, _BLOCK))
        if not block:
            return
        left -= len(block)
        yield block
