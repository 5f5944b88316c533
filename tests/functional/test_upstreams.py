"""`upstream = "..."` of mounts and routes through the real command: shared, streamed to, changed by HUP."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from scripted_upstream import Peer, ScriptedUpstream, ok
from waiting import wait_for

from wsgikit.testing import RawClient, ServerProcess

COMMAND = [sys.executable, "-m", "wsgikit", "serve", "-b", "{host}:{port}"]
TOML = """
workers = 2
threads = 4
[[mount]]
path = "/api"
upstream = "api"
[[mount]]
path = "/whole"
upstream = "api"
strip = false
[[route]]
rule = "/v2/<path:rest>"
upstream = "api"
[upstream.api]
endpoints = ["{url}"]
"""


def telling(name: bytes) -> ScriptedUpstream:
    """An upstream that answers with its name and the target it was asked for."""

    def serve(peer: Peer) -> None:
        while True:
            peer.send(ok(name + b" " + peer.read_request().target))

    return ScriptedUpstream(serve)


@pytest.fixture
def upstreams() -> Iterator[tuple[ScriptedUpstream, ScriptedUpstream]]:
    with telling(b"first") as first, telling(b"second") as second:
        yield first, second


def get(server: ServerProcess, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_mounts_and_routes_lead_to_an_upstream_and_hup_to_another_one(
    tmp_path: Path, upstreams: tuple[ScriptedUpstream, ScriptedUpstream]
) -> None:
    file = tmp_path / "wsgikit.toml"
    file.write_text(TOML.replace("{url}", upstreams[0].url))
    wrong: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask(server: ServerProcess) -> None:
        while not stop.is_set():
            status, text = get(server, "/v2/always")
            if status != 200 or not text.endswith(" /v2/always"):
                wrong.append((status, text))

    with ServerProcess(COMMAND, env={}, cwd=tmp_path) as server:
        assert get(server, "/api/a%2Fb?q=1") == (200, "first /a%2Fb?q=1")
        assert get(server, "/whole/x") == (200, "first /whole/x")
        assert get(server, "/v2/a/b") == (200, "first /v2/a/b")
        assert get(server, "/elsewhere")[0] == 404
        client = threading.Thread(target=ask, args=(server,))
        client.start()
        try:
            file.write_text(TOML.replace("{url}", "nothing"))
            server.signal(signal.SIGHUP)
            server.wait_for_output("reload failed, the running workers stay")
            server.wait_for_output("wsgikit.toml:15: [upstream.api] ")
            file.write_text(TOML.replace("{url}", upstreams[1].url))
            server.signal(signal.SIGHUP)
            wait_for(lambda: [get(server, "/api/x")[1] for _ in range(10)] == ["second /x"] * 10)
        finally:
            stop.set()
            client.join(20)
    assert not wrong


def test_a_body_reaches_the_upstream_as_it_arrives(tmp_path: Path) -> None:
    begun = threading.Event()

    def serve(peer: Peer) -> None:
        peer.read_head()
        assert peer.take(10) == b"first part"
        begun.set()
        assert peer.take(11) == b"second part"
        peer.send(ok(b"whole"))

    with ScriptedUpstream(serve) as upstream:
        (tmp_path / "wsgikit.toml").write_text(TOML.replace("{url}", upstream.url))
        with (
            ServerProcess(COMMAND, env={}, cwd=tmp_path) as server,
            RawClient(server.address, timeout=20) as client,
        ):
            client.send(b"POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 21\r\n\r\nfirst part")
            assert begun.wait(20)
            client.send(b"second part")
            assert client.read_response("POST").body == b"whole"
