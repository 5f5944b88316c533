"""Status: what the balancers of this server are doing, as a page, as JSON, and for Prometheus. Read-only.

    Mount({"/": shop, "/-/status": Status()})

    [[mount]]
    path = "/-/status"
    app = "wsgikit.middleware.status:Status()"

    /-/status            a page that refreshes itself, without any file from elsewhere
    /-/status/json       the same as JSON
    /-/status/metrics    the same in Prometheus's text format

Options
    allow     addresses and ranges that may look (["127.0.0.1", "::1"]; "unix" for a Unix socket); others get 404.
              Endpoints are inner addresses: do not show them to everybody. Whoever X-Forwarded-For, X-Real-IP or
              Forwarded name has to be allowed, too, so that a proxy on this machine opens the page to nobody; one that
              sets none of them does, as everybody who comes through it looks local
    refresh   how often the page refreshes itself ("2s")

Off unless it is mounted. It shows every Balancer (and Forward) that this process has made, with the numbers of all
workers, as the scoreboard has them; each worker writes its own about once a second. Latencies are times to the first
byte; percentiles are exact to half a power of two.

Streaming: nothing to stream. Other servers: the numbers are those of one process, or of all that were forked from the
one that loaded the app (gunicorn --preload).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from wsgikit.middleware.amounts import Amount, address, networks, seconds, texts, within
from wsgikit.middleware.answer import answer, send

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Status"]

_FOR = re.compile(r"for[ \t]*=[ \t]*([^;,\s]*)", re.IGNORECASE)  # RFC 7239 4
_HTML = "text/html; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Status:
    """See the module. ConfigError names a wrong option. `app` is what a Stack puts inside; it is not called."""

    traits = frozenset({"terminal"})

    def __init__(
        self,
        app: WSGIApplication | None = None,
        *,
        allow: Sequence[str] = ("127.0.0.1", "::1"),
        refresh: Amount = "2s",
    ) -> None:
        names = texts(allow, "allow")
        self.app = app
        self._unix = "unix" in names
        self._networks = networks([name for name in names if name != "unix"], "allow")
        self._refresh = seconds(refresh, "refresh", least=0.5)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._may_look(environ):
            return answer(environ, start_response, 404)
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return answer(environ, start_response, 405, headers=[("Allow", "GET, HEAD")])
        path = environ.get("PATH_INFO", "")
        if path in ("", "/"):
            return self._page(environ, start_response)
        if path == "/json":
            body = json.dumps(self._snapshot(), indent=1).encode() + b"\n"
            return _sent(environ, start_response, "application/json", body)
        if path == "/metrics":
            from wsgikit.middleware.status_metrics import metrics

            return _sent(environ, start_response, _METRICS, metrics(self._snapshot()).encode())
        return answer(environ, start_response, 404)

    def _may_look(self, environ: WSGIEnvironment) -> bool:
        peer = environ.get("REMOTE_ADDR", "")
        near = within(address(peer), self._networks) if peer else self._unix
        return near and all(within(address(each), self._networks) for each in _forwarded_for(environ))

    def _snapshot(self) -> dict[str, Any]:
        from wsgikit.middleware.status_data import snapshot

        return snapshot()

    def _page(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        from wsgikit.middleware.status_page import page, policy

        body = page(self._snapshot(), environ.get("SCRIPT_NAME", ""), self._refresh)
        return _sent(environ, start_response, _HTML, body.encode(), ("Content-Security-Policy", policy()))


def _forwarded_for(environ: WSGIEnvironment) -> Iterator[str]:
    """Whom proxies name as their clients. What is no plain address (a port behind it, "unknown") is nobody's."""
    for variable in ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP"):
        if variable in environ:
            yield from (part.strip(" \t") for part in environ[variable].split(","))
    for element in _FOR.findall(environ.get("HTTP_FORWARDED", "")):
        yield element.strip('"[]')


def _sent(
    environ: WSGIEnvironment, start_response: StartResponse, media: str, body: bytes, *more: tuple[str, str]
) -> Iterable[bytes]:
    fields = [("Content-Type", media), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), *more]
    return send(environ, start_response, "200 OK", fields, body)
