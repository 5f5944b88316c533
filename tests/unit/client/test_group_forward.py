"""The way to a group's private socket, against peers that are scripted byte by byte."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wsgikit.client.group import GroupForward, received
from wsgikit.errors import Disconnected, LimitError, PeerTimeout, ProtocolError

Peer = Callable[[socket.socket], None]


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Callable[[Peer], str]]:
    """Listens, and lets a function of the test's serve one connection. Gives the address."""
    listening = socket.socket(socket.AF_UNIX)
    threads: list[threading.Thread] = []

    def serve(script: Peer) -> None:
        sock, _ = listening.accept()
        with sock:
            sock.settimeout(10)
            script(sock)

    def start(script: Peer) -> str:
        listening.bind(str(tmp_path / "peer.sock"))
        listening.listen(1)
        threads.append(threading.Thread(target=serve, args=(script,)))
        threads[0].start()
        return f"unix:{tmp_path / 'peer.sock'}"

    yield start
    for thread in threads:
        thread.join(10)
    listening.close()


def environ(method: str = "GET", body: bytes = b"", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "REQUEST_METHOD": method, "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "x", "REMOTE_ADDR": "192.0.2.1",
        "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body), "wsgikit.raw_target": b"/a%2Fb?q",
        "wsgikit.raw_headers": [(b"Host", b"x")],
    }  # fmt: skip
    return {**made, **({"CONTENT_LENGTH": str(len(body))} if body else {}), **more}


class Answer:
    """One call of the app, its status, headers and body."""

    def __init__(self, address: str, asked: dict[str, Any], *, patience: float = 10.0, limit: int = 1) -> None:
        self.started: list[tuple[str, list[tuple[str, str]]]] = []
        self.forward = GroupForward("shop", lambda: address, limit=limit, patience=patience)
        self.response = self.forward(
            asked, lambda status, headers, exc_info=None: self.started.append((status, headers))
        )

    def body(self) -> bytes:
        try:
            return b"".join(self.response)
        finally:
            getattr(self.response, "close", lambda: None)()

    @property
    def status(self) -> str:
        return self.started[0][0]


