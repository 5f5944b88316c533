"""The uwsgi protocol, pure: a request's packet read and written. The body follows it, the response is HTTP's.

A packet is four bytes (modifier1, size of the variables, modifier2) and the variables: each a name and a value, with
their sizes of two bytes in front, all little-endian (https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html). It has
65,535 bytes of variables at most. CONTENT_LENGTH says how long the body is; without it there is none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.cgi.limits import VariableLimits

_HEADER = struct.Struct("<BHB")
_SIZE = struct.Struct("<H")
_LARGEST = 65535

REQUEST: Final = 0
"""modifier1 of a WSGI request."""
REQUEST_MANAGED: Final = 30
"""modifier1 of a WSGI request whose PATH_INFO still has SCRIPT_NAME in front."""
PING: Final = 100
"""modifier1 of "are you there?"."""


class Packet(NamedTuple):
    """A request's packet. `end`: the offset after it."""

    modifier1: int
    modifier2: int
    variables: list[tuple[bytes, bytes]]
    end: int


def parse_uwsgi(buffer: bytes | bytearray, limits: VariableLimits) -> Packet | None:
    """The packet at the start of `buffer`; None: not complete.

    Raises ProtocolError("bad-uwsgi-packet") and LimitError("variables-too-long", "too-many-variables").
    """
    if len(buffer) < _HEADER.size:
        return None
    modifier1, size, modifier2 = _HEADER.unpack_from(buffer, 0)
    end = _HEADER.size + size
    if size > limits.size:
        raise LimitError("variables-too-long", 431, f"{size} bytes of variables; the limit is {limits.size}")
    if len(buffer) < end:
        return None
    return Packet(modifier1, modifier2, _variables(bytes(buffer[_HEADER.size : end]), limits), end)


def _variables(data: bytes, limits: VariableLimits) -> list[tuple[bytes, bytes]]:
    # Every request passes here, so the sizes are read in place. A text that would go past the end leaves `offset`
    # behind it, where the next size is not there or the loop ends: one look at the end finds all of them.
    variables: list[tuple[bytes, bytes]] = []
    offset, size, room = 0, len(data), limits.count
    try:
        while offset < size:
            middle = offset + 2 + (data[offset] | data[offset + 1] << 8)
            end = middle + 2 + (data[middle] | data[middle + 1] << 8)
            if not room:
                raise LimitError("too-many-variables", 431, f"more than {limits.count} variables")
            room -= 1
            variables.append((data[offset + 2 : middle], data[middle + 2 : end]))
            offset = end
    except IndexError:
        offset = size + 1
    if offset != size:
        raise ProtocolError("bad-uwsgi-packet", 400, "the packet ends inside a variable")
    return variables


def format_uwsgi(variables: Iterable[tuple[bytes, bytes]], modifier1: int = REQUEST, modifier2: int = 0) -> bytes:
    """A packet. Raises ValueError when the variables do not fit into one."""
    parts: list[bytes] = []
    for pair in variables:
        for text in pair:
            if len(text) > _LARGEST:
                raise ValueError(f"a variable of {len(text)} bytes; a uwsgi packet has room for {_LARGEST}")
            parts += (_SIZE.pack(len(text)), text)
    data = b"".join(parts)
    if len(data) > _LARGEST:
        raise ValueError(f"{len(data)} bytes of variables; a uwsgi packet has room for {_LARGEST}")
    return _HEADER.pack(modifier1, len(data), modifier2) + data
