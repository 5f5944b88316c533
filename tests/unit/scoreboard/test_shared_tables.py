"""Shared tables: bounded, atomic over processes and threads, found by name in workers that never met."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from wsgikit.errors import ConfigError
from wsgikit.scoreboard.board import Scoreboard
from wsgikit.scoreboard.tables import DIRECTORY_BYTES, ENTRIES, WAYS, Table


@pytest.fixture
def board() -> Iterator[Scoreboard]:
    made = Scoreboard(slots=1, arena=1 << 20)
    yield made
    made.close()


def in_processes(count: int, work: Callable[[int], None]) -> list[int]:
    pids = []
    for number in range(count):
        pid = os.fork()
        if not pid:
            status = 1
            try:
                work(number)
                status = 0
            finally:
                os._exit(status)
        pids.append(pid)
    return [os.waitpid(pid, 0)[1] for pid in pids]


def test_rows_begin_at_zero_and_keep_what_was_written(board: Scoreboard) -> None:
    table = board.table("limits", rows=100, cells=3, kind="d")
    assert table.read(b"10.0.0.1") is None

    def change(row: memoryview) -> str:
        assert tuple(row) == (0.0, 0.0, 0.0)
        row[0], row[2] = 1.5, -2.25
        return "done"

    assert table.update(b"10.0.0.1", change) == "done"
    assert table.read(b"10.0.0.1") == (1.5, 0.0, -2.25)
    assert table.add(b"10.0.0.1", 0.5, cell=1) == 0.5
    assert len(table) == 1


def test_a_deleted_key_is_new_again(board: Scoreboard) -> None:
    table = board.table("t", rows=10, cells=1)
    table.add(b"k", 5)
    assert table.delete(b"k") is True
    assert table.delete(b"k") is False
    assert table.read(b"k") is None
    assert table.add(b"k", 1) == 1


def test_the_same_name_and_shape_is_the_same_table_and_another_shape_is_not(board: Scoreboard) -> None:
    table = board.table("t", rows=100, cells=1)
    table.add(b"k", 5)
    assert board.table("t", rows=100, cells=1).read(b"k") == (5,)
    assert board.table("t", rows=100, cells=2).read(b"k") is None
    assert board.table("t", rows=100, cells=1, kind="d").read(b"k") is None
    assert board.table("u", rows=100, cells=1).read(b"k") is None


def test_as_many_keys_as_asked_for_are_held(board: Scoreboard) -> None:
    table = board.table("t", rows=4000, cells=1)
    for number in range(4000):
        table.add(b"%d" % number, 1)
    held = sum(table.read(b"%d" % number) is not None for number in range(4000))
    assert held >= 3990
    assert held == len(table)


def test_a_full_table_forgets_the_stalest_rows_and_never_the_one_in_use(board: Scoreboard) -> None:
    table = board.table("t", rows=1, cells=1)  # one bucket
    for number in range(10 * WAYS):
        table.add(b"%d" % number, 1)
        table.add(b"in use", 1)
    assert table.read(b"in use") == (10 * WAYS,)
    assert len(table) == WAYS
    newest = [b"%d" % number for number in range(10 * WAYS - (WAYS - 1), 10 * WAYS)]
    assert [table.read(key) for key in newest] == [(1,)] * (WAYS - 1)


def test_the_place_of_a_forgotten_key_holds_nothing_of_it(board: Scoreboard) -> None:
    table = board.table("t", rows=1, cells=2)
    for number in range(3 * WAYS):
        assert table.add(b"%d" % number, 1, cell=number % 2) == 1


def test_a_digest_found_across_two_keys_is_no_match(board: Scoreboard) -> None:
    table = board.table("t", rows=1, cells=1)
    wanted = table._digest(b"wanted")
    table._write_key(0, b"x" * 8 + wanted[:8])
    table._write_key(1, wanted[8:] + b"x" * 8)
    assert table.read(b"wanted") is None
    table.add(b"wanted", 3)
    assert table.read(b"wanted") == (3,)


@pytest.mark.parametrize(("rows", "cells", "kind"), [(0, 1, "q"), (-1, 1, "q"), (1, 0, "q"), (1, 65, "q"), (1, 1, "i")])
def test_a_wrong_shape_says_what_is_allowed(board: Scoreboard, rows: int, cells: int, kind: str) -> None:
    with pytest.raises(ConfigError, match="cells 1-64 and kind 'q' or 'd' are allowed"):
        board.table("t", rows=rows, cells=cells, kind=kind)


def test_a_full_arena_names_the_option(board: Scoreboard) -> None:
    board.table("small", rows=10, cells=1)
    with pytest.raises(ConfigError, match=r"'large' needs \d+ bytes, \d+ are left: raise shared_memory"):
        board.table("large", rows=100_000, cells=8)
    assert board.table("other", rows=10, cells=1).add(b"k", 1) == 1


def test_the_directory_is_bounded() -> None:
    board = Scoreboard(slots=1, arena=ENTRIES * 2048)
    try:
        for number in range(ENTRIES):
            board.table(f"table {number}", rows=1, cells=1).add(b"k", number)
        with pytest.raises(ConfigError, match="no more are possible"):
            board.table("one more", rows=1, cells=1)
        values = [board.table(f"table {number}", rows=1, cells=1).read(b"k") for number in range(ENTRIES)]
        assert values == [(number,) for number in range(ENTRIES)]
    finally:
        board.close()


def test_tables_do_not_overlap() -> None:
    """Every byte of every table written: the directory and the neighbours stay as they were."""
    board = Scoreboard(slots=1, arena=200_000)
    tables = [board.table(f"t{number}", rows=1 + 40 * number, cells=1 + number) for number in range(5)]
    for number, table in enumerate(tables):
        table._values[:] = memoryview(bytes([number + 1]) * (len(table._values) * 8)).cast("q")
        table._stamps[:] = memoryview(bytes([number + 1]) * (len(table._stamps) * 8)).cast("q")
        board._memory[table._keys : table._keys + 16 * len(table._stamps)] = bytes([number + 1]) * (
            16 * len(table._stamps)
        )
    for number, table in enumerate(tables):
        pattern = int.from_bytes(bytes([number + 1]) * 8, "little")
        assert set(table._values) | set(table._stamps) == {pattern}
    assert board.table("t0", rows=1, cells=1) is tables[0]
    assert board.slot(0).read() == (0,) * 64
    board.close()
    assert DIRECTORY_BYTES == 64 * ENTRIES


def test_four_processes_that_make_a_table_after_the_fork_share_it(board: Scoreboard) -> None:
    def work(number: int) -> None:
        if number % 2:
            board.table("another first", rows=10, cells=1)
        table = board.table("hits", rows=1000, cells=1)
        for step in range(1000):
            table.add(b"all", 1)
            table.add(b"%d" % (step % 50), 1)

    assert in_processes(4, work) == [0, 0, 0, 0]
    table = board.table("hits", rows=1000, cells=1)
    assert table.read(b"all") == (4000,)
    assert [table.read(b"%d" % key) for key in range(50)] == [(80,)] * 50


def test_threads_in_processes_lose_no_update_and_meet_no_false_deadlock(board: Scoreboard) -> None:
    """Cells of a row agree: whoever looks in between is locked out."""

    def change(row: memoryview) -> None:
        assert row[0] == row[1]
        row[0] += 1
        row[1] += 1

    def hammer(table: Table, errors: list[BaseException]) -> None:
        try:
            for step in range(300):
                table.update(b"%d" % (step % 7), change)
        except BaseException as error:
            errors.append(error)

    def work(number: int) -> None:
        table = board.table("t", rows=1000, cells=2)
        errors: list[BaseException] = []
        threads = [threading.Thread(target=hammer, args=(table, errors)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors

    assert in_processes(4, work) == [0, 0, 0, 0]
    table = board.table("t", rows=1000, cells=2)
    rows = [table.read(b"%d" % key) or (0, 0) for key in range(7)]
    assert sum(row[0] for row in rows) == 4 * 4 * 300
    assert all(one == two for one, two in rows)


def test_a_process_killed_inside_an_update_gives_the_lock_back(board: Scoreboard) -> None:
    table = board.table("t", rows=10, cells=1)

    def die(row: memoryview) -> None:
        row[0] = 7
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_processes(1, lambda _: table.update(b"k", die)) == [signal.SIGKILL]
    assert table.add(b"k", 1) == 8


def test_an_update_that_raises_gives_the_lock_back(board: Scoreboard) -> None:
    table = board.table("t", rows=10, cells=1)
    with pytest.raises(ZeroDivisionError):
        table.update(b"k", lambda row: 1 // row[0])
    assert table.add(b"k", 1) == 1
    assert in_processes(1, lambda _: table.add(b"k", 1)) == [0]
    assert table.read(b"k") == (2,)


def test_an_update_inside_an_update_is_refused_at_once(board: Scoreboard) -> None:
    table = board.table("t", rows=10, cells=1)
    with pytest.raises(RuntimeError, match="already held by this thread"):
        table.update(b"k", lambda row: table.add(b"other", 1))
    assert table.add(b"k", 1) == 1


def test_a_child_forked_while_a_thread_holds_the_lock_can_still_use_it(board: Scoreboard) -> None:
    table = board.table("t", rows=10, cells=1)
    held, leave = threading.Event(), threading.Event()

    def hold(row: memoryview) -> None:
        held.set()
        leave.wait(10)

    thread = threading.Thread(target=table.update, args=(b"held", hold))
    thread.start()
    try:
        assert held.wait(10)

        def work(number: int) -> None:
            signal.alarm(5)  # a child that hangs dies
            board.table("t2", rows=10, cells=1).add(b"k", 1)

        assert in_processes(1, work) == [0]
    finally:
        leave.set()
        thread.join()


def test_exceptions_thrown_into_a_thread_never_leave_a_lock_behind(board: Scoreboard) -> None:
    """As the time limit of a request does it."""
    table = board.table("t", rows=10, cells=1)
    ended = threading.Event()

    class Interrupt(Exception):
        pass

    def loop() -> None:
        while not ended.is_set():
            try:
                while not ended.is_set():
                    table.add(b"k", 1)
            except Interrupt:
                pass

    thread = threading.Thread(target=loop)
    thread.start()
    throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
    try:
        for _ in range(100):
            before = table.read(b"k")
            throw(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(Interrupt))
            deadline = time.monotonic() + 5
            while table.read(b"k") == before and thread.is_alive() and time.monotonic() < deadline:
                pass
    finally:
        ended.set()
        thread.join(10)
    assert not thread.is_alive()

    def work(number: int) -> None:
        signal.alarm(5)
        table.add(b"k", 1)

    assert in_processes(1, work) == [0]
