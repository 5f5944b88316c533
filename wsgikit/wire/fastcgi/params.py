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
    # Every request passes here, so short lengths are read in place. A pair that would go past the end leaves `offset`
    # behind it, where the loop ends: one look at the end finds all of them.
    pairs: list[tuple[bytes, bytes]] = []
    data = bytes(data)
    offset, size, room = 0, len(data), limits.count
    try:
        while offset < size:
            name_size, value_size = data[offset], data[offset + 1]
            if name_size | value_size <= _SHORT:
                offset += 2
            else:
                name_size, offset = _length(data, offset)
                value_size, offset = _length(data, offset)
            if not room:
                raise LimitError("too-many-variables", 431, f"more than {limits.count} variables")
            room -= 1
            middle = offset + name_size
            end = middle + value_size
            pairs.append((data[offset:middle], data[middle:end]))
            offset = end
    except (IndexError, struct.error):
        offset = size + 1
    if offset != size:
        raise ProtocolError("bad-params", 400, "the params end inside a name-value pair")
    return pairs


def _length(data: bytes, offset: int) -> tuple[int, int]:
    first = data[offset]
    if first <= _SHORT:
        return first, offset + 1
    return _LONG.unpack_from(data, offset)[0] ^ _FLAG, offset + 4


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
