"""Endpoints about the iterable an app returns: blocks, length, close(), errors."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from . import control
from .call import Call
from .iterables import Body, SizedBody, TrappingBody, TwoPieceBody
from .starting import ProbeError

ALL_BYTES = bytes(range(256)) + b"\r\n\n\r\r\n\r\n" + b"0\r\n\r\n"


def gated(call: Call) -> Iterable[bytes]:
    """Two blocks; the second is made only when the driver says that the first has arrived."""

    def items() -> Iterator[bytes]:
        yield b"first block\n"
        control.gate("second")
        yield b"second block\n"

    call.start_response("200 OK", call.headers(25 if call.option("length") else None))
    return Body(call, items())


def all_bytes(call: Call) -> Iterable[bytes]:
    """Every byte value and every mix of line ends, in blocks of uneven size."""
    call.start_response("200 OK", call.headers())
    return [ALL_BYTES[:1], ALL_BYTES[1:200], ALL_BYTES[200:]]


def sized(call: Call) -> Iterable[bytes]:
    """An iterable with __len__: `items` blocks of five bytes, and a length that may lie."""
    count = call.number("items", 1)
    call.start_response("200 OK", call.headers())
    return SizedBody(call, [b"%04d\n" % number for number in range(count)], call.number("len", count))


def listed(call: Call) -> Iterable[bytes]:
    """A plain list of `items` blocks of five bytes."""
    call.start_response("200 OK", call.headers())
    return [b"%04d\n" % number for number in range(call.number("items", 1))]


def plain(call: Call) -> Iterable[bytes]:
    """Two blocks from an iterable that reports its end, with Content-Length unless `length=0`."""
    call.start_response("200 OK", call.headers(10 if call.option("length", "1") == "1" else None))
    return Body(call, [b"hello", b"world"])


def two_piece(call: Call) -> Iterable[bytes]:
    """The iterable and its iterator are two objects; only the first has to be closed."""
    call.start_response("200 OK", call.headers(10))
    return TwoPieceBody(call, [b"hello", b"world"])


def trapping(call: Call) -> Iterable[bytes]:
    """Says which attributes of the iterable the server looked at."""
    call.start_response("200 OK", call.headers())
    return TrappingBody(call, [b"hello", b"world"])


def empty(call: Call) -> Iterable[bytes]:
    """An iterable without a single block; with `declare=1` Content-Length is 0."""
    call.start_response("200 OK", call.headers(0 if call.option("declare") else None))
    return Body(call, [])


def empty_blocks(call: Call) -> Iterable[bytes]:
    """Empty blocks before, between and after the others."""
    call.start_response("200 OK", call.headers())
    return Body(call, [b"", b"abc", b"", b"", b"def", b""])


def declared(call: Call) -> Iterable[bytes]:
    """Content-Length `length`, then `items` blocks of five bytes, whatever the length says."""
    call.start_response("200 OK", call.headers(call.number("length")))
    return Body(call, (b"%04d\n" % number for number in range(call.number("items"))))


def large(call: Call) -> Iterable[bytes]:
    """`blocks` blocks of 64 KiB with Content-Length."""
    blocks = call.number("blocks", 16)
    call.start_response("200 OK", call.headers(blocks * 65536))
    return Body(call, (bytes([65 + number % 26]) * 65536 for number in range(blocks)))


def drip(call: Call) -> Iterable[bytes]:
    """Up to `items` blocks of 4 KiB, one every few milliseconds: long enough for a client to go away."""

    def items() -> Iterator[bytes]:
        for _ in range(call.number("items", 400)):
            yield b"d" * 4096
            time.sleep(0.005)

    call.start_response("200 OK", call.headers())
    return Body(call, items())


def raises(call: Call) -> Iterable[bytes]:
    """Raises: `when` is call, started, first, second; `length=1` declares Content-Length 20."""
    when = call.option("when")
    if when == "call":
        raise ProbeError("before start_response")
    call.start_response("200 OK", call.headers(20 if call.option("length") else None))
    if when == "started":
        raise ProbeError("after start_response")

    def items() -> Iterator[bytes]:
        if when == "first":
            raise ProbeError("at the first block")
        yield b"first block"
        raise ProbeError("at the second block")

    return Body(call, items())


def close_raises(call: Call) -> Iterable[bytes]:
    """close() raises; the response was fine, and the server has to go on."""

    class Failing(Body):
        def close(self) -> None:
            super().close()
            raise ProbeError("in close()")

    call.start_response("200 OK", call.headers(5))
    return Failing(call, [b"hello"])


def returns(call: Call) -> Any:
    """Breaks the contract: `kind` is none, int, str, str-item or no-start."""
    kind = call.option("kind")
    if kind == "no-start":
        return Body(call, [b"never started"])
    call.start_response("200 OK", call.headers())
    return {"none": None, "int": 5, "str": "text", "str-item": ["text"]}[kind]


def no_start_empty(call: Call) -> Iterable[bytes]:
    """Never calls start_response and yields nothing."""
    return Body(call, [])


def poison(call: Call) -> Iterable[bytes]:
    """Empties environ and fills it with rubbish; the next request must not see any of it."""
    environ = call.environ
    start_response, headers = call.start_response, call.headers(2)
    environ.clear()
    environ.update(
        {"HTTP_POISON": "1", "wsgi.url_scheme": 5, "SCRIPT_NAME": None, "probe.poison": "1", "PATH_INFO": ""}
    )
    environ["REQUEST_METHOD"] = "HEAD"
    environ["SERVER_PROTOCOL"] = "HTTP/0.9"
    start_response("200 OK", headers)
    return Body(call, [b"ok"])


def keep_headers(call: Call) -> Iterable[bytes]:
    """Changes the header list after start_response has returned."""
    headers = call.headers(2)
    call.start_response("200 OK", headers)
    headers.append(("X-Late", "1"))
    return [b"ok"]


def early_refusal(call: Call) -> Iterable[bytes]:
    """413 without a look at the body."""
    call.start_response("413 Content Too Large", call.headers(9))
    return Body(call, [b"too large"])


def ignore_body(call: Call) -> Iterable[bytes]:
    """200 without a look at the body."""
    return call.answer(b"ignored")


ENDPOINTS = {
    "gated": gated,
    "all-bytes": all_bytes,
    "sized": sized,
    "listed": listed,
    "plain": plain,
    "two-piece": two_piece,
    "trapping": trapping,
    "empty": empty,
    "empty-blocks": empty_blocks,
    "declared": declared,
    "large": large,
    "drip": drip,
    "raises": raises,
    "close-raises": close_raises,
    "returns": returns,
    "no-start-empty": no_start_empty,
    "poison": poison,
    "keep-headers": keep_headers,
    "early-refusal": early_refusal,
    "ignore-body": ignore_body,
}
