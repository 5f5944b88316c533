"""Cascade: the first app that does not answer 404.

    Cascade(old_site, then=[new_site, archive])

    [[mount.use]]                          # the mount's own app is asked first
    middleware = "cascade"
    then = ["shop.archive:app"]

Options
    then        apps to ask one after the other, or their names "package.module:app"
    statuses    answers that mean: ask the next one ([404])
    replay      a request body up to this size is kept, so that every app can read it ("1MiB"); where an app has read
                more, its answer stands

The last app's answer stands whatever it is. Each app gets its own copy of the environ. What an app said before it
answered 404 (its headers, its body) is dropped; its iterable is closed before the next app is called.

Streaming: an accepted response goes through untouched, by identity where the app is called at once. Apps that call
start_response late are asked one after the other while the server iterates. Other servers: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import Amount, size
from wsgikit.wsgi.wrap import wrap
from wsgikit.wsgi.wrap_input import ReplayInput

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Cascade"]


class Cascade:
    """Asks several apps. See the module for the options."""

    traits = frozenset({"answers"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        then: Sequence[WSGIApplication | str],
        statuses: Sequence[int] = (404,),
        replay: Amount = "1MiB",
    ) -> None:
        if isinstance(then, str) or not then:
            raise ConfigError(f"then = {then!r}: a list of at least one app or package.module:app")
        self.app = app
        self.apps = (app, *(_loaded(other) for other in then))
        for status in statuses:
            if type(status) is not int or not 400 <= status <= 599:
                raise ConfigError(f"statuses has {status!r} in it: error statuses are needed, such as 404")
        self.statuses = frozenset(str(status) for status in statuses)
        self.replay = size(replay, "replay")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        replay = ReplayInput(environ["wsgi.input"], limit=self.replay) if _has_body(environ) else None
        run = _Run(self, environ, start_response, replay)
        if replay is None:
            return run.start()
        keep = replay
        return wrap(lambda environ, start: run.start(start), environ, start_response, on_close=lambda _: keep.close())


class _Run:
    """One request on its way from app to app."""

    def __init__(
        self, owner: Cascade, environ: WSGIEnvironment, start_response: StartResponse, replay: ReplayInput | None
    ) -> None:
        self._owner = owner
        self._environ = environ
        self._server_start = start_response
        self._replay = replay
        self._next = 0
        self._dropped: tuple[str, list[tuple[str, str]]] = ("", [])
        self.decided = self.declined = False

    def start(self, start_response: StartResponse | None = None) -> Iterable[bytes]:
        """The response of the first app that decides at once; a body that goes on asking if one decides late."""
        self._server_start = start_response or self._server_start
        iterable = self.ask()
        while self.goes_on():
            _close(iterable)
            iterable = self.ask()
        return iterable if self.decided else _Body(self, iterable)

    def goes_on(self) -> bool:
        """Whether the next app is to be asked. An app that read too much since it declined is taken at its word."""
        if not self.declined:
            return False
        if self._replay is None or self._replay.whole:
            return True
        self.decided, self.declined = True, False
        self._server_start(*self._dropped)
        return False

    def ask(self) -> Iterable[bytes]:
        """Call the next app."""
        app = self._owner.apps[self._next]
        self._next += 1
        self.decided = self.declined = False
        environ = dict(self._environ)
        if self._replay is not None:
            self._replay.rewind()
            environ["wsgi.input"] = self._replay
        return app(environ, self._start)

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        if not self.decided and self._declines(status):
            self.declined = True
            self._dropped = status, list(headers)
            return _swallow
        self.decided, self.declined = True, False
        try:
            # no third argument where there was none: a server may be a function of two
            return self._server_start(status, headers, *([exc_info] if exc_info is not None else []))
        finally:
            del exc_info

    def _declines(self, status: str) -> bool:
        if status[:3] not in self._owner.statuses or self._next == len(self._owner.apps):
            return False
        return self._replay is None or self._replay.whole


class _Body:
    """Iterates the app that is being asked; goes to the next one while they decline."""

    def __init__(self, run: _Run, iterable: Iterable[bytes]) -> None:
        self._run = run
        self._iterable: Iterable[bytes] | None = iterable
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while True:
            if self._iterable is None:
                raise StopIteration
            if self._iterator is None:
                self._iterator = iter(self._iterable)
            block = next(self._iterator, None)
            if self._run.goes_on():
                declined, self._iterable, self._iterator = self._iterable, None, None
                _close(declined)
                self._iterable = self._run.ask()
                continue
            if block is None:
                raise StopIteration
            return block

    def close(self) -> None:
        iterable, self._iterable, self._iterator = self._iterable, None, None
        if iterable is not None:
            _close(iterable)


def _close(iterable: Iterable[bytes]) -> None:
    close = getattr(iterable, "close", None)
    if close is not None:
        close()


def _swallow(data: bytes, /) -> None:
    """write() of an app that has answered 404."""


def _has_body(environ: WSGIEnvironment) -> bool:
    length = environ.get("CONTENT_LENGTH", "")
    return length not in ("", "0") or bool(environ.get("wsgi.input_terminated") and not length)


def _loaded(app: WSGIApplication | str) -> WSGIApplication:
    if isinstance(app, str):
        from wsgikit.loader import load_app

        return load_app(app)
    if not callable(app):
        raise ConfigError(f"then has {app!r} in it: an app, or package.module:app")
    return app
