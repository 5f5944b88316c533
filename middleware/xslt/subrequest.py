"""Stylesheets from the app itself: what a browser would have fetched, asked for inside the process.

Owns the internal request: GET, without the client's credentials, conditions and ranges, so that what comes is what
anybody gets and may be kept for everybody. There is no way from here to a network: other hosts are refused. An app that
asks for its stylesheets through further layers like this one meets the limit of depth.
"""

from __future__ import annotations

import io
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

from wsgikit.middleware.xslt.failures import Place, Refused, SheetError, TooLarge, XsltError
from wsgikit.middleware.xslt.source_file import close
from wsgikit.middleware.xslt.space import APP_SCHEME, Dependency, Loaded, digest_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["DEPTH", "AppSpace"]

DEPTH = "wsgikit.xslt.depth"
_KEPT = (
    "SCRIPT_NAME",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "REMOTE_ADDR",
    "HTTP_HOST",
    "HTTP_USER_AGENT",
    "wsgi.version",
    "wsgi.url_scheme",
    "wsgi.errors",
    "wsgi.multithread",
    "wsgi.multiprocess",
    "wsgi.run_once",
    "wsgikit.request_id",
)


class AppSpace:
    """The URLs of `app`, seen from one request. `largest`: bytes of one answer; `depth`: of requests in requests."""

    def __init__(self, app: WSGIApplication, environ: WSGIEnvironment, *, largest: int, depth: int) -> None:
        self._app = app
        self._environ = environ
        self._largest = largest
        self._depth = depth

    def normal(self, uri: str) -> str:
        return APP_SCHEME + self._target(uri)

    def _target(self, uri: str) -> str:
        """Path and query inside the app. Refused: another host, or another app of this host."""
        parts = urlsplit(uri)
        host = self._environ.get("HTTP_HOST", "")
        same = parts.scheme in ("http", "https") and parts.netloc == host and bool(host)
        ours = parts.scheme + ":" == APP_SCHEME and not parts.netloc
        if not (same or ours or (not parts.scheme and not parts.netloc)) or not parts.path.startswith("/"):
            raise Refused("network", f"{uri!r} is not a path of this app; nothing is fetched over a network")
        mount = quote(self._environ.get("SCRIPT_NAME", "").encode("latin-1"))
        path = quote(unquote_to_bytes(parts.path))
        segments = path.split("/")
        if ".." in segments or "." in segments or not (path == mount or path.startswith(mount + "/")):
            raise Refused("outside", f"{uri!r} is outside of this app")
        return path + (f"?{parts.query}" if parts.query else "")

    def open(self, uri: str) -> Loaded:
        target = self._target(uri)
        normal = APP_SCHEME + target
        data = self._fetched(target)
        digest = digest_of(data)
        return Loaded(normal, data, Dependency(normal, (0, len(data), 0), digest))

    def trace(self, uri: str) -> Dependency:
        try:
            return self.open(uri).dependency
        except (Refused, SheetError, TooLarge):
            return Dependency(uri, None, "")

    def look(self, dependency: Dependency) -> Dependency | None:
        now = self.trace(dependency.uri)
        return dependency if now[1:3] == dependency[1:3] else None

    def _fetched(self, target: str) -> bytes:
        depth = int(self._environ.get(DEPTH, 0)) + 1
        if depth > self._depth:
            raise Refused("depth", f"{target}: more than {self._depth} internal requests within each other")
        heads: list[str] = []
        written: list[bytes] = []

        def start_response(status: str, headers: Any, exc_info: Any = None, /) -> Any:
            heads.append(status)
            return written.append

        try:
            data = self._answer(self._request(target, depth), start_response, written)
        except XsltError:
            raise
        except Exception as error:
            # of the app, but what becomes of it is said by `on_error`, and a good version stays in use
            traceback.print_exception(error, file=self._environ.get("wsgi.errors"))
            raise SheetError(f"the app failed with {type(error).__name__}: {error}", Place(target)) from error
        if not heads or heads[-1][:3] != "200":
            raise SheetError(f"the app answers {heads[-1] if heads else 'nothing'}", Place(target))
        return data

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse, written: list[bytes]) -> bytes:
        iterable = self._app(environ, start_response)
        try:
            return self._collected(written, iterable, environ["REQUEST_URI"])
        finally:
            close(iterable)

    def _collected(self, written: list[bytes], iterable: Iterable[bytes], target: str) -> bytes:
        pieces, size = written, 0
        for block in iterable:
            pieces.append(block)
            size += len(block)
            if size > self._largest:
                raise TooLarge("max_sheets", f"larger than {self._largest} bytes", Place(target))
        return b"".join(pieces)

    def _request(self, target: str, depth: int) -> dict[str, Any]:
        path, _, query = target.partition("?")
        mount = self._environ.get("SCRIPT_NAME", "")
        environ = {name: self._environ[name] for name in _KEPT if name in self._environ}
        decoded = unquote_to_bytes(path).decode("latin-1")
        return {
            **environ,
            "REQUEST_METHOD": "GET",
            "PATH_INFO": decoded[len(mount) :],
            "QUERY_STRING": query,
            "REQUEST_URI": target,
            "wsgi.input": io.BytesIO(),
            DEPTH: depth,
        }
