"""Clients that want the server's time, memory or descriptors, or another client's answer: through the real command."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import time
from contextlib import ExitStack

import pytest
from throwaway_certificate import make
from waiting import wait_for

from wsgikit.testing import RawClient, ServerProcess

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
V1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n"


def processor_time(server: ServerProcess) -> float:
    """Seconds that all processes of the server have used so far."""
    ticks = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.getpgid(int(entry)) == server.pid:
                    with open(f"/proc/{entry}/stat") as file:
                        fields = file.read().rpartition(")")[2].split()
                    ticks += int(fields[11]) + int(fields[12])
            except (OSError, IndexError):
                continue
    return ticks / os.sysconf("SC_CLK_TCK")


def busy(server: ServerProcess, seconds: float = 0.4) -> float:
    """The share of a processor that the server uses while nothing is asked of it."""
    before, began = processor_time(server), time.monotonic()
    time.sleep(seconds)
    return (processor_time(server) - before) / (time.monotonic() - began)


def get(server: ServerProcess, path: bytes) -> bytes:
    with RawClient(server.address) as client:
        client.send(GET % path)
        return client.read_response().body


@pytest.fixture(params=["epoll", pytest.param("selectors", marks=pytest.mark.soak)])
def poller(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command makes the certificate")
    return make(tmp_path_factory.mktemp("certificate"))


# Nothing to do, and yet busy


@pytest.mark.parametrize("bind", ["{host}:{port}", "unix:{socket}"])
def test_a_proxy_header_that_stops_in_the_midst_costs_nothing(serving, bind: str, poller: str) -> None:
    server = serving("--proxy-protocol", "--trusted", "127.0.0.0/8", "--poller", poller, bind=bind)
    get_through_proxy = V1 + GET % b"environment"
    with RawClient(server.address) as client, RawClient(server.address) as ended:
        client.send(V1[:9])
        ended.send(V1[:9])
        ended.half_close()
        assert ended.closed_by_peer(2.0)
        assert busy(server) < 0.2
        client.dribble(V1[9:] + GET % b"environment", size=5)
        assert b"REMOTE_ADDR=192.0.2.7\n" in client.read_response().body
    with RawClient(server.address) as client:
        client.send(get_through_proxy)
        assert client.read_response().status == 200


def test_a_thread_that_does_not_come_back_costs_nothing_meanwhile(serving) -> None:
    server = serving("--threads", "2", "--timeout", "0.2", "--interrupt-grace", "20")
    with RawClient(server.address) as client:
        client.send(GET % b"sleep?1")
        assert client.read_response().status == 504
        assert busy(server) < 0.1


# The worker is late, the client is not


def test_a_request_that_waits_for_a_busy_worker_is_not_timed_out(serving, poller: str) -> None:
    limits = ("--keep-alive", "0.4", "--head-timeout", "0.4", "--body-timeout", "0.4")
    server = serving("--threads", "1", "--poller", poller, *limits)
    with ExitStack() as stack:
        kept, begun, fresh, other = (stack.enter_context(RawClient(server.address)) for _ in range(4))
        kept.send(GET % b"hello")
        assert kept.read_response().status == 200
        begun.send((GET % b"hello")[:20])
        time.sleep(0.05)
        other.send(GET % b"sleep?1")
        time.sleep(0.05)
        kept.send(GET % b"hello")
        begun.send((GET % b"hello")[20:])
        fresh.send(GET % b"hello")
        for client in (kept, begun, fresh, other):
            assert client.read_response().body == b"hello"


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_a_client_that_pipelines_does_not_keep_others_waiting(serving, threads: int, poller: str) -> None:
    server = serving("--threads", str(threads), "--poller", poller)
    get(server, b"hello")
    time.sleep(0.3)  # until the server has nothing else to do: then it need not look who else is there
    with ExitStack() as stack:
        other, *crowd = (stack.enter_context(RawClient(server.address)) for _ in range(threads + 1))
        for client in crowd:
            client.send((GET % b"sleep?0.005") * 150 + GET % b"pid")
        time.sleep(0.05)
        began = time.monotonic()
        other.send(GET % b"pid")
        assert other.read_response().body.isdigit()
        assert time.monotonic() - began < 0.4  # it was as long as all of them took
        for client in crowd:
            assert [client.read_response().body for _ in range(150)] == [b"hello"] * 150
            assert client.read_response().body.isdigit()


# Whose descriptor is it?


def upgraded(server: ServerProcess, path: bytes, *, body: bytes = b"", more: bytes = b"") -> RawClient:
    client = RawClient(server.address)
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    upgrade = b"Connection: upgrade\r\nUpgrade: x\r\n"
    client.send(b"POST /%b HTTP/1.1\r\nHost: a\r\n%b%b\r\n%b%b" % (path, length, upgrade, body, more))
    assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    return client


def test_a_descriptor_that_an_app_has_closed_is_somebody_elses(serving, tmp_path, poller: str) -> None:
    server = serving("--threads", "4", "--takeover", "--poller", poller, app="attacked:app")
    over = tmp_path / "over"
    with upgraded(server, b"taken_and_closed?%b" % str(over).encode()) as first:
        assert first.closed_by_peer(2.0)
        with ExitStack() as stack:
            others = [stack.enter_context(RawClient(server.address)) for _ in range(4)]  # one has the number again
            for client in others:
                client.send(GET % b"hello")
                assert client.read_response().body == b"hello"
            over.touch()
            time.sleep(0.1)
            for client in others:
                client.send(GET % b"hello")
                assert client.read_response().body == b"hello"


def test_the_end_of_a_takeover_over_tls_does_not_wait_for_the_client(serving, certificate: tuple[str, str]) -> None:
    cert, key = certificate
    server = serving("--threads", "1", "--takeover", "--certfile", cert, "--keyfile", key, app="attacked:app")
    context = ssl.create_default_context(cafile=cert)
    request = b"GET /taken HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    with RawClient(server.address, tls=context) as silent, RawClient(server.address, tls=context) as other:
        silent.send(request)
        assert silent.read_until(b"<>")
        other.send(GET % b"hello")
        assert other.read_response(timeout=3).body == b"hello"


# Answers that must arrive whole


@pytest.mark.parametrize("path", [b"spin?3", b"sleep?0.6"], ids=["interrupted", "not to be interrupted"])
def test_a_504_is_not_taken_back_by_a_reset(serving, path: bytes) -> None:
    server = serving("--threads", "2", "--timeout", "0.3")
    with RawClient(server.address) as client:
        client.send(GET % path)
        assert client.read_response().status == 504
        assert client.closed_by_peer(3.0) == "eof"


def test_a_slow_close_does_not_cut_off_what_a_slow_client_still_reads(serving) -> None:
    server = serving("--threads", "2", "--timeout", "0.3", app="attacked:app")
    with RawClient(server.address, receive_buffer=4096) as client:
        client.send(GET % b"slow_close?9000000")
        time.sleep(1.0)  # the deadline, and close(), are over
        assert len(client.read_response(timeout=10).body) == 9_000_000
    assert get(server, b"hello") == b"hello"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_unread_bytes_do_not_reset_what_was_answered(serving, certificate: tuple[str, str], tls: bool) -> None:
    """A client that pipelines behind a request that ends the connection; an upload that is refused half way."""
    cert, key = certificate
    context = ssl.create_default_context(cafile=cert) if tls else None
    limits = ("--threads", "2", "--keep-alive", "0", "--max-body", "1000000")
    server = serving(*limits, *(("--certfile", cert, "--keyfile", key) if tls else ()))
    with RawClient(server.address, tls=context, receive_buffer=65536) as client:
        client.send(GET % b"big?2000000")
        time.sleep(0.2)  # all of it is in the kernel's hands
        client.send(GET % b"hello")
        time.sleep(0.1)
        assert len(client.read_response().body) == 2_000_000
    with RawClient(server.address, tls=context) as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send_some((b"10000\r\n" + b"x" * 65536 + b"\r\n") * 60, 0.2)
        time.sleep(0.1)
        assert client.read_response().status == 413
        assert client.closed_by_peer(4.0)


def test_a_client_is_not_to_blame_for_an_app_that_reads_late(serving) -> None:
    server = serving("--threads", "2", "--body", "stream", "--body-timeout", "0.5", app="attacked:app")
    with RawClient(server.address) as client:
        client.send(b"POST /late_reader?0.8 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        time.sleep(0.1)
        client.send(b"12345")
        assert client.read_response().body == b"12345"


@pytest.mark.parametrize("mode", ["spool", "stream"])
def test_bytes_behind_a_body_reach_who_takes_the_socket_over(serving, mode: str) -> None:
    server = serving("--takeover", "--body", mode, app="attacked:app")
    with upgraded(server, b"read_and_taken", body=b"12345", more=b"already") as client:
        assert client.read_until_close() == b"<already>"


# Clients that leave


def until_closed(server: ServerProcess) -> None:
    wait_for(lambda: get(server, b"balance") == b"0", say=lambda: "the body of a client that has left is not closed")


def test_endless_responses_end_with_their_clients(serving, poller: str) -> None:
    limits = ("--output-memory", "64KiB", "--output-spool", "64KiB", "--send-timeout", "0.4")
    server = serving("--threads", "5", "--poller", poller, *limits, app="attacked:app")
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.address, receive_buffer=4096)) for _ in range(3)]
        for client, size in zip(clients, (10, 10, 2_000_000), strict=True):
            client.send(GET % b"endless?%d" % size)
            client.read_until(b"xx")
        assert get(server, b"balance") == b"3"
        clients[0].reset()
        clients[1].close()
        until_closed(server)  # and the third one has read no further
    assert get(server, b"hello") == b"hello"


def test_a_child_that_the_app_forks_does_not_hold_the_connection_open(serving) -> None:
    server = serving("--threads", "2", app="attacked:app")
    with RawClient(server.address) as client:
        client.send(b"GET /forking HTTP/1.0\r\n\r\n")
        assert client.read_until_close(timeout=3).endswith(b"\r\n\r\nhello")


# More than there is


def test_a_worker_without_descriptors_waits_for_some(serving, poller: str) -> None:
    server = serving("--threads", "2", "--poller", poller, "--linger", "0.2", app="attacked:app")
    pid = get(server, b"starved?12")
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(RawClient(server.address)).send(b"GET / HT")
        server.wait_for_output("Too many open files")
        assert busy(server) < 0.2
    assert get(server, b"pid") == pid
    with RawClient(server.address) as client:  # spooling needs a descriptor, too
        client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n" + b"x" * 900_000)
        assert client.read_response().status == 200
    assert "an error in wsgikit itself" not in server.output


# The end


HOLDING = {
    "nothing": b"",
    "a refusal": b"\x00\x01",
    "half a head": b"GET / HT",
    "half a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1",
    "an app that sleeps": GET % b"sleep?9",
    "a response that is not read": GET % b"big?90000000",
}


def test_nobody_keeps_a_worker_beyond_its_grace(serving) -> None:
    server = serving("--threads", "3", "--graceful-timeout", "0.6", "--linger", "0.3")
    with ExitStack() as stack:
        get(server, b"hello")
        for holding in HOLDING.values():
            stack.enter_context(RawClient(server.address, receive_buffer=4096)).send(holding)
        time.sleep(0.1)
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait(10) == 0
        assert time.monotonic() - began < 2.5  # the threads that do not come back have half a second more


def test_what_was_begun_is_finished_after_term(serving) -> None:
    server = serving("--threads", "2", "--output-memory", "64KiB", app="attacked:app")
    with RawClient(server.address) as upload, RawClient(server.address, receive_buffer=4096) as reader:
        upload.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        reader.send(GET % b"made?1,9000000,small,0")
        assert reader.readable(2)
        server.signal(signal.SIGTERM)
        time.sleep(0.5)  # no listener any more, and none of the two has done anything since
        upload.send(b"67890")
        response = upload.read_response()
        assert (response.status, response.get("Connection")) == (200, b"close")
        assert len(reader.read_response(timeout=10).body) == 9_000_000
    assert server.wait(10) == 0
