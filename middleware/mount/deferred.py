"""Deferred: an app that is imported when it is needed, and answers 503 for as long as it cannot be.

Owns: when an import is tried, and what is logged. Must not know what is imported, or how.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from wsgikit.errors import LoadError
from wsgikit.middleware.router.answers import StartResponse, answer

WSGIApp = Callable[..., Iterable[bytes]]

_LOG = logging.getLogger("wsgikit.mount")


class Deferred:
    """A WSGI app around `load()`, which is called at the first request, or by `warm()`.

    A failure is logged, with the traceback of what the app raised, and answered with 503; it is tried again at the
    first request after `retry` seconds, so that an app mended on the disk comes back by itself. Requests that come
    while another one imports the app wait for it, `patience` seconds at most.
    """

    def __init__(
        self,
        load: Callable[[], WSGIApp],
        name: str,
        *,
        retry: float = 10.0,
        patience: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._load = load
        self._retry = retry
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._app: WSGIApp | None = None
        self._failed_at: float | None = None

    @property
    def app(self) -> WSGIApp | None:
        """What was loaded; None before."""
        return self._app

    def warm(self) -> bool:
        """Load now, unless a failure is fresher than `retry`. Whether the app is there."""
        if self._app is not None:
            return True
        if not self._lock.acquire(timeout=self._patience):
            return False
        try:
            if self._app is None and self._due():
                self._try()
            return self._app is not None
        finally:
            self._lock.release()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        app = self._app
        if app is None:
            self.warm()
            app = self._app
        if app is None:
            return answer(
                environ, start_response, "503 Service Unavailable", ("Retry-After", str(round(self._retry) or 1))
            )
        return app(environ, start_response)

    def _due(self) -> bool:
        return self._failed_at is None or self._clock() - self._failed_at >= self._retry

    def _try(self) -> None:
        try:
            self._app = self._load()
        except (Exception, SystemExit) as error:  # a module may call sys.exit() while it is imported
            self._failed_at = self._clock()
            # the words of a LoadError say all; where the app itself raised, its traceback says where
            ours = isinstance(error, LoadError)
            _LOG.error(
                "cannot load the app mounted at %s; it answers 503, the others are served%s",
                self.name,
                f":\n{error}" if ours else "",
                exc_info=error.__cause__ if ours else error,
            )
