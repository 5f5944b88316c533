"""The real server over FastCGI: many requests on one connection, none of them waiting for another."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import fastcgi_peer as peer
import pytest
from waiting import wait_for

from wsgikit.errors import Disconnected, PeerTimeout
from wsgikit.testing import RawClient, ServerProcess
from wsgikit.wire.fastcgi import Kind, Verdict, format_pairs, format_record

FASTCGI = "fastcgi://{host}:{port}"
APPS = Path(__file__).parent / "apps"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[ServerProcess]:
    """For tests that need nothing special."""
    served = tmp_path_factory.mktemp("served") / "file"
    served.write_bytes(random.Random(3).randbytes(700_001))
    options = ("--threads", "6", "--idle-grace", "0", "--config", "")
    command = [sys.executable, "-m", "wsgikit", "serve", "many_sided:app", "-b", FASTCGI, "--pythonpath", str(APPS)]
    with ServerProcess([*command, *options], env={"SERVED_FILE": str(served)}) as process:
        yield process


def test_requests_of_one_connection_run_at_once(server) -> None:
    with peer.Peer(server.address) as front:
        begun = time.monotonic()
        front.send(peer.request("/sleep?1.0", 1))
        front.send(*(peer.request("/sleep?0.3", number) for number in range(2, 6)))
        front.send(peer.request("/hello", 6))
        answers = front.wait(*range(1, 7))
        assert time.monotonic() - begun < 1.9, "five sleeps one after the other would take 2.2 s"
        assert answers.order[0] == 6, "what is quick does not wait for what is slow"
        assert answers.order[-1] == 1
        assert {answers[number].body for number in range(1, 7)} == {b"hello"}


@pytest.mark.parametrize(
    "options",
    [pytest.param(("--poller", "selectors"), marks=pytest.mark.soak, id="selectors"),
     pytest.param(("--threads", "1"), id="one thread")],
)  # fmt: skip
def test_a_hundred_requests_mixed_with_their_bodies(serving, options) -> None:
    """Numbers are used again as soon as their requests have ended; records of all requests are shuffled."""
    server = serving(*options, bind=FASTCGI)
    chance = random.Random(7)
    with peer.Peer(server.address, timeout=20) as front:
        for _ in range(4):
            bodies = {number: chance.randbytes(chance.randrange(1, 120_000)) for number in range(1, 26)}
            queues = [_records(number, body) for number, body in bodies.items()]
            while queues:
                queue = chance.choice(queues)
                front.send(queue.pop(0))
                if not queue:
                    queues.remove(queue)
            answers = front.wait(*bodies)
            for number, body in bodies.items():
                said = f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()
                assert answers[number].body == said
                assert answers[number].ends == 1
            answers.by_number.clear()


@pytest.mark.parametrize("rounds", [400, pytest.param(6000, marks=pytest.mark.soak)])
def test_numbers_are_used_again_at_once(server, rounds: int) -> None:
    """The next request of a number leaves as soon as the end of the one before is here, as web servers do it, while its
    thread may still be busy with ending that one. Slow ones among them, so that threads take turns in reading."""
    numbers = range(1, 9)
    chance = random.Random(5)
    with peer.Peer(server.address, timeout=20) as front:
        answers = front.answers
        front.send(*(peer.request("/hello", number) for number in numbers))
        asked = len(numbers)
        while len(answers.order) < rounds:
            before = len(answers.order)
            assert front.take(10), "the server has closed"
            ended = answers.order[before:]
            assert all(answers[number].body == b"hello" for number in ended)
            front.send(*(peer.request(chance.choice(("/hello", "/hello", "/sleep?0.004")), each) for each in ended))
            asked += len(ended)
        while len(answers.order) < asked:
            assert front.take(10)


def _records(number: int, body: bytes) -> list[bytes]:
    opening = peer.begin(number) + peer.params(
        number, SCRIPT_NAME="/upload", REQUEST_METHOD="PUT", CONTENT_LENGTH=str(len(body))
    )
    blocks = [peer.stdin(number, body[start : start + 9000], end=False) for start in range(0, len(body), 9000)]
    return [opening, *blocks, peer.stdin(number)]


def test_a_streamed_body_does_not_hold_up_its_neighbours(serving) -> None:
    """The app of 1 waits for its body; 2 and 3 come and go on the same connection meanwhile."""
    server = serving("--body", "stream", "--threads", "4", bind=FASTCGI)
    with peer.Peer(server.address) as front:
        front.send(peer.begin(1), peer.params(1, SCRIPT_NAME="/upload", REQUEST_METHOD="PUT", CONTENT_LENGTH="300000"))
        for number in (2, 3):
            front.send(peer.stdin(1, b"x" * 100_000, end=False), peer.request("/hello", number))
            assert front.wait(number)[number].body == b"hello"
        front.send(peer.stdin(1, b"x" * 100_000))
        assert front.wait(1)[1].body.startswith(b"300000 ")


def test_responses_that_the_web_server_does_not_take_hold_up_nobody(serving, tmp_path) -> None:
    """8 MiB of one request wait in memory and in a file; the records of others are read and answered behind it."""
    options = ("--threads", "3", "--output-memory", "100KiB", "--send-timeout", "20s")
    server = serving(*options, bind=FASTCGI)
    with peer.Peer(server.address, receive_buffer=4096) as front:
        front.send(peer.request("/big?8388608", 1))
        time.sleep(0.3)
        front.send(peer.request("/hello", 2), peer.request("/hello", 3))
        answers = front.wait(1, 2, 3)
        assert len(answers[1].body) == 8388608
        assert answers[1].end == (0, Verdict.COMPLETE)
        assert answers[2].body == answers[3].body == b"hello"


def test_past_both_limits_only_the_app_waits(serving) -> None:
    options = ("--threads", "3", "--output-memory", "64KiB", "--output-spool", "64KiB")
    server = serving(*options, bind=FASTCGI)
    with peer.Peer(server.address, receive_buffer=4096) as front, peer.Peer(server.address) as other:
        front.send(peer.request("/big?4000000", 1), peer.request("/big?4000000", 2))
        assert other.ask("/hello").body == b"hello"
        answers = front.wait(1, 2)
        assert (len(answers[1].body), len(answers[2].body)) == (4000000, 4000000)


@pytest.mark.soak
def test_a_web_server_that_takes_nothing_is_cut_off(serving) -> None:
    options = ("--output-memory", "64KiB", "--output-spool", "64KiB", "--send-timeout", "600ms", "--threads", "2")
    server = serving(*options, bind=FASTCGI)
    with peer.Peer(server.address, receive_buffer=4096) as front:
        front.send(peer.request("/big?30000000", 1), peer.request("/closing", 2))
        with peer.Peer(server.address) as other:
            wait_for(lambda: other.ask("/closed").body == b"close callback")
            assert other.ask("/closed").body == b"close callback"
        wait_for(lambda: b"1 open" in _connections(server.pid, server.port))
        with pytest.raises((Disconnected, AssertionError)):
            assert front.read_to_the_end()[1].end is not None


def _connections(pid: int, port: int) -> bytes:
    """How many connections the server has, by the kernel's table."""
    rows = Path("/proc/net/tcp").read_text().split("\n")[1:]
    local = f":{port:04X}"
    count = sum(1 for row in rows if row and row.split()[1].endswith(local) and row.split()[3] == "01")
    return f"{count + 1} open".encode()


