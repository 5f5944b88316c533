"""The scripted app under a middleware: correct in every way, unusual in one, and it notices all that is done to it."""

from __future__ import annotations

import io
import sys
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from wsgikit.validators.sandwich import trace as at
from wsgikit.validators.sandwich.trace import Trace

# Long enough, and repetitive enough, that a compressing middleware takes an interest.
PAGE = tuple(b"<p>" + word * 150 + b"</p>\n" for word in (b"one ", b"two ", b"three ", b"four "))
SHORT = (b"one, ", b"two, ", b"three, ", b"four\n")
ERROR_PAGE = b"the app's own error page"


class Trouble(Exception):
    """What the scripted app raises. Its own class, so that a weak reference to it is possible."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """What the app does.

    `blocks` are given one by one; `written` are sent by write() before. `start`: start_response is called in the
    "call" or with the first block ("iterate"). `sized`: the iterable knows its length. `fails_at`: raise before this
    block (0 is the first). `apologises`: trap that and call start_response with exc_info. `length`: declare
    Content-Length. `odd_case`: header names with their case swapped. `file`: return the blocks by wsgi.file_wrapper.
    `bare`: the iterable has no close().
    """

    name: str = "plain"
    blocks: tuple[bytes, ...] = SHORT
    media_type: str = "text/plain"
    written: tuple[bytes, ...] = ()
    start: str = "call"
    sized: bool = False
    fails_at: int | None = None
    apologises: bool = False
    length: bool = False
    odd_case: bool = False
    file: bool = False
    bare: bool = False
    more: tuple[tuple[str, str], ...] = field(default=())

    def but(self, name: str, **changes: Any) -> Script:
        """The same script with other fields."""
        return replace(self, name=name, **changes)

    @property
    def body(self) -> bytes:
        """All that the app sends when nothing fails."""
        return b"".join(self.written + self.blocks)

    def headers(self) -> list[tuple[str, str]]:
        """A fresh header list."""
        found = [("Content-Type", self.media_type), ("X-Script", self.name), *self.more]
        if self.length:
            found.append(("Content-Length", str(len(self.body))))
        return [(name.swapcase(), value) for name, value in found] if self.odd_case else found


class ScriptedApp:
    """Plays a script for one request and notes every event."""

    def __init__(self, script: Script, trace: Trace) -> None:
        self.script = script
        self.trace = trace
        self.environ: Any = None
        self.seen: dict[Any, Any] = {}
        self.returned: Any = None
        self.start_error: BaseException | None = None
        self.wrote: Any = None
        self.trouble: weakref.ref[Trouble] | None = None
        self._start: Any = None

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.trace.add(at.IN_CALL)
        self.environ, self._start = environ, start_response
        self.seen = dict(environ)
        if self.script.start == "call":
            self.begin()
        self.returned = self._iterable()
        self.trace.add(at.IN_RETURN)
        return self.returned

    def release(self) -> None:
        """Let go of all that belongs to the request, so that what is still alive is held by somebody else."""
        self._start = self.returned = self.environ = self.start_error = self.wrote = None
        self.seen = {}

    def _iterable(self) -> Any:
        script = self.script
        if script.file:
            return self.environ["wsgi.file_wrapper"](io.BytesIO(script.body), len(script.blocks[0]))
        if script.sized:
            return SizedBlocks(self)
        return BareBlocks(self) if script.bare else Blocks(self)

    def begin(self, exc_info: Any = None) -> None:
        """Call start_response, and write what is to be written."""
        script = self.script
        status = "200 OK" if exc_info is None else "500 Scripted Error"
        self.trace.add(at.IN_START, status)
        try:
            write = self._start(status, script.headers(), *(() if exc_info is None else (exc_info,)))
        except BaseException as error:
            self.start_error = error
            raise
        finally:
            exc_info = None
        if script.written and status == "200 OK":
            self.wrote = write
            for data in script.written:
                self.trace.add(at.IN_WRITE, data)
                write(data)

    def play(self) -> Iterator[bytes]:
        """Give the blocks."""
        script = self.script
        if script.start == "iterate":
            self.begin()
        for number, block in enumerate(script.blocks):
            if number == script.fails_at:
                self.trace.add(at.IN_RAISE)
                if not script.apologises:
                    raise Trouble("the scripted app failed")
                self._apologise()
                yield ERROR_PAGE
                return
            yield block

    def _apologise(self) -> None:
        try:
            raise Trouble("the scripted app failed")
        except Trouble as error:
            self.trouble = weakref.ref(error)
            self.begin(sys.exc_info())


class BlockIterator:
    """The iterator of a scripted iterable: another object than the iterable, with a close() of its own."""

    def __init__(self, app: ScriptedApp) -> None:
        self._trace = app.trace
        self._blocks = app.play()

    def __iter__(self) -> BlockIterator:
        return self

    def __next__(self) -> bytes:
        self._trace.add(at.IN_ASK)
        try:
            block = next(self._blocks)
        except StopIteration:
            self._trace.add(at.IN_END)
            raise
        self._trace.add(at.IN_GIVE, block)
        return block

    def close(self) -> None:
        self._trace.add(at.IN_ITERATOR_CLOSE)


class BareBlocks:
    """A scripted iterable without close()."""

    filelike = name = mode = "a trap"

    def __init__(self, app: ScriptedApp) -> None:
        self._app = app

    def __iter__(self) -> BlockIterator:
        return BlockIterator(self._app)

    def __getattribute__(self, name: str) -> Any:
        # Dunder names are looked up by Python itself (isinstance, iter); close may be asked for.
        if not name.startswith("_") and name != "close":
            object.__getattribute__(self, "_app").trace.add(at.IN_LOOK, name)
        return object.__getattribute__(self, name)


class Blocks(BareBlocks):
    """A scripted iterable."""

    def close(self) -> None:
        self._app.trace.add(at.IN_CLOSE)


class SizedBlocks(Blocks):
    """One that knows its length, as a list does."""

    def __len__(self) -> int:
        return len(self._app.script.blocks)
