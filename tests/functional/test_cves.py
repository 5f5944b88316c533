"""One test for each advisory that a server of this kind has had: what broke the others, through the real command.

The parser alone is held to the same in tests/unit/wire, and the vectors named in `COVERED` are carried out against the
real command in test_http_vectors.py, whole and in pieces, with spooled and with streamed bodies.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from wsgikit.errors import Disconnected
from wsgikit.testing import RawClient, ServerProcess
from wsgikit.testing.vectors import of_row

APPS = Path(__file__).parent / "apps"
HEAD = b"POST /upload HTTP/1.1\r\nHost: a\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module", params=["spool", "stream"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    command = [
        sys.executable, "-m", "wsgikit", "serve", "attacked:app", "-b", "{host}:{port}", "--threads", "2",
        "--pythonpath", str(APPS), "--body", request.param, "--linger", "0.3", "--body-timeout", "1",
    ]  # fmt: skip
    with ServerProcess(command, cwd=tmp_path_factory.mktemp("cves")) as process:
        yield process
        assert "an error in wsgikit itself" not in process.output


def get(server: ServerProcess, path: bytes) -> bytes:
    with RawClient(server.address) as client:
        client.send(GET % path)
        return client.read_response().body


def refused(server: ServerProcess, data: bytes, *statuses: int) -> None:
    """One refusal, then the end of the connection: nothing behind the bad message is taken for a request."""
    before = get(server, b"smugglings")
    with RawClient(server.address) as client:
        client.send(data)
        assert client.read_response().status in (statuses or (400,))
        assert client.closed_by_peer(2.0)
        assert b"HTTP/1.1" not in client.pending
    assert get(server, b"smugglings") == before


def test_a_request_that_is_really_sent_is_counted(server: ServerProcess) -> None:
    before = int(get(server, b"smugglings"))
    with RawClient(server.address) as client:
        client.send(GET % b"hello" + SMUGGLED)
        assert [client.read_response().status for _ in range(2)] == [200, 200]
    assert int(get(server, b"smugglings")) == before + 1


def test_cve_2018_1000164_an_app_cannot_split_a_response(server: ServerProcess) -> None:
    for value in (b"crlf", b"lf", b"nul", b"snowman"):
        with RawClient(server.address) as client:
            client.send(GET % b"answering?%b" % value)
            response = client.read_response()
            assert response.status == 500
            assert response.get("X-Injected") is None
            client.send(GET % b"hello")
            assert client.read_response().body == b"hello"


@pytest.mark.parametrize("codings", [
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, identity",
])  # fmt: skip
def test_cve_2024_1135_conflicting_transfer_encodings(server: ServerProcess, codings: bytes) -> None:
    refused(server, HEAD + codings + b"\r\n\r\n0\r\n\r\n" + SMUGGLED, 400, 501)


@pytest.mark.parametrize("coding", [b"xchunked", b"chunked;a", b'"chunked"', b"\x0bchunked", b"gzip"])
def test_cve_2024_6827_an_invalid_transfer_encoding_is_not_replaced_by_content_length(
    server: ServerProcess, coding: bytes
) -> None:
    length = b"Content-Length: %d\r\n" % (5 + len(SMUGGLED))
    refused(server, HEAD + length + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n" + SMUGGLED, 400, 501)


def test_cve_2019_16785_lf_ends_no_line(server: ServerProcess) -> None:
    refused(server, b"GET / HTTP/1.1\nHost: a\n\n" + SMUGGLED)
    refused(server, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED)


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"\r\n chunked", b"chunked, gzip"])
def test_cve_2019_16786_lists_and_folds_of_transfer_encoding(server: ServerProcess, coding: bytes) -> None:
    refused(server, HEAD + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n" + SMUGGLED, 400, 501)


@pytest.mark.parametrize("line", [
    b"Content-Length : 5", b"Transfer-Encoding\x0b: chunked", b"Content-Length\x00: 5", b"Content-Length: \x0b5",
    b" Content-Length: 5", b"\x1cContent-Length: 5",
])  # fmt: skip
def test_cve_2019_16789_white_space_and_controls_are_not_passed_over(server: ServerProcess, line: bytes) -> None:
    refused(server, HEAD + line + b"\r\n\r\n" + SMUGGLED)


@pytest.mark.parametrize("lengths", [b"5\r\nContent-Length: 6", b"5, 5", b"5\r\nContent-Length: 5", b"", b"five"])
def test_cve_2019_16792_a_second_or_invalid_content_length_is_no_zero(server: ServerProcess, lengths: bytes) -> None:
    refused(server, HEAD + b"Content-Length: " + lengths + b"\r\n\r\n" + SMUGGLED)


@pytest.mark.parametrize("line", [
    b"X: " + b"\t" * 8000 + b"\x01",
    b"X" * 8000,
    b"Transfer-Encoding: " + b"a;" * 3000,
    b"Transfer-Encoding: " + b'a;b="' + b"\\x" * 3000,
    b"Expect: " + b'"' * 8001,
    b"Connection: " + b',"' * 4000,
    b"Host: " + b"a." * 4000 + b"\x80",
])  # fmt: skip
def test_cve_2020_5236_no_field_takes_long_to_read(server: ServerProcess, line: bytes) -> None:
    with RawClient(server.address) as client:
        began = time.monotonic()
        client.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n")
        client.read_response()
        assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("length", [b"+10", b"-0", b"0x01", b"1_0", b"\xb2", b"10a"])
def test_cve_2022_24761_numbers_are_digits(server: ServerProcess, length: bytes) -> None:
    refused(server, HEAD + b"Content-Length: " + length + b"\r\n\r\n" + SMUGGLED)


@pytest.mark.parametrize("size", [b"+5", b"0x5", b"-1", b"5_0", b"5;a\x00", b"5;=b", b"5\x0b", b" 5"])
def test_cve_2022_24761_chunk_sizes_and_extensions_follow_their_grammar(server: ServerProcess, size: bytes) -> None:
    refused(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED)


def test_cve_2022_31015_a_socket_that_closes_under_the_app_ends_nothing_else(server: ServerProcess) -> None:
    pid = get(server, b"pid")
    for path in (b"big?3000000", b"sleep?0.02", b"made?1,100000,small,0.01", b"upload"):
        for _ in range(10):
            with RawClient(server.address, receive_buffer=4096) as client:
                client.send(GET % path)
                client.reset()
    assert get(server, b"hello") == b"hello"
    assert get(server, b"pid") == pid


def test_cve_2024_49768_what_is_pipelined_behind_an_error_is_not_served(server: ServerProcess) -> None:
    bad = b"GET / HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n"
    refused(server, bad + SMUGGLED * 20)
    before = get(server, b"smugglings")
    with RawClient(server.address) as client:
        client.send(GET % b"hello" + bad)
        assert client.read_response().status == 200
        assert client.read_response().status == 400
        client.send_some(SMUGGLED * 20, 0.1)  # it comes while the connection lingers
        assert client.closed_by_peer(2.0)
    assert get(server, b"smugglings") == before


def test_cve_2024_49769_half_open_sockets_make_nobody_busy(server: ServerProcess) -> None:
    kinds = (b"", b"GET / HT", HEAD + b"Content-Length: 9\r\n\r\nx", GET % b"sleep?0.1")
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.address)) for _ in range(3) for _ in kinds]
        before, began = processor_time(server), time.monotonic()
        for number, client in enumerate(clients):
            client.send(kinds[number % len(kinds)])
            client.half_close()
        for client in clients:
            assert client.closed_by_peer(3.0)
        time.sleep(max(0.0, began + 0.3 - time.monotonic()))
        assert processor_time(server) - before < 0.2
    assert get(server, b"hello") == b"hello"


def processor_time(server: ServerProcess) -> float:
    pid = int(get(server, b"pid"))
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_waitress_452_a_strangers_proxy_fields_do_not_name_the_client(server: ServerProcess) -> None:
    with RawClient(server.address) as client:
        client.send(
            b"GET /environment HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n"
            b"X-Forwarded-Host: evil\r\nForwarded: for=10.0.0.2;proto=https;host=evil\r\n\r\n"
        )
        environ = dict(line.partition("=")[::2] for line in client.read_response().body.decode("latin-1").split("\n"))
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["HTTP_HOST"] == "a"


def test_cheroot_275_714_737_no_second_reading_of_lengths(server: ServerProcess) -> None:
    refused(server, HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED)
    refused(server, HEAD + b"Content-Length : 5\r\n\r\nhello" + SMUGGLED)
    refused(server, HEAD + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello" + SMUGGLED)


@pytest.mark.parametrize("trailers", [b"X Y: z\r\n", b"X-A\r\n", b": b\r\n", b"X\x00: b\r\n", b" X: b\r\n"])
def test_cve_2023_41419_invalid_trailers_are_no_second_request(server: ServerProcess, trailers: bytes) -> None:
    refused(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" + trailers + b"\r\n" + SMUGGLED)


def test_gevent_2075_no_100_after_an_answer_and_no_second_answer(server: ServerProcess) -> None:
    before = get(server, b"smugglings")
    with RawClient(server.address) as client:
        client.send(HEAD.replace(b"/upload", b"/hello") + b"Content-Length: 45\r\nExpect: 100-continue\r\n\r\n")
        response = client.read_response()
        if "stream" in server.command:  # an app that does not read asks for no body
            assert response.interim == []
        try:
            client.send(SMUGGLED)  # the body, or nothing: never a request
        except Disconnected:
            pass
        rest = client.pending + client.read_for(0.5)
        assert b"100 Continue" not in rest
    assert get(server, b"smugglings") == before
    refused(server, HEAD + b"Content-Length: 5\r\nExpect: other\r\n\r\n" + SMUGGLED, 417)


def test_cve_2015_0219_an_underscore_does_not_spoof_a_field(server: ServerProcess) -> None:
    with RawClient(server.address) as client:
        client.send(b"GET /environment HTTP/1.1\r\nHost: a\r\nX_User: evil\r\nX-User: good\r\nX_user: evil\r\n\r\n")
        body = client.read_response().body
    assert b"HTTP_X_USER=good\n" in body
    assert b"evil" not in body


def test_cve_2026_42545_an_invalid_header_of_the_app_costs_one_request(server: ServerProcess) -> None:
    pid = get(server, b"pid")
    for _ in range(5):
        assert get(server, b"answering?snowman") == b"Internal Server Error\n"
    assert get(server, b"pid") == pid


def test_cve_2026_42544_any_byte_in_sec_websocket_protocol(server: ServerProcess) -> None:
    pid = get(server, b"pid")
    with RawClient(server.address) as client:
        client.send(
            b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Protocol: caf\xe9, \xff\xfe\r\n\r\n"
        )
        assert client.read_response().status == 200
    assert get(server, b"pid") == pid


def test_cpython_103204_and_114782_numbers_and_line_ends_of_http_server(server: ServerProcess) -> None:
    refused(server, HEAD + b"Content-Length: 1__0\r\n\r\n" + SMUGGLED)
    refused(server, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nGET /smuggled HTTP/1.1\r\n\r\n")


COVERED = {
    "gunicorn 26: undrained bodies": ("H52", "H53"),
    "gunicorn 26: controls in values": ("H20",),
    "gunicorn 26: lists of Content-Length": ("H25", "H26"),
    "gunicorn 26: trailers that must not be there": ("H46",),
    "gunicorn 26: forms of targets": ("H12", "H13", "H14"),
    "gunicorn 3366: two Host fields": ("H15",),
    "gunicorn 3382: a last chunk that is cut off": ("H45",),
    "gevent: another coding than chunked": ("H32", "H33"),
}


@pytest.mark.parametrize("advisory", COVERED)
def test_the_other_rows_have_vectors(advisory: str) -> None:
    assert all(of_row(row) for row in COVERED[advisory])
