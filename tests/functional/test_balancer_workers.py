"""A balancer in four worker processes: what one finds out, all know; what is limited, is limited for all together."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from scripted_upstream import Peer, ScriptedUpstream, answering, ok
from waiting import wait_for

from wsgikit.testing import RawClient, ServerProcess

APPS = Path(__file__).parent / "apps"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def gateway(options: dict[str, object], *more: str) -> ServerProcess:
    command = [sys.executable, "-m", "wsgikit", "serve", "gateways:app", "-b", "{host}:{port}", "--workers", "4"]
    command += ["--threads", "4", "--pythonpath", str(APPS), *more]
    return ServerProcess(command, env={"GATEWAY": json.dumps({"name": "shop", **options})})


def ask(server: ServerProcess, request: bytes = GET) -> tuple[int, bytes]:
    with RawClient(server.address, timeout=10) as client:
        client.send(request)
        response = client.read_response()
    return response.status, response.body


def state(server: ServerProcess) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", "/-/status/json", headers={"Connection": "close"})
        upstreams = json.loads(connection.getresponse().read())["upstreams"]
    finally:
        connection.close()
    return upstreams[0]


@pytest.mark.parametrize("preload", [(), pytest.param(("--preload",), marks=pytest.mark.soak)])
def test_limits_counts_and_status_are_those_of_all_workers(preload: tuple[str, ...]) -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    def slow(peer: Peer) -> None:
        nonlocal at_once, most
        while True:
            peer.read_request()
            with lock:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.02)
            with lock:
                at_once -= 1
            peer.send(ok(b"slow"))

    with ScriptedUpstream(slow) as upstream:
        options = {"endpoints": [f"{upstream.url} max_connections=3"], "queue_timeout": 10}
        with gateway(options, *preload) as server:
            answers: Counter[tuple[int, bytes]] = Counter()
            threads = [
                threading.Thread(target=lambda: answers.update([ask(server) for _ in range(8)])) for _ in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert answers == {(200, b"slow"): 64}
            assert most <= 3
            wait_for(lambda: state(server)["endpoints"][0]["requests"] == 64)  # type: ignore[index]
            wait_for(lambda: state(server)["endpoints"][0]["in_flight"] == 0)  # type: ignore[index]


def test_one_worker_checks_and_all_believe_it() -> None:
    well = threading.Event()
    well.set()
    checks = 0

    def script(peer: Peer) -> None:
        nonlocal checks
        while True:
            received = peer.read_request()
            if received.target == b"/health":
                checks += 1
                peer.answer("200 OK" if well.is_set() else "503 Unavailable")
            else:
                peer.send(ok(b"sick"))

    with ScriptedUpstream(script) as sick, ScriptedUpstream(answering(ok(b"up"))) as up:
        health = {"path": "/health", "interval": 0.4, "jitter": 0, "rise": 1, "fall": 1}
        with gateway({"endpoints": [sick.url, up.url], "health": health, "balance": "round-robin"}) as server:
            assert {ask(server) for _ in range(20)} == {(200, b"sick"), (200, b"up")}
            began, counted = time.monotonic(), checks
            well.clear()
            wait_for(lambda: state(server)["endpoints"][0]["state"] == "down")  # type: ignore[index]
            time.sleep(0.6)  # longer than the other workers take to hear of it
            assert {ask(server) for _ in range(20)} == {(200, b"up")}
            # one worker at work, not four
            assert checks - counted <= (time.monotonic() - began) / 0.4 + 2
            well.set()
            wait_for(lambda: state(server)["endpoints"][0]["state"] == "up")  # type: ignore[index]
            wait_for(lambda: ask(server) == (200, b"sick"))


def test_an_ejection_by_one_worker_holds_for_all() -> None:
    def drop(peer: Peer) -> None:
        peer.read_request()

    with ScriptedUpstream(drop) as broken, ScriptedUpstream(answering(ok(b"up"))) as up:
        options = {"endpoints": [broken.url, up.url], "balance": "round-robin", "eject": {"failures": 2, "base": 30}}
        with gateway(options) as server:
            assert {ask(server) for _ in range(40)} == {(200, b"up")}  # retried
            wait_for(lambda: state(server)["endpoints"][0]["state"] == "ejected")  # type: ignore[index]
            time.sleep(0.6)
            seen = len(broken.requests)
            # each worker may have needed two failures of its own before it heard of the others'
            assert seen <= 4 * 2 + 4
            assert {ask(server) for _ in range(40)} == {(200, b"up")}
            assert len(broken.requests) == seen


@pytest.mark.soak
def test_round_robin_is_even_over_workers() -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(ScriptedUpstream(answering(ok(name)))).url for name in (b"a", b"b")]
        server = stack.enter_context(gateway({"endpoints": urls, "balance": "round-robin"}))
        counts = Counter(ask(server)[1] for _ in range(200))
    assert abs(counts[b"a"] - counts[b"b"]) <= 4 * 2


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
@pytest.mark.soak
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    """It shows what there is, refreshes itself, logs no error (a policy that forbids its own script would)."""
    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedUpstream(answering(ok())))
        server = stack.enter_context(gateway({"endpoints": [upstream.url]}, "--access-logfile", "-"))
        assert ask(server)[0] == 200
        wait_for(lambda: state(server)["endpoints"][0]["requests"] == 1)  # type: ignore[index]
        page = f"http://127.0.0.1:{server.port}/-/status"
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
        command += ["--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom", page]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert upstream.url in done.stdout
        assert ">up<" in done.stdout
        for complaint in ("Refused to", "Uncaught", "Content Security Policy"):
            assert complaint not in done.stderr
        # the page itself, and what its script has fetched after it
        wait_for(lambda: server.output.count('"GET /-/status HTTP') >= 4)
