"""What the server gives beyond PEP 3333, and what it does with errors: through the real command."""

from __future__ import annotations

import time

import pytest

from wsgikit.errors import Disconnected
from wsgikit.testing import RawClient, ServerProcess

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"


def exchange(server: ServerProcess, request: bytes) -> tuple[int, bytes]:
    with RawClient(server.address) as client:
        client.send(request)
        response = client.read_response()
    return response.status, response.body


def environment(server: ServerProcess, request: bytes) -> dict[str, str]:
    status, body = exchange(server, request)
    assert status == 200
    return dict(line.partition("=")[::2] for line in body.decode("latin-1").split("\n"))


def test_early_hints_come_first_and_only_to_http_1_1(serving) -> None:
    server = serving()
    with RawClient(server.address) as client:
        client.send(GET % b"early")
        response = client.read_response()
        assert [interim.status for interim in response.interim] == [103]
        assert response.interim[0].get("Link") == b"</style.css>; rel=preload"
        client.send(b"GET /early HTTP/1.0\r\n\r\n")
        assert client.read_response().interim == []


@pytest.mark.parametrize("body", ["spool", "stream"])
def test_trailers_reach_the_app_after_the_body(serving, body: str) -> None:
    request = (
        b"POST /trailers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\nX-Sum: 42\r\nHost: evil\r\n\r\n"
    )
    assert exchange(serving("--body", body), request) == (200, b"hello|[('X-Sum', '42')]")


def test_takeover_hands_over_the_socket_and_the_bytes_already_read(serving) -> None:
    server = serving("--takeover")
    with RawClient(server.address) as client:
        client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nalready")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert client.read_until(b"already") == b"already"
        client.send(b"more")
        assert client.read_until(b"more") == b"more"
        client.half_close()
        assert client.closed_by_peer(2.0)
    assert exchange(server, GET % b"hello") == (200, b"hello")


def test_takeover_is_off_unless_allowed(serving) -> None:
    server = serving()
    assert exchange(server, b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")[0] == 500
    assert exchange(server, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")[0] == 501


def test_client_gone_wakes_the_app(serving) -> None:
    server = serving("--threads", "2")
    with RawClient(server.address) as client:
        client.send(GET % b"wait_for_leave")
        assert not client.readable(0.1)
    assert exchange(server, GET % b"has_left") == (200, b"True")


def test_on_close_runs_after_close(serving) -> None:
    server = serving("--threads", "1")
    assert exchange(server, GET % b"closing") == (200, b"closing")
    assert exchange(server, GET % b"closed") == (200, b"close callback")


def test_each_block_is_sent_before_the_next_is_asked_for(serving, tmp_path) -> None:
    server = serving(env={"TICKS": str(tmp_path / "tick")})
    with RawClient(server.address) as client:
        client.send(GET % b"ticks")
        for number in range(3):
            (tmp_path / f"tick.{number}").touch()
            assert client.read_until(b"\n\n\r\n").endswith(b"data: %d\n\n\r\n" % number)


def test_small_blocks_do_not_wait_for_the_client_to_acknowledge_those_before(serving) -> None:
    """Without TCP_NODELAY the second one of a response would come 40 ms later."""
    times = []
    with RawClient(serving().address) as client:
        for _ in range(9):
            began = time.monotonic()
            client.send(GET % b"pieces")
            assert client.read_response().body == b"one two three"
            times.append(time.monotonic() - began)
    assert sorted(times)[4] < 0.03


def test_an_error_before_output_is_a_plain_500_and_logged(serving) -> None:
    server = serving()
    status, body = exchange(server, GET % b"fail")
    assert (status, body) == (500, b"Internal Server Error\n")
    server.wait_for_output("on purpose")
    server.wait_for_output("GET /fail")


def test_the_traceback_is_shown_only_with_debug(serving) -> None:
    status, body = exchange(serving("--debug"), GET % b"fail")
    assert status == 500
    assert b"RuntimeError: the app fails on purpose" in body


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_error_after_output_aborts_the_connection(serving, version: bytes) -> None:
    with RawClient(serving().address) as client:
        client.send(b"GET /fail_late HTTP/%b\r\nHost: a\r\n\r\n" % version)
        with pytest.raises(Disconnected):
            client.read_response()
        assert client.closed_by_peer() == "reset"


def test_a_body_over_the_limit_is_refused_before_it_is_sent(serving) -> None:
    server = serving("--max-body", "1000")
    with RawClient(server.address) as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
        response = client.read_response()
    assert (response.status, response.interim) == (413, [])


def test_a_chunked_body_over_the_limit_is_refused(serving) -> None:
    chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
    for mode in ("spool", "stream"):
        server = serving("--max-body", "1000", "--body", mode)
        request = b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 2 + b"0\r\n\r\n"
        assert exchange(server, request)[0] == 413


def test_proxy_header_from_a_trusted_peer_names_the_client(serving) -> None:
    server = serving("--proxy-protocol", "--trusted", "127.0.0.0/8")
    v1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n"
    v2 = (
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 8, 127, 0, 0, 1]) + (4712).to_bytes(2, "big") +
        (80).to_bytes(2, "big")
    )  # fmt: skip
    assert environment(server, v1 + GET % b"environment")["REMOTE_ADDR"] == "192.0.2.7"
    environ = environment(server, v2 + GET % b"environment")
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("192.0.2.8", "4712")
    with RawClient(server.address) as client:
        client.dribble(v1 + GET % b"hello", size=7, pause=0.001)
        assert client.read_response().body == b"hello"
    with RawClient(server.address) as client:  # no header, no service
        client.send(GET % b"hello")
        assert client.closed_by_peer(2.0)


FORWARDED = (
    b"X-Forwarded-For: 203.0.113.5, 198.51.100.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"
)


def test_forwarded_fields_from_a_trusted_peer_are_believed(serving) -> None:
    server = serving("--trusted", "127.0.0.1,198.51.100.0/24")
    environ = environment(server, b"GET /environment HTTP/1.1\r\nHost: a\r\n" + FORWARDED + b"\r\n")
    assert environ["REMOTE_ADDR"] == "203.0.113.5"
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "shop.example"


def test_forwarded_fields_from_a_stranger_do_not_reach_the_app(serving) -> None:
    server = serving("--trusted", "192.0.2.0/24")
    environ = environment(server, b"GET /environment HTTP/1.1\r\nHost: a\r\n" + FORWARDED + b"\r\n")
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["wsgi.url_scheme"] == "http"
    assert not any("FORWARDED" in name for name in environ)


def test_the_environ_of_a_plain_request(serving) -> None:
    environ = environment(
        serving(), b"GET /environment/%C3%A4%2Fb?x=%zz HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX_A: 2\r\nX-A: 3\r\n\r\n"
    )
    assert environ["PATH_INFO"] == "/environment/\xc3\xa4/b"
    assert environ["REQUEST_URI"] == "/environment/%C3%A4%2Fb?x=%zz"
    assert environ["QUERY_STRING"] == "x=%zz"
    assert environ["HTTP_X_A"] == "1, 3"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
