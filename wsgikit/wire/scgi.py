"""SCGI, pure: a request's head read and written. The response is CGI's (`wsgikit.wire.cgi`).

A head is one netstring of NAME NUL VALUE NUL pairs, CONTENT_LENGTH first, SCGI=1 among them
(https://python.ca/scgi/protocol.txt, 2008-06-23); the body follows, as long as CONTENT_LENGTH says.

Where we are lenient: a name that comes twice counts once, with its last value (the protocol forbids it, Apache passes
on whatever its environment table holds). CONTENT_LENGTH must come first and SCGI must be "1", as the text says: that is
how a wrong wire is told from a wrong request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.cgi.limits import VariableLimits

_LENGTH = re.compile(rb"([1-9][0-9]{0,8}+):")
_DIGITS = re.compile(rb"[1-9][0-9]{0,8}+")
_PREFIX = 10  # bytes of the longest length that is looked at, with its colon


def parse_scgi(buffer: bytes | bytearray, limits: VariableLimits) -> tuple[list[tuple[bytes, bytes]], int] | None:
    """The variables of the request at the start of `buffer`, and the offset after its head; None: not complete.

    Raises ProtocolError("bad-netstring" or "bad-scgi-head") and LimitError. What is incomplete costs no reading of
    the rest.
    """
    match = _LENGTH.match(buffer, 0, _PREFIX)
    if match is None:
        _refuse_prefix(bytes(buffer[:_PREFIX]))
        return None
    size = int(match[1])
    if size > limits.size:
        raise LimitError("variables-too-long", 431, f"a head of {size} bytes; the limit is {limits.size}")
    start = match.end()
    if len(buffer) <= start + size:
        return None
    if buffer[start + size] != 0x2C:
        raise ProtocolError("bad-netstring", 400, "no comma where the head ends")
    return _pairs(bytes(buffer[start : start + size]), limits), start + size + 1


def _refuse_prefix(prefix: bytes) -> None:
    if len(prefix) == _PREFIX or (prefix and not _DIGITS.fullmatch(prefix)):
        raise ProtocolError("bad-netstring", 400, f"not the length of a head: {prefix!r}")


def _pairs(head: bytes, limits: VariableLimits) -> list[tuple[bytes, bytes]]:
    if head[-1] != 0:
        raise ProtocolError("bad-scgi-head", 400, "the head does not end with NUL")
    if head.count(b"\0") > 2 * limits.count:
        raise LimitError("too-many-variables", 431, f"more than {limits.count} variables")
    texts = head[:-1].split(b"\0")
    if len(texts) % 2:
        raise ProtocolError("bad-scgi-head", 400, "a name without a value")
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    if pairs[0][0] != b"CONTENT_LENGTH":
        raise ProtocolError("bad-scgi-head", 400, "CONTENT_LENGTH does not come first")
    if (b"SCGI", b"1") not in pairs:
        raise ProtocolError("bad-scgi-head", 400, "SCGI is not 1")
    return pairs


def format_scgi(variables: Iterable[tuple[bytes, bytes]], length: int) -> bytes:
    """The head of a request with a body of `length` bytes. CONTENT_LENGTH and SCGI are made here, not taken.

    Raises ValueError for a NUL in a name or value.
    """
    parts = [b"CONTENT_LENGTH", b"%d" % length, b"SCGI", b"1"]
    for name, value in variables:
        if name not in (b"CONTENT_LENGTH", b"SCGI"):
            parts += (name, value)
    head = b"\0".join(parts) + b"\0"
    if head.count(b"\0") != len(parts):
        raise ValueError("NUL in a variable")
    return b"%d:%b," % (len(head), head)