def test_the_keep_alive_flag_is_obeyed(serving) -> None:
    server = serving("--keep-alive", "700ms", bind=FASTCGI)
    with peer.Peer(server.address) as front:
        for _ in range(3):
            assert front.ask("/hello").body == b"hello"
        assert front.ask("/hello", keep=False).body == b"hello"
        assert not front.take(2), "closed by us after the response"
    with peer.Peer(server.address) as front:
        assert front.ask("/hello").body == b"hello"
        begun = time.monotonic()
        assert not front.take(5), "closed when idle for too long"
        assert time.monotonic() - begun > 0.5


def test_an_aborted_request_ends_early(server) -> None:
    with peer.Peer(server.address) as front:
        front.send(peer.request("/wait_for_leave", 1))
        front.send(peer.request("/hello", 2))
        assert front.wait(2)[2].body == b"hello"
        front.send(peer.abort(1), peer.request("/has_left", 3))
        answers = front.wait(1, 3)
        assert answers[3].body == b"True"
        assert answers[1].end == (0, Verdict.COMPLETE)
        assert answers[1].stdout == b""


def test_the_web_server_closes_while_apps_run(server) -> None:
    front = peer.Peer(server.address)
    front.send(peer.request("/wait_for_leave", 1), peer.request("/sleep?0.2", 2), peer.request("/big?5000000", 3))
    front.wait()
    front.client.close()
    with peer.Peer(server.address) as other:
        assert other.ask("/has_left").body == b"True"
        assert other.ask("/hello").body == b"hello"


def test_a_slow_app_is_interrupted_and_its_neighbours_are_not(serving) -> None:
    server = serving("--timeout", "1s", "--threads", "4", bind=FASTCGI)
    with peer.Peer(server.address) as front:
        front.send(peer.request("/spin?20", 1), peer.request("/sleep?0.4", 2))
        answers = front.wait(1, 2)
        assert answers[1].status == b"Status: 504 Gateway Timeout"
        assert answers[2].body == b"hello"
        assert front.ask("/hello").body == b"hello", "the connection lives on"


