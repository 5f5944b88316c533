"""Health endpoints for load balancers and orchestrators.

    Use(Health, checks={"database": check_database})

    [[mount.use]]
    middleware = "health"
    checks = { database = "shop.health:database" }

Options
    live       path that answers 200 while the worker can answer at all ("/-/health"); "" for none
    ready      path that answers 200 while all checks pass, else 503 ("/-/ready"); "" for none
    checks     name -> a function without arguments, or "package.module:function". It fails by raising or by returning
               False. It has to come back soon by itself: nothing can stop a thread. While the checks are being
               asked others get the last result, and after 5 seconds 503
    cache      how long a result is used again, by each worker ("1s"), so that probes cannot load a database
    detail     addresses that get each check's result; others get the sum alone (["127.0.0.1", "::1"]). Behind a proxy
               put ProxyHeaders outside this layer, or everybody is the proxy

GET and HEAD alone; other methods go to the app. Answers are JSON, `no-store`, and say nothing about the machine. Notes
`route` for the access log, so that probes can be told from visits.

Streaming: bodies are not touched. Other servers: nothing is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import Amount, address, networks, seconds, within
from wsgikit.middleware.answer import STATUSES, send
from wsgikit.middleware.facts import note

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Health"]

# seconds that the checks together may take before others say that there is no answer
_PATIENCE = 5.0


class Health:
    """Answers probes. See the module for the options."""

    traits = frozenset({"by-address", "answers"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        live: str = "/-/health",
        ready: str = "/-/ready",
        checks: Mapping[str, Callable[[], object] | str] | None = None,
        cache: Amount = "1s",
        detail: Sequence[str] = ("127.0.0.1", "::1"),
    ) -> None:
        for option, path in (("live", live), ("ready", ready)):
            if path and not path.startswith("/"):
                raise ConfigError(f"{option} = {path!r}: has to start with '/'")
        self.app = app
        self.live = live
        self.ready = ready
        self.results = _Results({name: _function(name, check) for name, check in (checks or {}).items()}, cache)
        self.detail = networks(detail, "detail")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path or path not in (self.live, self.ready) or environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return self.app(environ, start_response)
        note(environ, "route", path)
        results = {} if path == self.live else self.results()
        failed = any(results.values())
        report: dict[str, Any] = {"status": "fail" if failed else "pass"}
        if results and within(address(environ.get("REMOTE_ADDR", "")), self.detail):
            report["checks"] = {name: error or "pass" for name, error in results.items()}
        return _json(environ, start_response, 503 if failed else 200, report)


def _json(
    environ: WSGIEnvironment, start_response: StartResponse, code: int, report: dict[str, Any]
) -> Iterable[bytes]:
    import json

    fields = [("Content-Type", "application/health+json"), ("Cache-Control", "no-store")]
    return send(environ, start_response, STATUSES[code], fields, json.dumps(report).encode() + b"\n")


class _Results:
    """What the checks said, for a while; one thread at a time asks them."""

    def __init__(self, checks: dict[str, Callable[[], object]], cache: Amount) -> None:
        self._checks = checks
        self._keep = seconds(cache, "cache")
        self._lock = threading.Lock()
        self._until = self._began = 0.0
        self._last: dict[str, str] | None = None

    def __call__(self) -> dict[str, str]:
        """name -> why it failed, "" for a check that passed."""
        last = self._last
        # whoever knocks while a check hangs must not hang with it: probes would take one thread after the other
        if not self._lock.acquire(timeout=_PATIENCE if last is None else 0):
            if last is None or monotonic() - self._began > _PATIENCE:
                return dict.fromkeys(self._checks, "fail: no answer yet")
            return last
        try:
            if self._last is None or monotonic() >= self._until:
                self._began = monotonic()
                self._last = {name: _ask(check) for name, check in self._checks.items()}
                self._until = monotonic() + self._keep
            return self._last
        finally:
            self._lock.release()


def _ask(check: Callable[[], object]) -> str:
    try:
        return "fail" if check() is False else ""
    except Exception as error:
        import logging

        logging.getLogger("wsgikit.health").warning("check failed", exc_info=True)
        return f"fail: {type(error).__name__}"


def _function(name: str, check: Callable[[], object] | str) -> Callable[[], object]:
    if isinstance(check, str):
        from wsgikit.loader import load

        found: Callable[[], object] = load(check)
        check = found
    if not callable(check):
        raise ConfigError(f"checks: {name} = {check!r}: a function, or 'package.module:function'")
    return check
