"""Pipes between sockets: what is in one comes out, to one socket or as bytes, and a broken one is never used again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from wsgikit.workers import splice

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no splice(2)")
DATA = bytes(range(256)) * 1024


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        for sock in (here, there):
            sock.setblocking(False)
        yield here, there


@pytest.fixture
def pipe() -> Iterator[splice.Pipe]:
    taken = splice.take()
    assert taken is not None
    yield taken
    splice.give_back(taken)


def test_what_the_target_does_not_take_comes_back_as_bytes(pair, pipe) -> None:
    here, there = pair
    sent = here.send(DATA)
    target, reader = socket.socketpair()
    with target, reader:
        target.setblocking(False)
        target.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        count = pipe.fill(there.fileno(), len(DATA))
        rest = pipe.empty(target.fileno())
        assert rest
        assert pipe.held == 0
        assert reader.recv(len(DATA)) + rest == DATA[:count]
        assert count is not None
        assert 0 < count <= sent


def test_all_comes_back_where_the_target_is_broken(pair, pipe) -> None:
    here, there = pair
    here.send(b"some")
    target, reader = socket.socketpair()
    with target:
        reader.close()
        assert pipe.fill(there.fileno(), 100) == 4
        assert pipe.empty(target.fileno()) == b"some"


def test_nothing_yet_the_end_and_no_more_than_asked_for(pair, pipe) -> None:
    here, there = pair
    assert pipe.fill(there.fileno(), 100) is None
    here.send(b"some")
    assert pipe.fill(there.fileno(), 3) == 3
    assert pipe.empty(here.fileno()) == b""
    here.shutdown(socket.SHUT_WR)
    assert there.recv(10) == b"esom"
    assert pipe.fill(there.fileno(), 10**18) == 0


def test_what_splice_does_not_know_is_to_be_read(pipe) -> None:
    event = os.eventfd(1)
    try:
        assert pipe.fill(event, 8) is None
    finally:
        os.close(event)


def test_a_pipe_with_bytes_in_it_is_not_kept(pair) -> None:
    here, there = pair
    here.send(b"of another")
    pipe = splice.take()
    assert pipe is not None
    pipe.fill(there.fileno(), 100)
    splice.give_back(pipe)
    assert pipe not in splice._pipes


def test_small_pipes_are_not_worth_it(monkeypatch) -> None:
    monkeypatch.setattr(splice, "SIZE", 8192)
    monkeypatch.setattr(splice, "_pipes", type(splice._pipes)())
    before = len(os.listdir("/proc/self/fd"))
    assert splice.take() is None
    assert len(os.listdir("/proc/self/fd")) == before


FORKED = """
import os
from wsgikit.workers import splice

splice.give_back(splice.take())
before = len(os.listdir("/proc/self/fd"))
if not os.fork():
    print(len(splice._pipes), len(os.listdir("/proc/self/fd")) - before, flush=True)
    os._exit(0)
os.wait()
print(len(splice._pipes))
"""


def test_a_child_process_has_pipes_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout, done.stderr) == ("0 -2\n1\n", "")
