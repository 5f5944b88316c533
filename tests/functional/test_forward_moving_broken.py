"""Large bodies that break on their way through a gateway: visibly, and with nothing of anybody else's."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from moving_gateway import (
    EDGES,
    GET,
    HEAD,
    KIB,
    SEED,
    body,
    echo,
    echoed,
    get,
    keeping_nothing,
    moving,
    open_files,
    post,
    worker,
)
from scripted_upstream import Gone, Peer, ScriptedUpstream, Stage
from waiting import wait_for

from wsgikit.errors import Disconnected
from wsgikit.testing import RawClient, ServerProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no splice(2)")


@pytest.fixture(scope="module")
def server(stage: Stage) -> Iterator[ServerProcess]:
    with keeping_nothing(stage.upstream) as process:
        yield process


# Broken on the way to the client


@pytest.mark.parametrize(
    ("end", "sent"), [("close", 40 * KIB), ("close", 200 * KIB), ("reset", 200 * KIB), ("silence", 200 * KIB)]
)
def test_a_body_that_ends_early_looks_broken(stage, server, end: str, sent: int) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD % (300 * KIB) + body(sent))
        time.sleep(0.1)  # the client has its part by then
        if end == "silence":
            assert peer.left()
        else:
            getattr(peer, end)()

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(GET % b"")
        with pytest.raises(Disconnected):
            client.read_response()
        assert client.partial is not None
        assert client.partial.body == body(sent)


def test_bytes_behind_the_length_reach_nobody() -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        data = body(200 * KIB)
        peer.send(HEAD % len(data) + data + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        peer.left()

    with ScriptedUpstream(script) as up, moving({"to": up.url}) as server, RawClient(server.address) as client:
        for _ in range(4):
            client.send(GET % b"")
            assert client.read_response().body == body(200 * KIB)
        assert up.connections == 4


def test_a_client_that_leaves_takes_the_upstream_with_it(stage, server) -> None:
    left = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD % 10**17)
        try:
            while True:
                peer.send(body(64 * KIB))
        except Gone:
            left.set()

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(GET % b"")
        client.read_until(SEED[-100:])
    assert left.wait(2)


@pytest.mark.parametrize(("layer", "by"), [(b"shorter", -1000), (b"longer", 1000)])
def test_a_layer_that_changes_the_length_is_obeyed(stage, server, layer: bytes, by: int) -> None:
    size = 300 * KIB

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD % size + body(size))

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(GET % layer)
        if by < 0:
            assert client.read_response().body == body(size + by)
            client.send(GET % b"-/pipes")
            assert client.read_response().status == 200
        else:
            with pytest.raises(Disconnected):
                client.read_response()


def test_a_body_that_ends_early_behind_a_head_that_a_layer_has_sent(stage, server) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD % (300 * KIB))
        time.sleep(0.1)  # so that no block comes with it
        peer.send(body(100 * KIB))

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(GET % b"flushed")
        with pytest.raises(Disconnected):
            client.read_response()
    assert "the app failed" not in server.output


def test_a_layer_that_changes_the_body_sees_all_of_it(stage, server) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD % (200 * KIB) + b"a" * 200 * KIB)

    stage.play(script)
    assert get(server, b"upper").body == b"A" * 200 * KIB


def test_a_layer_that_counts_the_upload_sees_all_of_it(stage, server) -> None:
    stage.play(echo)
    with RawClient(server.address, timeout=20) as client:
        client.send(post(body(300 * KIB), b"seen"))
        assert client.read_response().get("X-Seen") == b"%d" % (300 * KIB)


# Broken on the way to the upstream


@pytest.mark.parametrize("end", ["half_close", "reset", "silence"])
def test_an_upload_that_ends_early_is_never_whole(stage, server, end: str) -> None:
    cut = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_head()
        try:
            peer.take(300 * KIB)
        except Gone:
            cut.set()

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(post(body(300 * KIB))[: 200 * KIB])
        if end == "silence":
            assert client.read_response().status == 408
        else:
            time.sleep(0.1)
            getattr(client, end)()
        assert cut.wait(5)


@pytest.mark.parametrize("end", ["answer", "answer and close", "reset"])
def test_an_upload_that_is_not_wanted_leaves_no_bytes_to_be_read_as_requests(stage, server, end: str) -> None:
    poison = GET % b"poison"
    data = poison * (400 * KIB // len(poison))
    gone = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_head()
        peer.take(100 * KIB)
        if end == "reset":
            peer.reset()
            return
        peer.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n")
        if end == "answer":
            gone.wait(5)

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(post(data)[: 200 * KIB])
        time.sleep(0.2)
        client.send_some(post(data)[200 * KIB : 250 * KIB])
        response = client.read_response()
        gone.set()
        client.send_some(post(data)[250 * KIB :])
        assert response.status == (502 if end == "reset" else 413)
        assert client.closed_by_peer(3.0)
    assert [request.target for request in stage.upstream.requests] == [b"/"]


def test_an_upload_of_which_bytes_have_gone_is_not_sent_again() -> None:
    """HTTP/1.0 knows no 100 (Continue), so that the first byte may be moved at once."""

    reset = threading.Event()

    def refuses(peer: Peer) -> None:
        peer.read_head()
        peer.take(50 * KIB)
        peer.reset()
        reset.set()

    request = post(body(200 * KIB), fields=b"Expect: 100-continue\r\n", version=b"1.0").replace(b"POST", b"PUT")
    with ScriptedUpstream(refuses) as one, ScriptedUpstream(refuses) as two:
        options = {"endpoints": [one.url, two.url], "continue_timeout": 0.1}
        with moving(options) as server, RawClient(server.address) as client:
            head, _, data = request.partition(b"\r\n\r\n")
            client.send(head + b"\r\n\r\n")
            time.sleep(0.2)  # the body is not read along with the head
            client.send(data[: 50 * KIB])
            assert reset.wait(5)
            client.send_some(data[50 * KIB : 100 * KIB])
            assert client.read_response().status == 502
        assert one.connections + two.connections == 1


def test_broken_transfers_leave_no_pipes_behind(stage, server) -> None:
    def script(peer: Peer) -> None:
        received = peer.read_head()
        if received.method == b"POST":
            peer.take(64 * KIB)
        else:
            peer.send(HEAD % (900 * KIB) + body(600 * KIB))
        peer.reset()

    def breaks(number: int) -> None:
        with RawClient(server.address, receive_buffer=4096) as client:
            client.send_some(post(body(400 * KIB)) if number % 2 else GET % b"")
            if number % 3:
                client.reset()

    stage.play(script)
    before = open_files(worker(server))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(breaks, range(64)))
    wait_for(lambda: open_files(worker(server)) <= before + 2 * 8)
    stage.play(echo)
    with RawClient(server.address) as client:
        for size in EDGES[:-1]:  # and nothing of theirs is in one
            echoed(client, size)
