"""One request, one response, against upstreams that do what a script says."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from scripted_upstream import Gone, Peer, ScriptedUpstream, answering, ok

from wsgikit.client import Client, ClientSettings, Request
from wsgikit.errors import Disconnected, LimitError, PeerTimeout, UpstreamError, UpstreamTimeout
from wsgikit.wire.http11 import Limits

QUICK = ClientSettings(connect_timeout=0.5, first_byte_timeout=0.3, idle_timeout=0.3, continue_timeout=0.2)
HOST = (b"Host", b"a")


def get(client: Client, target: bytes = b"/", **more: object) -> tuple[int, bytes]:
    request = Request(method="GET", target=target, fields=[HOST], **more)  # type: ignore[arg-type]
    with client.send(request) as response:
        return response.status, response.read_all(1 << 20)


def failing(script, settings: ClientSettings = QUICK, **request: object) -> UpstreamError:
    with ScriptedUpstream(script) as upstream, Client(upstream.url, settings) as client:
        arguments = {"method": "GET", "target": b"/", "fields": [HOST], **request}
        with pytest.raises(UpstreamError) as caught, client.send(Request(**arguments)) as response:  # type: ignore[arg-type]
            response.read_all(1 << 20)
        assert caught.value.endpoint == upstream.url
        assert len(client.pool) == 0
        return caught.value


def raw(data: bytes):
    """A script that answers each connection's first request with these bytes and closes."""

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(data)

    return script


def test_adds_nothing_and_keeps_order_case_and_repetitions() -> None:
    fields = [HOST, (b"x-ONE", b"1"), (b"Accept", b"*/*"), (b"X-One", b"2"), (b"x-ONE", b""), (b"X-L", b"\xe9")]
    answer = b"HTTP/1.1 299 Odd \xe9\r\nset-cookie: a=1\r\nX: 1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    with ScriptedUpstream(answering(answer)) as upstream, Client(upstream.url) as client:
        with client.send(Request(method="GET", target=b"/a%2Fb?x=%20", fields=fields)) as response:
            assert (response.status, response.reason) == (299, b"Odd \xe9")
            assert response.fields == [
                (b"set-cookie", b"a=1"), (b"X", b"1"), (b"Set-Cookie", b"b=2"), (b"Content-Length", b"0"),
            ]  # fmt: skip
            assert response.get_all(b"set-cookie") == [b"a=1", b"b=2"]
        received = upstream.requests[0]
        assert received.head == b"GET /a%2Fb?x=%20 HTTP/1.1\r\n" + b"".join(b"%b: %b\r\n" % f for f in fields) + b"\r\n"


def test_decodes_no_coding() -> None:
    body = b"\x1f\x8b\x08 not really gzip"
    answer = ok(body, "Content-Encoding: gzip")
    with ScriptedUpstream(answering(answer)) as upstream, Client(upstream.url) as client:
        assert get(client) == (200, body)


def test_follows_no_redirect_and_keeps_no_cookie() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n"
    with ScriptedUpstream(answering(answer)) as upstream, Client(upstream.url) as client:
        assert get(client) == (302, b"")
        assert get(client) == (302, b"")
        assert [received.get("Cookie") for received in upstream.requests] == [None, None]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (ok(b"hello"), b"hello"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", b"hello"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
    ],
)
def test_every_framing_of_a_body(answer: bytes, body: bytes) -> None:
    with ScriptedUpstream(raw(answer)) as upstream, Client(upstream.url) as client:
        assert get(client)[1] == body


def test_every_cut_of_a_response_reads_the_same() -> None:
    answer = (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"
    )

    def script(peer: Peer) -> None:
        while True:
            cut = int(peer.read_request().target[1:])
            peer.send(answer[:cut])
            time.sleep(0.001)
            peer.send(answer[cut:])

    with ScriptedUpstream(script) as upstream, Client(upstream.url) as client:
        for cut in range(1, len(answer)):
            hints: list[object] = []
            request = Request(method="GET", target=b"/%d" % cut, fields=[HOST], early=hints.append)
            with client.send(request) as response:
                assert response.read_all(100) == b"hello", cut
                assert response.trailers == [(b"X-Sum", b"7")], cut
            assert hints == [[(b"Link", b"</a>")]], cut


@pytest.mark.parametrize("length", [0, 1000])
def test_head_has_no_body_whatever_its_fields_say(length: int) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length
    with ScriptedUpstream(answering(answer)) as upstream, Client(upstream.url) as client:
        for _ in range(2):
            with client.send(Request(method="HEAD", target=b"/", fields=[HOST])) as response:
                assert response.done
                assert response.head.content_length == length
        assert upstream.connections == (1 if length == 0 else 2)


