"""Gigabytes through the real command, with the worker's memory flat (`make soak`)."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from wsgikit.testing import RawClient, ServerProcess

pytestmark = pytest.mark.soak

SIZE = 1 << 30
FLAT = 48 << 20  # bytes by which a worker may grow; buffers on both sides included


def memory(server: ServerProcess) -> int:
    """Resident bytes of the server's processes, the largest of them."""
    largest = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
                if int(fields[2]) == os.getpgid(server.pid):
                    largest = max(largest, int(fields[21]) * os.sysconf("SC_PAGESIZE"))
            except (OSError, IndexError):
                continue
    return largest


def settle(server: ServerProcess) -> int:
    with RawClient(server.address) as client:
        client.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_response()
    return memory(server)


def test_a_download_of_a_gibibyte(serving) -> None:
    server = serving("--threads", "2")
    before = settle(server)
    peak = received = 0
    with RawClient(server.address, timeout=30) as client:
        client.send(b"GET /big?%d HTTP/1.0\r\n\r\n" % SIZE)
        client.read_until(b"\r\n\r\n")
        while data := client.receive():
            received += len(data)
            if received >> 26 != (received - len(data)) >> 26:
                peak = max(peak, memory(server))
    assert received == SIZE
    assert peak - before < FLAT


def test_a_download_to_a_slow_client_waits_on_disk_and_not_in_memory(serving) -> None:
    server = serving("--threads", "2", "--output-spool", "400MiB")
    before = settle(server)
    size = 300 << 20
    with RawClient(server.address, timeout=30, receive_buffer=65536) as client:
        client.send(b"GET /big?%d HTTP/1.0\r\n\r\n" % size)
        client.read_until(b"\r\n\r\n")
        deadline = time.monotonic() + 20
        grown = 0
        while time.monotonic() < deadline and grown == 0:  # the app has finished, the client has hardly begun
            grown = settle(server) - before
        received = 0
        while data := client.receive():
            received += len(data)
    assert received == size
    assert grown < FLAT


@pytest.mark.parametrize("mode", ["spool", "stream"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_an_upload_of_a_gibibyte(serving, mode: str, chunked: bool) -> None:
    server = serving("--threads", "2", "--body", mode, "--max-body", "2GiB", "--timeout", "300")
    before = settle(server)
    block = bytes(range(256)) * 4096
    digest = hashlib.sha256()
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % SIZE
    peak = 0
    with RawClient(server.address, timeout=60) as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % framing)
        for number in range(SIZE // len(block)):
            digest.update(block)
            client.send(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
            if number % 64 == 0:
                peak = max(peak, memory(server))
        if chunked:
            client.send(b"0\r\n\r\n")
        response = client.read_response(timeout=120)
    assert response.status == 200, server.output
    assert response.body == b"%d %b" % (SIZE, digest.hexdigest().encode())
    assert peak - before < FLAT
