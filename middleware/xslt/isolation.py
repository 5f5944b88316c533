"""Stylesheets that are not trusted: transformed in other processes, with a deadline and a limit of memory.

Owns the processes and the engine in front of them. They are started fresh by `exec`, never by fork: a forked child has
the locks of threads it does not have, and all of the worker's memory to read. A process that passes its deadline is
killed, so its memory returns; the next request starts another one. At most `processes` run in each worker.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.xslt.bundle import Bundle
from wsgikit.middleware.xslt.engine import Parameters, Result, Source, Stylesheet
from wsgikit.middleware.xslt.failures import Deadline, TooLarge, TransformError, XsltError
from wsgikit.middleware.xslt.frames import FrameError, pack, read_frame
from wsgikit.middleware.xslt.output import Output
from wsgikit.middleware.xslt.plain_data import bundle_from, bundle_to, error_from, error_to, texts_in
from wsgikit.middleware.xslt.policy import Policy
from wsgikit.middleware.xslt.space import Loaded, Space

__all__ = ["IsolatedEngine", "Isolation"]

_START = 30.0
_PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """seconds: for one transformation or compilation, waiting for a free process included; memory: bytes for each
    process, 0 for no limit; processes: at most so many at once; runs: a process is replaced after so many."""

    seconds: float = 10.0
    memory: int = 512 << 20
    processes: int = 2
    runs: int = 1000


class IsolatedEngine:
    """The engine `engine`, in other processes."""

    def __init__(self, engine: str, policy: Policy, isolation: Isolation, *, html: str = "libxml2") -> None:
        self.name = engine
        self.policy = policy
        self.isolation = isolation
        self.limits: tuple[str, ...] = ()
        settings = {
            "engine": engine,
            "html": html,
            "allow": sorted(policy.allow),
            "dtd": policy.dtd,
            "limits": asdict(policy.limits),
            "memory": isolation.memory,
        }
        self._pool = _Pool(settings, isolation, _largest(policy))

    def compile(self, uri: str, space: Space) -> IsolatedStylesheet:
        serving = _Serving(space)
        with self._pool.lent() as (process, until):
            try:
                head, _ = process.ask({"do": "compile", "uri": uri}, (), until, serving)
            except XsltError as error:
                traces = [loaded.dependency for loaded in serving.opened.values()]
                error.dependencies = (*traces, space.trace(serving.last or uri))  # type: ignore[attr-defined]
                raise
        files = {name: loaded.data for name, loaded in serving.opened.items()}
        bundle = bundle_from(head.get("bundle", {}), files)
        dependencies = tuple(loaded.dependency for loaded in serving.opened.values())
        return IsolatedStylesheet(self, replace(bundle, dependencies=dependencies), space)

    def from_bundle(self, bundle: Bundle, space: Space) -> IsolatedStylesheet:
        """What was read before, to be compiled where it is needed."""
        return IsolatedStylesheet(self, bundle, space)

    def apply(self, chain: Sequence[Stylesheet], source: Source, parameters: Parameters) -> Result:
        if len(source.data) > self.policy.limits.source:
            raise TooLarge("max_input", f"the source is larger than {self.policy.limits.source} bytes (max_input)")
        space = chain[0].space if isinstance(chain[0], IsolatedStylesheet) else None
        if space is None:
            raise TypeError(f"{chain[0]!r} is of another engine")
        serving = _Serving(space)
        question = {
            "do": "apply",
            "chain": [sheet.bundle.fingerprint for sheet in chain],
            "source": [source.kind, source.charset, source.name],
            "parameters": {name: list(value) for name, value in parameters.items()},
        }
        with self._pool.lent() as (process, until):
            head, blobs = process.ask(question, (source.data,), until, serving)
            if "missing" in head:
                for sheet in chain:
                    process.ask(*_bundle_question(sheet.bundle), until, serving)
                serving = _Serving(space)
                head, blobs = process.ask(question, (source.data,), until, serving)
        if not blobs:
            raise TransformError("the process gave no result")
        media = _printable(str(head.get("content_type", "")))
        documents = tuple(loaded.dependency for loaded in serving.opened.values())
        return Result(blobs[0], media, texts_in(head, "messages"), documents)

    def close(self) -> None:
        """End all processes."""
        self._pool.close()


class IsolatedStylesheet:
    """A stylesheet that has been compiled in another process, and will be again wherever it is needed."""

    def __init__(self, engine: IsolatedEngine, bundle: Bundle, space: Space) -> None:
        self.engine = engine
        self.bundle = bundle
        self.space = space

    @property
    def output(self) -> Output:
        return self.bundle.output

    def prepare(self) -> None:
        """It has been compiled already."""

    def apply(self, source: Source, parameters: Parameters) -> Result:
        return self.engine.apply((self,), source, parameters)


class _Serving:
    """Opens files for a process, by the space's rules, and remembers which."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self.opened: dict[str, Loaded] = {}
        self.last = ""

    def answer(self, head: dict[str, Any]) -> bytes:
        uri = str(head.get("uri", ""))
        self.last = uri
        try:
            if head["ask"] == "normal":
                return pack({"uri": self._space.normal(uri)})
            loaded = self._space.open(uri)
            self.opened[loaded.uri] = loaded
            return pack({"uri": loaded.uri, "digest": loaded.dependency.digest}, (loaded.data,))
        except XsltError as error:
            return pack({"error": error_to(error)})


