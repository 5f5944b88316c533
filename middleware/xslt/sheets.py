"""Compiled stylesheets, kept and renewed.

Owns when a stylesheet is compiled again: when one of the files it is made of, or that its document() calls have read,
has another time, size or inode, looked at no more often than every `check` seconds. One thread compiles; the others go
on with what there is. A version that does not compile is told once and the last good one stays in use until its files
change again. At most `most` stylesheets are kept. Must not know HTTP or engines.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from wsgikit.middleware.xslt.failures import SheetError, XsltError
from wsgikit.middleware.xslt.space import Dependency, Space, shown

if TYPE_CHECKING:
    from logging import Logger

    from wsgikit.middleware.xslt.engine import Engine, Stylesheet

__all__ = ["Compiled", "Sheets"]

# document() may be called with names that a document chooses; more of them than this are not watched
_DOCUMENTS = 1000


class Compiled(NamedTuple):
    """A stylesheet as it is now. `fingerprint` stands for all its files; `modified`: the newest, seconds since 1970."""

    uri: str
    sheet: Stylesheet
    fingerprint: str
    modified: int
    volatile: bool


class _Entry:
    """One stylesheet. `renewing` is held by the one thread that looks at files and compiles, which may take long;
    `lock` only while something is changed here."""

    def __init__(self, uri: str, space: Space) -> None:
        self.uri = uri
        self.space = space
        self.renewing = threading.Lock()
        self.lock = threading.Lock()
        self.compiled: Compiled | None = None
        self.error: XsltError | None = None
        self.watched: tuple[Dependency, ...] = ()
        self.documents: dict[str, Dependency] = {}
        self.overflown = False
        self.checked = float("-inf")

    def look(self) -> bool:
        """Whether all is as it was."""
        kept = [self.space.look(dependency) for dependency in self.watched]
        if not kept or None in kept:
            return False
        self.watched = tuple(dependency for dependency in kept if dependency is not None)
        return True

    def look_at_documents(self) -> None:
        """Forget what has changed: the next run that reads it notes it anew, and the fingerprint is another one."""
        before = dict(self.documents)
        seen = {uri: self.space.look(dependency) for uri, dependency in before.items()}
        with self.lock:
            for uri, now in seen.items():
                if now is None:
                    self.documents.pop(uri, None)
                elif self.documents.get(uri) == before[uri]:
                    self.documents[uri] = now
            if None in seen.values():
                self.describe()

    def describe(self) -> None:
        if self.compiled is not None:
            self.compiled = self.described(self.compiled.sheet)

    def described(self, sheet: Stylesheet) -> Compiled:
        known = sorted(self.documents.values())
        digest = blake2b(sheet.bundle.fingerprint.encode(), digest_size=9)
        for dependency in known:
            digest.update(f"\0{dependency.uri}\0{dependency.digest}".encode())
        stamps = [dependency.stamp[0] for dependency in (*self.watched, *known) if dependency.stamp]
        volatile = sheet.bundle.volatile or self.overflown
        # rounded up: a client that has a copy of this very second has to ask for the newer one
        newest = -(-max(stamps, default=0) // 10**9)
        return Compiled(self.uri, sheet, digest.hexdigest(), newest, volatile)


class Sheets:
    """See the module. check: seconds; most: stylesheets."""

    def __init__(
        self, engine: Engine, *, check: float, most: int, logger: Logger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._check = check
        self.most = most
        self._logger = logger
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, uri: str, space: Space) -> Compiled:
        """The stylesheet, compiled where needed. XsltError: there is no version of it that can be used."""
        entry = self._entry(uri, space)
        if self._clock() - entry.checked < self._check:
            return _usable(entry)
        # others go on with what there is; only where there is nothing they wait
        if not entry.renewing.acquire(blocking=entry.compiled is None):
            return _usable(entry)
        try:
            if self._clock() - entry.checked >= self._check:
                entry.space = space
                self._renew(entry)
        finally:
            entry.renewing.release()
        return _usable(entry)

    def note(self, compiled: Compiled, documents: Iterable[Dependency]) -> Compiled:
        """Remember what document() has read in a run; returns the stylesheet with the fingerprint that includes it."""
        documents = tuple(documents)
        with self._lock:
            entry = self._entries.get(compiled.uri)
        if entry is None or not documents:
            return compiled
        with entry.lock:
            if entry.compiled is None or entry.compiled.sheet is not compiled.sheet:
                return entry.described(compiled.sheet)._replace(volatile=True)
            before = dict(entry.documents)
            for dependency in documents:
                if dependency.uri in entry.documents or len(entry.documents) < _DOCUMENTS:
                    entry.documents[dependency.uri] = dependency
                else:
                    entry.overflown = True
            if entry.documents != before or entry.overflown:
                entry.describe()
            return entry.compiled

    def _entry(self, uri: str, space: Space) -> _Entry:
        with self._lock:
            entry = self._entries.get(uri)
            if entry is None:
                entry = self._entries[uri] = _Entry(uri, space)
                while len(self._entries) > self.most:
                    self._entries.popitem(last=False)
            else:
                self._entries.move_to_end(uri)
            return entry

    def _renew(self, entry: _Entry) -> None:
        if entry.look():
            entry.look_at_documents()
        else:
            self._compile(entry)
        # counted from the end: a slow compilation is not followed by another look at once
        entry.checked = self._clock()

    def _compile(self, entry: _Entry) -> None:
        again = entry.compiled is not None
        try:
            sheet = self._engine.compile(entry.uri, entry.space)
        except XsltError as error:
            from wsgikit.middleware.xslt.bundle import dependencies_of

            entry.error = error
            entry.watched = dependencies_of(error)
            kept = "; the last good version stays in use" if again else ""
            self._logger.error("stylesheet %s: %s%s", shown(entry.uri), error.whole, kept)
            return
        with entry.lock:
            entry.error = None
            entry.watched = sheet.bundle.dependencies
            entry.documents, entry.overflown = {}, False
            entry.compiled = entry.described(sheet)
        if again:
            self._logger.info("stylesheet %s: has changed and is in use", shown(entry.uri))


def _usable(entry: _Entry) -> Compiled:
    compiled, error = entry.compiled, entry.error
    if compiled is not None:
        return compiled
    if error is None:
        raise SheetError("is not there")
    # a new one each time: threads that raise the same object write into each other's traceback
    raise SheetError(error.text, error.place) from error
