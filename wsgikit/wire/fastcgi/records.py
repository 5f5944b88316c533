"""FastCGI records (section 3.3): what a connection carries in both directions.

Owns the header of eight bytes, the record types, and the cutting of long data into records. It must not know what a
record means for a request. A reader holds at most one incomplete record, 65,798 bytes, however the bytes arrive.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from wsgikit.errors import ProtocolError

_HEADER = struct.Struct(">BBHHBx")  # version, type, request id, content length, padding length, reserved
_SIZE: Final = 8
_VERSION: Final = 1

FRAGMENT: Final = 65528
"""Content of the longest record we send: below 65,536 and a multiple of eight, so that it needs no padding."""


class Kind:
    """Record types. Plain integers: comparing enum members costs on every record."""

    BEGIN_REQUEST: Final = 1
    ABORT_REQUEST: Final = 2
    END_REQUEST: Final = 3
    PARAMS: Final = 4
    STDIN: Final = 5
    STDOUT: Final = 6
    STDERR: Final = 7
    DATA: Final = 8
    GET_VALUES: Final = 9
    GET_VALUES_RESULT: Final = 10
    UNKNOWN_TYPE: Final = 11


class Role:
    """What a request asks the application to be (section 6)."""

    RESPONDER: Final = 1
    AUTHORIZER: Final = 2
    FILTER: Final = 3


class Verdict:
    """`protocol status` of END_REQUEST (section 5.5)."""

    COMPLETE: Final = 0
    CANT_MULTIPLEX: Final = 1
    OVERLOADED: Final = 2
    UNKNOWN_ROLE: Final = 3


class Record(NamedTuple):
    """One record. `request` 0: a management record (section 4)."""

    kind: int
    request: int
    content: bytes


class RecordReader:
    """Cuts a stream of bytes into records."""

    __slots__ = ("_buffer", "_needed")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = _SIZE

    def feed(self, data: bytes) -> list[Record]:
        """The records that `data` completes. Raises ProtocolError("bad-fastcgi-version").

        After an error nothing more can be read: where the next record would begin is unknown.
        """
        buffer: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return []
            buffer = self._buffer
        found: list[Record] = []
        start, size = 0, len(buffer)
        needed = _SIZE
        while size - start >= _SIZE:
            version, kind, request, length, padding = _HEADER.unpack_from(buffer, start)
            if version != _VERSION:
                raise ProtocolError("bad-fastcgi-version", 400, f"version {version} in the header of a record")
            end = start + _SIZE + length
            if end + padding > size:
                needed = _SIZE + length + padding
                break
            found.append(Record(kind, request, bytes(buffer[start + _SIZE : end])))
            start = end + padding
        self._needed = needed
        if start < size or self._buffer:
            self._buffer = bytearray(buffer[start:])
        return found

    @property
    def pending(self) -> int:
        """Bytes of a record that is not complete."""
        return len(self._buffer)


def record_start(kind: int, request: int, length: int, padding: int = -1) -> bytes:
    """The header of a record with `length` bytes of content (at most 65,535); padding, where it is not said, fills it
    up to eight."""
    return _HEADER.pack(_VERSION, kind, request, length, -length & 7 if padding < 0 else padding)


def format_record(kind: int, request: int, content: bytes = b"") -> bytes:
    """One record, padded to a multiple of eight as section 3.3 advises. struct.error: `content` is too long."""
    length = len(content)
    return _HEADER.pack(_VERSION, kind, request, length, -length & 7) + content + bytes(-length & 7)


def format_stream(kind: int, request: int, data: bytes, *, end: bool = False) -> bytes:
    """`data` as records of a stream. `end`: with the empty record that ends the stream (section 3.3, stream types)."""
    parts = [format_record(kind, request, data[start : start + FRAGMENT]) for start in range(0, len(data), FRAGMENT)]
    if end:
        parts.append(_HEADER.pack(_VERSION, kind, request, 0, 0))
    return b"".join(parts)
