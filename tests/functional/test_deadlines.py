"""`--timeout`: the answer goes out at the deadline, the thread comes back, and nobody else is hit."""

from __future__ import annotations

import threading
import time

import pytest
from waiting import wait_for

from wsgikit.testing import RawClient, ServerProcess

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"


def get(server: ServerProcess, path: bytes, timeout: float = 10.0) -> tuple[int, bytes, float]:
    began = time.monotonic()
    with RawClient(server.address, timeout=timeout) as client:
        client.send(GET % path)
        response = client.read_response()
    return response.status, response.body, time.monotonic() - began


@pytest.mark.parametrize("path", [b"sleep?3", b"spin?3"], ids=["in C", "in Python"])
def test_504_goes_out_at_the_deadline(serving, path: bytes) -> None:
    server = serving("--threads", "2", "--timeout", "1")
    status, _, took = get(server, path)
    assert status == 504
    assert 0.9 < took < 2.0
    wanted = "in " + path.split(b"?")[0].decode()  # the stack of the thread, logged once the answer is out
    server.wait_for_output(wanted)
    assert get(server, b"hello")[:2] == (200, b"hello")


def test_all_threads_come_back(serving) -> None:
    server = serving("--threads", "2", "--timeout", "0.5")
    threads = [threading.Thread(target=get, args=(server, b"spin?2")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(10):
        status, body, took = get(server, b"hello")
        assert (status, body) == (200, b"hello")
        assert took < 1.0


def test_a_worker_whose_thread_cannot_be_freed_is_replaced(serving) -> None:
    server = serving("--threads", "2", "--timeout", "0.5", "--interrupt-grace", "0.5")
    before = get(server, b"pid")[1]
    assert get(server, b"sleep?20")[0] == 504
    wait_for(lambda: get(server, b"pid")[1] != before)


def test_a_stream_has_its_time_from_block_to_block(serving, tmp_path) -> None:
    server = serving("--timeout", "1.5", env={"TICKS": str(tmp_path / "tick")})
    with RawClient(server.address) as client:
        client.send(GET % b"ticks")
        for number in range(3):
            time.sleep(0.7)  # longer in total than the limit
            (tmp_path / f"tick.{number}").touch()
            assert b"data: %d" % number in client.read_until(b"\n\n")
