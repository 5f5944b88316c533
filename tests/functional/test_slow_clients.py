"""Clients that are slow, silent or gone cost no thread: everybody else is answered at once."""

from __future__ import annotations

import select
import time
from contextlib import ExitStack

import pytest

from wsgikit.errors import Disconnected
from wsgikit.testing import RawClient, ServerProcess

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
THREADS = 2
CROWD = 12


def answered_at_once(server: ServerProcess) -> None:
    for _ in range(3):
        with RawClient(server.address, timeout=5) as client:  # those who keep it busy have their connections for longer
            client.send(GET % b"hello")
            assert client.read_response().body == b"hello"


@pytest.fixture(params=["epoll", "selectors"])
def poller(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_heads_that_do_not_end(serving, poller: str) -> None:
    server = serving("--threads", str(THREADS), "--poller", poller)
    with ExitStack() as stack:
        for _ in range(CROWD):
            stack.enter_context(RawClient(server.address)).send(b"GET / HTTP/1.1\r\nHo")
        answered_at_once(server)


def test_bodies_that_do_not_end(serving, poller: str) -> None:
    server = serving("--threads", str(THREADS), "--poller", poller)
    with ExitStack() as stack:
        for _ in range(CROWD):
            client = stack.enter_context(RawClient(server.address))
            client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome")
        answered_at_once(server)


def test_readers_that_do_not_read(serving, poller: str) -> None:
    server = serving("--threads", str(THREADS), "--poller", poller)
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.address, receive_buffer=4096)) for _ in range(CROWD)]
        for client in clients:
            client.send(GET % b"big?8000000")
        answered_at_once(server)
        for client in clients:  # and they get all of it when they do read
            assert client.read_response(timeout=20).body == b"x" * 8_000_000
            client.send(GET % b"hello")
            assert client.read_response().body == b"hello"


def test_a_file_for_a_reader_that_does_not_read(serving, poller: str, tmp_path) -> None:
    content = bytes(range(256)) * 40_000
    (tmp_path / "served").write_bytes(content)
    server = serving("--threads", "1", "--poller", poller, env={"SERVED_FILE": str(tmp_path / "served")})
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.address, receive_buffer=4096)) for _ in range(3)]
        for client in clients:
            client.send(GET % b"file")
        answered_at_once(server)
        for client in clients:
            assert client.read_response(timeout=20).body == content


def test_only_past_both_limits_is_the_app_held_back(serving) -> None:
    server = serving("--threads", "3", "--output-memory", "64KiB", "--output-spool", "1MiB")
    with RawClient(server.address, receive_buffer=4096) as client:
        client.send(GET % b"big?20000000")
        answered_at_once(server)
        assert client.read_response(timeout=20).body == b"x" * 20_000_000


def test_a_client_that_takes_nothing_is_reset(serving) -> None:
    server = serving("--threads", "1", "--send-timeout", "1", "--output-memory", "64KiB", "--output-spool", "64KiB")
    with RawClient(server.address, receive_buffer=4096) as client:
        client.send(GET % b"big?20000000")
        reset = select.poll()
        reset.register(client.socket, select.POLLHUP)
        assert reset.poll(15_000), "the client was not reset although it took nothing"
        with pytest.raises(Disconnected):
            client.read_response(timeout=5)
    answered_at_once(server)


@pytest.mark.parametrize(("option", "sent", "drip"), [
    ("--head-timeout", b"GET / HTTP/1.1\r\nX: ", b"a"),
    ("--body-timeout", b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", b"a"),
])  # fmt: skip
def test_one_byte_now_and_then_does_not_defeat_a_timeout(serving, option: str, sent: bytes, drip: bytes) -> None:
    server = serving("--threads", "1", option, "1")
    with RawClient(server.address) as client:
        client.send(sent)
        began = time.monotonic()
        while not client.readable(0.1):
            assert time.monotonic() - began < 5
            client.send(drip)
        assert client.read_response().status == 408
        assert 0.8 < time.monotonic() - began < 3
        assert client.closed_by_peer(4.0)


def test_an_idle_connection_is_closed_without_a_word(serving) -> None:
    server = serving("--keep-alive", "1")
    with RawClient(server.address) as client:
        client.send(GET % b"hello")
        client.read_response()
        assert client.read_until_close(timeout=4) == b""


def test_a_client_that_dies_in_the_middle_leaves_nothing_behind(serving) -> None:
    server = serving("--threads", "1")
    for _ in range(5):
        with RawClient(server.address, receive_buffer=4096) as client:
            client.send(GET % b"big?8000000")
            client.receive()
            client.reset()
    answered_at_once(server)


def test_too_many_connections_are_answered_503(serving) -> None:
    server = serving("--connections", "3")
    with ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(RawClient(server.address))
            client.send(GET % b"hello")
            client.read_response()
        with RawClient(server.address) as client:
            response = client.read_response()
            assert response.status == 503
            assert response.get("Retry-After")
            assert client.closed_by_peer(4.0)
    deadline = time.monotonic() + 5
    while True:  # the others have left: there is room again
        with RawClient(server.address) as client:
            client.send(GET % b"hello")
            if client.read_response().status == 200:
                return
        assert time.monotonic() < deadline


def test_a_half_closed_client_is_answered(serving) -> None:
    server = serving()
    with RawClient(server.address) as client:
        client.send(GET % b"hello")
        client.half_close()
        assert client.read_response().body == b"hello"
        assert client.closed_by_peer(2.0) == "eof"
