"""A request body that is read whole before the app runs: in memory first, then in a temporary file.

Owns the bytes until the app has them as `wsgi.input`. It must not know where they come from. The file has no name, so
that nothing is left behind however the process ends.
"""

from __future__ import annotations

from io import BytesIO
from typing import IO


class Spool:
    """Collect a body. `memory`: bytes kept in memory; `folder`: of the file with the rest, "" for the system's."""

    __slots__ = ("_file", "_held", "folder", "memory", "size")

    def __init__(self, memory: int, folder: str) -> None:
        self.memory = memory
        self.folder = folder
        self.size = 0
        self._held = BytesIO()  # no list of blocks: a peer that sends a few bytes at a time makes many
        self._file: IO[bytes] | None = None

    def write(self, block: bytes) -> None:
        """Add a block. Raises OSError when the disk is full."""
        self.size += len(block)
        if self._file is not None:
            self._file.write(block)
            return
        self._held.write(block)
        if self.size > self.memory:
            self._to_file()

    def _to_file(self) -> None:
        from tempfile import TemporaryFile

        self._file = TemporaryFile(dir=self.folder or None, prefix="wsgikit-body-")  # noqa: SIM115 (it outlives this call)
        self._file.write(self._held.getbuffer())
        self._held = BytesIO()

    def flush(self) -> None:
        """The body is whole. Raises OSError when the disk is full: not later, while the app reads."""
        if self._file is not None:
            self._file.flush()

    def stream(self) -> IO[bytes]:
        """The body as `wsgi.input`, from its start. The caller owns it from here on."""
        if self._file is None:
            self._held.seek(0)
            return self._held
        file, self._file = self._file, None
        file.seek(0)
        return file

    def close(self) -> None:
        """Throw the body away. Safe to call twice, and after `stream()`."""
        self._held = BytesIO()
        if self._file is not None:
            try:
                self._file.close()
            except OSError:  # closing flushes, and the disk may be full
                pass
            self._file = None