class _Pool:
    def __init__(self, settings: dict[str, Any], isolation: Isolation, largest: int) -> None:
        self._settings = settings
        self._isolation = isolation
        self._largest = largest
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._idle: list[_Process] = []
        self._free = threading.Semaphore(self._isolation.processes)
        self._closer = weakref.finalize(self, _end_all, self._idle)

    @contextmanager
    def lent(self) -> Iterator[tuple[_Process, float]]:
        """A process for this thread alone, and the time on the monotonic clock at which it has to be done."""
        if self._pid != os.getpid():
            # forked meanwhile: the processes are our parent's
            self._closer.detach()
            self._reset()
        until = time.monotonic() + self._isolation.seconds
        if not self._free.acquire(timeout=self._isolation.seconds):
            raise Deadline(f"no process was free within {self._isolation.seconds:g} s")
        process = None
        try:
            process = self._living() or _Process(self._settings, self._largest)
            # starting one is not the stylesheet's time
            until = max(until, time.monotonic() + self._isolation.seconds) if process.runs == 0 else until
            yield process, until
            process.runs += 1
        except XsltError:
            raise
        except BaseException:
            if process is not None:
                process.end()
            raise
        finally:
            if process is not None:
                if process.alive and not process.retiring and process.runs < self._isolation.runs:
                    self._idle.append(process)
                else:
                    process.end()
            self._free.release()

    def _living(self) -> _Process | None:
        """One that waits for work, and has not been ended meanwhile by somebody, such as a kernel short of memory."""
        while self._idle:
            process = self._idle.pop()
            if process.is_there():
                return process
            process.end()
        return None

    def close(self) -> None:
        self._closer()
        self._reset()


class _Process:
    """One process and its pipes."""

    def __init__(self, settings: dict[str, Any], largest: int) -> None:
        self.runs = 0
        self.alive = True
        self.retiring = False
        self._largest = largest
        self._child = subprocess.Popen(
            _command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        pipes = self._child.stdin, self._child.stdout
        self._in, self._out = (os.dup(pipe.fileno()) for pipe in pipes if pipe is not None)
        for pipe in pipes:
            if pipe is not None:
                pipe.close()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._until = time.monotonic() + _START
        try:
            self._write(pack(settings))
            read_frame(self._read, 0)
        except FrameError:
            self.end()
            raise ConfigError(f"engine = {settings['engine']!r} cannot be started in a process of its own") from None
        except BaseException:
            self.end()
            raise

    def is_there(self) -> bool:
        """Whether it is still running."""
        return self._child.poll() is None

    def ask(
        self, head: dict[str, Any], blobs: Sequence[bytes], until: float, serving: _Serving
    ) -> tuple[dict[str, Any], list[bytes]]:
        """A question, questions of its own in between, and the answer. XsltError as the engine raises it; Deadline."""
        self._until = until
        try:
            self._write(pack({**head, "seconds": max(0.1, until - time.monotonic())}, blobs))
            while True:
                answer, found = read_frame(self._read, self._largest)
                if "ask" not in answer:
                    break
                self._write(serving.answer(answer))
        except FrameError as error:
            status = self.end(1.0)
            raise TransformError(f"the process ended with {status}: {error}") from None
        except Deadline:
            self.end()
            raise
        self.retiring = bool(answer.get("retire"))
        if "error" in answer:
            raise error_from(answer["error"])
        return answer, found

    def _wait(self, fd: int, event: int) -> None:
        poll = select.poll()
        poll.register(fd, event)
        left = self._until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise Deadline("it took longer than `deadline` permits and was stopped")

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._in, view[:_PIECE]) :]
            except BlockingIOError:
                self._wait(self._in, select.POLLOUT)
            except BrokenPipeError:
                raise FrameError("it reads no more") from None

    def _read(self, size: int) -> bytes:
        pieces = []
        while size:
            try:
                piece = os.read(self._out, min(size, _PIECE))
            except BlockingIOError:
                self._wait(self._out, select.POLLIN)
                continue
            if not piece:
                raise FrameError("it has gone")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def end(self, patience: float = 0.0) -> str:
        """Kill it, unless it ends by itself within `patience` seconds; returns how it ended."""
        if self.alive:
            self.alive = False
            os.close(self._in)
            os.close(self._out)
            try:
                self._child.wait(patience)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        code = self._child.returncode
        return f"signal {-code}" if code < 0 else f"status {code}"


def _end_all(processes: list[_Process]) -> None:
    while processes:
        processes.pop().end()


def _command() -> list[str]:
    """This Python, with this process's import path: the middleware may come from anywhere on it."""
    python = sys.executable
    if not python or "python" not in os.path.basename(python).lower():
        # an embedding server (uWSGI, mod_wsgi) names itself
        python = os.path.join(sys.exec_prefix, "bin", "python3")
    code = f"import sys; sys.path[:] = {sys.path!r}; from wsgikit.middleware.xslt.process import main; main()"
    return [python, "-c", code]


def _bundle_question(bundle: Bundle) -> tuple[dict[str, Any], list[bytes]]:
    head, files = bundle_to(bundle)
    return {"do": "bundle", "bundle": head}, files


def _largest(policy: Policy) -> int:
    return policy.limits.output + policy.limits.sheets + (1 << 20)


def _printable(text: str) -> str:
    return text if text.isascii() and text.isprintable() else "application/octet-stream"
