"""The access log of wsgikit's server, on servers whose own says less.

    Use(AccessLog)                                            # gunicorn, waitress, mod_wsgi ...
    Use(AccessLog, file="/var/log/shop/access.log", format="json")

Under wsgikit's server set `access_logfile` instead: it also sees what never reaches an app, and counts the bytes that
were really sent.

Options
    file      "-" (standard output), "logging" (the logger `wsgikit.access`), or a path ("-")
    format    "combined", "json" or a format as `access_logformat` has it ("combined")

Written at close(), when the response is over. Facts of layers inside (request_id, user, route) are logged as under
wsgikit's server: this layer puts `wsgikit.log` into the environ where it is missing. Times: `app` is from the call to
close(), the others are 0. The size is what the app gave to the server; for a file body it is Content-Length.

Streaming: blocks go through one by one and are counted. Other servers: a file body keeps its fast way only under
wsgikit's server, as only a wrapper can see its end elsewhere.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

from wsgikit.middleware.facts import KEY
from wsgikit.wsgi.wrap import Response, Tap, Transform, wrap

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["AccessLog"]


class AccessLog:
    """Writes a line for each request. See the module for the options."""

    traits = frozenset({"logs", "once"})

    def __init__(self, app: WSGIApplication, *, file: str = "-", format: str = "combined") -> None:  # noqa: A002
        from wsgikit.observe.accesslog import AccessLog as Log
        from wsgikit.observe.settings import LogSettings

        self.app = app
        self.log = Log(LogSettings(access_logfile=file, access_logformat=format))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        inner = environ if KEY in environ else {**environ, KEY: {}}
        run = _Run(self)
        return wrap(self.app, inner, start_response, on_body=run.body, on_close=run.over)


class _Run:
    """One request's line."""

    __slots__ = ("_owner", "_sent", "_started", "_tapped", "_wall")

    def __init__(self, owner: AccessLog) -> None:
        self._owner = owner
        self._sent = 0
        self._tapped = False
        self._wall = time.time()
        self._started = time.perf_counter()

    def body(self, response: Response) -> Transform | None:
        if response.content_length is not None:
            return None
        self._tapped = True
        return Tap(self._count)

    def _count(self, block: bytes) -> None:
        self._sent += len(block)

    def over(self, response: Response) -> None:
        from wsgikit.observe.record import Access

        environ = response.environ
        declared = 0 if self._tapped or environ.get("REQUEST_METHOD") == "HEAD" else response.content_length
        self._owner.log(
            Access(
                environ=environ,
                method=environ.get("REQUEST_METHOD", ""),
                target=_target(environ),
                remote=environ.get("REMOTE_ADDR", ""),
                protocol=environ.get("SERVER_PROTOCOL", ""),
                status=response.status,
                headers=response.headers if response.status else [],
                sent=self._sent if self._tapped else (declared or 0) if response.has_body else 0,
                started=self._wall,
                wait=0.0,
                body=0.0,
                app=time.perf_counter() - self._started,
                send=0.0,
                facts=_facts(environ),
                thread=threading.current_thread().name,
            )
        )


def _facts(environ: WSGIEnvironment) -> dict[str, str]:
    facts: dict[str, str] = environ.get(KEY, {})
    if "wsgikit.request_id" in environ and "request_id" not in facts:
        # RequestId stands outside, where there was no place to note it
        return {**facts, "request_id": environ["wsgikit.request_id"]}
    return facts


def _target(environ: WSGIEnvironment) -> bytes:
    """The request target as it was sent, or put together again (PEP 3333, "URL Reconstruction")."""
    for key in ("REQUEST_URI", "RAW_URI"):
        if isinstance(environ.get(key), str):
            return str(environ[key]).encode("latin-1", "replace")
    path = quote((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1", "replace"))
    query = environ.get("QUERY_STRING", "")
    return f"{path}?{query}".encode("latin-1", "replace") if query else path.encode()
