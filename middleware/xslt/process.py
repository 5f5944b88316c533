"""The process that transforms for a worker: it has an engine, no files of its own, and limits the system enforces.

Owns the loop in that process. Started by `isolation`, with two pipes as standard input and output. Whatever the engine
wants to read it asks the worker for, which looks at the roots; so a stylesheet that has taken this process over gets no
further than one that has not. The loop ends when the worker's end of the pipe is closed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import OrderedDict
from typing import Any

from wsgikit.middleware.xslt.engine import Engine, Parameter, Source, Stylesheet, make_engine
from wsgikit.middleware.xslt.failures import SheetError, TransformError, XsltError
from wsgikit.middleware.xslt.frames import FrameError, pack, read_frame
from wsgikit.middleware.xslt.plain_data import bundle_from, bundle_to, error_from, error_to, texts_in
from wsgikit.middleware.xslt.policy import Limits, Policy
from wsgikit.middleware.xslt.space import Dependency, Loaded

__all__ = ["main"]

# The worker sends stylesheets again when they are asked for, so few are kept.
_KEPT = 32
# A process that has been large once stays large; a fresh one costs about 0.1 s.
_RETIRE_ABOVE = 0.5


class Pipes:
    """Both directions to the worker."""

    def __init__(self, reading: int, writing: int, largest: int) -> None:
        self._in = os.fdopen(reading, "rb")
        self._out = os.fdopen(writing, "wb")
        self._largest = largest

    def _exactly(self, size: int) -> bytes:
        data = self._in.read(size)
        if len(data) != size:
            raise FrameError("the worker has gone")
        return data

    def receive(self) -> tuple[dict[str, Any], list[bytes]]:
        return read_frame(self._exactly, self._largest)

    def send(self, head: dict[str, Any], *blobs: bytes) -> None:
        self._out.write(pack(head, blobs))
        self._out.flush()


class RemoteSpace:
    """A space whose files are on the other side of the pipes."""

    def __init__(self, pipes: Pipes) -> None:
        self._pipes = pipes

    def normal(self, uri: str) -> str:
        return str(self._ask("normal", uri)[0].get("uri", ""))

    def open(self, uri: str) -> Loaded:
        head, blobs = self._ask("open", uri)
        name = str(head.get("uri", ""))
        return Loaded(name, blobs[0], Dependency(name, None, str(head.get("digest", ""))))

    def trace(self, uri: str) -> Dependency:
        return Dependency(uri, None, "")

    def look(self, dependency: Dependency) -> Dependency | None:
        return dependency

    def _ask(self, what: str, uri: str) -> tuple[dict[str, Any], list[bytes]]:
        self._pipes.send({"ask": what, "uri": uri})
        head, blobs = self._pipes.receive()
        if "error" in head:
            raise error_from(head["error"])
        return head, blobs


class Loop:
    """Answers one question after the other."""

    def __init__(self, pipes: Pipes, settings: dict[str, Any]) -> None:
        limits = Limits(**settings["limits"])
        policy = Policy(allow=frozenset(settings["allow"]), dtd=settings["dtd"], limits=limits)
        self._engine: Engine = make_engine(settings["engine"], policy, copies=1, html=settings["html"])
        self._memory = settings["memory"]
        self._pipes = pipes
        self._space = RemoteSpace(pipes)
        self._sheets: OrderedDict[str, Stylesheet] = OrderedDict()

    def run(self) -> None:
        while True:
            try:
                head, blobs = self._pipes.receive()
            except FrameError:
                return
            self._alarm(float(head["seconds"]))
            try:
                answer, out = self._answer(head, blobs)
            except XsltError as error:
                answer, out = {"error": error_to(self._explained(error))}, []
            except (MemoryError, RecursionError) as error:
                answer, out = {"error": error_to(TransformError(f"out of memory ({type(error).__name__})"))}, []
            self._alarm(0)
            self._pipes.send({**answer, "retire": self._is_large()}, *out)

    def _alarm(self, seconds: float) -> None:
        """The worker stops us at the deadline; should it have died, the system does, a second later."""
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, seconds + 1 if seconds else 0)

    def _explained(self, error: XsltError) -> XsltError:
        """libxslt calls it all kinds of failure when there is no memory."""
        if type(error) is TransformError and self._memory and _peak() > self._memory * _RETIRE_ABOVE:
            error.text += f" (it has taken most of the {self._memory} bytes of `memory`)"
        return error

    def _is_large(self) -> bool:
        try:
            with open("/proc/self/statm", "rb") as file:
                resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError):
            return False
        return bool(self._memory) and resident > self._memory * _RETIRE_ABOVE

    def _answer(self, head: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        if head["do"] == "compile":
            sheet = self._engine.compile(head["uri"], self._space)
            sheet.prepare()
            self._keep(sheet)
            meta, _ = bundle_to(sheet.bundle)
            return {"bundle": meta}, []
        if head["do"] == "bundle":
            files = dict(zip(head["bundle"]["names"], blobs, strict=True))
            self._keep(self._engine.from_bundle(bundle_from(head["bundle"], files), self._space))
            return {}, []
        missing = [name for name in head["chain"] if name not in self._sheets]
        if missing:
            return {"missing": missing}, []
        return self._apply(head, blobs[0])

    def _apply(self, head: dict[str, Any], data: bytes) -> tuple[dict[str, Any], list[bytes]]:
        for name in head["chain"]:
            self._sheets.move_to_end(name)
        chain = [self._sheets[name] for name in head["chain"]]
        parameters = {name: Parameter(value, bool(xpath)) for name, (value, xpath) in head["parameters"].items()}
        kind, charset, name = texts_in(head, "source")
        result = self._engine.apply(chain, Source(data, kind, charset, name), parameters)
        return {"content_type": result.content_type, "messages": list(result.messages)}, [result.body]

    def _keep(self, sheet: Stylesheet) -> None:
        if not sheet.bundle.fingerprint:
            raise SheetError("has no fingerprint")
        self._sheets[sheet.bundle.fingerprint] = sheet
        while len(self._sheets) > _KEPT:
            self._sheets.popitem(last=False)


def main() -> None:
    """Read the settings, take the limits, answer until the worker goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the worker's business
    reading, writing = os.dup(0), os.dup(1)
    # what a library prints must not get between the frames
    with open(os.devnull, "r+b") as null:
        os.dup2(null.fileno(), 0)
    os.dup2(2, 1)
    pipes = Pipes(reading, writing, 1 << 30)
    settings, _ = pipes.receive()
    loop = Loop(pipes, settings)
    _limit(settings["memory"])
    pipes.send({"ready": True})
    loop.run()


def _peak() -> int:
    """The most bytes that this process has had in memory; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _limit(memory: int) -> None:
    """Memory, no files to write, no core."""
    try:
        import resource
    except ImportError:  # Windows
        return
    wanted = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)]
    if memory:
        wanted.append((resource.RLIMIT_DATA, memory))
    for which, value in wanted:
        _, hard = resource.getrlimit(which)
        if hard == resource.RLIM_INFINITY or value <= hard:
            resource.setrlimit(which, (value, value))


if __name__ == "__main__":
    main()
