"""A body on its way from the thread that reads a connection to the one that runs the app."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.errors import Disconnected, LimitError, ProtocolError
from wsgikit.protocols.fastcgi_input import BodyQueue


def make(memory: int = 100, limit: int = 0, length: int | None = None) -> BodyQueue:
    return BodyQueue(memory=memory, folder="", limit=limit, length=length)


def rest(queue: BodyQueue) -> bytes:
    blocks = []
    while block := queue.get(5):
        blocks.append(block)
    return b"".join(blocks)


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=90), st.none()), max_size=30))
def test_order_holds_through_memory_and_file(steps) -> None:
    queue, put, got = make(memory=100), b"", b""
    for block in steps:
        if block is None:
            got += queue.get(0) or b""
        else:
            queue.put(block)
            put += block
    queue.end()
    assert got + rest(queue) == put
    queue.close()


def test_the_file_is_let_go_when_the_reader_has_caught_up() -> None:
    queue = make(memory=10)
    for _ in range(3):
        queue.put(b"x" * 50)
        assert queue._file is not None
        assert queue.get(0) == b"x" * 50
        assert queue._file is None
    queue.close()


def test_a_reader_waits_for_the_writer() -> None:
    queue = make()
    assert queue.get(0.01) is None
    found = []
    reader = threading.Thread(target=lambda: found.append(rest(queue)))
    reader.start()
    queue.put(b"a")
    queue.put(b"b")
    queue.end()
    reader.join(5)
    assert found == [b"ab"]


def test_what_is_wrong_is_raised_after_what_was_right() -> None:
    cases = [
        (make(length=5), "incomplete-body", ProtocolError),
        (make(length=2), "body-too-long", ProtocolError),
        (make(limit=2), "body-too-large", LimitError),
    ]
    for queue, code, kind in cases:
        queue.put(b"ab")
        queue.put(b"c")
        queue.end()
        assert queue.get(0) == b"ab"
        if code == "incomplete-body":
            assert queue.get(0) == b"c"
        with pytest.raises(kind, match=code):
            queue.get(0)
        queue.close()


def test_an_abort_reaches_a_reader_that_waits() -> None:
    queue, raised = make(), []

    def read() -> None:
        try:
            queue.get(10)
        except Disconnected as error:
            raised.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    queue.fail(Disconnected("aborted"))
    reader.join(5)
    assert raised
    queue.put(b"late")
    assert queue.received == 0


def test_a_full_disk_is_the_reader_s_to_know(tmp_path) -> None:
    queue = BodyQueue(memory=1, folder=str(tmp_path / "none"), limit=0, length=None)
    queue.put(b"too much for memory")
    with pytest.raises(OSError, match="No such file"):
        queue.get(0)
