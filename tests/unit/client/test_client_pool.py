"""Which connection a request goes on, and when one is not used again."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from scripted_upstream import Peer, ScriptedUpstream, answering, ok
from waiting import wait_for

from wsgikit.client import Client, ClientSettings, Request
from wsgikit.client.connection import Connection
from wsgikit.client.pool import Pool
from wsgikit.errors import UpstreamError
from wsgikit.testing import FakeClock


def get(client: Client) -> bytes:
    with client.get(b"/") as response:
        return response.read_all(1 << 20)


@pytest.fixture
def pairs():
    made = [socket.socketpair() for _ in range(8)]
    yield made
    for ours, theirs in made:
        ours.close()
        theirs.close()


def connection(pair: tuple[socket.socket, socket.socket]) -> Connection:
    pair[0].setblocking(False)
    return Connection(pair[0])


def test_last_in_first_out_and_bounded(pairs) -> None:
    pool = Pool(keep_alive=10, max_idle=3)
    made = [connection(pair) for pair in pairs[:5]]
    for each in made:
        pool.give_back(each)
    assert len(pool) == 3
    assert [pool.checkout() for _ in range(3)] == made[:1:-1]
    assert pool.checkout() is None
    assert [each.sock.fileno() for each in made[:2]] == [-1, -1]


def test_old_ones_are_closed_not_used(pairs) -> None:
    clock = FakeClock()
    pool = Pool(keep_alive=5, max_idle=8, clock=clock)
    old, young = connection(pairs[0]), connection(pairs[1])
    pool.give_back(old)
    clock.advance(4)
    pool.give_back(young)
    clock.advance(2)
    pool.trim()
    assert (len(pool), old.sock.fileno()) == (1, -1)
    assert pool.checkout() is young
    pool.give_back(young)
    clock.advance(6)
    assert pool.checkout() is None
    assert young.sock.fileno() == -1


@pytest.mark.parametrize("event", ["closed", "unasked bytes"])
def test_a_connection_on_which_something_came_is_not_used(pairs, event: str) -> None:
    pool = Pool(keep_alive=5, max_idle=8)
    good, bad = connection(pairs[0]), connection(pairs[1])
    pool.give_back(good)
    pool.give_back(bad)
    if event == "closed":
        pairs[1][1].close()
    else:
        pairs[1][1].sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert pool.checkout() is good
    assert bad.sock.fileno() == -1


def test_max_requests_and_close(pairs) -> None:
    pool = Pool(keep_alive=5, max_idle=8, max_requests=2)
    each = connection(pairs[0])
    pool.give_back(each)
    assert pool.checkout() is each
    pool.give_back(each)
    assert (pool.checkout(), each.sock.fileno()) == (None, -1)
    idle, used = connection(pairs[1]), connection(pairs[2])
    pool.give_back(idle)
    pool.close()
    pool.give_back(used)
    assert (len(pool), idle.sock.fileno(), used.sock.fileno()) == (0, -1, -1)


def test_checkout_looks_at_one_connection_only(pairs, monkeypatch) -> None:
    pool = Pool(keep_alive=5, max_idle=8)
    for pair in pairs:
        pool.give_back(connection(pair))
    looked = []
    usable = Connection.usable
    monkeypatch.setattr(Connection, "usable", lambda self: looked.append(self) or usable(self))
    assert pool.checkout() is not None
    assert len(looked) == 1


def test_one_connection_serves_many_requests() -> None:
    with ScriptedUpstream(answering(ok(b"x" * 100_000))) as upstream, Client(upstream.url) as client:
        for _ in range(5):
            assert len(get(client)) == 100_000
        assert (upstream.connections, len(client.pool)) == (1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 204 No Content\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nevil",
    ],
)
def test_connections_that_must_not_be_used_again(answer: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer)

    with ScriptedUpstream(script) as upstream, Client(upstream.url) as client:
        for _ in range(3):
            assert get(client) in (b"x", b"")
            assert len(client.pool) == 0
        assert upstream.connections == 3


def test_stale_connections_are_found_before_they_are_used() -> None:
    closed = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(ok())
        peer.close()
        closed.set()

    with ScriptedUpstream(script) as upstream, Client(upstream.url) as client:
        for _ in range(3):
            assert get(client) == b"hello"
            assert closed.wait(2)
            closed.clear()
            wait_for(lambda: not client.pool._idle[0].usable())
        assert upstream.connections == 3


def test_a_reset_that_crosses_the_request_says_so() -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(ok())
        peer.read_request()
        peer.reset()

    with ScriptedUpstream(script) as upstream, Client(upstream.url) as client:
        assert get(client) == b"hello"
        with pytest.raises(UpstreamError) as caught:
            get(client)
    assert (caught.value.phase, caught.value.reused, caught.value.answered) == ("head", True, False)


def test_unread_responses_take_their_connection_with_them() -> None:
    with ScriptedUpstream(answering(ok(b"x" * 1_000_000))) as upstream, Client(upstream.url) as client:
        with client.get(b"/") as response:
            response.read()
        assert len(client.pool) == 0
        assert len(get(client)) == 1_000_000


def test_threads_share_a_client() -> None:
    def script(peer: Peer) -> None:
        while True:
            received = peer.read_request()
            peer.answer("200 OK", received.target * 50)

    wrong: list[bytes] = []
    with ScriptedUpstream(script) as upstream, Client(upstream.url) as client:

        def work(number: int) -> None:
            for turn in range(50):
                target = b"/%d-%d" % (number, turn)
                with client.get(target) as response:
                    if response.read_all(10_000) != target * 50:
                        wrong.append(target)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert upstream.connections <= 8 + 8


def test_a_child_process_uses_no_connection_of_its_parent() -> None:
    with ScriptedUpstream(answering(ok())) as upstream, Client(upstream.url) as client:
        get(client)
        child = os.fork()
        if child == 0:
            os._exit(0 if len(client.pool) == 0 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(client.pool) == 1
        assert get(client) == b"hello"
        assert upstream.connections == 1


def test_settings_reach_the_pool() -> None:
    settings = ClientSettings(max_requests=2)
    with ScriptedUpstream(answering(ok())) as upstream, Client(upstream.url, settings) as client:
        for _ in range(4):
            with client.send(Request(method="GET", target=b"/", fields=[(b"Host", b"a")])) as response:
                response.read_all(10)
        assert upstream.connections == 2
