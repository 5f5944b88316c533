"""What a client has not taken yet: memory first, then a file, then the app is held back.

Owns the queue of one connection's unsent bytes. Two threads may meet here, the app's that adds and the poller's that
drains: `lock` guards the queue. It must not know when a socket is writable, nor who polls.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import IO

_SMALL = 4096  # bytes; below this, joining blocks costs less than an object and a system call for each
_JOINED = 64 * 1024  # bytes of small blocks in one piece


class FilePart:
    """Bytes of a file. `fd` is our own duplicate, or the spool's (`owned` false)."""

    __slots__ = ("fd", "left", "offset", "owned")

    def __init__(self, fd: int, offset: int, left: int, owned: bool) -> None:
        self.fd = fd
        self.offset = offset
        self.left = left
        self.owned = owned

    def close(self) -> None:
        if self.owned:
            os.close(self.fd)


class Output:
    """Unsent bytes of one connection, in order.

    `memory` and `spool` are the limits in bytes; `waiting` counts what is queued in memory, `spooled` in the file. A
    new file begins once all of the one before was sent, so that none is larger than its limit and a block. It is never
    written over: the kernel sends its pages later, as they are then (sendfile does not copy).
    """

    __slots__ = (
        "_folder", "_memory", "_parts", "_spool", "_spool_end", "_spool_limit", "_tail", "lock", "spooled", "waiting"
    )  # fmt: skip

    def __init__(self, memory: int, spool: int, folder: str) -> None:
        self.lock = Lock()
        self._memory = memory
        self._spool_limit = spool
        self._folder = folder
        self._parts: deque[memoryview | FilePart] = deque()
        self._tail = bytearray()  # small blocks behind `_parts`
        self._spool: IO[bytes] | None = None
        self._spool_end = 0
        self.waiting = 0
        self.spooled = 0

    def __bool__(self) -> bool:
        return bool(self._parts or self._tail)

    def room(self) -> bool:
        """Whether one more block may be queued: memory or the spool file has not reached its limit."""
        return self.waiting < self._memory or self._spool_end < self._spool_limit

    def add(self, data: bytes | memoryview) -> None:
        """Queue a block. Past the memory limit it goes to the spool file; if that fails (disk full), to memory.

        The first one always stays in memory: TLS wants it again as it was when the peer did not take it.
        """
        if self and self.waiting >= self._memory and self._to_file(data):
            return
        self.waiting += len(data)
        if len(data) < _SMALL:
            self._tail += data
            if len(self._tail) >= _JOINED:
                self._end_tail()
        else:
            self._end_tail()
            self._parts.append(memoryview(data))

    def _end_tail(self) -> None:
        """Small blocks that follow belong to a piece of their own."""
        if self._tail:
            self._parts.append(memoryview(self._tail))
            self._tail = bytearray()

    def add_file(self, fd: int, offset: int, count: int) -> None:
        """Queue a part of a file, by a descriptor that is ours from now on."""
        self._end_tail()
        self._parts.append(FilePart(fd, offset, count, owned=True))

    def _to_file(self, data: bytes | memoryview) -> bool:
        if self._spool_end >= self._spool_limit:
            return False
        self._end_tail()
        try:
            if self._spool is None:
                from tempfile import TemporaryFile

                self._spool = TemporaryFile(dir=self._folder or None, prefix="wsgikit-output-", buffering=0)  # noqa: SIM115
            fd = self._spool.fileno()
            written = os.pwrite(fd, data, self._spool_end)
        except OSError:
            self._spool_limit = 0  # no room on the disk: from now on the app is held back instead
            return False
        last = self._parts[-1] if self._parts else None
        if isinstance(last, FilePart) and not last.owned and last.offset + last.left == self._spool_end:
            last.left += written
        else:
            self._parts.append(FilePart(fd, self._spool_end, written, owned=False))
        self._spool_end += written
        self.spooled += written
        if written < len(data):
            self._parts.append(memoryview(data)[written:])
            self.waiting += len(data) - written
        return True

    def drain(self, send: Callable[[memoryview], int], send_file: Callable[[int, int, int], int]) -> int:
        """Send what is queued as long as the socket takes it; returns the bytes sent. Hold `lock`.

        `send` and `send_file` return how many bytes went, 0 for none now, and raise OSError for a broken connection.
        """
        total = 0
        while self:
            if not self._parts:
                self._end_tail()
            part = self._parts[0]
            if isinstance(part, FilePart):
                sent = self._drain_file(part, send_file)
                finished = part.left == 0
            else:
                sent = send(part)
                finished = sent == len(part)
                self.waiting -= sent
                if not finished:
                    self._parts[0] = part[sent:]
            total += sent
            if not finished:
                break
            self._parts.popleft()
            if isinstance(part, FilePart):
                part.close()
                if not self.spooled:
                    self._drop_spool()
        return total

    def _drain_file(self, part: FilePart, send_file: Callable[[int, int, int], int]) -> int:
        sent = 0
        while part.left:
            count = send_file(part.fd, part.offset, part.left)
            if count == 0:
                break
            part.offset += count
            part.left -= count
            sent += count
            if not part.owned:
                self.spooled -= count
        return sent

    def clear(self) -> None:
        """Throw everything away: the connection is gone. Hold `lock`."""
        for part in self._parts:
            if isinstance(part, FilePart):
                part.close()
        self._parts.clear()
        self._tail = bytearray()
        self.waiting = self.spooled = 0
        self._drop_spool()

    def _drop_spool(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None
            self._spool_end = 0
