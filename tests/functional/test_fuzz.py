"""Bytes that are no HTTP, or nearly: the server neither crashes nor hangs, and goes on serving others."""

from __future__ import annotations

import random

import pytest

from wsgikit.errors import Disconnected, PeerTimeout
from wsgikit.testing import RawClient, ServerProcess
from wsgikit.testing.vectors import VECTORS

ROUNDS = [400, pytest.param(20_000, marks=pytest.mark.soak)]
GET = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"


def damage(data: bytes, rng: random.Random) -> bytes:
    """A vector's bytes with some of them changed, doubled, cut out or moved."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        choice = rng.randrange(5)
        if choice == 0:
            out[at : at + 1] = bytes([rng.randrange(256)])
        elif choice == 1:
            del out[at : at + rng.randint(1, 9)]
        elif choice == 2:
            out[at:at] = rng.choice((b"\r\n", b"\n", b"\r", b"\x00", b" ", b":", b"0\r\n\r\n", b"\xff", GET))
        elif choice == 3:
            out[at:at] = out[max(0, at - 12) : at]
        elif len(out) > 2:
            out.append(out.pop(at % len(out)))
    return bytes(out)


def converse(server: ServerProcess, data: bytes) -> None:
    """Send, end the sending side, and read what comes: within the deadline the server must have closed."""
    with RawClient(server.address, timeout=10, strict=False) as client:
        try:
            client.send(data)
            client.half_close()
            client.read_until_close(timeout=10)
        except Disconnected:
            pass
        except PeerTimeout:
            raise AssertionError(f"the server neither answers nor closes: {data!r}") from None


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("mode", ["spool", "stream"])
def test_damaged_requests(serving, rounds: int, mode: str) -> None:
    server = serving("--threads", "2", "--body", mode)
    rng = random.Random(20)
    short = [vector.raw for vector in VECTORS if len(vector.raw) < 2000]
    for number in range(rounds):
        data = rng.randbytes(rng.randint(1, 80)) if number % 10 == 0 else damage(rng.choice(short), rng)
        converse(server, data)
    with RawClient(server.address) as client:
        client.send(GET)
        assert client.read_response().body == b"hello"
    assert "Traceback" not in server.output
    assert "an error in wsgikit itself" not in server.output
