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
from wsgikit.wire.scgi import format_scgi
from wsgikit.workers import acceptor as acceptor_module
from wsgikit.workers.member import Member

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SCGI = format_scgi([(b"REQUEST_METHOD", b"GET"), (b"REQUEST_URI", b"/")], 0)


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


class Counted:
    """A poller that counts what it is told of."""

    def __init__(self, poller: Any) -> None:
        self._poller = poller
        self.added = 0

    def add(self, fd: int, mask: int) -> None:
        self.added += 1
        self._poller.add(fd, mask)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)


@pytest.mark.parametrize("poller", ["auto", "selectors"])
@pytest.mark.parametrize(("parts", "added"), [((SCGI,), 0), ((SCGI[:20], SCGI[20:]), 1)], ids=["whole", "in two parts"])
def test_a_request_that_comes_with_its_connection_needs_no_poller(
    embedded: Embedded, listener: Failing, parts: tuple[bytes, ...], added: int, poller: str
) -> None:
    worker, member = embedded.around(listener, "scgi", threads=1, poller=poller), Member()
    worker.poller = counted = Counted(worker.poller)  # type: ignore[assignment]
    worker.start(beside=1)
    with socket.create_connection(listener.getsockname()) as client:
        client.settimeout(0)
        for part in parts:
            client.sendall(part)
            for _ in range(3):
                worker.step(member, 0.1)
        assert client.recv(4096).endswith(b"hello")
    assert counted.added == added
    worker.finish()


def test_what_a_closed_listener_still_held_is_answered_at_once(embedded: Embedded, listener: Failing) -> None:
    worker, member = embedded.around(listener, "scgi", threads=1), Member()
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(SCGI)
        worker.housekeeping.closing_listeners = True
        began = time.monotonic()
        for _ in range(2):
            worker.step(member, 5)
        assert time.monotonic() - began < 2.5
        client.settimeout(1)
        assert client.recv(4096).endswith(b"hello")
    worker.finish()
