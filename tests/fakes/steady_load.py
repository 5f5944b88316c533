"""Load that checks every answer to the byte: for tests of what happens to a balancer while something goes wrong.

Endpoints are real servers that run `functional/apps/plain_echo.py`, the front is a real server with a Balancer. An
answer is right, or it is an error that says so (502, 503, 504), or a long body that was visibly cut off; anything else
is wrong.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from scripted_upstream import Peer, Received
from waiting import wait_for

from wsgikit.client import Client, ClientSettings, Request
from wsgikit.errors import UpstreamError
from wsgikit.testing import ServerProcess, wait_until_accepts

APPS = Path(__file__).parents[1] / "functional" / "apps"
SERVE = [sys.executable, "-m", "wsgikit", "serve", "--pythonpath", str(APPS)]
FILE = b"0123456789abcdef" * (1 << 16)
STREAM = b"".join(b"%d\n" % number * 100 for number in range(100))
Asked = tuple[str, bytes]


def endpoint(bind: str = "{host}:{port}") -> ServerProcess:
    return ServerProcess([*SERVE, "plain_echo:app", "-b", bind, "--threads", "4"])


def front(options: dict[str, object], *more: str) -> ServerProcess:
    """A gateway in two workers, with so few threads that most requests wait without one."""
    command = [*SERVE, "gateways:app", "-b", "{host}:{port}", "--workers", "2", "--threads", "2", *more]
    return ServerProcess(command, env={"GATEWAY": json.dumps({"name": "shop", **options})})


def addresses(number: int) -> list[str]:
    """Loopback addresses (Linux has all of 127/8) where nobody else comes to listen while an endpoint is away, as it
    may happen to a port of 127.0.0.1."""
    process = os.getpid()
    return [f"127.{100 + process % 100}.{process // 100 % 250}.{each}" for each in range(1, number + 1)]


@contextmanager
def again(port: int, host: str = "127.0.0.1", *before: str) -> Iterator[subprocess.Popen[bytes]]:
    """An endpoint on a port that another one has left, or somewhere else. `before`: `ip netns exec NAME`, say."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = [*before, *SERVE, "plain_echo:app", "-b", place, "--threads", "4"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            if not before and not wait_until_accepts((host, port)):
                raise RuntimeError(f"nothing listens on {place}")
            if process.poll() is not None:
                raise RuntimeError(f"{place} was taken by somebody else meanwhile")
            yield process
        finally:
            process.terminate()


@contextmanager
def field(number: int = 4, **options: object) -> Iterator[tuple[list[ServerProcess], ServerProcess]]:
    """So many endpoints, and a front for them."""
    with ExitStack() as stack:
        endpoints = [stack.enter_context(endpoint()) for _ in range(number)]
        urls = [f"http://127.0.0.1:{each.port}" for each in endpoints]
        yield endpoints, stack.enter_context(front({"endpoints": urls, **options}))


