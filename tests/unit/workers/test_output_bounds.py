"""What waits for a slow client is as large as its limits say: objects count, too, and so does the file's length."""

from __future__ import annotations

import os
import socket
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.workers.output import Output
from wsgikit.workers.stream import PlainStream


class Sieve:
    """Takes `appetite` bytes, nothing when that is used up; remembers the longest part of a file it was offered."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self.appetite = 0
        self.calls = 0

    def send(self, data: memoryview) -> int:
        self.calls += 1
        count = min(len(data), self.appetite)
        self.taken += data[:count]
        self.appetite -= count
        return count

    def send_file(self, fd: int, offset: int, left: int) -> int:
        return self.send(memoryview(os.pread(fd, min(left, self.appetite), offset)))

    def drain(self, output: Output, appetite: int) -> None:
        self.appetite = appetite
        output.drain(self.send, self.send_file)


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_small_blocks_take_no_more_memory_than_the_limit_says(traced: None) -> None:
    limit = 1 << 18
    output, sieve = Output(limit, 0, ""), Sieve()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(limit // 6 + 1):
        output.add(b"1\r\n%d\r\n" % (number % 10))  # one character a chunk, as an app writes that iterates over a str
    assert not output.room()
    assert tracemalloc.get_traced_memory()[0] - before < 1.2 * limit  # it was fifty times as much
    sieve.drain(output, 10 * limit)
    assert sieve.calls < 100  # and a system call for each
    assert sieve.taken == b"".join(b"1\r\n%d\r\n" % (number % 10) for number in range(limit // 6 + 1))


def test_the_file_does_not_outgrow_its_limit_however_much_passes_through_it(tmp_path) -> None:
    limit, block = 100_000, bytes(range(250)) * 20
    output, sieve = Output(1000, limit, str(tmp_path)), Sieve()
    added = largest = 0
    while added < 30 * limit:
        while output.room():
            output.add(block)
            added += len(block)
        largest = max(largest, size_of_spool(str(tmp_path)))
        sieve.drain(output, 20_000)
    sieve.drain(output, added)
    assert sieve.taken == block * (added // len(block))
    assert 0 < largest <= limit + len(block)
    assert not output


def size_of_spool(folder: str) -> int:
    """The size of this process's only file without a name in `folder`."""
    for entry in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{entry}").startswith(folder):
                return os.fstat(int(entry)).st_size
        except OSError:
            continue
    return 0


@given(
    st.lists(st.integers(1, 9000), min_size=1, max_size=30),
    st.lists(st.integers(0, 20_000), min_size=1, max_size=30),
    st.integers(0, 5000),
    st.integers(0, 20_000),
)
def test_order_is_kept_whatever_goes_where(sizes: list[int], meals: list[int], memory: int, spool: int) -> None:
    output, sieve = Output(memory, spool, ""), Sieve()
    stream = bytes(number % 251 for number in range(sum(sizes)))
    begun = 0
    for number, size in enumerate(sizes):
        output.add(stream[begun : begun + size])
        begun += size
        sieve.drain(output, meals[number % len(meals)])
        assert len(sieve.taken) + output.waiting + output.spooled == begun
    sieve.drain(output, len(stream))
    assert sieve.taken == stream
    assert (output.waiting, output.spooled, bool(output)) == (0, 0, False)


def test_the_first_block_is_offered_again_as_it_was() -> None:
    """OpenSSL refuses ("bad write retry") when the bytes of a write that could not go on come back fewer or changed."""
    output, offers = Output(0, 1 << 20, ""), []
    output.add(b"a" * 300_000)
    output.add(b"b" * 300_000)

    def offer(data: memoryview) -> int:
        offers.append(bytes(data[:300_000]))
        return 0

    output.drain(offer, lambda fd, offset, left: 0)
    output.drain(offer, lambda fd, offset, left: 0)
    assert offers == [b"a" * 300_000] * 2
    output.clear()


def test_what_the_kernel_has_not_sent_yet_is_not_written_over() -> None:
    """sendfile() queues pages of the file, not copies: a file that is used again changes what is on its way."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(listener.getsockname())
    served, _ = listener.accept()
    served.setblocking(False)
    with listener, client, served:
        stream, output = PlainStream(served), Output(1000, 100_000, "")
        sent = received = 0
        while sent < 4_000_000:
            while output.room():
                output.add(bytes([sent // 5000 % 256]) * 5000)
                sent += 5000
            if not output.drain(stream.send, stream.send_file):
                received += len(check(client.recv(100_000), received))
        while received < sent:
            output.drain(stream.send, stream.send_file)
            received += len(check(client.recv(100_000), received))


def check(data: bytes, position: int) -> bytes:
    wrong = next((at for at, byte in enumerate(data, position) if byte != at // 5000 % 256), None)
    assert wrong is None, f"wrong from {wrong} on"
    return data