def test_a_body_that_is_sent_to_head_is_never_the_next_response() -> None:
    evil = ok(b"evil")

    def script(peer: Peer) -> None:
        while True:
            if peer.read_request().method == b"HEAD":
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(evil))
                time.sleep(0.02)
                peer.send(evil)
            else:
                peer.send(ok(b"good"))

    with ScriptedUpstream(script) as upstream, Client(upstream.url) as client:
        for pause in (0.0, 0.015, 0.03):
            with client.send(Request(method="HEAD", target=b"/", fields=[HOST])) as response:
                assert response.done
            time.sleep(pause)
            assert get(client) == (200, b"good")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nBad Name: 1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\nSet-Cookie: a=1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 40 + ok(),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(answer: bytes) -> None:
    error = failing(raw(answer))
    assert (error.phase, error.status) == ("head", 502)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly 7b",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    ],
)
def test_a_body_that_is_cut_short_or_broken_raises(answer: bytes) -> None:
    error = failing(raw(answer))
    assert (error.phase, error.answered) == ("body", True)


def test_ends_of_the_connection_are_told_apart() -> None:
    silent = failing(lambda peer: peer.read_request())
    assert (silent.phase, silent.answered, silent.reused) == ("head", False, False)
    partial = failing(raw(b"HTTP/1.1 200 OK\r\nX: "))
    assert (partial.phase, partial.answered) == ("head", True)
    reset = failing(lambda peer: (peer.read_request(), peer.reset()))
    assert (reset.phase, reset.answered) == ("head", False)


def test_interim_responses_come_before_the_final_one() -> None:
    answer = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nlink: </b.js>\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </c>\r\n\r\n" + ok(b"final")
    )
    hints: list[list[tuple[bytes, bytes]]] = []
    with ScriptedUpstream(answering(answer)) as upstream, Client(upstream.url) as client:
        assert get(client, early=hints.append) == (200, b"final")
        assert get(client) == (200, b"final")
        assert upstream.connections == 1
    assert hints == [[(b"Link", b"</a.css>; rel=preload"), (b"link", b"</b.js>")], [(b"Link", b"</c>")]]


def test_blocks_come_as_soon_as_they_have_arrived() -> None:
    read = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"one", b"two"):
            peer.send(b"3\r\n%b\r\n" % part)
            assert read.wait(5)
            read.clear()
        peer.send(b"0\r\n\r\n")

    with ScriptedUpstream(script) as upstream, Client(upstream.url) as client:
        response = client.send(Request(method="GET", target=b"/", fields=[HOST]))
        for expected in (b"one", b"two"):
            assert response.read() == expected
            assert not response.done
            assert response.read(patience=0.01) is None
            read.set()
        assert response.read() == b""
        assert response.done
        assert len(client.pool) == 1


def test_a_body_with_length_goes_as_it_is() -> None:
    with ScriptedUpstream(answering(ok())) as upstream, Client(upstream.url) as client:
        blocks = [b"a" * 70000, b"", b"b" * 10]
        fields = [HOST, (b"Content-Length", b"70010")]
        with client.send(Request(method="POST", target=b"/", fields=fields, body=blocks)) as response:
            assert response.read_all(10) == b"hello"
            assert response.whole
        assert upstream.requests[0].body == b"a" * 70000 + b"b" * 10
        assert len(client.pool) == 1


def test_a_chunked_body_is_framed_and_ended_with_its_trailers() -> None:
    trailers: list[tuple[bytes, bytes]] = []

    def body():
        yield b"one"
        yield b"two!"
        trailers.append((b"X-Sum", b"7"))

    with ScriptedUpstream(answering(ok())) as upstream, Client(upstream.url) as client:
        fields = [HOST, (b"Transfer-Encoding", b"chunked")]
        with client.send(
            Request(method="PUT", target=b"/", fields=fields, body=body(), trailers=lambda: trailers)
        ) as response:
            assert response.status == 200
        received = upstream.requests[0]
        assert (received.body, received.chunks, received.trailers) == (b"onetwo!", [3, 4], [(b"X-Sum", b"7")])


@pytest.mark.parametrize("blocks", [[b"short"], [b"too long for it"]])
def test_a_body_that_does_not_fit_its_length_ends_the_connection(blocks: list[bytes]) -> None:
    with ScriptedUpstream(answering(ok())) as upstream, Client(upstream.url) as client:
        fields = [HOST, (b"Content-Length", b"10")]
        with pytest.raises(ValueError, match="Content-Length"):
            client.send(Request(method="POST", target=b"/", fields=fields, body=blocks))
        assert len(client.pool) == 0
    assert all(received.body is None for received in upstream.requests)


