"""A socket as a stream: what "not now" looks like, with and without the system's own way of sending files."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from collections.abc import Iterator
from typing import IO

import pytest

from wsgikit.workers.stream import PlainStream

SIZE = 3_000_000


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there:
        yield here, there


@pytest.fixture
def file() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as made:
        made.write(bytes(range(250)) * (SIZE // 250))
        made.flush()
        yield made


@pytest.fixture(params=["sendfile", "a file system that cannot"])
def stream(request: pytest.FixtureRequest, pair, monkeypatch: pytest.MonkeyPatch) -> PlainStream:
    def refuse(*_: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    if request.param != "sendfile":
        monkeypatch.setattr(os, "sendfile", refuse)
    return PlainStream(pair[0])


def test_a_peer_that_does_not_read_means_not_now(stream: PlainStream, pair, file: IO[bytes]) -> None:
    received = bytearray()
    offset = waits = 0
    while offset < SIZE:
        sent = stream.send_file(file.fileno(), offset, SIZE - offset)
        offset += sent
        if not sent:
            waits += 1
            received += pair[1].recv(1 << 20)
    while len(received) < SIZE:
        received += pair[1].recv(1 << 20)
    assert waits
    assert received == bytes(range(250)) * (SIZE // 250)


def test_a_file_that_became_shorter_is_an_error(stream: PlainStream, file: IO[bytes]) -> None:
    with pytest.raises(OSError, match="shorter"):
        stream.send_file(file.fileno(), SIZE, 10)


def test_a_peer_that_is_gone_is_an_error(stream: PlainStream, pair, file: IO[bytes]) -> None:
    pair[1].close()
    with pytest.raises(OSError, match="Broken pipe"):
        stream.send_file(file.fileno(), 0, SIZE)
