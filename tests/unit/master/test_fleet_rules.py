"""The rules of a fleet over fake children and a fake clock: replacement, back-off, retirement, deadlines, wedges."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from wsgikit.master.fleet import Child, Fleet
from wsgikit.master.settings import GroupSettings, MasterSettings
from wsgikit.scoreboard import Scoreboard
from wsgikit.scoreboard.cells import HEARTBEAT, READY, RETIRING, STATE, STOPPED


class FakeCrew:
    """Makes children that are only slots, and remembers what was sent to whom."""

    def __init__(self) -> None:
        self.board = Scoreboard(slots=32, arena=4096)
        self.now = 1000.0
        self.pids = 0
        self.sent: list[tuple[int, int]] = []
        self.full = False

    def launch(self, fleet: Fleet) -> Child | None:
        slot = None if self.full else self.board.claim()
        if slot is None:
            return None
        self.pids += 1
        return Child(self.pids, slot, -1, self.now)

    def send(self, child: Child, signum: int) -> None:
        self.sent.append((child.pid, signum))


class Scene:
    """A fleet and the hands that move its children."""

    def __init__(self, crew: FakeCrew, workers: int = 2, **settings: float) -> None:
        self.crew = crew
        self.fleet = Fleet(GroupSettings(workers=workers), MasterSettings(**settings), crew)  # type: ignore[arg-type]

    def tend(self, seconds: float = 0.0) -> None:
        self.crew.now += seconds
        self.fleet.tend(self.crew.now)

    def ready(self, *pids: int) -> None:
        for child in self.fleet.children:
            if child.pid in pids or not pids:
                child.slot.cells[STATE] = READY
        self.tend()

    def child(self, pid: int) -> Child:
        return next(child for child in self.fleet.children if child.pid == pid)

    def retire(self, pid: int) -> None:
        self.child(pid).slot.cells[STATE] = RETIRING

    def beat(self, pid: int, value: int) -> None:
        self.child(pid).slot.cells[HEARTBEAT] = value

    def gone(self, pid: int) -> float:
        child = self.child(pid)
        self.crew.board.release(child.slot)
        return self.fleet.gone(child, self.crew.now)

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in self.fleet.children]

    def sent(self) -> list[tuple[int, int]]:
        taken, self.crew.sent = self.crew.sent, []
        return taken


@pytest.fixture
def crew() -> Iterator[FakeCrew]:
    made = FakeCrew()
    yield made
    made.board.close()


def test_as_many_as_wanted_are_started_and_ready_means_all_of_them(crew: FakeCrew) -> None:
    scene = Scene(crew, workers=3)
    scene.tend()
    assert scene.pids == [1, 2, 3]
    scene.ready(1, 2)
    assert not scene.fleet.is_ready
    scene.ready(3)
    assert scene.fleet.is_ready
    scene.tend(5)
    assert scene.pids == [1, 2, 3]
    assert scene.sent() == []


def test_a_crash_after_a_while_is_replaced_at_once(crew: FakeCrew) -> None:
    scene = Scene(crew)
    scene.tend()
    scene.ready()
    scene.tend(60)
    assert scene.gone(1) == 0.0
    scene.tend()
    assert scene.pids == [2, 3]


def test_workers_that_die_at_once_come_back_ever_more_slowly(crew: FakeCrew) -> None:
    scene = Scene(crew, workers=1)
    delays = []
    for number in range(1, 12):
        scene.tend()
        scene.ready(number)
        delays.append(scene.gone(number))
        scene.tend(delays[-1] - 0.01 if delays[-1] else -0.01)
        if delays[-1]:
            assert scene.pids == [], "not before the delay is over"
        crew.now += 0.02
    assert delays == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0, 15.0]


def test_a_start_that_fails_is_not_repeated_at_once(crew: FakeCrew) -> None:
    scene = Scene(crew, workers=1)
    scene.tend()
    assert scene.gone(1) == 0.25
    scene.tend(0.24)
    assert scene.pids == []
    assert scene.fleet.patience(crew.now) <= 0.051
    scene.tend(0.02)
    assert scene.pids == [2]


def test_one_worker_that_lived_ends_the_back_off(crew: FakeCrew) -> None:
    scene = Scene(crew, workers=1)
    for number in range(1, 5):
        scene.tend(20)
        scene.gone(number)
    assert scene.fleet.failures == 4
    scene.tend(20)
    scene.ready()
    scene.tend(2)
    assert scene.gone(5) == 0.0
    assert scene.fleet.failures == 0


def test_a_retiring_worker_goes_when_its_successor_is_ready(crew: FakeCrew) -> None:
    scene = Scene(crew)
    scene.tend()
    scene.ready()
    scene.retire(2)
    scene.tend()
    assert scene.pids == [1, 2, 3]
    assert scene.sent() == []
    scene.tend(3)
    assert scene.pids == [1, 2, 3], "one successor, not one more at each look"
    scene.ready(3)
    assert scene.sent() == [(2, signal.SIGTERM)]
    scene.tend(1)
    assert scene.sent() == []
    assert scene.gone(2) == 0.0
    scene.tend()
    assert scene.pids == [1, 3]


def test_workers_that_retire_together_are_replaced_one_after_the_other(crew: FakeCrew) -> None:
    scene = Scene(crew, workers=3)
    scene.tend()
    scene.ready()
    for pid in (1, 2, 3):
        scene.retire(pid)
    for successor in (4, 5, 6):
        scene.tend()
        assert len([child for child in scene.fleet.children if child.leave_by is None]) == 4
        scene.ready(successor)
        [(left, _)] = scene.sent()
        assert left == successor - 3
        scene.gone(left)
    scene.tend()
    assert scene.pids == [4, 5, 6]


def test_a_retiring_worker_stays_while_its_successor_cannot_start(crew: FakeCrew) -> None:
    scene = Scene(crew, workers=1)
    scene.tend()
    scene.ready()
    scene.tend(10)
    scene.retire(1)
    for number in range(2, 6):
        scene.tend(20)
        scene.gone(number)
    assert scene.pids == [1]
    assert scene.sent() == []


def test_a_retiring_worker_that_crashes_is_simply_replaced(crew: FakeCrew) -> None:
    scene = Scene(crew)
    scene.tend()
    scene.ready()
    scene.tend(5)
    scene.retire(1)
    scene.tend()
    scene.gone(1)
    scene.ready(3)
    assert scene.pids == [2, 3]
    assert scene.sent() == []


def test_a_worker_that_does_not_leave_is_killed_after_its_deadline(crew: FakeCrew) -> None:
    scene = Scene(crew, workers=1, graceful_timeout=30)
    scene.tend()
    scene.ready()
    scene.fleet.leave(crew.now, signal.SIGTERM, 30)
    assert scene.sent() == [(1, signal.SIGTERM)]
    scene.tend(30.9)
    assert scene.sent() == []
    assert 0 < scene.fleet.patience(crew.now) < 0.11
    scene.tend(0.2)
    assert scene.sent() == [(1, signal.SIGKILL)]
    scene.tend(5)
    assert scene.sent() == []
    scene.gone(1)
    scene.tend()
    assert scene.pids == []


def test_a_second_more_urgent_order_is_passed_on_and_a_less_urgent_one_is_not(crew: FakeCrew) -> None:
    scene = Scene(crew, workers=1)
    scene.tend()
    scene.ready()
    scene.fleet.leave(crew.now, signal.SIGTERM, 30)
    scene.fleet.leave(crew.now, signal.SIGTERM, 30)
    scene.fleet.leave(crew.now, signal.SIGINT, 2)
    assert scene.sent() == [(1, signal.SIGTERM), (1, signal.SIGINT)]


def test_those_that_still_load_are_told_first(crew: FakeCrew) -> None:
    scene = Scene(crew, workers=3)
    scene.tend()
    scene.ready(1, 3)
    scene.fleet.leave(crew.now, signal.SIGTERM, 30)
    assert [pid for pid, _ in scene.sent()] == [2, 1, 3]


def test_a_heartbeat_that_stands_still_ends_the_worker(crew: FakeCrew) -> None:
    scene = Scene(crew, worker_timeout=10)
    scene.tend()
    scene.ready()
    for second in range(12):
        scene.beat(1, second + 1)
        scene.beat(2, 77)
        scene.tend(1)
    assert scene.sent() == [(2, signal.SIGABRT)]
    assert scene.pids == [1, 2, 3], "its successor is on the way"
    scene.tend(1.1)
    assert scene.sent() == [(2, signal.SIGKILL)]


def test_a_machine_that_slept_does_not_find_its_workers_wedged(crew: FakeCrew) -> None:
    scene = Scene(crew, worker_timeout=10)
    scene.tend()
    scene.ready()
    scene.beat(1, 5)
    scene.beat(2, 5)
    scene.tend(1)
    scene.tend(3600)
    assert scene.sent() == []


@pytest.mark.parametrize(("timeout", "beat"), [(0.0, 5), (10.0, 0)])
def test_no_limit_or_no_heartbeat_means_no_watching(crew: FakeCrew, timeout: float, beat: int) -> None:
    scene = Scene(crew, worker_timeout=timeout)
    scene.tend()
    scene.ready()
    scene.beat(1, beat)
    for _ in range(100):
        scene.tend(1)
    assert scene.sent() == []


def test_a_worker_that_never_gets_ready_is_given_up(crew: FakeCrew) -> None:
    scene = Scene(crew, workers=1, start_timeout=20)
    scene.tend()
    scene.tend(19)
    assert scene.sent() == []
    scene.tend(2)
    assert scene.sent() == [(1, signal.SIGABRT)]
    patient = Scene(crew, workers=1, start_timeout=0)
    patient.tend()
    patient.tend(10_000)
    assert patient.sent() == []


def test_a_worker_that_stopped_by_itself_is_replaced_with_back_off_even_if_it_lingers(crew: FakeCrew) -> None:
    scene = Scene(crew, workers=1, graceful_timeout=30)
    scene.tend()
    for number, delay in ((1, 0.0), (2, 0.25), (3, 0.5)):
        scene.child(number).slot.cells[STATE] = STOPPED
        scene.tend()
        if delay:
            assert scene.pids == list(range(1, number + 1)), "no loop of forks"
            scene.tend(delay + 0.01)
        assert scene.pids == list(range(1, number + 2))
    assert scene.sent() == []
    scene.tend(31)
    assert scene.sent() == [(1, signal.SIGKILL), (2, signal.SIGKILL), (3, signal.SIGKILL)]
    assert scene.gone(1) == 0.0
    assert scene.fleet.failures == 3, "counted once"


def test_resizing_keeps_one_and_lets_the_oldest_go(crew: FakeCrew) -> None:
    scene = Scene(crew, workers=2)
    scene.tend()
    scene.ready()
    scene.fleet.resize(+1)
    scene.tend()
    scene.ready()
    assert scene.pids == [1, 2, 3]
    for _ in range(5):
        scene.fleet.resize(-1)
    scene.tend()
    assert scene.fleet.target == 1
    assert scene.sent() == [(1, signal.SIGTERM), (2, signal.SIGTERM)]


def test_a_full_scoreboard_is_tried_again_later(crew: FakeCrew) -> None:
    scene = Scene(crew)
    crew.full = True
    scene.tend()
    crew.full = False
    scene.tend(0.5)
    assert scene.pids == []
    scene.tend(0.6)
    assert scene.pids == [1, 2]


def test_a_preloader_is_one_child_with_more_time_to_leave(crew: FakeCrew) -> None:
    fleet = Fleet(GroupSettings(workers=8), MasterSettings(), crew, preloads=True)
    fleet.tend(crew.now)
    assert len(fleet.children) == 1
    fleet.leave(crew.now, signal.SIGTERM, 30)
    assert fleet.children[0].leave_by == crew.now + 32


def test_patience_is_short_only_while_something_is_expected(crew: FakeCrew) -> None:
    scene = Scene(crew)
    scene.tend()
    assert scene.fleet.patience(crew.now) == 0.05
    scene.ready()
    assert scene.fleet.patience(crew.now) == 1.0


def test_a_report_is_read_once_and_its_pipe_closed(crew: FakeCrew) -> None:
    read, write = os.pipe()
    os.set_blocking(read, False)
    slot = crew.board.claim()
    assert slot is not None
    child = Child(1, slot, read, 0.0)
    os.write(write, "Traceback: ä".encode() + b"\xff")
    assert child.read_report() == "Traceback: ä\ufffd"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(read)
    os.close(write)
