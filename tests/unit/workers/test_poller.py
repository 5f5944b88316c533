"""Both pollers keep the same promise: one report for each arming, from whichever thread it is asked for."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from wsgikit.workers.poller import READ, WRITE, Poller, make_poller

KINDS = ["selectors", pytest.param("epoll", marks=pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux"))]


@pytest.fixture(params=KINDS)
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    made = make_poller(request.param)
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def test_a_descriptor_is_reported_once(poller: Poller, pair) -> None:
    here, there = pair
    poller.add(here.fileno(), READ)
    there.send(b"x")
    assert [fd for fd, _ in poller.wait(2)] == [here.fileno()]
    assert poller.wait(0.02) == []
    poller.arm(here.fileno(), READ)
    assert [fd for fd, _ in poller.wait(2)] == [here.fileno()]


def test_arming_from_another_thread_wakes_the_one_that_waits(poller: Poller, pair) -> None:
    here, _ = pair
    poller.add(here.fileno(), 0)
    timer = threading.Timer(0.05, poller.arm, (here.fileno(), WRITE))
    timer.start()
    found: list[tuple[int, int]] = []
    for _ in range(3):  # a wake-up may return nothing
        found = found or poller.wait(2)
    timer.join()
    assert found[0][0] == here.fileno()
    assert found[0][1] & WRITE


def test_a_hang_up_is_reported(poller: Poller, pair) -> None:
    here, there = pair
    poller.add(here.fileno(), READ)
    there.close()
    assert [fd for fd, _ in poller.wait(2)] == [here.fileno()]


def test_a_watched_descriptor_is_reported_as_long_as_it_is_ready(poller: Poller, pair) -> None:
    here, there = pair
    poller.watch(here.fileno())
    there.send(b"x")
    for _ in range(3):
        assert [fd for fd, _ in poller.wait(2)] == [here.fileno()]
    poller.unwatch(here.fileno())
    assert here.fileno() not in [fd for fd, _ in poller.wait(0.02)]


def test_a_removed_descriptor_is_forgotten(poller: Poller, pair) -> None:
    here, there = pair
    poller.add(here.fileno(), READ)
    poller.remove(here.fileno())
    there.send(b"x")
    assert poller.wait(0.02) == []


def test_wake_ends_a_wait(poller: Poller) -> None:
    timer = threading.Timer(0.05, poller.wake)
    timer.start()
    assert poller.wait(5) == []
    timer.join()
