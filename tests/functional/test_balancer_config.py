"""`[upstream.NAME]` in wsgikit.toml: used by a mount and a route, checked, and loaded again under load."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from scripted_upstream import ScriptedUpstream, answering, ok
from steady_load import Load, endpoint
from waiting import wait_for

from wsgikit.testing import RawClient, ServerProcess


def text(*urls: str) -> str:
    endpoints = ", ".join(f'"{url}"' for url in urls)
    return f"""
[[mount]]
path = "/shop"
upstream = "shop"
[[route]]
rule = "/api/<path:rest>"
upstream = "shop"
[upstream.shop]
endpoints = [{endpoints}]
balance = "round-robin"
eject = {{ base = "5s" }}
"""


def serve(path: Path) -> ServerProcess:
    command = [sys.executable, "-m", "wsgikit", "serve", "--config", str(path), "-b", "{host}:{port}"]
    return ServerProcess(command, cwd=path.parent)


def get(server: ServerProcess, target: bytes) -> tuple[int, bytes]:
    with RawClient(server.address, timeout=10) as client:
        client.send(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        response = client.read_response()
    return response.status, response.body


def test_a_mount_and_a_route_lead_to_an_upstream(tmp_path: Path) -> None:
    path = tmp_path / "wsgikit.toml"
    with ScriptedUpstream(answering(ok(b"up"))) as upstream:
        path.write_text(text(upstream.url))
        with serve(path) as server:
            assert get(server, b"/shop/a%2Fb?x") == (200, b"up")
            assert get(server, b"/api/orders/1?y") == (200, b"up")
            assert get(server, b"/elsewhere")[0] == 404
        # a mount takes its path away, a route does not
        assert [received.target for received in upstream.requests] == [b"/a%2Fb?x", b"/api/orders/1?y"]


def test_files_are_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "site" / "wsgikit.toml"
    path.parent.mkdir()
    table = '[[mount]]\nupstream = "shop"\n[upstream.shop]\ndiscover = "file:endpoints"\n'
    with ScriptedUpstream(answering(ok(b"up"))) as upstream:
        (path.parent / "endpoints").write_text(upstream.url)
        path.write_text(table)
        command = [sys.executable, "-m", "wsgikit", "serve", "--config", str(path), "-b", "{host}:{port}"]
        with ServerProcess(command, cwd=tmp_path) as server:
            assert get(server, b"/") == (200, b"up")
    path.write_text(table + 'tls = { ca = "ours.pem" }\nendpoints = ["https://localhost"]\n')
    command = [sys.executable, "-m", "wsgikit", "check", "config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert str(path.parent / "ours.pem") in done.stderr


def test_check_config_names_the_place_and_the_key(tmp_path: Path) -> None:
    path = tmp_path / "wsgikit.toml"
    path.write_text(text("http://127.0.0.1:9") + 'helth = { path = "/" }\n')
    command = [sys.executable, "-m", "wsgikit", "check", "config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "[upstream.shop] unknown option 'helth'; did you mean 'health'?" in done.stderr
    path.write_text(text("http://127.0.0.1:9"))
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def test_other_endpoints_by_hup_and_no_request_lost(tmp_path: Path) -> None:
    path = tmp_path / "wsgikit.toml"
    with ScriptedUpstream(answering(ok(b"old"))) as old, ScriptedUpstream(answering(ok(b"new"))) as new:
        path.write_text(text(old.url))
        with serve(path) as server:
            answers: list[tuple[int, bytes]] = []
            over = threading.Event()

            def load() -> None:
                while not over.is_set():
                    answers.append(get(server, b"/shop/"))

            threads = [threading.Thread(target=load) for _ in range(3)]
            for thread in threads:
                thread.start()
            while len(answers) < 20:
                time.sleep(0.005)
            path.write_text(text(new.url))
            server.signal(signal.SIGHUP)
            wait_for(lambda: answers[-1] == (200, b"new"))
            over.set()
            for thread in threads:
                thread.join(15)
    assert set(answers) == {(200, b"old"), (200, b"new")}


@pytest.mark.soak
def test_six_reloads_of_an_upstream_under_load(tmp_path: Path) -> None:
    """Other endpoints, another algorithm, limits and checks, each time; four workers; every answer checked."""
    path = tmp_path / "wsgikit.toml"
    algorithms = ("p2c", "round-robin", "least-request", "peak-ewma", "random")
    with ExitStack() as stack:
        places = [f"http://127.0.0.1:{stack.enter_context(endpoint()).port}" for _ in range(4)]

        def write(turn: int) -> None:
            chosen = [f'"{place} max_connections={30 * (turn % 2)}"' for place in places[turn % 3 :]]
            health = 'health = { path = "/", interval = "200ms" }' if turn % 3 else ""
            path.write_text(
                f'workers = 4\n[[mount]]\npath = "/"\nupstream = "shop"\n[[mount]]\npath = "/-/status"\n'
                f'app = "wsgikit.middleware.status:Status()"\n[upstream.shop]\nendpoints = [{", ".join(chosen)}]\n'
                f'balance = "{algorithms[turn % 5]}"\n{health}\n'
            )

        write(0)
        server = stack.enter_context(serve(path))
        with Load(server) as load:
            for turn in range(1, 7):
                load.after(300)
                write(turn)
                server.signal(signal.SIGHUP)
                wait_for(lambda turn=turn: server.output.count("reloaded: ") == turn, 30)
            load.after(500)
    assert load.wrong == []
    assert load.errors("GET", "HEAD", "POST") == 0, load.counts
