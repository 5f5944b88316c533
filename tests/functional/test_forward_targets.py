"""What a gateway owes both sides, each promise a test: through the real server, against an upstream that misbehaves.

The numbers are those of the list that these promises were first written down in.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_upstream import Gone, Peer, ScriptedUpstream, Stage, answering, ok

from wsgikit.errors import Disconnected
from wsgikit.testing import RawClient, ServerProcess

APPS = Path(__file__).parent / "apps"
GET = b"GET /%b HTTP/1.1\r\nHost: shop.example\r\n\r\n"


def gateway(options: dict[str, object], *more: str, **env: str) -> ServerProcess:
    command = [sys.executable, "-m", "wsgikit", "serve", "gateways:app", "-b", "{host}:{port}", "--threads", "8"]
    command += ["--pythonpath", str(APPS), "--body", "stream", "--takeover", *more]
    return ServerProcess(command, env={"GATEWAY": json.dumps(options), **env})


@pytest.fixture(scope="module")
def server(stage: Stage) -> Iterator[ServerProcess]:
    """A gateway that keeps no connection, so that each test's script gets one of its own."""
    options = {"to": stage.upstream.url, "keep_alive": 0, "first_byte_timeout": 1, "idle_timeout": 1}
    with gateway(options) as process:
        yield process


def exchange(server: ServerProcess, request: bytes, method: str = "GET"):
    with RawClient(server.address) as client:
        client.send(request)
        return client.read_response(method)


def test_12_a_chunked_upload_arrives_framed_and_terminated_with_its_trailers(stage, server) -> None:
    stage.play(answering(ok()))
    chunks = b"5\r\nhello\r\n6;x=1\r\n world\r\n0\r\nX-Sum: 42\r\n\r\n"
    response = exchange(
        server, b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + chunks
    )
    assert response.status == 200
    (received,) = stage.upstream.requests
    assert received.body == b"hello world"
    assert received.get_all("Transfer-Encoding") == [b"chunked"]
    assert received.get("Content-Length") is None
    assert received.trailers == [(b"X-Sum", b"42")]


def test_12_blocks_of_an_upload_go_on_as_they_come(stage, server) -> None:
    seen = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_head()
        assert peer.take(8) == b"5\r\nfirst"
        seen.set()
        peer.take(len(b"\r\n6\r\nsecond\r\n0\r\n\r\n"))
        peer.answer()

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        assert seen.wait(2)
        client.send(b"6\r\nsecond\r\n0\r\n\r\n")
        assert client.read_response().status == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nseven b",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nseven b\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nseven b\r\nbroken\r\n",
    ],
)
def test_13_a_truncated_answer_aborts_the_client(stage, server, answer: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        end = answer.index(b"seven b") + 7
        peer.send(answer[:end])
        time.sleep(0.1)  # the client has its part by then
        peer.send(answer[end:])

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(GET % b"")
        with pytest.raises(Disconnected):
            client.read_response()
        assert client.partial is not None
        assert client.partial.body == b"seven b"


def test_13_an_answer_that_ends_before_its_first_byte_is_a_502(stage, server) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nSet-Cookie: a=1\r\n\r\n")
        time.sleep(0.02)  # less than the head waits for its body

    stage.play(script)
    response = exchange(server, GET % b"")
    assert response.status == 502
    assert response.get("Set-Cookie") is None


def test_14_early_hints_come_before_the_final_answer(stage, server) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: close\r\n\r\n"
    stage.play(answering(b"HTTP/1.1 102 Processing\r\n\r\n" + hints + ok(b"page")))
    response = exchange(server, GET % b"")
    assert (response.status, response.body) == (200, b"page")
    assert [(interim.status, interim.fields) for interim in response.interim] == [
        (103, [(b"Link", b"</a.css>; rel=preload")])
    ]
    with RawClient(server.address) as client:
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        response = client.read_response()
        assert (response.status, response.interim) == (200, [])


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nno colon here\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nBad Name: 1\r\nSet-Cookie: a=1\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        b"not http at all\r\n\r\n",
        b"",
    ],
)
def test_15_and_16_an_answer_that_can_be_read_in_two_ways_is_a_502(stage, server, answer: bytes) -> None:
    stage.play(answering(answer))
    response = exchange(server, GET % b"")
    assert response.status == 502
    assert response.get("Set-Cookie") is None
    assert b"127.0.0.1" not in response.body
    assert b"colon" not in response.body


