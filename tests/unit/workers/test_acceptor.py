"""Accepting when it fails, and when there are more clients than a worker may hold."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from embedded_worker import Embedded

from wsgikit.testing import RawClient
from wsgikit.workers import acceptor as acceptor_module
from wsgikit.workers.member import Member

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Failing(socket.socket):
    """A listener whose accept() fails as often as told."""

    failures = 0
    number = 0
    calls = 0

    def accept(self) -> Any:
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise OSError(self.number, "on purpose")
        return super().accept()


@pytest.fixture
def listener() -> Iterator[Failing]:
    with Failing() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(16)
        yield sock


@pytest.fixture
def embedded() -> Iterator[Embedded]:
    with ExitStack() as stack:
        yield Embedded(stack)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOBUFS, errno.EPERM, errno.ENETDOWN, errno.EINVAL])
def test_an_error_that_lasts_makes_nobody_busy_and_passes(
    embedded: Embedded, listener: Failing, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor_module, "_STARVED_PAUSE", 0.1)
    worker, member = embedded.around(listener, threads=1), Member()
    listener.failures, listener.number = 1, number
    worker.start(beside=1)
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(GET)
        client.settimeout(0)
        looks = 0
        deadline = time.monotonic() + 5
        while not answered(client):
            worker.step(member, 1.0)
            looks += 1
            assert time.monotonic() < deadline
        assert looks < 20
        assert listener.calls < 6
    worker.finish()


def answered(client: socket.socket) -> bool:
    try:
        return client.recv(4096).endswith(b"hello")
    except BlockingIOError:
        return False


def test_an_error_of_one_connection_does_not_delay_the_next(embedded: Embedded, listener: Failing) -> None:
    worker, member = embedded.around(listener, threads=1), Member()
    listener.failures, listener.number = 3, errno.ECONNABORTED
    worker.start(beside=1)
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(GET)
        client.settimeout(0)
        began = time.monotonic()
        while not answered(client):
            worker.step(member, 1.0)
            assert time.monotonic() - began < 0.4
    worker.finish()


def test_refusals_are_bounded_too(embedded: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor_module, "_REFUSED", 2)
    address = embedded.run(threads=1, connections=1, linger=5)
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(address)) for _ in range(5)]
        clients[0].send(GET)
        assert clients[0].read_response().status == 200
        for client in clients[1:3]:
            assert client.read_response().status == 503
        for client in clients[3:]:
            assert client.closed_by_peer(2.0)
            assert client.received == b""
