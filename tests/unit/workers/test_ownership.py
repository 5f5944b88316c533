"""A connection has one owner at a time, whatever happens between two looks at the table. The worker is in-process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from embedded_worker import Embedded, connect

from wsgikit.testing import RawClient
from wsgikit.workers.connection import Connection
from wsgikit.workers.member import Member
from wsgikit.workers.stages import QUEUED
from wsgikit.workers.stream import PlainStream

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n%b\r\n"


@pytest.fixture
def embedded() -> Iterator[Embedded]:
    with ExitStack() as stack:
        yield Embedded(stack)


class Outdated(dict[int, Connection]):
    """The table as housekeeping saw it a moment ago."""

    seen: dict[int, Connection]

    def items(self) -> Any:
        return self.seen.items()


@pytest.mark.parametrize("poller", ["auto", "selectors"])
def test_a_number_that_is_another_connections_by_now_does_not_expire_it(embedded: Embedded, poller: str) -> None:
    worker = embedded.still(threads=1, poller=poller)
    with ExitStack() as stack:
        older, _ = connect(worker, stack)
        newer, client = connect(worker, stack)
        older.deadline = time.monotonic() - 1
        newer.park(1)
        worker.parked = Outdated(worker.parked)
        worker.parked.seen = {newer.fd: older}
        worker.housekeeping._member = member = Member()
        worker.housekeeping.tick()
        assert newer.fd >= 0
        client.sendall(HEAD % b"" + b"12345")
        for _ in range(4):  # it is served, and parked again: it was lost to everybody
            worker.step(member, 0.05)
        assert client.recv(4096, socket.MSG_DONTWAIT).endswith(b"12345")


class Renewed(Connection):
    """Its deadline moves on as soon as somebody has looked at it."""

    looks = 0

    @property
    def deadline(self) -> float:
        self.looks += 1
        return time.monotonic() + (-1 if self.looks == 1 else 10)

    @deadline.setter
    def deadline(self, value: float) -> None:
        pass


def test_a_connection_that_was_served_just_now_does_not_expire(embedded: Embedded) -> None:
    worker = embedded.still(threads=1)
    with ExitStack() as stack:
        connection, client = connect(worker, stack, Renewed)
        connection.park(1)
        worker.housekeeping._member = member = Member()
        worker.housekeeping.tick()
        assert connection.fd >= 0
        client.sendall(HEAD % b"" + b"12345")
        for _ in range(4):
            worker.step(member, 0.05)
        assert client.recv(4096, socket.MSG_DONTWAIT).endswith(b"12345")


class Hasty(dict[int, Connection]):
    """A thread with an event from before looks at it at once, and finds that the client has left."""

    def __setitem__(self, fd: int, connection: Connection) -> None:
        super().__setitem__(fd, connection)
        self.pop(fd).destroy()


def test_a_connection_that_is_closed_while_it_is_parked_is_let_go(embedded: Embedded) -> None:
    worker = embedded.still(threads=1)
    with ExitStack() as stack:
        connection, _ = connect(worker, stack)
        connection.park(1)
        worker.parked = Hasty()
        connection.park(1)
        assert connection.fd < 0


def test_what_is_queued_from_another_thread_wakes_the_one_that_polls(embedded: Embedded) -> None:
    worker = embedded.make(threads=2)
    keeper = threading.Thread(target=worker.run)
    keeper.start()
    try:
        with ExitStack() as stack:
            connection, client = connect(worker, stack)
            client.settimeout(3)
            connection.protocol.buffer = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"  # pipelined behind one that was answered
            time.sleep(0.05)  # the leader waits for ever now
            connection.stage = QUEUED
            worker.queue(connection, Member())
            assert client.recv(4096).endswith(b"hello")
    finally:
        worker.abort()
        keeper.join()


class Sticky(PlainStream):
    """Takes nothing while `stuck`, as a socket whose buffer is full with the response before."""

    __slots__ = ()
    stuck = False

    def send(self, data: bytes | memoryview) -> int:
        return 0 if Sticky.stuck else super().send(data)


@pytest.mark.parametrize("poller", ["auto", "selectors"])
def test_a_100_that_did_not_fit_is_sent_later(embedded: Embedded, poller: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsgikit.workers.acceptor.PlainStream", Sticky)
    monkeypatch.setattr(Sticky, "stuck", True)
    address = embedded.run(threads=1, poller=poller)
    with RawClient(address) as client:
        client.send(HEAD % b"Expect: 100-continue\r\n")
        assert not client.readable(0.1)
        Sticky.stuck = False
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"12345")
        assert client.read_response().body == b"12345"
        client.send(HEAD % b"" + b"67890")
        assert client.read_response().body == b"67890"


def test_requests_to_the_server_itself_keep_a_connection(embedded: Embedded) -> None:
    address = embedded.run(threads=1, head_timeout=0.5, keep_alive=5)
    with RawClient(address) as client:
        for _ in range(3):
            client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.read_response().status == 204
            assert not client.readable(0.3)


def test_a_body_of_gigabytes_may_be_waited_for_longer_than_poll_can(embedded: Embedded) -> None:
    """What has been received earns time: at 500 bytes a second a gibibyte is worth more milliseconds than 31 bits."""
    with ExitStack() as stack:
        connection, client = connect(embedded.still(), stack)
        later = threading.Timer(0.05, client.send, (b"more",))
        later.start()
        assert connection.receive(1 << 31, time.monotonic()) == b"more"
        later.join()
