"""What a FastCGI request receives while its app runs: the body as a queue between two threads.

FastCGI has no window: whoever reads a connection must take what comes for every request on it, or all of them stop. So
a body that its app does not read as fast as it comes is kept, in memory first and then in a file without a name, up to
`max_body`, as a body that is read before the app runs. Owns that queue. It must not know records.
"""

from __future__ import annotations

import os
from collections import deque
from threading import Condition
from typing import IO

from wsgikit.errors import LimitError, ProtocolError


class BodyQueue:
    """Blocks go in by `put` and `end` or `fail`, in one thread, and come out by `get`, in another.

    `memory`: bytes that wait in memory; `limit`: of the whole body, 0 for none; `length`: what CONTENT_LENGTH says.
    """

    __slots__ = ("_blocks", "_error", "_file", "_file_end", "_file_start", "_folder", "_is_over", "_length", "_limit",
                 "_memory", "_ready", "_waiting", "received")  # fmt: skip

    def __init__(self, *, memory: int, folder: str, limit: int, length: int | None) -> None:
        self._ready = Condition()
        self._blocks: deque[bytes] = deque()
        self._waiting = 0
        self._memory = memory
        self._folder = folder
        self._limit = limit
        self._length = length
        self._file: IO[bytes] | None = None
        self._file_start = self._file_end = 0
        self._is_over = False
        self._error: Exception | None = None
        self.received = 0

    def put(self, block: bytes) -> None:
        """Add a block. What is wrong with the body, its reader is told."""
        with self._ready:
            if self._is_over:
                return
            self.received += len(block)
            try:
                self._check()
                self._keep(block)
            except (ProtocolError, OSError) as error:
                self._end(error)
            self._ready.notify()

    def _check(self) -> None:
        if self._limit and self.received > self._limit:
            raise LimitError("body-too-large", 413, f"the body is larger than {self._limit} bytes")
        if self._length is not None and self.received > self._length:
            raise ProtocolError("body-too-long", 400, f"more than the {self._length} bytes of CONTENT_LENGTH")

    def _keep(self, block: bytes) -> None:
        if self._file is None and self._waiting + len(block) <= self._memory:
            self._blocks.append(block)
            self._waiting += len(block)
            return
        if self._file is None:
            from tempfile import TemporaryFile

            self._file = TemporaryFile(dir=self._folder or None, prefix="wsgikit-body-", buffering=0)  # noqa: SIM115
        view = memoryview(block)
        while view:
            written = os.pwrite(self._file.fileno(), view, self._file_end)
            self._file_end += written
            view = view[written:]

    def end(self) -> None:
        """The body has ended. One that is shorter than it should be is an error to its reader."""
        short = self._length is not None and self.received < self._length
        missing = (self._length or 0) - self.received
        self.fail(ProtocolError("incomplete-body", 400, f"{missing} bytes are missing") if short else None)

    def fail(self, error: Exception | None) -> None:
        """The body ends here, for a reason. `error` is raised where the reader would come to its end."""
        with self._ready:
            if not self._is_over:
                self._end(error)
            self._ready.notify()

    def _end(self, error: Exception | None) -> None:
        self._is_over = True
        self._error = error

    def get(self, patience: float) -> bytes | None:
        """The next block, in the thread that reads; b"" at the end, None after `patience` seconds without any.

        Raises what `fail` was given, LimitError("body-too-large"), ProtocolError("incomplete-body", "body-too-long"),
        and OSError when the disk is full.
        """
        with self._ready:
            self._ready.wait_for(self._has_something, patience)
            if self._blocks:
                block = self._blocks.popleft()
                self._waiting -= len(block)
                return block
            if self._file is not None and self._file_start < self._file_end:
                return self._from_file(self._file)
            if self._error is not None:
                raise self._error
            return b"" if self._is_over else None

    def _has_something(self) -> bool:
        return bool(self._blocks) or self._is_over or self._file_start < self._file_end

    def _from_file(self, file: IO[bytes]) -> bytes:
        count = min(self._file_end - self._file_start, 64 * 1024)
        block = os.pread(file.fileno(), count, self._file_start)
        self._file_start += len(block)
        if self._file_start == self._file_end:
            # the reader has caught up: memory will do again
            file.close()
            self._file = None
            self._file_start = self._file_end = 0
        return block

    @property
    def over(self) -> bool:
        """Whether nothing more will come in."""
        return self._is_over

    def close(self) -> None:
        """Let go of what nobody has read."""
        with self._ready:
            self._end(None)
            self._blocks.clear()
            self._file_start = self._file_end = 0
            if self._file is not None:
                self._file.close()
                self._file = None
