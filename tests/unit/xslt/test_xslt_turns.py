"""Turns: as many at once as there are places, in the order of coming, and nobody waits for one that takes long."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from typing import Any

import pytest

from wsgikit.middleware.xslt.turns import Turns

LONG = 60.0


class Runner:
    """A thread that takes a turn and keeps it until it is told."""

    def __init__(self, turns: Turns, order: list[int], number: int = 0) -> None:
        self.inside = threading.Event()
        self.leave = threading.Event()
        self._turns, self._order, self._number = turns, order, number
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with self._turns.turn():
            self._order.append(self._number)
            self.inside.set()
            assert self.leave.wait(30)

    def end(self) -> None:
        self.leave.set()
        self.thread.join(30)
        assert not self.thread.is_alive()


def waiting(turns: Turns, count: int) -> None:
    """Wait until so many wait."""
    pause = threading.Event()
    for _ in range(3000):
        if len(turns._waiting) == count:
            return
        pause.wait(0.01)
    raise AssertionError(f"{len(turns._waiting)} wait, not {count}")


def test_as_many_at_once_as_there_are_places_and_then_in_their_order() -> None:
    turns, order = Turns(2, LONG), []
    runners = []
    for number in range(5):
        runners.append(Runner(turns, order, number))
        if number < 2:
            assert runners[number].inside.wait(30)
        else:
            waiting(turns, number - 1)
    assert order == [0, 1]
    for number, runner in enumerate(runners):
        assert runner.inside.wait(30)
        assert order == list(range(min(number + 2, 5)))
        runner.end()
        if number + 2 < 5:
            assert runners[number + 2].inside.wait(30)
    assert turns._free == 2


def test_one_that_takes_long_keeps_nobody_waiting() -> None:
    turns, order = Turns(1, 0.01), []
    slow = Runner(turns, order, 1)
    assert slow.inside.wait(30)
    others = [Runner(turns, order, number) for number in (2, 3)]
    for other in others:
        assert other.inside.wait(30)
    assert not slow.leave.is_set()
    for runner in (*others, slow):
        runner.end()
    assert turns._free == 1
    assert not turns._began


def test_a_thread_that_has_a_turn_needs_no_other() -> None:
    turns = Turns(1, LONG)
    with turns.turn(), turns.turn():
        pass
    with turns.turn():
        assert turns._free == 0
    assert turns._free == 1


def test_a_turn_ends_with_an_error_too() -> None:
    turns = Turns(1, LONG)
    with pytest.raises(KeyError), turns.turn():
        raise KeyError
    assert (turns._free, turns._began) == (1, {})


def test_after_a_fork_all_places_are_free() -> None:
    from wsgikit.middleware.xslt import turns as module

    holding = [Runner(module.turns, []) for _ in range(module.turns._count)]
    for runner in holding:
        assert runner.inside.wait(30)
    module.turns._lock.acquire()  # somebody is in the middle of it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads at a fork, which is what this is about
        child = os.fork()
    if not child:
        status = 1
        try:
            signal.alarm(20)
            with module.turns.turn():
                status = 0
        finally:
            os._exit(status)
    module.turns._lock.release()
    for runner in holding:
        runner.end()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_transformations_take_turns(bench: Any, monkeypatch: Any) -> None:
    """The engine's own, seen from a stylesheet that asks for a document while it runs."""
    from wsgikit.middleware.xslt import lxml_engine

    turns = Turns(1, LONG)
    monkeypatch.setattr(lxml_engine, "turns", turns)
    seen: list[int] = []

    class Space(lxml_engine.Reader):
        def resolve(self, *arguments: Any) -> Any:
            seen.append(turns._free)
            return super().resolve(*arguments)

    monkeypatch.setattr(lxml_engine, "Reader", Space)
    bench.put("other.xml", "<other>x</other>")
    path = bench.sheet('<xsl:template match="/"><a><xsl:copy-of select="document(\'other.xml\')"/></a></xsl:template>')
    assert b"<other>x</other>" in bench.run(path).body
    assert seen[-1] == 0
    assert turns._free == 1
