"""Apps in worker groups of their own: the request reaches them as it came, and their faults stay with them."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from wsgikit.testing import RawClient, Response, ServerProcess

APPS = """
import json, os, time

def facts(environ, start_response):
    body = environ["wsgi.input"].read()
    texts = {name: value for name, value in environ.items() if isinstance(value, str)}
    texts |= {"pid": os.getpid(), "body": len(body), "raw": [n.decode() for n, v in environ["wsgikit.raw_headers"]]}
    texts["target"] = environ["wsgikit.raw_target"].decode()
    texts["colour"] = os.environ.get("COLOUR")
    data = json.dumps(texts).encode()
    start_response("200 Fine", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/die":
        os._exit(9)
    if path == "/hang":
        for _ in range(600):
            time.sleep(0.1)
    if path == "/stream":
        return stream(environ, start_response)
    if path == "/silent":
        return silent(environ, start_response)
    if path == "/half":
        start_response("200 OK", [("Content-Length", "1000")])
        return half()
    if path == "/echo":
        start_response("200 OK", [])
        return iter(lambda: environ["wsgi.input"].read(50000), b"")
    if path == "/nothing":
        start_response("204 No Content", [])
        return []
    return facts(environ, start_response)

def stream(environ, start_response):
    start_response("200 OK", [])
    for number in range(3):
        yield b"block %d;" % number
        while number < 2 and not os.path.exists("go%d" % number):
            time.sleep(0.01)

def silent(environ, start_response):
    start_response("200 OK", [])
    environ["wsgikit.flush_head"]()
    while not os.path.exists("speak"):
        time.sleep(0.01)
    yield b"at last"

def half():
    yield b"x" * 10
    os._exit(9)
"""
TOML = """
threads = 4
[[mount]]
path = "/"
app = "groups_x:facts"
[[mount]]
path = "/shop"
app = "groups_x:app"
group = "shop"
[group.shop]
workers = 1
timeout = "3s"
env = { COLOUR = "green" }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("groups")
    (folder / "groups_x.py").write_text(APPS)
    (folder / "wsgikit.toml").write_text(TOML)
    with ServerProcess([sys.executable, "-m", "wsgikit", "serve", "-b", "{host}:{port}"], cwd=folder) as process:
        process.folder = folder  # type: ignore[attr-defined]
        yield process


def ask(server: ServerProcess, request: bytes, method: str = "GET") -> Response:
    with RawClient(server.address, timeout=20) as client:
        client.send(request)
        return client.read_response(method)


def get(server: ServerProcess, path: str, *fields: str, method: str = "GET") -> Response:
    lines = [f"{method} {path} HTTP/1.1", "Host: any.example:81", *fields, "Connection: close", "", ""]
    return ask(server, "\r\n".join(lines).encode(), method)


def facts(response: Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.body)
    return found


def test_the_app_runs_in_a_process_and_an_environment_of_its_own(server: ServerProcess) -> None:
    front, shop = facts(get(server, "/")), facts(get(server, "/shop"))
    assert front["pid"] != shop["pid"]
    assert (front["colour"], shop["colour"]) == (None, "green")


def test_the_environ_is_as_without_a_group(server: ServerProcess) -> None:
    path, fields = "/x%2Fy//z?q=%20", ("X-One: a", "X-Two: b", "x-one: c", "Cookie: k=v")
    front, shop = facts(get(server, path, *fields)), facts(get(server, "/shop" + path, *fields))
    differs = {name for name in front | shop if front.get(name) != shop.get(name)}
    assert differs == {"pid", "colour", "SCRIPT_NAME", "REQUEST_URI", "target", "REMOTE_PORT"}
    assert (shop["SCRIPT_NAME"], shop["PATH_INFO"], shop["target"]) == ("/shop", "/x/y//z", "/shop" + path)
    assert shop["REMOTE_PORT"].isdigit()
    assert [name for name in front["raw"] if name != "Connection"] == [
        name for name in shop["raw"] if name != "Connection"
    ]


def test_http_1_0_without_host_arrives_as_such(server: ServerProcess) -> None:
    shop = facts(ask(server, b"GET /shop HTTP/1.0\r\n\r\n"))
    assert shop["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert "HTTP_HOST" not in shop


def test_nobody_outside_can_make_up_the_facts_of_a_connection(server: ServerProcess) -> None:
    shop = facts(get(server, "/shop", "Wsgikit-Environ: eyJSRU1PVEVfQUREUiI6ICI2LjYuNi42In0="))
    assert shop["REMOTE_ADDR"] == "127.0.0.1"
    assert "HTTP_WSGIKIT_ENVIRON" not in shop


def test_a_head_goes_through_alone(server: ServerProcess) -> None:
    with RawClient(server.address, timeout=20) as client:
        client.send(b"GET /shop/silent HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
        (server.folder / "speak").touch()  # type: ignore[attr-defined]
        assert b"at last" in client.read_until_close()


def test_bodies_go_through_by_length_and_in_chunks(server: ServerProcess) -> None:
    body = os.urandom(1 << 20)
    by_length = b"POST /shop/echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    assert ask(server, by_length + body, "POST").body == body
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:70000], body[70000:]))
    chunked = b"POST /shop/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    assert ask(server, chunked + chunks + b"0\r\n\r\n", "POST").body == body