@pytest.mark.parametrize("error", [PeerTimeout("body", 20), OSError(28, "no space left"), ConnectionResetError()])
def test_errors_of_the_body_come_through_and_end_the_connection(error: Exception) -> None:
    def body():
        yield b"part"
        raise error

    with ScriptedUpstream(answering(ok())) as upstream, Client(upstream.url) as client:
        fields = [HOST, (b"Content-Length", b"10")]
        with pytest.raises(type(error)) as caught:
            client.send(Request(method="POST", target=b"/", fields=fields, body=body()))
        assert caught.value is error
        assert len(client.pool) == 0


def test_upload_stops_when_the_final_response_comes_early() -> None:
    answered = threading.Event()
    given = []

    def script(peer: Peer) -> None:
        peer.read_head()
        peer.take(1000)
        peer.answer("413 Content Too Large", b"enough")
        answered.set()
        with pytest.raises(Gone):
            peer.take(1001 * 1000)

    def body():
        given.append(1)
        yield b"x" * 1000
        assert answered.wait(5)
        for _ in range(1000):
            given.append(1)
            yield b"x" * 1000

    with ScriptedUpstream(script) as upstream, Client(upstream.url) as client:
        fields = [HOST, (b"Content-Length", b"%d" % (1001 * 1000))]
        with client.send(Request(method="POST", target=b"/", fields=fields, body=body())) as response:
            assert (response.status, response.whole) == (413, False)
            assert response.read_all(10) == b"enough"
        assert len(given) < 5
        assert len(client.pool) == 0


def test_early_answer_while_the_upstream_takes_no_more() -> None:
    def script(peer: Peer) -> None:
        peer.read_head()
        peer.answer("401 Unauthorized", b"who?")
        assert peer.left() or True

    with ScriptedUpstream(script) as upstream, Client(upstream.url) as client:
        size = 64 << 20  # far more than both socket buffers take
        fields = [HOST, (b"Content-Length", b"%d" % size)]
        with client.send(Request(method="POST", target=b"/", fields=fields, body=bytes(size))) as response:
            assert (response.status, response.read_all(10)) == (401, b"who?")


def test_expect_waits_for_100_or_for_the_final_answer() -> None:
    sent: list[bytes] = []

    def body():
        sent.append(b"asked")
        yield b"data"

    def script(peer: Peer) -> None:
        for step in range(2):
            received = peer.read_head()
            assert received.get("Expect") == b"100-continue"
            if step == 0:
                assert not sent
                peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                assert peer.take(4) == b"data"
                peer.answer("200 OK", b"got it")
            else:
                peer.answer("417 Expectation Failed", b"no")
                assert peer.left()

    with ScriptedUpstream(script) as upstream, Client(upstream.url) as client:
        fields = [HOST, (b"Content-Length", b"4"), (b"Expect", b"100-continue")]
        with client.send(Request(method="PUT", target=b"/", fields=fields, body=body())) as response:
            assert response.read_all(10) == b"got it"
        sent.clear()
        with client.send(Request(method="PUT", target=b"/", fields=fields, body=body())) as response:
            assert (response.status, response.read_all(10), sent) == (417, b"no", [])
        assert len(client.pool) == 0


def test_expect_does_not_wait_for_ever() -> None:
    with ScriptedUpstream(answering(ok(b"late"))) as upstream, Client(upstream.url, QUICK) as client:
        fields = [HOST, (b"Content-Length", b"4"), (b"Expect", b"100-continue")]
        with client.send(Request(method="PUT", target=b"/", fields=fields, body=[b"data"])) as response:
            assert response.read_all(10) == b"late"
        assert upstream.requests[0].body == b"data"


