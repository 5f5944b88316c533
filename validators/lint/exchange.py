"""One request as the lint sees it: the state machine from the call of the app to close().

Owns what was said and sent so far and which rules that breaks. The wrappers around start_response, the body and the
streams call its methods; it never calls the server or the app itself, except to hand on start_response and write().
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from wsgikit.validators.lint import replay
from wsgikit.validators.lint.head import check_exc_info, check_headers, check_status, declared_length, status_code
from wsgikit.validators.lint.notes import Note, shown
from wsgikit.validators.lint.places import definition
from wsgikit.validators.lint.recorder import LintError, Recorder, Scene
from wsgikit.validators.report.model import Location, Verdict

# The same mistake a thousand times in one response is one mistake.
_PER_RULE = 5
# Bodies of requests are kept for the reproducer, bodies of responses for the look at chunk framing, up to here.
_KEPT = 64 * 1024
# Smaller blocks than this, this often, and the body would better be gathered (A31).
_TINY, _MANY = 64, 64

_CHUNK_HEAD = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")


class Exchange:
    """The state of one request and its response."""

    def __init__(
        self, recorder: Recorder, app: Any, environ: dict[Any, Any], start_response: Callable[..., Any]
    ) -> None:
        self.app = app
        self.environ = environ
        self.recorder = recorder
        self.downstream = start_response
        self.method = environ.get("REQUEST_METHOD", "")
        self.handling = sys.exc_info()[1]
        self.calls = 0
        self.code = 0
        self.declared: int | None = None
        self.size: int | None = None
        self.blocks = self.tiny = self.sent = 0
        self.output = self.returned = self.exhausted = self.failed = self.text = False
        self.closes = self.later_starts = 0
        self.trapped: BaseException | None = None
        self.pending: LintError | None = None
        self.request_body = bytearray()
        self._beginning = bytearray()
        self._said: Counter[str] = Counter()
        self._scene = Scene(self._case, self._reproducer)

    def _case(self) -> str:
        return replay.request_line(self.environ)

    def _reproducer(self) -> Any:
        return replay.reproducer(self.environ, bytes(self.request_body))

    def judge(self, notes: Iterable[Note], location: Location | None = None) -> None:
        """Record the notes. In raising mode raises LintError for the first broken must."""
        fresh = []
        for note in notes:
            self._said[note.key] += 1
            if self._said[note.key] <= _PER_RULE:
                fresh.append(note)
        if fresh and (error := self.recorder.judge(fresh, self._scene, location)) is not None:
            self.pending = error
            raise error

    def judge_app(self, notes: Iterable[Note]) -> None:
        """Record notes about the app as a whole, where no line of it is at work."""
        found = list(notes)
        if found:
            self.judge(found, definition(self.app))

    def settle(self) -> None:
        """After a step of the app that ended well: was an exception swallowed that should have come through?"""
        if self.trapped is not None:
            trapped, self.trapped = self.trapped, None
            self.judge_app(
                [Note("A36", f"start_response raised {shown(trapped)} and the app went on as if it had not")]
            )
        if self.pending is not None:
            pending, self.pending = self.pending, None
            raise pending

    def unsettle(self) -> None:
        """After a step of the app that raised: whatever it was is on its way out."""
        self.trapped = self.pending = None

    # start_response and write()

    def start_response(self, *args: Any, **options: Any) -> Callable[..., Any]:
        """What the app gets as start_response."""
        values = [*args, *options.values()]
        status, headers, exc_info = (*values, None, None, None)[:3]
        again = self.calls > 0 and exc_info is None
        self.recorder.used.update(("start_response",) if exc_info is None else ("start_response", "exc_info"))
        self.calls += 1
        self.judge(self._start_notes(args, options, values, again))
        try:
            write = self.downstream(*args, **options)
        except BaseException as error:
            self.trapped = error if exc_info else None
            raise
        finally:
            handled, exc_info, values, args, options = bool(exc_info), None, [], (), {}
        if again and not handled:
            self.judge([Note("S62", "start_response took a second call without exc_info and did not raise")])
        self.code, self.declared = status_code(status), declared_length(headers)
        if self.declared is not None:
            self.recorder.used.add("Content-Length")
        if not callable(write):
            self.judge([Note("S08", f"start_response returned {shown(write)}, which cannot be called")])
            return write  # type: ignore[no-any-return]
        return self._linted_write(write)

    def _start_notes(
        self, args: tuple[Any, ...], options: dict[str, Any], values: list[Any], again: bool
    ) -> Iterable[Note]:
        if options:
            yield Note("A04", f"start_response is called with the keyword {', '.join(map(str, options))}")
        if len(values) not in (2, 3):
            yield Note("A05", f"start_response is called with {len(values)} arguments")
            return
        status, headers = values[:2]
        if again:
            yield Note("A33", "start_response is called a second time, without exc_info")
        if len(values) == 3 and values[2] is not None:
            yield from check_exc_info(values[2])
        yield from check_status(status)
        code = status_code(status)
        yield from check_headers(headers, code)
        handled = sys.exc_info()[1]
        if code >= 500 and len(values) == 2 and handled is not None and handled is not self.handling:
            yield Note("A37", f"{shown(status)} is started while {shown(handled)} is handled, without exc_info")

    def _linted_write(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def linted_write(*args: Any, **options: Any) -> Any:
            self.recorder.used.add("write()")
            self.judge(self._write_notes(args, options))
            if args and args[0]:
                self.output = True
            return write(*args, **options)

        return linted_write

    def _write_notes(self, args: tuple[Any, ...], options: dict[str, Any]) -> Iterable[Note]:
        yield Note("A39", "write() is used")
        if self.returned:
            yield Note("A41", "write() is called after the app has returned its iterable")
        if options or len(args) != 1:
            yield Note("A40", f"write() is called with {len(args)} positional and {len(options)} keyword arguments")
        elif type(args[0]) is not bytes:
            yield Note("A40", f"write() got {shown(args[0])}, of type {type(args[0]).__name__}, not bytes")
        else:
            yield from self._sent(args[0])

    # the body

    def block(self, item: object) -> Iterable[Note]:
        """What a block that the iterable gave breaks."""
        self.blocks += 1
        if type(item) is not bytes and not self.text:
            yield Note("A27", f"a block is {shown(item)}, of type {type(item).__name__}, not bytes")
        if not self.calls:
            empty = Verdict.INFO if item == b"" else None
            what = "an empty block" if empty else f"the block {shown(item)}"
            yield Note("A24", f"{what} comes before start_response was called", empty, "pedantic" if empty else "")
        if self.size is not None and self.blocks == self.size + 1:
            yield Note("A29", f"len() of the iterable is {self.size}, and there are more blocks")
        if isinstance(item, bytes):
            self.tiny += 0 < len(item) < _TINY
            self.output = self.output or bool(item)
            yield from self._sent(item)

    def _sent(self, data: bytes) -> Iterable[Note]:
        if not data:
            return
        before, self.sent = self.sent, self.sent + len(data)
        if len(self._beginning) < _KEPT:
            self._beginning += data[:_KEPT]
        if self.method == "HEAD":
            if not before:
                yield Note("A50", "the answer to HEAD has a body; servers have to drop it", Verdict.INFO)
        elif self.code in (204, 304):
            if not before:
                yield Note("A50", f"a {self.code} response has a body: {shown(data)}")
        elif self.declared is not None and before <= self.declared < self.sent:
            yield Note("A48", f"Content-Length is {self.declared}, and the body is longer")

    def end(self) -> Iterable[Note]:
        """What the end of the iterable shows."""
        self.exhausted = True
        self.recorder.used.update(("an iterable",) if self.size is None else ("an iterable", "len()"))
        if not self.calls:
            yield Note("A25", "the iterable ended, and start_response was never called")
        if self.size is not None and self.blocks < self.size:
            yield Note("A29", f"len() of the iterable is {self.size}, and it gave {self.blocks} blocks")
        bodiless = self.method == "HEAD" or self.code in (204, 304)
        if self.declared is not None and self.sent < self.declared and not bodiless:
            yield Note("A48", f"Content-Length is {self.declared}, and the body has {self.sent} bytes")
        if self.tiny > _MANY and self.sent < self.blocks * _TINY:
            yield Note("A31", f"{self.blocks} blocks of {self.sent / self.blocks:.0f} bytes on average")
        if self.sent == len(self._beginning) and _chunk_framed(bytes(self._beginning)):
            yield Note("A20", "the body is in chunk framing")

    def outcome(self) -> Iterable[Note]:
        """What a server that is done with the request owed and did not do."""
        if self.closes or not self.returned:
            return
        if self.failed:
            yield Note("S14", "the iterable raised, and close() was not called")
        else:
            yield Note("S13", "close() of the iterable was not called")


def _chunk_framed(body: bytes) -> bool:
    """Whether the body is, to its last byte, a sequence of chunks with the last one at its end."""
    at = 0
    while match := _CHUNK_HEAD.match(body, at):
        size = int(match[1], 16)
        at = match.end() + size
        if size == 0:
            return body[at:] == b"\r\n"
        if body[at : at + 2] != b"\r\n":
            return False
        at += 2
    return False
