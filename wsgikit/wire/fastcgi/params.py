"""FastCGI name-value pairs (section 3.4), read and written.

Owns the lengths of one or four bytes. Must not know what a name means. What is read is bounded in bytes and in number
before anything is built from it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.cgi.limits import VariableLimits

_LONG = struct.Struct(">I")
_FLAG = 0x80000000
_SHORT = 127


def parse_pairs(data: bytes | bytearray, limits: VariableLimits) -> list[tuple[bytes, bytes]]:
    """All pairs of a whole stream. ProtocolError("bad-params"): it ends inside a pair; LimitError: too many."""
    pairs: list[tuple[bytes, bytes]] = []
    offset, size = 0, len(data)
    while offset < size:
        name_size, offset = _length(data, offset)
        value_size, offset = _length(data, offset)
        middle, end = offset + name_size, offset + name_size + value_size
        if end > size:
            raise ProtocolError("bad-params", 400, "the params end inside a name-value pair")
        if len(pairs) == limits.count:
            raise LimitError("too-many-variables", 431, f"more than {limits.count} variables")
        pairs.append((bytes(data[offset:middle]), bytes(data[middle:end])))
        offset = end
    return pairs


def _length(data: bytes | bytearray, offset: int) -> tuple[int, int]:
    try:
        first = data[offset]
        if first <= _SHORT:
            return first, offset + 1
        return _LONG.unpack_from(data, offset)[0] ^ _FLAG, offset + 4
    except (IndexError, struct.error):
        raise ProtocolError("bad-params", 400, "the params end inside a length") from None


def format_pairs(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Pairs as the content of PARAMS, GET_VALUES or GET_VALUES_RESULT."""
    parts = []
    for name, value in pairs:
        for text in (name, value):
            length = len(text)
            parts.append(bytes((length,)) if length <= _SHORT else _LONG.pack(length | _FLAG))
        parts += (name, value)
    return b"".join(parts)


class ParamsDecoder:
    """Collects a stream of PARAMS records; a pair may be cut anywhere between two of them."""

    __slots__ = ("_buffer", "_limits")

    def __init__(self, limits: VariableLimits) -> None:
        self._limits = limits
        self._buffer = bytearray()

    def feed(self, content: bytes) -> None:
        """Add the content of a record. LimitError("variables-too-long") past the limit in bytes."""
        if len(self._buffer) + len(content) > self._limits.size:
            raise LimitError("variables-too-long", 431, f"the variables are longer than {self._limits.size} bytes")
        self._buffer += content

    def end(self) -> list[tuple[bytes, bytes]]:
        """The pairs, once the stream has ended. Errors as `parse_pairs`."""
        buffer, self._buffer = self._buffer, bytearray()
        return parse_pairs(buffer, self._limits)
