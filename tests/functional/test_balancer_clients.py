"""Clients that leave at any moment, and a worker that dies: what they held is given back, no answer is mixed up."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from collections import Counter

import pytest
from scripted_upstream import Peer, ScriptedUpstream
from steady_load import front, state
from waiting import wait_for

from wsgikit.errors import Disconnected, PeerTimeout
from wsgikit.testing import RawClient, ServerProcess

pytestmark = pytest.mark.soak

MOST = 6
KINDS = ("stay", "stay", "upload", "early", "large", "head", "half")
LARGE = b"0123456789abcdef" * (1 << 15)


class Crowded:
    """An upstream that counts how many requests it has at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = 0

    def script(self, peer: Peer) -> None:
        while True:
            received = peer.read_head()
            with self._lock:
                self.now += 1
                self.most = max(self.most, self.now)
            try:
                body = peer.read_body(received)
                time.sleep(random.choice((0, 0, 0.01, 0.05)))
            finally:
                with self._lock:
                    self.now -= 1
            # who has the answer may be quicker with the next request than we with the counting
            peer.answer("200 OK", LARGE if received.target == b"/large" else received.target + b" " + body)


class Fickle:
    """Threads of clients, most of which leave too early. `right`, `wrong`: of those that stayed."""

    def __init__(self, server: ServerProcess, kinds: tuple[str, ...] = KINDS) -> None:
        self._kinds = kinds
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(12)]

    def __enter__(self) -> Fickle:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        print(f"\n{sum(self.counts.values())} requests: {dict(self.counts)}, wrong: {self.wrong[:3]}")

    def _work(self, number: int) -> None:
        chance, turn = random.Random(number), 0
        while not self._stop.is_set():
            turn += 1
            kind = chance.choice(self._kinds)
            try:
                with RawClient(self._server.address, timeout=10) as client:
                    getattr(self, "_" + kind)(client, chance, b"/%d-%d" % (number, turn))
                self.counts[kind] += 1
            except (Disconnected, PeerTimeout, OSError) as error:
                self.counts[f"{kind}: {type(error).__name__}"] += 1

    def _stay(self, client: RawClient, chance: random.Random, target: bytes) -> None:
        client.send(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        response = client.read_response()
        if response.status != 503 and (response.status, response.body) != (200, target + b" "):
            self.wrong.append(f"{target!r}: {response.status} {response.body[:100]!r}")

    def _upload(self, client: RawClient, chance: random.Random, target: bytes) -> None:
        body = target * 5000
        client.send(b"POST " + target + b" HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        response = client.read_response("POST")
        if response.status != 503 and (response.status, response.body) != (200, target + b" " + body):
            self.wrong.append(f"POST {target!r}: {response.status} {response.body[:100]!r}")

    def _early(self, client: RawClient, chance: random.Random, target: bytes) -> None:
        client.send(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(chance.random() * 0.02)
        self._leave(client, chance)

    def _large(self, client: RawClient, chance: random.Random, target: bytes) -> None:
        client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_until(b"\r\n\r\n")
        self._leave(client, chance)

    def _head(self, client: RawClient, chance: random.Random, target: bytes) -> None:
        client.send(b"GET " + target + b" HTTP/1.1\r\nHo")
        self._leave(client, chance)

    def _half(self, client: RawClient, chance: random.Random, target: bytes) -> None:
        client.send(b"POST " + target + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000)
        time.sleep(chance.random() * 0.02)
        self._leave(client, chance)

    def _leave(self, client: RawClient, chance: random.Random) -> None:
        if chance.random() < 0.5:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def workers(server: ServerProcess) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(server.pid)], capture_output=True, text=True, check=True).stdout
    return sorted(map(int, found.split()))


@pytest.mark.parametrize("body", ["stream", "spool"])
def test_places_are_given_back_whoever_leaves_and_whenever(body: str) -> None:
    crowd = Crowded()
    with ScriptedUpstream(crowd.script) as upstream:
        options = {
            "endpoints": [f"{upstream.url} max_connections={MOST}"],
            "queue_timeout": 2,
            "eject": {"failures": 0},
        }
        with front(options, "--body", body) as server:
            with Fickle(server) as clients:
                time.sleep(3)
                before = workers(server)
                os.kill(before[-1], signal.SIGKILL)  # with all the places it has
                wait_for(lambda: len(workers(server)) == len(before) and workers(server) != before)
                time.sleep(3)
            wait_for(lambda: state(server)["endpoints"][0]["in_flight"] == 0)
            told = state(server)["endpoints"][0]
            print({name: told[name] for name in ("requests", "failures", "client_left", "refused")})
            wait_for(lambda: crowd.now == 0)
            # All places are there, and none too many. Before, it was at work for clients that had left already.
            crowd.most = 0
            with Fickle(server, ("stay", "upload")) as again:
                wait_for(lambda: sum(again.counts.values()) > 1000)
    assert clients.wrong == again.wrong == []
    assert crowd.most == MOST
    assert clients.counts["stay"] > 50


def test_who_takes_nothing_is_sent_no_more() -> None:
    """Backpressure both ways: what one side does not take is not read from the other, up to what the options allow."""
    sent, over = 0, threading.Event()

    def script(peer: Peer) -> None:
        nonlocal sent
        if peer.read_head().method == b"GET":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
            while not over.is_set():
                peer.send(LARGE)
                sent += len(LARGE)
        over.wait(30)

    more = ("--body", "stream", "--output-memory", "1MiB", "--output-spool", "4MiB", "--max-body", "1GiB")
    with ScriptedUpstream(script) as upstream, front({"to": upstream.url}, *more) as server:
        with RawClient(server.address) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_for(lambda: sent > 4 << 20)
            time.sleep(1)
            held = sent
            time.sleep(1)
            assert sent - held < 1 << 20
            assert sent < 64 << 20  # buffers of two kernels' sockets besides
        with socket.create_connection(("127.0.0.1", server.port), 1.0) as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (1 << 29))
            given = 0
            while given < 64 << 20 and select.select([], [sock], [], 1.0)[1]:
                given += sock.send(LARGE)
            assert given < 64 << 20
        over.set()
