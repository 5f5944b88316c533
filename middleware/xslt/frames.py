"""Messages between a worker and the processes that transform for it: a JSON object and some byte strings.

Owns the frame. JSON and bytes, no pickle: what comes from a process that an attacker may have taken over is only data.

    4 bytes length of the head | the head: {"blobs": [lengths], ...} | the byte strings
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["FrameError", "pack", "read_frame"]

_LENGTH = struct.Struct(">I")
# messages of a stylesheet are the longest part of a head
_LARGEST_HEAD = 16 << 20


class FrameError(Exception):
    """The other side has gone, or sends what is no frame."""


def pack(head: dict[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """One message."""
    text = json.dumps({**head, "blobs": [len(blob) for blob in blobs]}).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *blobs])


def read_frame(read: Callable[[int], bytes], largest: int) -> tuple[dict[str, Any], list[bytes]]:
    """The next message; `read(n)` gives exactly n bytes. FrameError: it is none, or has more than `largest` bytes."""
    (length,) = _LENGTH.unpack(read(_LENGTH.size))
    if length > _LARGEST_HEAD:
        raise FrameError(f"a head of {length} bytes")
    try:
        head = json.loads(read(length))
    except ValueError as error:
        raise FrameError(f"no JSON: {error}") from None
    lengths = head.get("blobs") if isinstance(head, dict) else None
    if not isinstance(lengths, list) or not all(type(size) is int and size >= 0 for size in lengths):
        raise FrameError("no head")
    if sum(lengths) > largest:
        raise FrameError(f"{sum(lengths)} bytes, more than {largest}")
    return head, [read(size) for size in lengths]
