"""A minute of mixed load on one worker: nothing fails, and neither memory nor descriptors grow (`make soak`)."""

from __future__ import annotations

import http.client
import os
import random
import threading
import time

import pytest

from wsgikit.testing import ServerProcess

pytestmark = pytest.mark.soak

SECONDS = 60.0
WARM_UP = 20.0
# Large and small bodies in several threads leave holes in the allocator's arenas, which settle over minutes; small
# answers alone grow by nothing. A request that kept a kilobyte would be far above this.
GROWTH = 16 << 20


def family(server: ServerProcess) -> list[str]:
    """The server's processes."""
    group = os.getpgid(server.pid)
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getpgid(int(entry)) == group:
                found.append(entry)
        except ProcessLookupError:
            continue
    return found


def resident(server: ServerProcess) -> int:
    total = 0
    for pid in family(server):
        with open(f"/proc/{pid}/statm") as file:
            total += int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    return total


def descriptors(server: ServerProcess) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in family(server))


class Mix:
    """Clients that ask for all kinds of things, some over one connection, some over one each."""

    def __init__(self, server: ServerProcess, clients: int) -> None:
        self.port = server.port
        self.answers = 0
        self.failures: list[str] = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(clients)]

    def work(self, seed: int) -> None:
        rng = random.Random(seed)
        while not self.over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                for _ in range(rng.randint(1, 40)):
                    self.ask(connection, rng)
                    self.answers += 1
            except Exception as error:
                self.failures.append(repr(error))
            finally:
                connection.close()

    def ask(self, connection: http.client.HTTPConnection, rng: random.Random) -> None:
        kind = rng.randrange(5)
        if kind == 0:
            size = rng.choice((10, 5_000, 700_000))
            body = rng.randbytes(size)
            connection.request("POST", "/upload", iter([body]) if rng.random() < 0.5 else body)
            wanted = str(size).encode()
        elif kind == 1:
            size = rng.choice((1, 70_000, 2_000_000))
            connection.request("GET", f"/big?{size}")
            wanted = b"x"
        else:
            connection.request("GET", f"/hello?{rng.random()}", headers={"X-Number": str(rng.random())})
            wanted = b"hello"
        response = connection.getresponse()
        content = response.read()
        if response.status != 200 or not content.startswith(wanted):
            raise RuntimeError(f"status {response.status}, {content[:40]!r}")


def test_a_minute_of_everything(serving) -> None:
    server = serving("--threads", "4", "--body-memory", "64KiB")
    mix = Mix(server, clients=8)
    for thread in mix.threads:
        thread.start()
    try:
        time.sleep(WARM_UP)
        before, held = resident(server), descriptors(server)
        time.sleep(SECONDS - WARM_UP)
        after = resident(server)
    finally:
        mix.over.set()
        for thread in mix.threads:
            thread.join(30)
    assert mix.failures == []
    assert mix.answers > 1000
    assert after - before < GROWTH
    assert descriptors(server) <= held + 8