def test_timeouts_name_their_phase() -> None:
    def stay(peer: Peer) -> None:
        peer.read_request()
        assert peer.left()

    def head_only(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!")
        assert peer.left()

    first = failing(stay)
    assert (type(first), first.phase, first.status) == (UpstreamTimeout, "head", 504)
    idle = failing(head_only)
    assert (type(idle), idle.phase, idle.answered) == (UpstreamTimeout, "body", True)
    total = failing(stay, ClientSettings(total_timeout=0.2))
    assert (type(total), total.phase) == (UpstreamTimeout, "head")
    whole = failing(head_only, ClientSettings(total_timeout=0.2))
    assert (whole.phase, whole.detail) == ("body", "the total time is over")
    size = 64 << 20
    fields = [HOST, (b"Content-Length", b"%d" % size)]
    send = failing(lambda peer: time.sleep(1.0), method="POST", fields=fields, body=bytes(size))
    assert (type(send), send.phase) == (UpstreamTimeout, "send")


def test_nobody_there() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        with Client(url) as client, pytest.raises(UpstreamError) as caught:
            get(client)
    assert (caught.value.phase, caught.value.answered) == ("connect", False)
    with Client("http://no-such-host.invalid") as client, pytest.raises(UpstreamError) as caught:
        get(client)
    assert caught.value.phase == "resolve"
    with Client("http+unix:/nonexistent/app.sock") as client, pytest.raises(UpstreamError) as caught:
        get(client)
    assert caught.value.phase == "connect"


def test_while_the_resolver_gives_no_answer_its_last_one_holds(monkeypatch) -> None:
    answers: list[OSError | None] = [
        None, socket.gaierror(socket.EAI_AGAIN, "try again"), socket.gaierror(socket.EAI_NONAME, "unknown"),
    ]  # fmt: skip

    def resolve(host: str, port: int, **_: object):
        assert host == "shop.test"
        problem = answers.pop(0)
        if problem is not None:
            raise problem
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with (
        ScriptedUpstream(answering(ok())) as upstream,
        Client(f"http://shop.test:{upstream.port}", ClientSettings(max_idle=0)) as client,
    ):
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        assert get(client)[1] == b"hello"
        assert get(client)[1] == b"hello"
        with pytest.raises(UpstreamError) as caught:
            get(client)
    assert caught.value.phase == "resolve"


def test_connecting_takes_no_longer_than_its_timeout() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for sock in waiting:  # fills the queue, so that the kernel answers no further SYN
                sock.setblocking(False)
                sock.connect_ex(full.getsockname())
            with Client(f"http://127.0.0.1:{full.getsockname()[1]}", QUICK) as client:
                started = time.monotonic()
                with pytest.raises(UpstreamTimeout) as caught:
                    get(client)
                assert caught.value.phase == "connect"
                assert time.monotonic() - started < 2.0
        finally:
            for sock in waiting:
                sock.close()


def test_a_watched_peer_that_leaves_ends_every_wait() -> None:
    left = threading.Event()

    def script(peer: Peer) -> None:
        received = peer.read_request()
        if received.target == b"/body":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!")
        assert peer.left()
        left.set()

    for target in (b"/head", b"/body"):
        ours, theirs = socket.socketpair()
        left.clear()
        with ours, theirs, ScriptedUpstream(script) as upstream, Client(upstream.url) as client:
            timer = threading.Timer(0.1, theirs.close)
            timer.start()
            request = Request(method="GET", target=target, fields=[HOST], watch=ours.fileno())
            with pytest.raises(Disconnected), client.send(request) as response:
                response.read_all(100)
            assert left.wait(2)
            timer.join()
            assert len(client.pool) == 0


def test_watching_ends_with_the_response() -> None:
    with ScriptedUpstream(answering(ok())) as upstream, Client(upstream.url) as client:
        for _ in range(3):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                assert get(client, watch=ours.fileno()) == (200, b"hello")
        assert upstream.connections == 1


def test_read_all_is_bounded() -> None:
    with ScriptedUpstream(answering(ok(b"x" * 1_000_000))) as upstream, Client(upstream.url) as client:
        with pytest.raises(LimitError), client.get(b"/") as response:
            response.read_all(999)
        assert len(client.pool) == 0


def test_limits_of_a_head_are_settings() -> None:
    settings = ClientSettings(limits=Limits(fields=3))
    error = failing(raw(b"HTTP/1.1 200 OK\r\nA: 1\r\nB: 1\r\nC: 1\r\nContent-Length: 0\r\n\r\n"), settings)
    assert "too-many-fields" in error.detail


def test_upgrade_hands_over_the_socket_and_what_came_with_the_head() -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nfirst")
        peer.send(peer.take(4))

    with ScriptedUpstream(script) as upstream, Client(upstream.url) as client:
        fields = [HOST, (b"Connection", b"upgrade"), (b"Upgrade", b"echo")]
        with client.send(Request(method="GET", target=b"/", fields=fields)) as response:
            assert response.status == 101
            sock, first = response.detach()
        with sock:
            assert first == b"first"
            sock.sendall(b"ping")
            assert sock.recv(10) == b"ping"
        assert len(client.pool) == 0


def test_base_path_and_post() -> None:
    with ScriptedUpstream(answering(ok())) as upstream, Client(upstream.url + "/base/") as client:
        with client.post(b"/x?y", b"body", (b"Content-Type", b"text/plain")) as response:
            assert response.status == 200
        received = upstream.requests[0]
        assert received.target == b"/base/x?y"
        assert received.get("Host") == f"127.0.0.1:{upstream.port}".encode()
        assert received.body == b"body"


def test_close_lets_go_of_the_connection() -> None:
    left = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!")
        if peer.left():
            left.set()
        raise Gone

    with ScriptedUpstream(script) as upstream, Client(upstream.url) as client:
        response = client.get(b"/")
        response.close()
        response.close()
        assert left.wait(2)
        assert response.read() == b""
