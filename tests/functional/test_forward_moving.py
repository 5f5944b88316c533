"""Large bodies through a gateway, from socket to socket: whole or visibly broken, and nothing of anybody else's."""

from __future__ import annotations

import json
import os
import random
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from scripted_upstream import Gone, Peer, ScriptedUpstream
from throwaway_certificate import make

from wsgikit.errors import Disconnected
from wsgikit.testing import RawClient, ServerProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no splice(2)")

APPS = Path(__file__).parent / "apps"
GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
KIB = 1024
EDGES = (0, 1, 16 * KIB, 32 * KIB - 1, 32 * KIB, 32 * KIB + 1, 64 * KIB - 1, 64 * KIB + 1, 1024 * KIB, 5120 * KIB)
SEED = random.Random(5).randbytes(64 * KIB - 7)  # a length that no buffer has: what is lost or doubled shows


def body(size: int, first: int = 0) -> bytes:
    return (SEED[first % 997 :] + SEED * (size // len(SEED) + 1))[:size]


def post(data: bytes, path: bytes = b"", version: bytes = b"1.1", fields: bytes = b"") -> bytes:
    head = b"POST /%b HTTP/%b\r\nHost: a\r\nContent-Length: %d\r\n%b\r\n"
    return head % (path, version, len(data), fields) + data


def echo(peer: Peer) -> None:
    while True:
        peer.answer("200 OK", peer.read_request().body or b"")


def moving(options: dict[str, object], *more: str, bind: str = "{host}:{port}") -> ServerProcess:
    command = [
        sys.executable,
        "-m",
        "wsgikit",
        "serve",
        "moving:app",
        "-b",
        bind,
        "--threads",
        "4",
        "--body",
        "stream",
        *more,
    ]
    return ServerProcess([*command, "--pythonpath", str(APPS)], env={"GATEWAY": json.dumps(options)})


class Stage:
    """An upstream whose script is set by each test, and a gateway in front of it that stays up for the module."""

    def __init__(self) -> None:
        self.script: Callable[[Peer], object] = echo
        self.upstream = ScriptedUpstream(lambda peer: self.script(peer))

    def play(self, script: Callable[[Peer], object]) -> None:
        self.script = script
        self.upstream.requests.clear()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage()
    with made.upstream:
        yield made


@pytest.fixture(scope="module")
def server(stage: Stage) -> Iterator[ServerProcess]:
    """Keeps no connection, so that each test's script gets one of its own."""
    options = {"to": stage.upstream.url, "keep_alive": 0, "idle_timeout": 0.5, "first_byte_timeout": 5}
    with moving(options, "--body-timeout", "500ms", "--body-rate", "0", "--access-logfile", "-") as process:
        yield process


def worker(server: ServerProcess) -> int:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    wait_for(children.read_text)
    return int(children.read_text().split()[0])


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def get(server: ServerProcess, path: bytes = b""):
    with RawClient(server.address) as client:
        client.send(GET % path)
        return client.read_response()


# Whole


def echoed(client: RawClient, size: int) -> None:
    data = body(size, size)
    client.send(post(data))
    assert client.read_response(timeout=20).body == data, size


def test_every_size_comes_back_as_it_went(stage, server) -> None:
    stage.play(echo)
    with RawClient(server.address, timeout=20) as client:
        for size in EDGES:
            echoed(client, size)
    assert int(get(server, b"-/pipes").body) > 0  # or all of this tests something else


def test_many_at_once_get_their_own(stage) -> None:
    def some(number: int) -> None:
        sizes = random.Random(number)
        with RawClient(server.address, timeout=20) as client:
            for _ in range(4):
                echoed(client, sizes.choice(EDGES[:-1]) + sizes.randrange(200))

    stage.play(echo)
    with moving({"to": stage.upstream.url}) as server, ThreadPoolExecutor(8) as pool:
        list(pool.map(some, range(8)))


def test_unix_sockets_on_both_sides(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(echo, path=str(tmp_path / "up")) as upstream,
        ServerProcess(
            moving({"to": upstream.url}, bind="unix:{socket}").command,
            env={"GATEWAY": json.dumps({"to": upstream.url})},
        ) as server,
        RawClient(server.address, timeout=20) as client,
    ):
        for size in EDGES:
            echoed(client, size)


def test_a_client_over_tls_gets_no_plain_bytes(stage, tmp_path: Path) -> None:
    import ssl

    certificate, key = make(tmp_path)
    stage.play(echo)
    with moving({"to": stage.upstream.url}, "--certfile", certificate, "--keyfile", key) as server:
        context = ssl.create_default_context(cafile=certificate)
        with RawClient(server.address, timeout=20, tls=context) as client:
            for size in EDGES:
                echoed(client, size)


def test_requests_behind_an_upload_stay_where_they_are(stage, server) -> None:
    stage.play(echo)
    sizes = (100 * KIB, 3, 300 * KIB, 0, 64 * KIB)
    with RawClient(server.address, timeout=20) as client:
        threading.Thread(target=client.send, args=(b"".join(post(body(size, size)) for size in sizes),)).start()
        for size in sizes:
            assert client.read_response().body == body(size, size)


def test_a_slow_client_gets_all_of_it(stage) -> None:
    data = body(6_000_000)

    def script(peer: Peer) -> None:
        while True:
            peer.read_request()
            peer.send(HEAD % len(data) + data)

    stage.play(script)
    options = ["--output-memory", "64k", "--output-spool", "1m"]
    with (
        moving({"to": stage.upstream.url}, *options) as server,
        RawClient(server.address, receive_buffer=4096) as client,
    ):
        client.send(GET % b"" + GET % b"")
        time.sleep(0.3)  # for both queues to be full
        for _ in range(2):
            assert client.read_response(timeout=20).body == data


def test_what_the_log_says_was_sent(stage, server) -> None:
    stage.play(echo)
    with RawClient(server.address, timeout=20) as client:
        client.send(post(body(1_234_567), b"logged"))
        client.read_response()
    wait_for(lambda: "POST /logged" in server.output)
    line = next(line for line in server.output.splitlines() if "POST /logged" in line)
    assert " 200 1234567 " in line


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


# What splice(2) cannot do


@pytest.mark.parametrize("way", ["upload", "download"])
def test_an_urgent_byte_costs_no_processor(stage, server, way: str) -> None:
    """splice(2) stops in front of it for ever, while poll(2) says that something is there."""
    data, at = body(200 * KIB), 50 * KIB
    pause, seconds = 0.4, []

    def halting(sock: socket.socket, begin: bytes) -> None:
        sock.sendall(begin + data[:at])
        time.sleep(0.2)
        sock.send(b"!", socket.MSG_OOB)
        sock.sendall(data[at : at + 10])
        before = processor_time(worker(server))
        time.sleep(pause)
        seconds.append(processor_time(worker(server)) - before)
        sock.sendall(data[at + 10 :])

    def script(peer: Peer) -> None:
        peer.read_request()
        halting(peer.socket, HEAD % len(data))

    stage.play(echo if way == "upload" else script)
    with RawClient(server.address) as client:
        if way == "upload":
            halting(client.socket, post(data)[: -len(data)])
        else:
            client.send(GET % b"")
        assert client.read_response().body == data
    assert seconds[0] < pause / 2


@pytest.mark.parametrize("way", ["upload", "download"])
def test_without_descriptors_for_a_pipe_bodies_are_read_and_sent(way: str) -> None:
    data = body(300 * KIB)

    def script(peer: Peer) -> None:
        while True:
            large = peer.read_request().target == b"/download"
            peer.answer("200 OK", data if large else b"small")

    with ScriptedUpstream(script) as up, moving({"to": up.url}) as server, RawClient(server.address) as client:
        client.send(GET % b"")
        assert client.read_response().body == b"small"
        pid = worker(server)
        hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_files(pid), hard))
        client.send(post(data) if way == "upload" else GET % b"download")
        assert client.read_response().body == (b"small" if way == "upload" else data)
        assert up.connections == 1


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
