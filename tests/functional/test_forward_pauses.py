"""A gateway waits without threads: more requests than it has threads, however they end."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from scripted_upstream import Gone, Peer, Received, ScriptedUpstream, ok
from throwaway_certificate import make, server_context
from waiting import wait_for

from wsgikit.errors import PeerTimeout
from wsgikit.testing import RawClient, ServerProcess

APPS = Path(__file__).parent / "apps"
GET = b"GET /%b HTTP/1.1\r\nHost: shop.example\r\n\r\n"
CROWD = 24


class Gate:
    """An upstream that answers nobody until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.left = threading.Semaphore(0)

    def script(self, peer: Peer) -> None:
        while True:
            peer.read_request()
            try:
                while not self.opened.is_set():
                    if peer.left(0.02):
                        self.left.release()
                        return
                peer.send(ok(b"late", "Content-Type: text/plain"))
            except Gone:
                self.left.release()
                return


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def upstream(gate: Gate) -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(gate.script) as made:
        yield made
        gate.opened.set()


def two_threads(options: dict[str, object]) -> ServerProcess:
    command = [sys.executable, "-m", "wsgikit", "serve", "gateways:app", "-b", "{host}:{port}", "--threads", "2"]
    return ServerProcess([*command, "--pythonpath", str(APPS)], env={"GATEWAY": json.dumps(options)})


def status(server: ServerProcess) -> dict[str, Any]:
    with RawClient(server.address) as client:
        client.send(GET % b"-/status/json")
        found: dict[str, Any] = json.loads(client.read_response().body)
    (endpoint,) = found["upstreams"][0]["endpoints"]
    return dict(endpoint)


def test_a_crowd_waits_in_two_threads(gate: Gate, upstream: ScriptedUpstream) -> None:
    with two_threads({"endpoints": [upstream.url]}) as server, ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.address)) for _ in range(CROWD)]
        for client in clients:
            client.send(GET % b"slow")
        wait_for(lambda: len(upstream.requests) == CROWD)
        wait_for(lambda: status(server)["in_flight"] == CROWD)  # and somebody else is answered meanwhile
        gate.opened.set()
        assert {client.read_response().body for client in clients} == {b"late"}
        wait_for(lambda: status(server)["in_flight"] == 0)


def test_clients_that_leave_close_what_they_asked_for(gate: Gate, upstream: ScriptedUpstream) -> None:
    with two_threads({"endpoints": [upstream.url]}) as server:
        with ExitStack() as stack:
            for _ in range(CROWD):
                stack.enter_context(RawClient(server.address)).send(GET % b"slow")
            wait_for(lambda: len(upstream.requests) == CROWD)
        for _ in range(CROWD):
            assert gate.left.acquire(timeout=5)
        wait_for(lambda: status(server)["in_flight"] == 0)


def test_a_full_endpoint_has_a_queue_that_needs_no_threads(gate: Gate, upstream: ScriptedUpstream) -> None:
    options = {"endpoints": [f"{upstream.url} max_connections=3"], "queue": 30, "queue_timeout": 10}
    with two_threads(options) as server, ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.address)) for _ in range(CROWD)]
        for client in clients:
            client.send(GET % b"slow")
        wait_for(lambda: len(upstream.requests) == 3)
        for leaver in clients[-4:]:  # from the queue, or while they are served
            leaver.close()
        gate.opened.set()
        assert {client.read_response().body for client in clients[:-4]} == {b"late"}
        wait_for(lambda: status(server)["in_flight"] == 0)


def test_the_queue_has_its_end(upstream: ScriptedUpstream) -> None:
    options = {"endpoints": [f"{upstream.url} max_connections=1"], "queue": 2, "queue_timeout": 0.3, "retry_after": 7}
    with two_threads(options) as server, ExitStack() as stack:
        first, *others = [stack.enter_context(RawClient(server.address)) for _ in range(4)]
        first.send(GET % b"slow")
        wait_for(lambda: upstream.requests)
        for client in others:
            client.send(GET % b"slow")
        answers = [client.read_response(timeout=5) for client in others]
        assert [answer.status for answer in answers] == [503, 503, 503]
        assert answers[0].get("Retry-After") == b"7"


def test_the_first_byte_has_its_time(upstream: ScriptedUpstream) -> None:
    with two_threads({"to": upstream.url, "first_byte_timeout": 0.3}) as server, ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.address)) for _ in range(CROWD)]
        begun = time.monotonic()
        for client in clients:
            client.send(GET % b"slow")
        assert {client.read_response().status for client in clients} == {504}
        assert time.monotonic() - begun < 3.5  # at once: one after the other in two threads takes longer