class Load:
    """Threads that ask and check. `counts`: answers by method and status, "cut" for a long body that was cut off;
    `wrong`: what was no right answer."""

    def __init__(self, server: ServerProcess, threads: int = 8, *, large: bool = True) -> None:
        self.counts: Counter[tuple[str, object]] = Counter()
        self.wrong: list[str] = []
        self.upstream: dict[str, int] = {}
        self._server = server
        self._large = large
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._client = Client(
            f"http://127.0.0.1:{server.port}", ClientSettings(first_byte_timeout=30, keep_alive=1, max_idle=threads)
        )
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        self._client.close()
        if error[0] is None:
            self.upstream = self._told()
        answers = ", ".join(
            f"{method} {status}: {count}" for (method, status), count in sorted(self.counts.items(), key=str)
        )
        print(f"\n{self.done()} requests: {answers}; wrong: {len(self.wrong)} {self.wrong[:3]}")
        print("to endpoints: " + ", ".join(f"{name} {count}" for name, count in self.upstream.items()))

    def _work(self, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            method, target, body, expected = self._request(number, turn)
            try:
                status, right = self._ask(method, target, body, expected)
            except UpstreamError as error:
                # A body that the front had begun to pass on cannot become an error page, but has to end in a breach.
                status = "cut" if error.phase == "body" else "broken"
                right = "" if error.phase == "body" and expected is not None else f"connection broken: {error}"
            with self._lock:
                self.counts[method, status] += 1
                if right:
                    self.wrong.append(f"{method} {target!r}: {status} {right}")

    def _request(self, number: int, turn: int) -> tuple[str, bytes, Any, bytes | None]:
        """Method, target, body, and the body to expect; None: it tells the query."""
        name = b"%d-%d" % (number, turn)
        if turn % 10 == 0:
            return "POST", b"/echo", name * 500, name * 500
        if turn % 10 == 5:
            return "POST", b"/echo", iter([name * 100] * 5), name * 500
        if self._large and turn % 25 == 3:
            return "GET", b"/file", None, FILE
        if self._large and turn % 25 == 13:
            return "GET", b"/stream", None, STREAM
        return ("HEAD" if turn % 25 == 7 else "GET"), b"/say?" + name, None, None

    def _ask(self, method: str, target: bytes, body: Any, expected: bytes | None) -> tuple[int, str]:
        fields = [(b"Host", b"a")]
        if isinstance(body, bytes):
            fields.append((b"Content-Length", b"%d" % len(body)))
        elif body is not None:
            fields.append((b"Transfer-Encoding", b"chunked"))
        with self._client.send(Request(method=method, target=target, fields=fields, body=body)) as response:
            answer = response.read_all(1 << 21)
            status = response.status
        if status in (502, 503, 504):
            return status, ""
        if status != 200:
            return status, "a status nobody gave"
        if method == "HEAD":
            right = answer == b"" and int(response.get_all(b"content-length")[0]) > 0
        elif expected is None:
            asked = json.dumps(target.decode().partition("?")[2]).encode()
            right = answer.startswith(b"{") and b'"QUERY_STRING": ' + asked in answer and answer.endswith(b"}")
        else:
            right = answer == expected
        return status, "" if right else f"the body is another's: {len(answer)} bytes, {answer[:100]!r}"

    def _told(self) -> dict[str, int]:
        """What the front has counted, over its endpoints and workers, once everything is written."""
        names = ("requests", "retries", "failures", "timeouts", "connect_failures", "times_ejected")
        wanted = sum(count for (_, status), count in self.counts.items() if status not in (503, "broken"))
        deadline = time.monotonic() + 5
        while True:
            endpoints = state(self._server)["endpoints"]
            told = {name: sum(each[name] for each in endpoints) for name in names}
            if told["requests"] >= wanted or time.monotonic() > deadline:
                return told
            time.sleep(0.1)

    def done(self) -> int:
        return sum(self.counts.values())

    def errors(self, *methods: str) -> int:
        """Answers that were no success, cut ones included."""
        return sum(count for (asked, status), count in self.counts.items() if asked in methods and status != 200)

    def cut(self) -> int:
        return sum(count for (_, status), count in self.counts.items() if status == "cut")

    def after(self, requests: int, seconds: float = 60.0) -> None:
        """Wait until so many more have been answered."""
        goal = self.done() + requests
        wait_for(lambda: self.done() >= goal, seconds)


def say(peer: Peer, received: Received) -> None:
    """Answer on a script as an endpoint answers to what `Load` asks, but for its long bodies."""
    query = received.target.decode().partition("?")[2]
    body = received.body or json.dumps({"QUERY_STRING": query}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    peer.send(head if received.method == b"HEAD" else head + body)


def state(server: ServerProcess) -> dict[str, Any]:
    """The first upstream of the front's status page."""
    with Client(f"http://127.0.0.1:{server.port}") as client, client.get(b"/-/status/json") as response:
        upstream: dict[str, Any] = json.loads(response.read_all(1 << 20))["upstreams"][0]
        return upstream


def urls(server: ServerProcess) -> list[str]:
    return sorted(each["url"] for each in state(server)["endpoints"])


def children(pid: int) -> list[int]:
    """The process and all below it."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [pid, *(below for child in found for below in children(int(child)))]
