"""Timing: how long requests take, measured to the end of the response.

    Use(Timing, slow="1s")

Options
    header     send `Server-Timing: app;dur=12.3`, the time from the call to the headers, which browsers show in their
               developer tools (false: it tells strangers how long things take)
    slow       log requests that took longer, at level WARNING, with their first-byte and total time ("0": none)
    logger     name of the logger ("wsgikit.timing")
    on_done    called as on_done(environ, status, first, total) when a request is over; seconds; `first` is None when
               the app failed before it had a status. For metrics. From a file: "package.module:function"

The total ends at close(): after the last block was taken by the server, or when the client went away. Notes `app_ms`
for the access log (time to the headers).

Streaming: bodies are not touched, files keep their fast way under wsgikit's server. Other servers: a file body loses
its fast way (sendfile), as only a wrapper can see its end there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import Amount, seconds
from wsgikit.middleware.facts import note
from wsgikit.wsgi.wrap import Response, wrap

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Timing"]


class Timing:
    """Measures requests to their end. See the module for the options."""

    traits = frozenset({"logs"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        header: bool = False,
        slow: Amount = 0,
        logger: str = "wsgikit.timing",
        on_done: Callable[[dict[str, Any], str, float | None, float], object] | str | None = None,
    ) -> None:
        import logging

        self.app = app
        self.header = header
        self.slow = seconds(slow, "slow")
        self.logger = logging.getLogger(logger)
        self.on_done = _function(on_done)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        clock = _Clock(self)
        return wrap(self.app, environ, start_response, on_headers=clock.headers, on_close=clock.over)


class _Clock:
    """One request's times."""

    __slots__ = ("_first", "_owner", "_started")

    def __init__(self, owner: Timing) -> None:
        self._owner = owner
        self._first: float | None = None
        self._started = perf_counter()

    def headers(self, response: Response) -> None:
        self._first = perf_counter() - self._started
        milliseconds = f"{self._first * 1000:.1f}"
        note(response.environ, "app_ms", milliseconds)
        if self._owner.header:
            response.add("Server-Timing", f"app;dur={milliseconds}")

    def over(self, response: Response) -> None:
        total = perf_counter() - self._started
        owner, environ = self._owner, response.environ
        if owner.slow and total > owner.slow:
            owner.logger.warning(
                "slow: %s %r took %.3f s, headers after %s: %s",
                environ.get("REQUEST_METHOD"),
                environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
                total,
                "never" if self._first is None else f"{self._first:.3f} s",
                response.status or "no status",
            )
        if owner.on_done is not None:
            owner.on_done(environ, response.status, self._first, total)


def _function(value: Any) -> Callable[..., object] | None:
    if isinstance(value, str):
        from wsgikit.loader import load

        value = load(value)
    if value is not None and not callable(value):
        raise ConfigError(f"on_done = {value!r}: a function, or 'package.module:function'")
    return value  # type: ignore[no-any-return]