def test_a_silent_body_has_its_time(upstream: ScriptedUpstream, gate: Gate) -> None:
    def half(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        gate.opened.wait(10)

    with ExitStack() as stack:
        up = stack.enter_context(ScriptedUpstream(half))
        server = stack.enter_context(two_threads({"to": up.url, "idle_timeout": 0.3}))
        clients = [stack.enter_context(RawClient(server.address)) for _ in range(CROWD)]
        begun = time.monotonic()
        for client in clients:
            client.send(GET % b"half")
        for client in clients:
            client.read_until(b"half")
            assert client.closed_by_peer(8.0)
        assert time.monotonic() - begun < 3.5
        gate.opened.set()


def test_a_layer_that_keeps_empty_blocks_for_itself_holds_a_thread(gate: Gate, upstream: ScriptedUpstream) -> None:
    with two_threads({"to": upstream.url}) as server, RawClient(server.address) as client:
        client.send(GET % b"hoard/slow")
        wait_for(lambda: upstream.requests)
        gate.opened.set()
        assert client.read_response().body == b"late"


@pytest.mark.parametrize("path", [b"strict/slow", b"strict/outside/slow"])
def test_a_layer_that_knows_the_pep_alone_gets_no_block_before_the_head(
    gate: Gate, upstream: ScriptedUpstream, path: bytes
) -> None:
    with two_threads({"to": upstream.url}) as server, RawClient(server.address) as client:
        client.send(GET % path)
        wait_for(lambda: upstream.requests)
        time.sleep(0.1)
        gate.opened.set()
        assert client.read_response().body == b"late"


@pytest.mark.parametrize("scheme", ["scgi", "uwsgi"])
def test_other_wires_need_no_threads_either(gate: Gate, scheme: str) -> None:
    def script(peer: Peer) -> None:
        peer.read_some()
        peer.upstream.requests.append(Received(b"GET", b"/", [], b""))
        gate.opened.wait(10)
        peer.send(b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nlate")

    with ScriptedUpstream(script) as up, ExitStack() as stack:
        server = stack.enter_context(two_threads({"to": up.url.replace("http://", f"{scheme}://")}))
        clients = [stack.enter_context(RawClient(server.address)) for _ in range(CROWD)]
        for client in clients:
            client.send(GET % b"slow")
        wait_for(lambda: len(up.requests) == CROWD)
        gate.opened.set()
        assert {client.read_response().body for client in clients} == {b"late"}


def test_an_answer_that_comes_before_the_whole_upload_is_not_waited_for(gate: Gate) -> None:
    def script(peer: Peer) -> None:
        peer.read_head()
        peer.send(ok(b"enough"))
        gate.opened.wait(10)  # neither reads on nor closes

    with ScriptedUpstream(script) as up, two_threads({"to": up.url}) as server, RawClient(server.address) as client:
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n" + bytes(4000000))
        begun = time.monotonic()
        assert client.read_response().body == b"enough"
        assert time.monotonic() - begun < 3.5
        gate.opened.set()


def test_a_body_that_comes_later_over_tls(gate: Gate, tmp_path: Path) -> None:
    certificate = make(tmp_path)

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnow, ")
        gate.opened.wait(10)
        peer.send(b"late")

    with ScriptedUpstream(script, tls=server_context(*certificate)) as up, ExitStack() as stack:
        server = stack.enter_context(two_threads({"to": up.url, "tls": {"ca": certificate[0]}}))
        client = stack.enter_context(RawClient(server.address))
        client.send(GET % b"slow")
        assert client.read_until(b"now, ").endswith(b"now, ")
        gate.opened.set()
        assert client.read_until(b"late") == b"late"


def test_a_stale_connection_is_replaced(gate: Gate) -> None:
    """The endpoint closes a kept connection while the next request is on its way."""

    def once(peer: Peer) -> None:
        peer.read_request()
        peer.send(ok(b"once"))
        peer.read_request()

    with ScriptedUpstream(once) as up, two_threads({"to": up.url}) as server, RawClient(server.address) as client:
        for _ in range(4):
            client.send(GET % b"again")
            assert client.read_response().body == b"once"


LINE = b"HTTP/1.1 200 OK\r\n"
INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "rest"),
    [([LINE[n : n + 1] for n in range(len(LINE))], b""), (8 * [INTERIM], LINE)],
    ids=["bytes", "interim"],
)
def test_a_head_that_comes_in_pieces_holds_no_thread(pieces: list[bytes], rest: bytes) -> None:
    finished, begun = threading.Event(), threading.Semaphore(0)

    def slow(peer: Peer) -> None:
        peer.read_request()
        for piece in pieces:
            peer.send(piece)
            time.sleep(0.02)  # so that they are read one by one
        begun.release()
        finished.wait(10)
        peer.send(rest + b"Content-Length: 2\r\n\r\nhi")

    with ScriptedUpstream(slow) as up, two_threads({"to": up.url}) as server, ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.address)) for _ in range(4)]
        for client in clients:
            client.send(GET % b"slow")
        for _ in clients:
            assert begun.acquire(timeout=10)
        with RawClient(server.address) as other:
            other.send(GET % b"-/status/json")
            assert other.read_response(timeout=5).status == 200
        finished.set()
        assert {client.read_response().body for client in clients} == {b"hi"}


def test_a_client_that_ended_its_side_keeps_its_place_if_it_may(gate: Gate, upstream: ScriptedUpstream) -> None:
    options = {"endpoints": [f"{upstream.url} max_connections=1"], "queue_timeout": 10, "half_close": "stay"}
    with two_threads(options) as server, RawClient(server.address) as first, RawClient(server.address) as second:
        first.send(GET % b"slow")
        wait_for(lambda: len(upstream.requests) == 1)
        second.send(GET % b"slow")
        second.half_close()
        with pytest.raises(PeerTimeout):
            second.receive(0.3)  # many looks of the first in the queue
        gate.opened.set()
        assert [client.read_response().body for client in (first, second)] == [b"late"] * 2
