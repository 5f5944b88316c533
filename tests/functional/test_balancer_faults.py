"""Four endpoints under load, and what happens to one of them: killed, stopped, slow, reset, cut off, rolled, moved.

Every answer is checked to the byte: an answer is right, or it is an error that says so. Counts are printed (-s).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from scripted_upstream import Peer, ScriptedUpstream

from wsgikit.client import Client, ClientSettings, Request
from wsgikit.errors import UpstreamError
from wsgikit.testing import ServerProcess, wait_until_accepts

APPS = Path(__file__).parent / "apps"
PYTHON = sys.executable


def endpoint() -> ServerProcess:
    command = [PYTHON, "-m", "wsgikit", "serve", "plain_echo:app", "-b", "{host}:{port}", "--threads", "4"]
    return ServerProcess([*command, "--pythonpath", str(APPS)])


def gateway(options: dict[str, object]) -> ServerProcess:
    command = [PYTHON, "-m", "wsgikit", "serve", "gateways:app", "-b", "{host}:{port}", "--workers", "2"]
    command += ["--threads", "16", "--pythonpath", str(APPS)]
    return ServerProcess(command, env={"GATEWAY": json.dumps({"name": "shop", **options})})


@contextmanager
def again(port: int) -> Iterator[None]:
    """An endpoint on a port that another one has left."""
    command = [PYTHON, "-m", "wsgikit", "serve", "plain_echo:app", "-b", f"127.0.0.1:{port}", "--threads", "4"]
    with subprocess.Popen([*command, "--pythonpath", str(APPS)], stderr=subprocess.DEVNULL) as process:
        try:
            assert wait_until_accepts(("127.0.0.1", port))
            yield
        finally:
            process.terminate()


class Load:
    """Threads that ask and check. `counts`: answers by method and status; `wrong`: what was no right answer."""

    def __init__(self, port: int, threads: int = 8) -> None:
        self.counts: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._client = Client(f"http://127.0.0.1:{port}", ClientSettings(first_byte_timeout=30, keep_alive=1))
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        self._client.close()
        print(f"\n{sum(self.counts.values())} requests: {dict(self.counts)}, wrong: {self.wrong[:3]}")

    def _work(self, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            name = b"%d-%d" % (number, turn)
            method = "POST" if turn % 5 == 0 else "GET"
            try:
                status, right = self._ask(method, name)
            except UpstreamError as error:
                status, right = 0, f"connection broken: {error}"
            with self._lock:
                self.counts[method, status] += 1
                if right:
                    self.wrong.append(f"{method} {name!r}: {status} {right}")

    def _ask(self, method: str, name: bytes) -> tuple[int, str]:
        body = name * 500
        fields = [(b"Host", b"a")]
        if method == "POST":
            fields.append((b"Content-Length", b"%d" % len(body)))
            request = Request(method="POST", target=b"/echo", fields=fields, body=body)
        else:
            request = Request(method="GET", target=b"/say?" + name, fields=fields)
        with self._client.send(request) as response:
            answer = response.read_all(1 << 20)
            status = response.status
        if status in (502, 503, 504):
            return status, ""
        if status != 200:
            return status, "a status nobody gave"
        right = answer == body if method == "POST" else json.loads(answer)["QUERY_STRING"] == name.decode()
        return status, "" if right else f"the body is another's: {answer[:100]!r}"

    def done(self) -> int:
        return sum(self.counts.values())

    def errors(self, method: str) -> int:
        return sum(count for (asked, status), count in self.counts.items() if asked == method and status != 200)

    def after(self, requests: int, seconds: float = 30.0) -> None:
        """Wait until so many more have been answered."""
        goal, deadline = self.done() + requests, time.monotonic() + seconds
        while self.done() < goal:
            assert time.monotonic() < deadline, f"only {self.done()} of {goal}"
            time.sleep(0.01)


@contextmanager
def field(number: int = 4, **options: object) -> Iterator[tuple[list[ServerProcess], ServerProcess]]:
    with ExitStack() as stack:
        endpoints = [stack.enter_context(endpoint()) for _ in range(number)]
        urls = [f"http://127.0.0.1:{each.port}" for each in endpoints]
        yield endpoints, stack.enter_context(gateway({"endpoints": urls, **options}))


def test_killing_one_of_four_costs_no_get() -> None:
    with field() as (endpoints, front), Load(front.port) as load:
        load.after(200)
        for pid in children(endpoints[0].pid):
            os.kill(pid, signal.SIGKILL)
        load.after(600)
    assert load.wrong == []
    assert load.errors("GET") == 0, load.counts
    # a POST that was on its way when the endpoint died cannot be sent again
    assert load.errors("POST") <= 8, load.counts


def test_resets_of_one_of_four_cost_no_get() -> None:
    def resetting(peer: Peer) -> None:
        peer.read_head()
        peer.reset()

    with ScriptedUpstream(resetting) as broken, ExitStack() as stack:
        endpoints = [stack.enter_context(endpoint()) for _ in range(3)]
        urls = [broken.url, *(f"http://127.0.0.1:{each.port}" for each in endpoints)]
        front = stack.enter_context(gateway({"endpoints": urls, "eject": {"failures": 5, "base": 60}}))
        with Load(front.port) as load:
            load.after(600)
    assert load.wrong == []
    assert load.errors("GET") == 0, load.counts
    assert load.errors("POST") <= 2 * 5 + 8, load.counts  # two workers, five failures each, some at once


@pytest.mark.soak
def test_stopping_one_of_four() -> None:
    options = {"first_byte_timeout": 0.5, "connect_timeout": 0.5, "retry": {"on": ["connect", "reset", "timeout"]}}
    with field(**options) as (endpoints, front), Load(front.port) as load:
        load.after(300)
        pids = children(endpoints[0].pid)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        load.after(3000)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        load.after(1000)
    assert load.wrong == []
    assert load.errors("GET") == 0, load.counts
    assert load.errors("POST") <= 3 * (2 * 5 + 16), load.counts


@pytest.mark.soak
def test_one_of_four_slows_down_and_peak_ewma_goes_round_it() -> None:
    served = Counter[bytes]()

    def slow(peer: Peer) -> None:
        while True:
            received = peer.read_request()
            served[received.method] += 1
            time.sleep(0.2)
            body = received.body or json.dumps({"QUERY_STRING": received.target.decode().partition("?")[2]}).encode()
            peer.answer("200 OK", body)

    with ScriptedUpstream(slow) as slow_one, ExitStack() as stack:
        endpoints = [stack.enter_context(endpoint()) for _ in range(3)]
        urls = [slow_one.url, *(f"http://127.0.0.1:{each.port}" for each in endpoints)]
        front = stack.enter_context(gateway({"endpoints": urls, "balance": "peak-ewma"}))
        with Load(front.port) as load:
            load.after(3000)
    assert load.wrong == []
    assert load.errors("GET") == load.errors("POST") == 0
    assert sum(served.values()) < 0.05 * load.done(), served


@pytest.mark.soak
def test_rolling_all_four_costs_nothing() -> None:
    """HUP starts new workers before the old ones leave; restarts of a whole server are the kill above."""
    with field() as (endpoints, front), Load(front.port) as load:
        for each in endpoints:
            load.after(500)
            each.signal(signal.SIGHUP)
        load.after(1500)
    assert load.wrong == []
    assert load.errors("GET") == 0, load.counts
    assert load.errors("POST") <= 4, load.counts


@pytest.mark.soak
def test_restarting_all_four_one_after_another() -> None:
    with ExitStack() as stack:
        endpoints = [stack.enter_context(endpoint()) for _ in range(4)]
        ports = [each.port for each in endpoints]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        options = {"endpoints": urls, "eject": {"failures": 3, "base": 1}}
        front = stack.enter_context(gateway(options))
        with Load(front.port) as load:
            for number, port in enumerate(ports):
                load.after(500)
                endpoints[number].stop()
                load.after(300)
                stack.enter_context(again(port))
            load.after(500)
    assert load.wrong == []
    assert load.errors("GET") == 0, load.counts
    assert load.errors("POST") <= 4 * 8, load.counts


@pytest.mark.soak
def test_discovery_changes_under_load_drop_nothing(tmp_path: Path) -> None:
    with ExitStack() as stack:
        endpoints = [stack.enter_context(endpoint()) for _ in range(4)]
        urls = [f"http://127.0.0.1:{each.port}" for each in endpoints]
        path = tmp_path / "endpoints"
        path.write_text("\n".join(urls[:2]))
        front = stack.enter_context(gateway({"discover": f"file:{path}"}))
        with Load(front.port) as load:
            for turn in range(12):
                load.after(300)
                new = tmp_path / "new"
                new.write_text("\n".join(urls[turn % 4 :] + urls[: max(0, turn % 4 - 2)]))
                new.replace(path)
                time.sleep(0.5)
    assert load.wrong == []
    assert load.errors("GET") == load.errors("POST") == 0, load.counts


@pytest.mark.soak
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root and ip")
def test_a_partition_cuts_one_of_four_off() -> None:
    """One endpoint in a network of its own; the cable is pulled, and plugged in again."""
    name = f"wk{os.getpid()}"[:10]
    run(f"ip netns add {name}")
    try:
        if not link(name):
            pytest.skip("no virtual network interfaces here")
        with ExitStack() as stack:
            endpoints = [stack.enter_context(endpoint()) for _ in range(3)]
            serve = f"{PYTHON} -m wsgikit serve plain_echo:app -b 10.231.7.2:8000 --threads 4 --pythonpath {APPS}"
            far = stack.enter_context(
                subprocess.Popen(["ip", "netns", "exec", name, *serve.split()], stderr=subprocess.DEVNULL)
            )
            stack.callback(far.terminate)
            wait_for(lambda: far_answers("http://10.231.7.2:8000"))
            urls = ["http://10.231.7.2:8000", *(f"http://127.0.0.1:{each.port}" for each in endpoints)]
            options = {"first_byte_timeout": 0.5, "connect_timeout": 0.5, "eject": {"failures": 3, "base": 2},
                       "retry": {"on": ["connect", "reset", "timeout"], "floor": 20}}  # fmt: skip
            front = stack.enter_context(gateway({"endpoints": urls, **options}))
            with Load(front.port) as load:
                load.after(500)
                run(f"ip -n {name} link set {name}b down")
                load.after(2000)
                run(f"ip -n {name} link set {name}b up")
                load.after(1000)
        assert load.wrong == []
        assert load.errors("GET") == 0, load.counts
    finally:
        run(f"ip netns del {name}")


def link(name: str) -> bool:
    commands = (
        f"ip link add {name}a type veth peer name {name}b netns {name}",
        f"ip addr add 10.231.7.1/30 dev {name}a",
        f"ip link set {name}a up",
        f"ip -n {name} addr add 10.231.7.2/30 dev {name}b",
        f"ip -n {name} link set {name}b up",
        f"ip -n {name} link set lo up",
    )
    return all(run(command) == 0 for command in commands)


def run(command: str) -> int:
    return subprocess.run(command.split(), capture_output=True, check=False).returncode


def far_answers(url: str) -> bool:
    try:
        with Client(url, ClientSettings(connect_timeout=0.5)) as client, client.get(b"/") as response:
            return response.status == 200
    except UpstreamError:
        return False


def children(pid: int) -> list[int]:
    """The process and all below it."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [pid, *(below for child in found for below in children(int(child)))]


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