def request_head(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(65536)
    return data


def says(answer: bytes, seen: list[bytes] | None = None) -> Peer:
    def script(sock: socket.socket) -> None:
        head = request_head(sock)
        if seen is not None:
            seen.append(head)
        sock.sendall(answer)

    return script


def test_the_request_goes_as_it_came_without_what_belongs_to_the_connection(peer: Callable[[Peer], str]) -> None:
    seen: list[bytes] = []
    fields = [
        (b"Host", b"x"), (b"X-One", b"1"), (b"connection", b"keep-alive, X-Hop"), (b"X-Hop", b"h"), (b"x-one", b"2"),
        (b"Upgrade", b"websocket"), (b"Expect", b"100-continue"), (b"X-Gone", b"taken out by the server"),
    ]  # fmt: skip
    asked = environ(HTTP_X_ONE="1,2", HTTP_X_HOP="h", HTTP_UPGRADE="websocket", **{"wsgikit.raw_headers": fields})
    answer = Answer(peer(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", seen)), asked)
    assert answer.body() == b"ok"
    lines = seen[0].split(b"\r\n")
    assert lines[0] == b"GET /a%2Fb?q HTTP/1.1"
    assert [line for line in lines[1:] if not line.startswith(b"Wsgikit-Environ: ")] == [
        b"Host: x", b"X-One: 1", b"x-one: 2", b"Connection: close", b"", b"",
    ]  # fmt: skip


def test_the_facts_of_the_connection_come_out_on_the_other_side(peer: Callable[[Peer], str]) -> None:
    seen: list[bytes] = []
    asked = environ(REMOTE_PORT="7", HTTPS="on", SSL_CLIENT_S_DN="CN=a", SERVER_PORT="443")
    Answer(peer(says(b"HTTP/1.1 204 No Content\r\n\r\n", seen)), asked).body()
    (line,) = [line for line in seen[0].split(b"\r\n") if line.startswith(b"Wsgikit-Environ: ")]
    got: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        got.append(environ)
        return []

    there = {"HTTP_WSGIKIT_ENVIRON": line.partition(b": ")[2].decode(), "SERVER_NAME": "localhost", "HTTP_HOST": "y"}
    received(app)(there | {"wsgikit.raw_headers": [(b"Wsgikit-Environ", b""), (b"A", b"")]}, None)
    facts = {"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "7", "HTTPS": "on", "SSL_CLIENT_S_DN": "CN=a"}
    assert got == [
        facts
        | {"SERVER_PORT": "443", "HTTP_HOST": "x", "wsgi.url_scheme": "http", "wsgikit.raw_headers": [(b"A", b"")]}
    ]


def test_early_hints_are_handed_on_and_other_interim_answers_are_not(peer: Callable[[Peer], str]) -> None:
    hints: list[list[tuple[str, str]]] = []
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    address = peer(says(interim + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!"))
    answer = Answer(address, environ(**{"wsgi.early_hints": hints.append}))
    assert (answer.body(), answer.status) == (b"!", "200 OK")
    assert hints == [[("Link", "</a>")]]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", b"ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
    ],
)
def test_every_framing_is_understood(peer: Callable[[Peer], str], answer: bytes, body: bytes) -> None:
    assert Answer(peer(says(answer)), environ()).body() == body


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_an_answer_that_breaks_off_is_an_error(peer: Callable[[Peer], str], answer: bytes) -> None:
    with pytest.raises(ProtocolError):
        Answer(peer(says(answer)), environ()).body()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "without an answer"),
        (b"HTTP/1.1 20x\r\n\r\n", "bad-status-line"),
        (b"HTTP/1.1 200 OK\r\nA: b", "without an"),
    ],
)
def test_no_answer_or_a_broken_one_is_502(
    peer: Callable[[Peer], str], caplog: pytest.LogCaptureFixture, answer: bytes, said: str
) -> None:
    got = Answer(peer(says(answer)), environ())
    assert (got.status, got.body()) == ("502 Bad Gateway", b"502 Bad Gateway\n")
    assert said in caplog.text
    assert "GET b'/a%2Fb?q'" in caplog.text


def test_a_group_that_cannot_be_reached_is_503(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    got = Answer(f"unix:{tmp_path}/nothing.sock", environ("HEAD"))
    assert (got.status, got.body()) == ("503 Service Unavailable", b"")
    assert ("Retry-After", "1") in got.started[0][1]
    assert "cannot be reached" in caplog.text


def test_silence_is_504(peer: Callable[[Peer], str]) -> None:
    over = threading.Event()
    got = Answer(peer(lambda sock: bool(over.wait(10)) and None), environ(), patience=0.3)
    over.set()
    assert got.status == "504 Gateway Timeout"


def test_an_answer_before_the_end_of_the_upload_is_read(peer: Callable[[Peer], str]) -> None:
    def refuses(sock: socket.socket) -> None:
        request_head(sock)
        sock.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nmuch")

    got = Answer(peer(refuses), environ("POST", b"x" * (8 << 20)))
    assert (got.status, got.body()) == ("413 Content Too Large", b"much")


def test_only_so_many_wait_and_every_end_gives_the_place_back(
    peer: Callable[[Peer], str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    first = Answer(peer(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")), environ())
    statuses: list[str] = []
    refused = first.forward(environ(), lambda status, headers, exc_info=None: statuses.append(status))
    assert (statuses, b"".join(refused)) == (["503 Service Unavailable"], b"503 Service Unavailable\n")
    assert "too many requests" in caplog.text
    assert first.body() == b"ok"
    assert first.forward._threads.acquire(blocking=False)


class Faulty(io.BytesIO):
    """A body whose reading ends with what the client did wrong."""

    def __init__(self, error: Exception) -> None:
        super().__init__(b"begin")
        self.error = error

    def read1(self, size: int | None = -1, /) -> bytes:
        block = super().read1(-1 if size is None else size)
        if not block:
            raise self.error
        return block


CHUNKED = {"wsgikit.raw_headers": [(b"Host", b"x"), (b"transfer-encoding", b"chunked")]}


@pytest.mark.parametrize(
    "error",
    [
        LimitError("body-too-large", 413),
        ProtocolError("bad-chunk-size"),
        PeerTimeout("body", 1.0),
        Disconnected("gone"),
    ],
)
def test_what_the_client_does_wrong_in_its_body_is_not_the_groups_fault(
    peer: Callable[[Peer], str], caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def reads_on(sock: socket.socket) -> None:
        while sock.recv(65536):
            pass

    address = peer(reads_on)
    forward = GroupForward("shop", lambda: address, limit=1)
    with pytest.raises(type(error)) as caught:
        forward(environ("POST", **CHUNKED, **{"wsgi.input": Faulty(error)}), lambda *given: None)
    assert caught.value is error
    assert caplog.text == ""
    assert forward._threads.acquire(blocking=False)


def test_a_body_in_chunks_goes_on_in_chunks(peer: Callable[[Peer], str]) -> None:
    seen: list[bytes] = []

    def reads_all(sock: socket.socket) -> None:
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data += sock.recv(65536)
        seen.append(data)
        sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    address = peer(reads_all)
    assert Answer(address, environ("POST", **CHUNKED, **{"wsgi.input": io.BytesIO(b"body")})).body() == b""
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.lower().count(b"transfer-encoding: chunked") == 1
    assert body == b"4\r\nbody\r\n0\r\n\r\n"
