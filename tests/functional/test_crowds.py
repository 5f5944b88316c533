"""Crowds of clients that read slowly, leave early, pipeline and upload at once: every byte right, nothing left over."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest
from waiting import wait_for

from wsgikit.errors import Disconnected
from wsgikit.testing import RawClient, ServerProcess

STYLES = (b"file", b"write", b"length", b"list", b"small", b"large")
SIZES = (0, 1, 10_000, 70_000, 400_000, 1_500_000)


def pattern(seed: int, size: int) -> bytes:
    block = hashlib.sha256(b"%d" % seed).digest() * 64
    return (block * (size // len(block) + 1))[:size]


class Crowd:
    """Clients in threads, until `seconds` are over. What went wrong stands in `wrong`."""

    def __init__(self, server: ServerProcess, seconds: float) -> None:
        self.server = server
        self.over = time.monotonic() + seconds
        self.wrong: list[str] = []
        self.done: dict[str, int] = {}
        self._numbers = iter(range(1 << 30))

    def run(self) -> None:
        roles = (self.read, self.read, self.pipeline, self.upload, self.leave, self.leave, self.flood)
        threads = [threading.Thread(target=self._act, args=(role, seed)) for seed, role in enumerate(roles)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
            assert not thread.is_alive(), f"a client hangs; {self.wrong[:3]}"

    def _act(self, role: Callable[[random.Random], None], seed: int) -> None:
        rng = random.Random(seed)
        while time.monotonic() < self.over and len(self.wrong) < 5:
            try:
                role(rng)
            except Exception as error:
                self.wrong.append(f"{role.__name__}: {error!r}")
            self.done[role.__name__] = self.done.get(role.__name__, 0) + 1

    def _request(self, rng: random.Random, largest: int = 6) -> tuple[bytes, bytes]:
        seed, size = next(self._numbers), rng.choice(SIZES[:largest])
        pause = rng.choice((b"0", b"0", b"0.0015", b"0.002", b"0.0025"))  # about as long as the watchdog waits
        line = b"GET /made?%d,%d,%b,%b HTTP/1.1\r\nHost: a\r\n\r\n" % (seed, size, rng.choice(STYLES), pause)
        return line, pattern(seed, size)

    def read(self, rng: random.Random) -> None:
        """Keep a connection, with a small window and pauses."""
        with RawClient(self.server.address, timeout=20, receive_buffer=rng.choice((0, 4096, 65536))) as client:
            for _ in range(6):
                request, body = self._request(rng)
                client.send(request)
                time.sleep(rng.choice((0, 0, 0.01)))
                got = client.read_response(timeout=20).body
                assert got == body, f"{request!r}: {len(got)} of {len(body)} bytes"

    def pipeline(self, rng: random.Random) -> None:
        with RawClient(self.server.address, timeout=20, receive_buffer=rng.choice((0, 65536))) as client:
            requests = [self._request(rng, 4) for _ in range(25)]
            client.send(b"".join(request for request, _ in requests))
            for request, body in requests:
                assert client.read_response(timeout=20).body == body, f"{request!r}"

    def upload(self, rng: random.Random) -> None:
        with RawClient(self.server.address, timeout=20) as client:
            for _ in range(4):
                data = rng.randbytes(rng.choice((1, 5000, 200_000, 900_000)))
                client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                for start in range(0, len(data), 50_000):
                    block = data[start : start + 50_000]
                    client.send(b"%x\r\n%b\r\n" % (len(block), block))
                client.send(b"0\r\n\r\n")
                answer = client.read_response(timeout=20).body
                assert answer == b"%d %b" % (len(data), hashlib.sha256(data).hexdigest().encode())

    def leave(self, rng: random.Random) -> None:
        """Go away in the midst of something, with FIN or RST."""
        with RawClient(self.server.address, timeout=20, receive_buffer=4096) as client:
            choice = rng.randrange(4)
            if choice == 0:
                client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 700_000)
            elif choice == 1:
                client.send(self._request(rng)[0][:30])
            else:
                client.send(self._request(rng)[0] * rng.choice((1, 3)))
                if choice == 3:
                    client.read_for(0.002)
            if rng.randrange(2):
                client.reset()

    def flood(self, rng: random.Random) -> None:
        """Send what is refused, and go on sending until cut off."""
        with RawClient(self.server.address, timeout=20) as client:
            try:
                client.send(rng.choice((b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                                        b"\x00\x01", b"GET /" + b"a" * 9000)))  # fmt: skip
                client.send_some(b"x" * 300_000, 0.05)
            except Disconnected:
                pass


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def ask(server: ServerProcess, path: bytes) -> int:
    with RawClient(server.address) as client:
        client.send(b"GET /%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path)
        return int(client.read_response().body)


def settle(server: ServerProcess, pid: int, before: int) -> None:
    """All descriptors are back within the time for which connections may linger, and all bodies are closed."""
    wait_for(
        lambda: descriptors(pid) <= before and ask(server, b"balance") <= 0,
        say=lambda: f"{descriptors(pid)} descriptors, {before} before; see {os.listdir('/tmp')}",
    )
    assert ask(server, b"balance") == 0
    assert ask(server, b"pid") == pid
    assert "an error in wsgikit itself" not in server.output
    assert "Traceback" not in server.output


LONG = [
    pytest.param(threads, poller, 40, marks=pytest.mark.soak)
    for threads in ("1", "2", "8")
    for poller in ("epoll", "selectors")
]


@pytest.mark.parametrize(("threads", "poller", "seconds"), [("2", "epoll", 0.4), ("8", "selectors", 0.4), *LONG])
def test_a_mixed_crowd(serving, threads: str, poller: str, seconds: float) -> None:
    limits = ("--linger", "0.3", "--output-memory", "64KiB", "--output-spool", "256KiB", "--body-memory", "64KiB")
    server = serving("--threads", threads, "--poller", poller, *limits, app="attacked:app")
    pid = ask(server, b"pid")
    time.sleep(0.1)
    before = descriptors(pid)
    crowd = Crowd(server, seconds)
    crowd.run()
    assert crowd.wrong == []
    assert len(crowd.done) == 5
    settle(server, pid, before)


@pytest.mark.parametrize("requests", [300, pytest.param(20_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("poller", ["epoll", "selectors"])
def test_thousands_that_connect_ask_and_reset(serving, poller: str, requests: int) -> None:
    """Descriptor numbers are used again at once: a late event must not reach the next connection with the number."""
    server = serving("--threads", "4", "--poller", poller, "--linger", "0.3", app="attacked:app")
    pid = ask(server, b"pid")
    time.sleep(0.1)
    before = descriptors(pid)
    rst = struct.pack("ii", 1, 0)
    for number in range(requests):
        sock = socket.create_connection(server.address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, rst)
        if number % 3:
            sock.sendall(b"GET /made?1,%d,%b,0 HTTP/1.1\r\nHost: a\r\n\r\n" % (SIZES[number % 6], STYLES[number % 5]))
        sock.close()
        if number % 50 == 0:
            with RawClient(server.address) as client:
                client.send(b"GET /made?7,10000,list,0 HTTP/1.1\r\nHost: a\r\n\r\n")
                assert client.read_response().body == pattern(7, 10_000)
    settle(server, pid, before)