def test_a_response_that_breaks_off_gets_no_end(server) -> None:
    with peer.Peer(server.address) as front:
        front.send(peer.request("/sleep?0.5", 1), peer.request("/fail_late", 2))
        answers = front.read_to_the_end()
        assert answers[1].body == b"hello"
        assert answers[2].stdout.endswith(b"begun")
        assert answers[2].end is None


def test_slow_params_and_bodies_are_408(serving) -> None:
    server = serving("--head-timeout", "400ms", "--body-timeout", "400ms", bind=FASTCGI)
    with peer.Peer(server.address) as front:
        front.send(peer.begin(1), peer.begin(2), peer.params(2, REQUEST_METHOD="PUT", CONTENT_LENGTH="9"))
        answers = front.wait(1, 2)
        assert answers[1].status == answers[2].status == b"Status: 408 Request Timeout"
        assert front.ask("/hello").body == b"hello"


@pytest.mark.soak
def test_floods_of_records_cost_neither_memory_nor_neighbours(serving) -> None:
    server = serving("--threads", "2", bind=FASTCGI)
    nothing = format_record(Kind.STDIN, 9, b"") * 8000
    asked = format_record(Kind.GET_VALUES, 0, format_pairs([(b"FCGI_MAX_REQS", b"")])) * 3000
    with peer.Peer(server.address) as front, peer.Peer(server.address) as other:
        before = _resident(server.pid)
        for _ in range(20):
            front.send(nothing)
        assert front.ask("/hello").body == b"hello"
        assert other.ask("/hello").body == b"hello"
        assert _asks_without_reading(front, asked) == "cut off"
        assert other.ask("/hello").body == b"hello"
        assert _resident(server.pid) - before < 30_000_000


def _asks_without_reading(front: peer.Peer, asked: bytes) -> str:
    try:
        for _ in range(400):
            front.client.send(asked)
    except (Disconnected, PeerTimeout):
        return "cut off"
    return "all of it was taken"


def _resident(pid: int) -> int:
    """Of the server's workers, in bytes."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return max(int(Path(f"/proc/{child}/statm").read_text().split()[1]) * 4096 for child in children)


def test_too_many_requests_on_one_connection(serving) -> None:
    server = serving("--multiplex", "2", "--threads", "3", bind=FASTCGI)
    with peer.Peer(server.address) as front:
        front.send(*(peer.request("/sleep?0.3", number) for number in (1, 2, 3)))
        answers = front.wait(1, 2, 3)
        assert answers[3].end == (0, Verdict.OVERLOADED)
        assert answers[1].body == answers[2].body == b"hello"


def test_files_go_out_as_records(server) -> None:
    with peer.Peer(server.address) as front:
        assert front.ask("/file").body == random.Random(3).randbytes(700_001)


def test_stopping_finishes_what_is_under_way_and_drops_no_request(serving) -> None:
    server = serving("--threads", "4", bind=FASTCGI)
    with peer.Peer(server.address) as front, peer.Peer(server.address) as idle:
        assert idle.ask("/hello").body == b"hello"
        front.send(peer.request("/sleep?1", 1), peer.request("/sleep?0.5", 2))
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        time.sleep(0.2)
        assert idle.ask("/hello").body == b"hello", "an idle connection may ask once more"
        answers = front.read_to_the_end()
        assert answers[1].body == answers[2].body == b"hello"
        assert not idle.take(3)
    assert server.wait(5) == 0


def test_a_listening_socket_on_descriptor_0(tmp_path) -> None:
    """As spawn-fcgi, lighttpd and mod_fcgid start programs (section 2.2)."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    command = [
        sys.executable,
        "-m",
        "wsgikit",
        "serve",
        "many_sided:app",
        "-b",
        "fastcgi+fd://0",
        "--pythonpath",
        str(APPS),
    ]
    with subprocess.Popen(
        command,
        stdin=listening.fileno(),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        env={**os.environ, "FCGI_WEB_SERVER_ADDRS": "127.0.0.1, 10.0.0.1"},
    ) as process:
        listening.close()
        try:
            with peer.Peer(address, timeout=20) as front:
                assert front.ask("/hello").body == b"hello"
        finally:
            process.terminate()
            assert process.wait(10) == 0
            assert process.stderr is not None
            process.stderr.read()


def test_http_on_a_fastcgi_port_is_told_apart(server) -> None:
    with RawClient(server.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_until_close() == b""
