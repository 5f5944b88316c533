"""Slots: claimed, written by one worker, read by all, given back without losing what was counted."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from wsgikit import scoreboard
from wsgikit.scoreboard import cells
from wsgikit.scoreboard.board import Scoreboard, Slot


@pytest.fixture
def board() -> Iterator[Scoreboard]:
    made = Scoreboard(slots=4, arena=4096)
    yield made
    made.close()


def dead_pid() -> int:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def test_a_claimed_slot_is_fresh_and_starting(board: Scoreboard) -> None:
    slot = board.claim("shop")
    assert slot is not None
    assert slot.cells[cells.STATE] == cells.STARTING
    assert slot.cells[cells.GENERATION] == 1
    assert slot.group == "shop"
    assert len(slot.cells) == cells.CELLS
    assert [live.index for live in board.live()] == [slot.index]


def test_a_respawn_gets_the_slot_with_the_next_generation_and_no_old_numbers(board: Scoreboard) -> None:
    first = board.claim("shop")
    assert first is not None
    first.cells[cells.CONNECTIONS] = 7
    first.cells[cells.REQUESTS] = 100
    board.release(first)
    second = board.claim("a group whose name is far longer than the label of a slot")
    assert second is not None
    assert second.index == first.index
    assert second.cells[cells.GENERATION] == 2
    assert second.cells[cells.CONNECTIONS] == second.cells[cells.REQUESTS] == 0
    assert second.group == "a group whose name is far longer"


def test_totals_never_go_back_when_a_worker_leaves(board: Scoreboard) -> None:
    one, two = board.claim(), board.claim()
    assert one is not None
    assert two is not None
    one.cells[cells.REQUESTS], two.cells[cells.REQUESTS] = 30, 12
    one.cells[cells.CONNECTIONS], two.cells[cells.CONNECTIONS] = 5, 2
    assert board.totals()[cells.REQUESTS] == 42
    assert board.totals()[cells.CONNECTIONS] == 7
    board.release(one)
    assert board.totals()[cells.REQUESTS] == 42
    assert board.totals()[cells.CONNECTIONS] == 2


def test_no_slot_is_given_twice_and_a_full_board_says_so(board: Scoreboard) -> None:
    slots = [board.claim() for _ in range(4)]
    assert sorted(slot.index for slot in slots if slot is not None) == [0, 1, 2, 3]
    assert board.claim() is None


def test_a_slot_that_nobody_released_is_taken_over_when_its_worker_is_gone(board: Scoreboard) -> None:
    slots = [board.claim() for _ in range(4)]
    lost = slots[2]
    assert lost is not None
    lost.cells[cells.PID] = dead_pid()
    lost.cells[cells.REQUESTS] = 9
    again = board.claim()
    assert again is not None
    assert again.index == lost.index
    assert again.cells[cells.GENERATION] == 2
    assert board.totals()[cells.REQUESTS] == 9


def test_a_sweep_releases_the_slots_of_processes_that_are_gone(board: Scoreboard) -> None:
    gone, here, unborn = board.claim(), board.claim(), board.claim()
    assert gone is not None
    assert here is not None
    assert unborn is not None
    gone.cells[cells.PID], here.cells[cells.PID] = dead_pid(), os.getpid()
    gone.cells[cells.REQUESTS] = 3
    board.sweep()
    assert [slot.index for slot in board.live()] == [here.index, unborn.index]
    assert board.totals()[cells.REQUESTS] == 3


class Watched:
    """A slot's cells, read by somebody else after each thing that is written."""

    def __init__(self, values: list[int]) -> None:
        self.values = values
        self.seen: list[tuple[int, ...]] = []

    def __getitem__(self, place: int) -> int:
        return self.values[place]

    def __setitem__(self, place: int, value: int) -> None:
        self.values[place] = value
        self.seen.append(Slot(0, self.values).read())  # type: ignore[arg-type]


def test_nobody_sees_a_ready_worker_whose_slot_is_being_emptied(board: Scoreboard) -> None:
    watched = Watched([0] * cells.CELLS)
    watched.values[cells.PID], watched.values[cells.STATE] = 4711, cells.READY
    board.release(Slot(0, watched))  # type: ignore[arg-type]
    assert {line[cells.STATE] for line in watched.seen} == {cells.STOPPED, cells.FREE}
    assert watched.values[cells.PID] == 0


class Emptied(list[int]):
    """Cells that are emptied while they are read, after the first two."""

    def __iter__(self) -> Iterator[int]:
        for place in range(len(self)):
            if place == 2:
                self[cells.STATE] = cells.STOPPED
            yield self[place]


def test_a_line_that_is_emptied_while_it_is_read_is_read_again() -> None:
    line = Emptied([0] * cells.CELLS)
    line[cells.STATE] = cells.READY
    assert Slot(0, line).read()[cells.STATE] == cells.STOPPED  # type: ignore[arg-type]


def test_a_release_that_was_cut_short_does_not_block_readers(board: Scoreboard) -> None:
    slot = board.claim()
    assert slot is not None
    board._header[0] |= 1  # as a master killed inside a release leaves it
    assert board.totals()[cells.REQUESTS] == 0
    board.release(slot)
    assert not board._header[0] & 1


def test_a_child_writes_and_the_parent_reads(board: Scoreboard) -> None:
    slot = board.claim()
    assert slot is not None
    pid = os.fork()
    if not pid:
        slot.cells[cells.PID] = os.getpid()
        slot.cells[cells.REQUESTS] = -(2**63)
        slot.cells[cells.STATE] = cells.READY
        os._exit(0)
    os.waitpid(pid, 0)
    values = slot.read()
    assert values[cells.PID] == pid
    assert values[cells.REQUESTS] == -(2**63)
    assert cells.STATE_NAMES[values[cells.STATE]] == "ready"


def test_four_processes_claim_and_release_without_losing_a_count() -> None:
    board = Scoreboard(slots=8, arena=4096)
    rounds, pids = 200, []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            status = 1
            try:
                for _ in range(rounds):
                    slot = board.claim()
                    assert slot is not None
                    slot.cells[cells.PID] = os.getpid()
                    slot.cells[cells.REQUESTS] = 1
                    board.release(slot)
                status = 0
            finally:
                os._exit(status)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0, 0]
    assert board.totals()[cells.REQUESTS] == 4 * rounds
    assert list(board.live()) == []
    board.close()


def test_the_current_board_is_the_installed_one_or_a_private_one() -> None:
    board = Scoreboard(slots=1, arena=4096)
    before = scoreboard.install(board)
    try:
        assert scoreboard.current() is board
        assert scoreboard.install(None) is board
        private = scoreboard.current()
        assert private is not board
        assert private is scoreboard.current()
        assert private.table("t", rows=10, cells=1).add(b"key", 2) == 2
        assert private.claim() is not None
        private.close()
    finally:
        scoreboard.install(before)
        board.close()
