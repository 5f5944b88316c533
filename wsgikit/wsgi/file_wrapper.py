"""`wsgi.file_wrapper`: a file-like object as a response body.

The wrapper is an ordinary iterable, so that middleware may iterate it. Only when the app's own wrapper comes back
unwrapped does the server send the file by the platform's means (PEP 3333, Optional Platform-Specific File Handling).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO

BLOCK = 64 * 1024
"""Default bytes a block. PEP 3333 leaves it to the server; 64 KiB fills a socket buffer in one call."""


class FileWrapper:
    """Iterate a file-like object by blocks, from its present position to its end.

    `filelike` needs `read(size)` alone. The wrapper has a `close` attribute exactly when `filelike` has one.
    """

    def __init__(self, filelike: Any, block_size: int = BLOCK, /) -> None:
        self.filelike = filelike
        self.block_size = block_size
        close = getattr(filelike, "close", None)
        if close is not None:
            self.close = close

    def __iter__(self) -> Iterator[bytes]:
        read, size = self.filelike.read, self.block_size
        while block := read(size):
            yield block


def regular_file(wrapper: FileWrapper) -> tuple[BinaryIO, int, int] | None:
    """The wrapped file, its position and the bytes left in it, if the platform can send it; else None.

    An object that only pretends to a descriptor (a decompressing reader has the compressed file's) is told by its type:
    the io module's own binary readers and nothing else.
    """
    import io

    file = wrapper.filelike
    if type(file) is not io.FileIO and type(file) is not io.BufferedReader and type(file) is not io.BufferedRandom:
        # tempfile's wrapper delegates to one of these
        file = getattr(file, "file", None) if type(file).__name__ == "_TemporaryFileWrapper" else None
        if type(file) not in (io.FileIO, io.BufferedReader, io.BufferedRandom):
            return None
    raw = getattr(file, "raw", file)
    if type(raw) is not io.FileIO:
        return None  # a BufferedReader over GzipFile, a socket, a test double
    try:
        if type(file) is io.BufferedRandom:
            file.flush()
        offset = file.tell()
        info = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(info.st_mode):
        return None
    return file, offset, max(0, info.st_size - offset)
