"""TERM, HUP and recycling under load: keep-alive clients that never retry lose nothing; connections are shared."""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack

import pytest
from closed_door import needs_a_door
from waiting import wait_for

from wsgikit.testing import RawClient, ServerProcess

ROUNDS = [2, pytest.param(20, marks=pytest.mark.soak)]


class Load:
    """Keep-alive clients that ask again and again and never retry. A refused connection ends a client."""

    def __init__(self, server: ServerProcess, clients: int = 12) -> None:
        self.server = server
        self.answers = 0
        self.failures: list[str] = []
        self._over = threading.Event()
        self._counting = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def wait_for(self, more: int) -> None:
        """Return once so many further requests were answered."""
        wanted = self.answers + more
        wait_for(lambda: self.answers >= wanted, say=lambda: f"{self.answers} answers; {self.failures[:3]}")

    def _ask(self) -> None:
        while not self._over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
            try:
                connection.connect()
            except ConnectionRefusedError:
                return  # nobody listens any more: a client knows that before it has sent anything
            try:
                self._converse(connection)
            except Exception as error:
                self.failures.append(repr(error))
            finally:
                connection.close()

    def _converse(self, connection: http.client.HTTPConnection) -> None:
        while not self._over.is_set():
            connection.request("GET", "/pid")
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"status {response.status}")
            with self._counting:
                self.answers += 1
            if response.will_close:
                return


@needs_a_door
@pytest.mark.parametrize("rounds", ROUNDS)
def test_term_drops_nothing(serving, rounds: int) -> None:
    answers = 0
    for _ in range(rounds):
        server = serving("-w", "2", "--threads", "4")
        with Load(server) as load:
            load.wait_for(200)
            server.signal(signal.SIGTERM)
            assert server.wait(20) == 0
        assert load.failures == []
        answers += load.answers
    assert answers > 200 * rounds


@pytest.mark.parametrize("rounds", ROUNDS)
def test_hup_drops_nothing_and_brings_new_workers(serving, rounds: int) -> None:
    server = serving("-w", "2", "--threads", "4")
    with Load(server) as load:
        for _ in range(rounds):
            before = pids(server)
            server.signal(signal.SIGHUP)
            deadline = time.monotonic() + 20
            while pids(server) & before:
                assert time.monotonic() < deadline
                load.wait_for(50)
    assert load.failures == []


@pytest.mark.parametrize("limit", [2000, pytest.param(300, marks=pytest.mark.soak)])
def test_recycling_drops_nothing(serving, limit: int) -> None:
    server = serving("-w", "2", "--threads", "4", "--max-requests", str(limit), "--max-requests-jitter", "50")
    before = pids(server)
    with Load(server) as load:
        deadline = time.monotonic() + 30
        while pids(server) & before:  # both have been replaced
            assert time.monotonic() < deadline
            load.wait_for(limit)
    assert load.failures == []


def pids(server: ServerProcess) -> set[bytes]:
    found = set()
    for _ in range(8):
        with RawClient(server.address) as client:
            client.send(b"GET /pid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            found.add(client.read_response().body)
    return found


def test_64_connections_over_4_workers_are_shared(serving) -> None:
    server = serving("-w", "4", "--threads", "2")
    ready: set[bytes] = set()
    deadline = time.monotonic() + 20
    while len(ready) < 4:  # while they start, whoever is there first takes what comes
        assert time.monotonic() < deadline
        ready |= pids(server)
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.address)) for _ in range(64)]
        for client in clients:
            client.send(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n")
        held = Counter(client.read_response().body for client in clients)
    assert max(held.values()) <= 32, held
