"""A profiler for single requests (cProfile), over the app's call, its iteration and its close().

    Use(Profiler, directory="/tmp/profiles")              # then: curl -H 'X-Profile: 1' http://127.0.0.1:8000/slow
    Use(Profiler, every=100)                              # one request in a hundred, into the log

Options
    directory    where to write `METHOD.path.123ms.NUMBER.prof` for pstats, snakeviz and the like; none: the table of
                 functions goes to the log
    keep         most files in the directory; the oldest goes first (100)
    every        profile each n-th request without being asked; 0: only where asked (0)
    header       the request field that asks ("X-Profile"); "" for none
    allow        addresses that may ask (["127.0.0.1", "::1"]). Behind a proxy put ProxyHeaders outside this layer, or
                 everybody is the proxy
    sort         order of the table: "cumulative", "tottime", "calls" ("cumulative")
    lines        rows of the table (30)
    logger       name of the logger, level INFO ("wsgikit.profiler")

One request at a time in each process: Python has room for one profiler; others run as usual meanwhile. A profiled
request is slower, about twice for code of many small calls. The answer is not changed.

Streaming: blocks go through one by one. Other servers: nothing is lost.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import address, choice, networks, whole, within
from wsgikit.middleware.request_fields import environ_key
from wsgikit.wsgi.wrap import Response, wrap

if TYPE_CHECKING:
    from cProfile import Profile
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Profiler"]


class _Turn:
    """Whose turn it is: two profilers at once in one process are an error since Python 3.12.

    Held weakly, so that a response that a server drops without close() does not keep it for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: ReferenceType[_Run] | None = None

    def take(self, run: _Run) -> bool:
        with self._lock:
            if self._holder is not None and self._holder() is not None:
                return False
            self._holder = ref(run)
            return True

    def give_back(self) -> None:
        with self._lock:
            self._holder = None


_TURN = _Turn()


class Profiler:
    """Profiles requests. See the module for the options."""

    traits = frozenset({"by-address"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        directory: str | None = None,
        keep: int = 100,
        every: int = 0,
        header: str = "X-Profile",
        allow: Sequence[str] = ("127.0.0.1", "::1"),
        sort: str = "cumulative",
        lines: int = 30,
        logger: str = "wsgikit.profiler",
    ) -> None:
        import logging

        if directory is not None and not os.path.isdir(directory):
            raise ConfigError(f"directory = {directory!r}: there is no such folder")
        self.app = app
        self.directory = None if directory is None else os.path.abspath(directory)
        self.keep = whole(keep, "keep", 1)
        self.every = whole(every, "every", 0)
        self.key = environ_key(header) if header else ""
        self.allow = networks(allow, "allow")
        self.sort = choice(sort, "sort", ("cumulative", "tottime", "calls"))
        self.lines = whole(lines, "lines", 1)
        self.logger = logging.getLogger(logger)
        self.requests, self.files = count(1), count(1)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._asked(environ):
            return self.app(environ, start_response)
        run = _Run(self)
        if not _TURN.take(run):
            return self.app(environ, start_response)
        return wrap(run.app, environ, start_response, on_close=run.over)

    def _asked(self, environ: WSGIEnvironment) -> bool:
        if self.every and next(self.requests) % self.every == 0:
            return True
        return bool(self.key) and self.key in environ and within(address(environ.get("REMOTE_ADDR", "")), self.allow)


class _Run:
    """One profiled request."""

    def __init__(self, owner: Profiler) -> None:
        from cProfile import Profile

        self._owner = owner
        self._profile = Profile()
        self._started = perf_counter()

    def app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        iterable: Iterable[bytes] = self._profile.runcall(self._owner.app, environ, start_response)
        # what is all there already, or the server sends by itself, runs no code of the app
        wrapper = environ.get("wsgi.file_wrapper")
        if type(iterable) in (list, tuple) or (isinstance(wrapper, type) and issubclass(type(iterable), wrapper)):
            return iterable
        return _ProfiledBody(iterable, self._profile)

    def over(self, response: Response) -> None:
        try:
            milliseconds = round((perf_counter() - self._started) * 1000)
            self._owner.logger.info("%s", self._report(response.environ, milliseconds))
        except OSError as error:
            self._owner.logger.warning("cannot keep a profile: %s", error)
        finally:
            _TURN.give_back()

    def _report(self, environ: WSGIEnvironment, milliseconds: int) -> str:
        owner = self._owner
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        title = f"{environ.get('REQUEST_METHOD')} {path!r}: {milliseconds} ms"
        if owner.directory is None:
            return f"{title}\n{_table(self._profile, owner.sort, owner.lines)}"
        words = re.sub(r"[^A-Za-z0-9_-]+", "-", path).strip("-")[:80] or "root"
        method = re.sub(r"[^A-Z]", "", environ.get("REQUEST_METHOD", ""))[:20]
        name = f"{method}.{words}.{milliseconds}ms.{os.getpid()}-{next(owner.files)}.prof"
        self._profile.dump_stats(os.path.join(owner.directory, name))
        _thin_out(owner.directory, owner.keep)
        return f"{title} -> {name}"


class _ProfiledBody:
    """The app's iterable, each step of it under the profiler."""

    def __init__(self, iterable: Iterable[bytes], profile: Profile) -> None:
        self._iterable = iterable
        self._profile = profile
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._iterator is None:
            self._iterator = iter(self._iterable)
        block: bytes = self._profile.runcall(next, self._iterator)
        return block

    def close(self) -> None:
        close: Any = getattr(self._iterable, "close", None)
        if close is not None:
            self._profile.runcall(close)


def _table(profile: Profile, sort: str, lines: int) -> str:
    import io
    import pstats

    text = io.StringIO()
    pstats.Stats(profile, stream=text).sort_stats(sort).print_stats(lines)
    return text.getvalue().strip()


def _thin_out(directory: str, keep: int) -> None:
    with os.scandir(directory) as entries:
        paths = [entry.path for entry in entries if entry.name.endswith(".prof")]
    files = []
    for path in paths:
        with suppress(FileNotFoundError):  # another worker was faster
            files.append((os.stat(path).st_mtime_ns, path))
    for _, path in sorted(files)[: max(0, len(files) - keep)]:
        with suppress(FileNotFoundError):
            os.unlink(path)
