"""The output queue: order, limits, and files, with a socket that takes as little as the test likes."""

from __future__ import annotations

import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.workers.output import Output


class Sink:
    """Takes `appetite` bytes a call, nothing when that is used up."""

    def __init__(self) -> None:
        self.taken = b""
        self.appetite = 0

    def send(self, data: memoryview) -> int:
        count = min(len(data), self.appetite)
        self.taken += bytes(data[:count])
        self.appetite -= count
        return count

    def send_file(self, fd: int, offset: int, left: int) -> int:
        return self.send(memoryview(os.pread(fd, left, offset)))


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=12),
    st.lists(st.integers(0, 30), max_size=40),
    st.integers(0, 50),
    st.integers(0, 100),
)
def test_what_goes_in_comes_out_in_order(blocks: list[bytes], meals: list[int], memory: int, spool: int) -> None:
    output, sink = Output(memory, spool, ""), Sink()
    for number, block in enumerate(blocks):
        output.add(block)
        sink.appetite = meals[number % len(meals)] if meals else 0
        output.drain(sink.send, sink.send_file)
    sink.appetite = 10**9
    output.drain(sink.send, sink.send_file)
    assert sink.taken == b"".join(blocks)
    assert not output
    assert (output.waiting, output.spooled) == (0, 0)


def test_memory_first_then_the_file_then_no_room() -> None:
    output = Output(10, 10, "")
    output.add(b"0123456789")
    assert output.room()
    assert (output.waiting, output.spooled) == (10, 0)
    output.add(b"0123456789")
    assert (output.waiting, output.spooled) == (10, 10)
    assert not output.room()
    output.clear()
    assert not output


def test_parts_of_files_keep_their_place_and_are_closed() -> None:
    output, sink = Output(100, 100, ""), Sink()
    with tempfile.TemporaryFile() as file:
        file.write(b"abcdefghij")
        file.flush()
        duplicate = os.dup(file.fileno())
    output.add(b"before ")
    output.add_file(duplicate, 2, 5)
    output.add(b" after")
    sink.appetite = 10
    output.drain(sink.send, sink.send_file)
    sink.appetite = 100
    output.drain(sink.send, sink.send_file)
    assert sink.taken == b"before cdefg after"
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(duplicate)


def test_a_disk_without_room_means_memory_and_holding_back() -> None:
    output = Output(4, 100, "/nonexistent/folder")
    output.add(b"0123")
    output.add(b"4567")
    assert not output.room()
    sink = Sink()
    sink.appetite = 100
    output.drain(sink.send, sink.send_file)
    assert sink.taken == b"01234567"
