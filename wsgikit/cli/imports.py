"""What becomes of an app that cannot be imported: the one rule for the start, for a reload, and for later.

- One app alone ends the start, with its traceback and status 3.
- Of several, at the start, it answers 503 and the others are served; with `on_import_error = "stop"` it ends the start.
  When none of several can be imported, the start ends.
- A reload makes nothing worse: an app that fails and did not fail before (or was not there) refuses the reload, and the
  running workers stay. One that answered 503 before may go on doing so.
- Later, in a worker that takes another one's place, it answers 503 there, where several are served.
- A lazy one is imported at its first request, so none of this is about it.

What answers 503 has its traceback in the log and is tried again (see `Deferred`). Owns that rule, and what is known of
the apps of one reading of the configuration, in memory that its workers share. Must not know how an app is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from mmap import mmap
from typing import TYPE_CHECKING

from wsgikit.errors import LoadError

if TYPE_CHECKING:
    from wsgikit.config.structure import MountEntry, RouteEntry

    Entry = MountEntry | RouteEntry

App = Callable[..., Iterable[bytes]]
_UNKNOWN, _FAILED, _LOADED = 0, 1, 2


class Imports:
    """The apps of one reading of the configuration. Made in the master, before its workers are forked.

    excused: at a reload, the apps that may go on failing; None at the start. tolerant: one of several may fail then.
    strict: nothing is tolerated, and lazy apps are imported.
    """

    def __init__(
        self, entries: Iterable[Entry], excused: set[str] | None = None, *, tolerant: bool = True, strict: bool = False
    ) -> None:
        urls = dict.fromkeys(entry.url for entry in entries)
        self._number = {url: number for number, url in enumerate(urls)}
        self._states = mmap(-1, max(1, len(urls)))  # shared with every process forked later
        self._tolerant = tolerant and len(urls) > 1
        self._excused = set(urls) if excused is None else excused
        self._strict = strict
        self._failures: dict[str, Exception] | None = {}  # until `check`; a traceback holds on to a lot
        self._begun = False

    def begun(self) -> None:
        """The workers serve: from now on nothing that fails can be refused any more."""
        self._begun = True

    def failing(self) -> set[str]:
        """The apps that no worker could import."""
        return {url for url, number in self._number.items() if self._states[number] == _FAILED}

    def app(self, entry: Entry, load: Callable[[], App], *, lazy: bool = False) -> App:
        """What is served for an entry: its app, or something that answers 503 until it can be imported.

        Raises what `load` raises where that is not tolerated.
        """
        noted = self._noted(entry.url, load)
        if self._strict or not (lazy or self._tolerates(entry.url)):
            return noted()
        from wsgikit.middleware.mount import Deferred

        deferred = Deferred(noted, entry.url)
        if not lazy:
            deferred.warm()
        return deferred if deferred.app is None else deferred.app

    def check(self) -> None:
        """LoadError when nothing is left to serve: every app has failed, and all of this has just begun."""
        failures, self._failures = self._failures, None
        if self._begun or not failures or len(failures) < len(self._number):
            return
        first = next(iter(failures.values()))
        raise LoadError(f"no app can be imported; the first: {first}") from first.__cause__

    def _tolerates(self, url: str) -> bool:
        return self._tolerant and (self._begun or url in self._excused)

    def _noted(self, url: str, load: Callable[[], App]) -> Callable[[], App]:
        """`load`, leaving word of how it went. "Loaded" stays: some worker has the app, whatever others find."""
        number = self._number.get(url)

        def noted() -> App:
            try:
                app = load()
            except Exception as error:
                if number is not None and self._states[number] != _LOADED:
                    self._states[number] = _FAILED
                if self._failures is not None:
                    self._failures[url] = error
                raise
            if number is not None:
                self._states[number] = _LOADED
            return app

        return noted
