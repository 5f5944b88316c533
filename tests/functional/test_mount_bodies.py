"""`body` of a mount, through the real command: a streamed body is not asked for before the app asks for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from wsgikit.testing import RawClient, ServerProcess

APPS = """
import json

def app(environ, start_response):
    early = environ.get("wsgi.early_hints")
    if early is not None:
        early([("X-App", "runs")])                 # before it asks for a byte of the body
    body = environ["wsgi.input"].read()
    data = json.dumps({"length": environ.get("CONTENT_LENGTH"), "body": len(body)}).encode()
    start_response("200 OK", [("Content-Length", str(len(data)))])
    return [data]
"""
TOML = """
threads = 4
max_body = "64KiB"
[[mount]]
app = "bodies_x:app"
[[mount]]
path = "/streamed"
app = "bodies_x:app"
body = "stream"
[[mount]]
path = "/one"
app = "bodies_x:app"
group = "one"
[[mount]]
path = "/two"
app = "bodies_x:app"
group = "two"
[[mount]]
path = "/two/mount"
app = "bodies_x:app"
group = "one"
body = "stream"
[[mount]]
path = "/two/kept"
app = "bodies_x:app"
group = "two"
body = "spool"
[[route]]
rule = "/<int:number>/put"
methods = ["PUT"]
app = "bodies_x:app"
body = "stream"
[group.one]
threads = 2
[group.two]
threads = 2
body = "stream"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("bodies")
    (folder / "bodies_x.py").write_text(APPS)
    (folder / "wsgikit.toml").write_text(TOML)
    with ServerProcess([sys.executable, "-m", "wsgikit", "serve", "-b", "{host}:{port}"], cwd=folder) as process:
        yield process


@pytest.mark.parametrize(
    ("start", "app_runs_first"),
    [
        ("POST /x", False),
        ("POST /streamed/x", True),
        ("POST /streame%64", True),
        ("POST /streamedx", False),
        ("PUT /7/put", True),
        ("POST /7/put", False),
        ("PUT /seven/put", False),
    ],
)
def test_the_mount_and_the_route_say_when_the_app_runs(server: ServerProcess, start: str, app_runs_first: bool) -> None:
    refused = start == "POST /7/put"  # by the route, which is for PUT
    with RawClient(server.address, timeout=20) as client:
        client.send(f"{start} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n".encode())
        before = client.read_until(b" 100 Continue\r\n\r\n")
        client.send(b"hello")
        assert client.read_response("POST").status == (405 if refused else 200)
    assert (b" 103 " in before) == app_runs_first


def chunked(server: ServerProcess, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with RawClient(server.address, timeout=20) as client:
        client.send(head.encode())
        client.send_some(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        response = client.read_response("POST")
    return response.status, json.loads(response.body) if response.status == 200 else {}


@pytest.mark.parametrize(
    ("path", "length"),
    [
        ("/x", "5"),  # read before the app runs: its length is known
        ("/streamed", None),
        ("/one", "5"),  # streamed to the group's worker, which reads it before its app runs
        ("/two", None),  # streamed both times
        ("/two/mount", None),
        ("/two/kept", "5"),
    ],
)
def test_a_body_in_chunks_arrives_whole_whoever_reads_it(server: ServerProcess, path: str, length: str | None) -> None:
    assert chunked(server, path, b"hello") == (200, {"length": length, "body": 5})


@pytest.mark.parametrize("path", ["/x", "/streamed", "/one", "/two", "/two/kept"])
def test_a_body_that_is_too_large_is_refused_wherever_that_is_found_out(server: ServerProcess, path: str) -> None:
    assert chunked(server, path, b"x" * 65536)[1]["body"] == 65536
    assert chunked(server, path, b"x" * 65537)[0] == 413
    assert chunked(server, path, b"hello")[0] == 200


@pytest.mark.parametrize("path", ["/streamed", "/one"])
def test_a_body_that_breaks_its_framing_is_the_clients_fault(server: ServerProcess, path: str) -> None:
    with RawClient(server.address, timeout=20) as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".encode())
        assert client.read_response("POST").status == 400