def test_head_and_empty_answers_have_no_body(server: ServerProcess) -> None:
    head = get(server, "/shop", method="HEAD")
    assert (head.status, head.reason, head.body) == (200, b"Fine", b"")
    nothing = get(server, "/shop/nothing")
    assert (nothing.status, nothing.body) == (204, b"")


def test_blocks_arrive_as_the_app_gives_them(server: ServerProcess) -> None:
    folder: Path = server.folder  # type: ignore[attr-defined]
    with RawClient(server.address, timeout=20) as client:
        client.send(b"GET /shop/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read_until(b"block 0;")
        (folder / "go0").touch()
        client.read_until(b"block 1;")
        (folder / "go1").touch()
        client.read_until(b"block 2;")


def test_a_worker_that_dies_is_its_own_groups_matter(server: ServerProcess) -> None:
    assert get(server, "/shop/die").status == 502
    assert get(server, "/").status == 200
    assert get(server, "/shop").status == 200
    server.wait_for_output("group 'shop': GET b'/shop/die'")


def test_an_answer_that_breaks_off_is_not_taken_for_complete(server: ServerProcess) -> None:
    with RawClient(server.address, timeout=20) as client:
        client.send(b"GET /shop/half HTTP/1.1\r\nHost: x\r\n\r\n")
        data = client.read_until_close()
    assert data.endswith(b"\r\n\r\n" + b"x" * 10)
    assert get(server, "/shop").status == 200


def hang(server: ServerProcess, request: bytes, statuses: list[int]) -> list[threading.Thread]:
    """Six clients of an app that does not answer."""
    threads = [threading.Thread(target=lambda: statuses.append(ask(server, request).status)) for _ in range(6)]
    for thread in threads:
        thread.start()
    return threads


def others_are_served(server: ServerProcess) -> None:
    for _ in range(20):
        started = time.monotonic()
        assert get(server, "/").status == 200
        assert time.monotonic() - started < 1


def test_requests_without_a_body_wait_for_a_group_without_threads(server: ServerProcess) -> None:
    statuses: list[int] = []
    threads = hang(server, b"GET /shop/hang HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", statuses)
    others_are_served(server)
    assert statuses == []
    for thread in threads:
        thread.join(20)
    assert statuses == 6 * [504]
    assert get(server, "/shop").status == 200


def test_a_group_that_hangs_leaves_threads_for_the_others(server: ServerProcess) -> None:
    statuses: list[int] = []
    request = b"POST /shop/hang HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"
    threads = hang(server, request, statuses)
    wait_for(lambda: statuses.count(503) >= 4)  # two of the four threads may wait for it
    others_are_served(server)
    for thread in threads:
        thread.join(20)
    assert sorted(statuses) == [503, 503, 503, 503, 504, 504]


def test_clients_that_leave_while_they_wait_leave_no_descriptor_behind(server: ServerProcess) -> None:
    descriptors = Path(f"/proc/{facts(get(server, '/'))['pid']}/fd")
    if not descriptors.exists():
        pytest.skip("no /proc to count descriptors in")
    before = len(list(descriptors.iterdir()))
    for _ in range(3):
        with RawClient(server.address, timeout=20) as client:
            client.send(b"GET /shop/hang HTTP/1.1\r\nHost: x\r\n\r\n")
            assert get(server, "/").status == 200
    wait_for(lambda: len(list(descriptors.iterdir())) <= before)
