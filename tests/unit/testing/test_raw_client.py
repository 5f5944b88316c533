from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import throwaway_certificate
from waiting import wait_for

from wsgikit.errors import Disconnected, PeerTimeout, ProtocolError
from wsgikit.testing import Address, RawClient

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture
def peer() -> Iterator[Callable[[Callable[[socket.socket], None]], Address]]:
    """Runs a function on the first connection that is accepted."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve(behaviour: Callable[[socket.socket], None]) -> Address:
        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                behaviour(connection)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return ("127.0.0.1", listener.getsockname()[1])

    yield serve
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    listener.close()


def test_two_responses_in_one_segment_are_told_apart(peer) -> None:
    address = peer(lambda connection: connection.sendall(OK + OK.replace(b"hi", b"ho")))
    with RawClient(address) as client:
        assert client.read_response().body == b"hi"
        assert client.read_response().body == b"ho"
        with pytest.raises(Disconnected):
            client.read_response()


def test_dribbled_bytes_arrive_in_order(peer) -> None:
    seen = bytearray()

    def collect(connection: socket.socket) -> None:
        while data := connection.recv(100):
            seen.extend(data)
        connection.sendall(OK)

    with RawClient(peer(collect)) as client:
        client.dribble(b"abc", size=1)
        client.send_split(b"defghi", 1, 4)
        client.half_close()
        assert client.read_response().status == 200
    assert seen == b"abcdefghi"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_tls_session_is_ended_on_one_side_only(peer, tmp_path: Path, version: ssl.TLSVersion) -> None:
    server, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(*throwaway_certificate.make(tmp_path))
    server.maximum_version = version
    client_side.check_hostname, client_side.verify_mode = False, ssl.CERT_NONE
    seen = bytearray()

    def answer_after_the_end(connection: socket.socket) -> None:
        with server.wrap_socket(connection, server_side=True) as secure:
            while data := secure.recv(65536):
                seen.extend(data)
            secure.sendall(OK.replace(b"hi", b"h" * 2))

    with RawClient(peer(answer_after_the_end), tls=client_side) as client:
        client.send(b"a" * 100_000)
        client.half_close()
        assert client.read_response().body == b"hh"
        assert client.receive() == b""
    assert seen == b"a" * 100_000


def test_silence_is_a_timeout_with_what_had_arrived(peer) -> None:
    gate = threading.Event()

    def stall(connection: socket.socket) -> None:
        connection.sendall(OK[:-1])
        gate.wait(5)

    with RawClient(peer(stall), timeout=0.1) as client:
        with pytest.raises(PeerTimeout):
            client.read_response()
        assert client.partial is not None
        assert client.partial.body == b"h"
        assert bytes(client.received) == OK[:-1]
        gate.set()


def test_a_reset_is_seen_by_the_other_side(peer) -> None:
    seen: list[type[BaseException]] = []
    ready = threading.Event()

    def wait_for_reset(connection: socket.socket) -> None:
        ready.set()
        try:
            connection.recv(1)
        except ConnectionResetError as error:
            seen.append(type(error))

    client = RawClient(peer(wait_for_reset))
    ready.wait(5)
    client.reset()
    wait_for(lambda: seen)
    assert seen == [ConnectionResetError]


def test_closed_by_peer_keeps_the_bytes(peer) -> None:
    gate = threading.Event()

    def late(connection: socket.socket) -> None:
        connection.sendall(OK)
        gate.wait(5)

    with RawClient(peer(late)) as client:
        assert client.closed_by_peer(0.05) == ""
        gate.set()
        assert client.closed_by_peer(2.0) == "eof"
        assert client.read_response().body == b"hi"
        assert client.read_until_close() == b""


def test_read_until_leaves_the_rest(peer) -> None:
    with RawClient(peer(lambda connection: connection.sendall(b"one\r\n\r\ntwo"))) as client:
        assert client.read_until(b"\r\n\r\n") == b"one\r\n\r\n"
        assert client.read_until_close() == b"two"


def test_an_open_connection_is_not_a_closed_one(peer) -> None:
    gate = threading.Event()
    with RawClient(peer(lambda connection: gate.wait(5) and None)) as client:
        with pytest.raises(PeerTimeout):
            client.read_until_close(timeout=0.05)
        assert client.read_for(0.01) == b""
        gate.set()


def test_send_some_stops_when_the_peer_does_not_read(peer) -> None:
    gate = threading.Event()
    with RawClient(peer(lambda connection: gate.wait(5) and None)) as client:
        sent = client.send_some(bytes(64 * 1024 * 1024), patience=0.1)
        assert 0 < sent < 64 * 1024 * 1024
        gate.set()


def test_strictness_can_be_turned_off(peer) -> None:
    address = peer(lambda connection: connection.sendall(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"))
    with RawClient(address, strict=False) as client:
        assert client.read_response().defects == ["status-line-without-space"]


def test_rubbish_is_a_protocol_error(peer) -> None:
    address = peer(lambda connection: connection.sendall(b"hello\r\n\r\n"))
    with RawClient(address) as client, pytest.raises(ProtocolError, match="bad-status-line"):
        client.read_response()


def test_unix_sockets(tmp_path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with RawClient("unix:" + path) as client:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(OK)
                assert client.read_response().body == b"hi"
