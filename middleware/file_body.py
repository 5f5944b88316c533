"""Bodies made of spans of an open file: one range, or several as multipart/byteranges (RFC 9110 14).

Owns which ranges of a Range field can be given and how they are written. Must not know conditions and caching.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

__all__ = ["Span", "SpanBody", "multipart", "spans"]

BLOCK = 1 << 16
Span = tuple[int, int]


def spans(field: str, size: int, most: int) -> list[Span] | None:
    """(start, stop) of each range that a body of `size` bytes has; [] when it has none of them (416).

    None: the field is to be ignored and the whole body sent. That is so for another unit, a field that is no Range,
    more than `most` ranges, and ranges that together ask for more than the body (RFC 9110 14.2 and 17.15).
    """
    from werkzeug.http import parse_range_header

    parsed = parse_range_header(field)
    if parsed is None or parsed.units != "bytes" or len(parsed.ranges) > most:
        return None
    found = []
    for start, stop in parsed.ranges:
        if start < 0:
            start = max(0, size + start)
        if start < size:
            found.append((start, size if stop is None else min(stop, size)))
    if sum(stop - start for start, stop in found) > size:
        return None
    return found


class SpanBody:
    """Blocks of one or more spans, each with bytes before it; `close()` closes the file."""

    def __init__(self, file: BinaryIO, parts: Sequence[tuple[bytes, Span]], after: bytes = b"") -> None:
        self._file = file
        self._blocks = self._run(parts, after)

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def _run(self, parts: Sequence[tuple[bytes, Span]], after: bytes) -> Iterator[bytes]:
        for before, (start, stop) in parts:
            if before:
                yield before
            self._file.seek(start)
            while start < stop:
                block = self._file.read(min(BLOCK, stop - start))
                if not block:
                    # it has become shorter since; the server sees that the length is not reached
                    return
                start += len(block)
                yield block
        if after:
            yield after

    def close(self) -> None:
        self._file.close()


def multipart(ranges: Sequence[Span], size: int, media: str) -> tuple[str, list[tuple[bytes, Span]], bytes, int]:
    """(Content-Type, parts, end, length in bytes) of a multipart/byteranges body (RFC 9110 14.6)."""
    boundary = os.urandom(12).hex()
    parts = []
    length = 0
    for start, stop in ranges:
        head = f"\r\n--{boundary}\r\nContent-Type: {media}\r\nContent-Range: bytes {start}-{stop - 1}/{size}\r\n\r\n"
        parts.append((head.encode("latin-1"), (start, stop)))
        length += len(head) + stop - start
    end = f"\r\n--{boundary}--\r\n".encode("latin-1")
    return f"multipart/byteranges; boundary={boundary}", parts, end, length + len(end)