def test_17_a_coded_body_passes_byte_by_byte_with_its_coding(stage, server) -> None:
    body = b"\x1f\x8b\x08\x00 this is no gzip, and nobody looks"
    stage.play(answering(ok(body, "Content-Encoding: gzip", 'ETag: "x"')))
    response = exchange(server, b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip;q=0.5\r\n\r\n")
    assert response.body == body
    assert (response.get("Content-Encoding"), response.get("ETag")) == (b"gzip", b'"x"')
    assert stage.upstream.requests[0].get("Accept-Encoding") == b"gzip;q=0.5"


def test_18_repeated_fields_stay_repeated_in_order_and_case(stage, server) -> None:
    stage.play(answering(ok(b"", "Set-Cookie: a=1; Path=/", "X-one: 1", "set-cookie: b=2", "X-One: 2")))
    response = exchange(server, b"GET / HTTP/1.1\r\nHost: a\r\nx-Two: 1\r\nAccept: a\r\nX-Two: 2\r\naccept: b\r\n\r\n")
    assert response.get_all("Set-Cookie") == [b"a=1; Path=/", b"b=2"]
    assert [field for field in response.fields if field[0].lower() == b"x-one"] == [(b"X-one", b"1"), (b"X-One", b"2")]
    sent = [field for field in stage.upstream.requests[0].fields if field[0].lower() in (b"x-two", b"accept")]
    assert sent == [(b"x-Two", b"1"), (b"Accept", b"a"), (b"X-Two", b"2"), (b"accept", b"b")]


def test_19_fields_of_the_connection_end_here_both_ways(stage, server) -> None:
    names = "Keep-Alive: timeout=5", "Proxy-Connection: x", "Upgrade: h2c", "Trailer: X", "Proxy-Authenticate: Basic"
    stage.play(answering(ok(b"", "Connection: X-Foo, close", "X-Foo: 1", "X-Bar: 2", *names)))
    request = (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nX-End: 2\r\nTE: trailers\r\n"
        b"Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nUpgrade: h2c\r\n\r\n"
    )
    response = exchange(server, request)
    assert (response.get("X-Foo"), response.get("X-Bar")) == (None, b"2")
    for name in ("Keep-Alive", "Proxy-Connection", "Upgrade", "Trailer", "Proxy-Authenticate", "Connection"):
        assert response.get(name) is None, name
    received = stage.upstream.requests[0]
    assert (received.get("X-Hop"), received.get("X-End")) == (None, b"2")
    for name in ("Connection", "TE", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Upgrade"):
        assert received.get(name) is None, name


def test_20_an_event_is_with_the_client_within_50_ms(stage, server) -> None:
    sent: list[float] = []
    go = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            assert go.wait(5)
            go.clear()
            sent.append(time.monotonic())
            event = b"data: %d\n\n" % number
            peer.send(b"%x\r\n%b\r\n" % (len(event), event))
        peer.send(b"0\r\n\r\n")

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(GET % b"events")
        delays = []
        for number in range(5):
            go.set()
            client.read_until(b"data: %d\n\n" % number)
            delays.append(time.monotonic() - sent[-1])
        assert sorted(delays)[2] < 0.05, delays
        assert max(delays) < 0.5, delays


@pytest.mark.parametrize("media", [b"text/event-stream; charset=utf-8", b"text/plain"])
def test_20_a_stream_opens_before_its_first_event(stage, server, media: bytes) -> None:
    go = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: " + media + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert go.wait(5)
        peer.send(b"5\r\nhello\r\n0\r\n\r\n")

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(GET % b"events")
        head = client.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Content-Type: " + media in head
        go.set()
        assert client.read_until(b"0\r\n\r\n") == b"5\r\nhello\r\n0\r\n\r\n"


def test_20_a_stream_that_breaks_after_its_head_aborts_the_client(stage, server) -> None:
    go = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert go.wait(5)
        peer.reset()

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(GET % b"events")
        client.read_until(b"\r\n\r\n")
        go.set()
        with pytest.raises(Disconnected):
            client.read_until(b"\n", limit=100)
    assert "the app failed" not in server.output


@pytest.mark.parametrize("phase", ["head", "body"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_21_a_client_that_leaves_closes_the_upstream_at_once(stage, server, phase: str, how: str) -> None:
    asked, left = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        if phase == "body":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        asked.set()
        if peer.left(0.8):
            left.set()

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(GET % b"")
        assert asked.wait(2)
        if phase == "body":
            client.read_until(b"some")
        if how == "reset":
            client.reset()
    assert left.wait(2)


def test_21_a_client_that_takes_no_more_closes_the_upstream(stage, server) -> None:
    left = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                peer.send(b"10000\r\n" + bytes(65536) + b"\r\n")
        except Gone:
            left.set()

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(GET % b"")
        client.read_until(b"\r\n\r\n")
    assert left.wait(5)


def test_22_an_early_413_ends_the_upload_and_is_relayed(stage, server) -> None:
    answered, over = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        peer.read_head()
        peer.take(10)
        peer.answer("413 Content Too Large", b"enough")
        answered.set()
        with pytest.raises(Gone):
            peer.take(1 << 30)
        over.set()

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 10)
        assert answered.wait(2)
        client.send(b"x" * 10)
        response = client.read_response()
        assert (response.status, response.body) == (413, b"enough")
        assert over.wait(2)


def test_22_expect_is_asked_of_the_upstream(stage, server) -> None:
    def script(peer: Peer) -> None:
        received = peer.read_head()
        assert received.get_all("Expect") == [b"100-continue"]
        if received.target == b"/no":
            peer.answer("403 Forbidden", b"no")
        else:
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert peer.read_body(received) == b"body"
            peer.answer("200 OK", b"yes")

    stage.play(script)
    for path, expected in ((b"no", (403, b"no", [])), (b"yes", (200, b"yes", [100]))):
        with RawClient(server.address) as client:
            client.send(b"PUT /%b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n" % path)
            if path == b"yes":
                assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                client.send(b"body")
                response = client.read_response()
                assert (response.status, response.body) == (200, b"yes")
            else:
                response = client.read_response()
                assert (response.status, response.body, response.interim) == expected


def test_25_nobody_can_pose_as_a_proxy(stage, server) -> None:
    stage.play(answering(ok()))
    exchange(
        server,
        b"GET / HTTP/1.1\r\nHost: shop.example\r\nX_Forwarded_For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n"
        b"x-forwarded-proto: https\r\nX-Forwarded-Port: 1\r\nForwarded: for=3.3.3.3\r\nX-Real-IP: 4.4.4.4\r\n"
        b"X-Forwarded-Host: evil\r\nX-Forwarded-Prefix: /evil\r\nVia: 1.0 fred\r\n\r\n",
    )
    received = stage.upstream.requests[0]
    told = {name.lower(): value for name, value in received.fields if b"orward" in name or b"eal" in name}
    assert told == {
        b"x-forwarded-for": b"127.0.0.1", b"x-forwarded-proto": b"http", b"x-forwarded-host": b"shop.example",
    }  # fmt: skip
    assert received.get("Host") == b"shop.example"
    assert received.get_all("Via") == [b"1.0 fred", b"1.1 wsgikit"]
    assert not [name for name, _ in received.fields if b"_" in name]


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nX: 1\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: 1\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX: 1\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nX: 1\r\n\r\n"),
    ],
)
def test_26_what_has_no_body_gets_none(stage, server, method: str, answer: bytes) -> None:
    stage.play(answering(answer))
    with RawClient(server.address) as client:
        for _ in range(2):  # the second one would show a body behind the first
            client.send(method.encode() + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
            response = client.read_response(method)
            assert (response.body, response.get("X")) == (b"", b"1")
            if b"204" in answer:
                assert response.get("Content-Length") is None
            elif b"1000" in answer:
                assert response.get("Content-Length") == b"1000"


def test_27_tls_is_verified_by_default(stage, tmp_path) -> None:
    from throwaway_certificate import make, server_context

    certificate = make(tmp_path)
    with ScriptedUpstream(answering(ok()), tls=server_context(*certificate)) as secure:
        with gateway({"to": secure.url}) as strict:
            assert exchange(strict, GET % b"").status == 502
            assert secure.requests == []
            strict.wait_for_output("certificate verify failed")
        with gateway({"to": secure.url, "tls": {"ca": certificate[0]}}) as trusting:
            assert exchange(trusting, GET % b"").body == b"hello"


def test_timeouts_are_504_and_logged_with_their_place(stage, server) -> None:
    stage.play(lambda peer: (peer.read_request(), peer.left(3)))
    response = exchange(server, GET % b"slow%0Apage")
    assert response.status == 504
    assert stage.upstream.url.encode() not in response.body
    server.wait_for_output("slow")  # it comes through another pipe than the answer
    line = next(line for line in server.output.splitlines() if "slow" in line)
    for part in ("GET /slow\\npage", stage.upstream.url, "phase head", "attempt 1"):
        assert part in line


def test_nobody_there_is_502_and_says_nothing(stage) -> None:
    with gateway({"to": "http://127.0.0.1:9"}) as alone:
        response = exchange(alone, b"GET / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n")
        assert response.status == 502
        assert response.get("Content-Type") == b"application/problem+json"
        assert b"127.0.0.1" not in response.body
        alone.wait_for_output("phase connect, attempt 1")


def test_the_raw_target_goes_on(stage, server) -> None:
    stage.play(answering(ok()))
    for target in (b"/a%2Fb/../c//d?x=%20&y=[1]", b"/?", b"//two", b"/%ff%00?a?b"):
        exchange(server, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert stage.upstream.requests[-1].target == target


def test_pipelined_requests_are_answered_in_order(stage, server) -> None:
    def script(peer: Peer) -> None:
        while True:
            peer.answer("200 OK", peer.read_request().target)

    stage.play(script)
    with RawClient(server.address) as client:
        client.send(b"".join(GET % b"%d" % number for number in range(5)))
        assert [client.read_response().body for _ in range(5)] == [b"/%d" % number for number in range(5)]
