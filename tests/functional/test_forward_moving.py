"""Large bodies through a gateway, from socket to socket: whole, in time, and read and sent where that cannot be."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from moving_gateway import (
    EDGES,
    GET,
    HEAD,
    KIB,
    body,
    echo,
    echoed,
    get,
    keeping_nothing,
    moving,
    open_files,
    post,
    processor_time,
    worker,
)
from scripted_upstream import Gone, Peer, ScriptedUpstream, Stage
from throwaway_certificate import make
from waiting import wait_for

from wsgikit.testing import RawClient, ServerProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no splice(2)")


@pytest.fixture(scope="module")
def server(stage: Stage) -> Iterator[ServerProcess]:
    with keeping_nothing(stage.upstream) as process:
        yield process


# Whole


def test_every_size_comes_back_as_it_went(stage, server) -> None:
    stage.play(echo)
    with RawClient(server.address, timeout=20) as client:
        for size in EDGES:
            echoed(client, size)
    # Or all of this tests something else. A thread gives its pipe back when the client has all of its answer already.
    wait_for(lambda: int(get(server, b"-/pipes").body) > 0)


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
        moving({"to": upstream.url}, bind="unix:{socket}") as server,
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
    output = server.wait_for_output("POST /logged")
    line = next(line for line in output.splitlines() if "POST /logged" in line)
    assert " 200 1234567 " in line


def pipe_ends(server: ServerProcess) -> int:
    ends = 0
    for file in Path(f"/proc/{worker(server)}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            ends += os.readlink(file).startswith("pipe:")
    return ends


def test_an_upload_that_waits_for_its_client_holds_no_pipe() -> None:
    arrived = threading.Semaphore(0)

    def script(peer: Peer) -> None:
        peer.read_head()
        peer.take(100 * KIB)
        arrived.release()
        peer.take(100 * KIB)
        peer.answer()

    with ScriptedUpstream(script) as up, moving({"to": up.url}) as server, ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.address)) for _ in range(3)]
        get(server, b"-/pipes")  # the worker is ready
        data, before = post(body(200 * KIB)), pipe_ends(server)
        for client in clients:
            client.send(data[: 150 * KIB])
            assert arrived.acquire(timeout=5)
            time.sleep(0.1)  # it has been looked for more
        wait_for(lambda: pipe_ends(server) == before + 2)
        for client in clients:
            client.send(data[150 * KIB :])
            assert client.read_response().status == 200


# What splice(2) cannot do


@pytest.mark.parametrize("way", ["upload", "download"])
def test_an_urgent_byte_costs_no_processor(stage, server, way: str) -> None:
    """splice(2) stops in front of it for ever, while poll(2) says that something is there."""
    data, at = body(200 * KIB), 50 * KIB
    pause, seconds = 0.2, []  # well below the time that a body may take

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


# Time


@pytest.fixture(scope="module")
def hurried(stage: Stage) -> Iterator[ServerProcess]:
    """Gives an app and a client that takes nothing 300 ms."""
    options = {"to": stage.upstream.url, "keep_alive": 0}
    times = ["--timeout", "300ms", "--send-timeout", "300ms"]
    with moving(options, *times, "--output-memory", "64k", "--output-spool", "64k") as process:
        yield process


def test_a_slow_client_is_not_the_apps_fault(stage, hurried) -> None:
    stage.play(echo)
    data = body(300 * KIB)
    with RawClient(hurried.address) as client:
        client.send(post(data)[: 100 * KIB])
        time.sleep(0.6)
        client.send(post(data)[100 * KIB :])
        assert client.read_response().body == data


def test_an_upstream_that_pauses_is_waited_for(stage, hurried) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD % (300 * KIB) + body(300 * KIB)[: 100 * KIB])
        time.sleep(0.6)
        peer.send(body(300 * KIB)[100 * KIB :])

    stage.play(script)
    assert get(hurried).body == body(300 * KIB)


def test_an_upload_that_the_upstream_does_not_take_is_given_up(stage, hurried) -> None:
    left = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_head()
        assert left.wait(5)

    stage.play(script)
    with RawClient(hurried.address) as client:
        sender = threading.Thread(target=client.send_some, args=(post(bytes(30_000_000)),))
        sender.start()
        response = client.read_response()
        left.set()
        sender.join()
        assert (response.status, response.get("Connection")) == (504, b"close")
        assert client.closed_by_peer(3.0)


def test_a_client_that_takes_nothing_is_cut_off(stage, hurried) -> None:
    left = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD % 10**9)
        try:
            while True:
                peer.send(body(1024 * KIB))
        except Gone:
            left.set()

    stage.play(script)
    with RawClient(hurried.address, receive_buffer=4096) as client:
        client.send(GET % b"")
        assert left.wait(5)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_worker_that_has_to_go_ends_its_transfers(number: int) -> None:
    data, told = body(600 * KIB), threading.Event()

    def script(peer: Peer) -> None:
        uploaded = peer.read_head().method == b"POST"
        if uploaded:
            assert peer.take(len(data)) == data
        peer.send(HEAD % len(data) + data[: 100 * KIB])
        assert told.wait(5)
        peer.send(data[100 * KIB :])

    with ScriptedUpstream(script) as up, moving({"to": up.url}) as server:
        with RawClient(server.address) as down, RawClient(server.address) as both:
            down.send(GET % b"")
            both.send(post(data)[: 100 * KIB])
            down.read_until(data[99 * KIB : 100 * KIB])
            wait_for(lambda: len(up.requests) == 2)
            before = worker(server)
            server.signal(number)
            time.sleep(0.2)
            told.set()
            both.send(post(data)[100 * KIB :])
            assert down.read_until(data[-100:]).endswith(data[-1000:])
            assert both.read_response().body == data
        if number == signal.SIGTERM:
            assert server.wait(5) == 0
        else:
            wait_for(lambda: worker(server) != before)


# No body


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified")]
)
@pytest.mark.parametrize("behind", [b"", b"x" * 300 * KIB], ids=["clean", "body"])
def test_a_length_without_a_body(stage, server, method: str, status: str, behind: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(f"HTTP/1.1 {status}\r\nContent-Length: {300 * KIB}\r\n\r\n".encode() + behind)

    stage.play(script)
    with RawClient(server.address) as client:
        for _ in range(2):
            client.send(GET.replace(b"GET", method.encode()) % b"")
            response = client.read_response(method)
            assert (response.status, response.body) == (int(status[:3]), b"")


def test_a_client_of_http_1_0(stage, server) -> None:
    stage.play(echo)
    with RawClient(server.address) as client:
        client.send(post(body(1024 * KIB), version=b"1.0"))
        assert client.read_response().body == body(1024 * KIB)
        assert client.closed_by_peer(3.0) == "eof"
