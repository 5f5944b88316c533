"""close() and callbacks run exactly once, in order and in the app's thread, however a response ends (PEP 3333)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from paper_link import PaperLink

from wsgikit.protocols import Action
from wsgikit.workers.pause import Pause
from wsgikit.wsgi.respond import RequestTimeout

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Body:
    """An iterable that is not its own iterator, and notes its end."""

    def __init__(self, notes: list[str], blocks: Callable[[], Iterator[Any]]) -> None:
        self.notes = notes
        self.blocks = blocks
        self.thread = threading.get_ident()

    def __iter__(self) -> Iterator[Any]:
        return self.blocks()

    def close(self) -> None:
        self.notes.append("close" if threading.get_ident() == self.thread else "another thread")


def raising(error: BaseException) -> Callable[[], Iterator[bytes]]:
    def blocks() -> Iterator[bytes]:
        yield b"begun"
        raise error

    return blocks


def early(error: BaseException) -> Callable[[], Iterator[bytes]]:
    def blocks() -> Iterator[bytes]:
        raise error
        yield b""

    return blocks


def refusing() -> Iterator[bytes]:
    raise TypeError("not to be iterated")


WHOLE: list[tuple[str, str]] = []
CASES: dict[str, tuple[str, list[tuple[str, str]], Callable[[], Iterator[Any]]]] = {
    "whole": ("200 OK", WHOLE, lambda: iter([b"a", b"", b"b"])),
    "empty": ("200 OK", WHOLE, lambda: iter([])),
    "no content": ("204 No Content", WHOLE, lambda: iter([b"a"])),
    "not modified": ("304 Not Modified", WHOLE, lambda: iter([b"a"])),
    "too short": ("200 OK", [("Content-Length", "9")], lambda: iter([b"a"])),
    "too long": ("200 OK", [("Content-Length", "1")], lambda: iter([b"abc", b"d"])),
    "not bytes": ("200 OK", WHOLE, lambda: iter(["text"])),
    "not bytes, late": ("200 OK", WHOLE, lambda: iter([b"a", 5])),
    "bad header": ("200 OK", [("A", "b\r\nc: d")], lambda: iter([b"a"])),
    "bad status": ("200", [("A", "b")], lambda: iter([b"a"])),
    "fails late": ("200 OK", WHOLE, raising(ValueError("on purpose"))),
    "fails early": ("200 OK", WHOLE, early(ValueError("on purpose"))),
    "exits": ("200 OK", WHOLE, raising(SystemExit(1))),
    "is not iterable": ("200 OK", WHOLE, refusing),
    "times out": ("200 OK", WHOLE, raising(RequestTimeout())),
    "stops": ("200 OK", WHOLE, early(StopIteration())),
    "recurses": ("200 OK", WHOLE, early(RecursionError())),
    "runs out of memory": ("200 OK", WHOLE, early(MemoryError())),
}


@pytest.mark.parametrize("timeout", [0.0, 30.0], ids=["", "watched"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("when", ["call", "iteration"])
@pytest.mark.parametrize("case", CASES)
def test_close_runs_once_however_it_ends(case: str, when: str, method: bytes, timeout: float) -> None:
    status, headers, blocks = CASES[case]
    notes: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
        environ["wsgikit.on_close"](lambda: notes.append("callback"))

        def later() -> Iterator[Any]:
            start_response(status, headers)
            yield from blocks()

        if when == "iteration":
            return Body(notes, later)
        try:
            start_response(status, headers)
        except ValueError:
            notes.append("refused")
        return Body(notes, blocks)

    link = PaperLink(app, strikes=10**6 if timeout else 0, timeout=timeout)
    link.take(GET.replace(b"GET", method, 1))
    assert [note for note in notes if note != "refused"] == ["close", "callback"]
    assert link.sent.count(b"HTTP/1.1") <= 1
    if method == b"HEAD" or case in ("no content", "not modified"):
        assert link.sent == b"" or link.sent.endswith(b"\r\n\r\n")


def test_close_runs_when_the_client_has_gone() -> None:
    notes: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
        start_response("200 OK", [])

        def blocks() -> Iterator[bytes]:
            yield b"a"
            link.aborted = True
            try:
                yield b"b"
            except BaseException as error:  # a generator sees GeneratorExit; the client's leaving is not thrown into it
                notes.append(type(error).__name__)
                raise

        return Body(notes, blocks)

    link = PaperLink(app)
    assert link.take(GET) == Action.CLOSE
    assert notes in (["close", "GeneratorExit"], ["GeneratorExit", "close"])


def test_close_that_fails_does_not_keep_callbacks_from_running_nor_the_client_from_its_answer() -> None:
    notes: list[str] = []

    class Failing(Body):
        def close(self) -> None:
            super().close()
            raise ValueError("on purpose")

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
        environ["wsgikit.on_close"](lambda: 1 // 0)
        environ["wsgikit.on_close"](lambda: notes.append("callback"))
        start_response("200 OK", [("Content-Length", "1")])
        return Failing(notes, lambda: iter([b"a"]))

    link = PaperLink(app)
    assert link.take(GET) == Action.READ
    assert notes == ["close", "callback"]
    assert link.sent.endswith(b"\r\n\r\na")


def test_what_is_returned_after_a_takeover_is_closed() -> None:
    notes: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
        environ["wsgikit.takeover"]("101 Switching Protocols", [("Upgrade", "x")])
        return Body(notes, lambda: iter([]))

    link = PaperLink(app)
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    assert link.take(request) == Action.TAKEN
    assert notes == ["close"]
    assert link.sent.count(b"HTTP/1.1") == 1


def test_an_app_that_waits_for_its_deadline_in_close_is_left_alone_until_then() -> None:
    notes: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
        start_response("200 OK", [])
        link.protocol.exchange.deadline = time.monotonic() - 1
        link.protocol.give_up()
        return Body(notes, lambda: iter([b"late"]))

    link = PaperLink(app, strikes=10**6)
    assert link.take(GET) == Action.LINGER
    assert link.sent.startswith(b"HTTP/1.1 504 ")
    assert b"late" not in link.sent
    assert notes == ["close"]


def test_an_app_that_pauses_just_as_its_deadline_strikes_is_closed_at_once() -> None:
    """The 504 is out, and the exception was taken back: there is nobody to wait for."""
    notes: list[str] = []

    def blocks() -> Iterator[bytes]:
        link.pauses.fd = 0  # a wish
        yield b""
        notes.append("asked again")

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
        return Body(notes, blocks)

    link = PaperLink(app, strikes=3, timeout=1.0)  # as it leaves its first block
    link.pauses = Pause()
    assert link.take(GET) != Action.PAUSE
    assert link.sent.startswith(b"HTTP/1.1 504")
    assert notes == ["close"]
