"""A request body that is read whole before the app runs: in memory first, then in a temporary file.

Owns the bytes until the app has them as `wsgi.input`. It must not know where they come from. The file has no name, so
that nothing is left behind however the process ends.
"""

from __future__ import annotations

from io import BytesIO
from typing import IO


class Spool:
    """Collect a body. `memory`: bytes kept in memory; `folder`: of the file with the rest, "" for the system's."""

    __slots__ = ("_blocks", "_file", "folder", "memory", "size")

    def __init__(self, memory: int, folder: str) -> None:
        self.memory = memory
        self.folder = folder
        self.size = 0
        self._blocks: list[bytes] = []
        self._file: IO[bytes] | None = None

    def write(self, block: bytes) -> None:
        """Add a block. Raises OSError when the disk is full."""
        self.size += len(block)
        if self._file is not None:
            self._file.write(block)
            return
        self._blocks.append(block)
        if self.size > self.memory:
            self._to_file()

    def _to_file(self) -> None:
        from tempfile import TemporaryFile

        self._file = TemporaryFile(dir=self.folder or None, prefix="wsgikit-body-")  # noqa: SIM115 (it outlives this call)
        self._file.writelines(self._blocks)
        self._blocks.clear()

    def stream(self) -> IO[bytes]:
        """The body as `wsgi.input`, from its start. The caller owns it from here on."""
        if self._file is None:
            return BytesIO(b"".join(self._blocks))
        file, self._file = self._file, None
        file.seek(0)
        return file

    def close(self) -> None:
        """Throw the body away. Safe to call twice, and after `stream()`."""
        self._blocks.clear()
        if self._file is not None:
            try:
                self._file.close()
            except OSError:  # closing flushes, and the disk may be full
                pass
            self._file = None
