"""A source that is a file: read at once, where another body would be awaited block by block.

Owns what may be done with what `wsgi.file_wrapper` made. Must not know responses.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from wsgikit.wsgi.file_wrapper import FileWrapper

__all__ = ["close", "read"]


class _Rest:
    """Blocks that were read already, and those that follow."""

    def __init__(self, blocks: list[bytes], iterator: Iterator[bytes], iterable: Any) -> None:
        self._blocks = blocks
        self._iterator = iterator
        self._iterable = iterable

    def __iter__(self) -> Iterator[bytes]:
        yield from self._blocks
        yield from self._iterator

    def close(self) -> None:
        close(self._iterable)


def close(iterable: Any) -> None:
    """What PEP 3333 asks of whoever reads a body no further."""
    found = getattr(iterable, "close", None)
    if found is not None:
        found()


def read(iterable: Any, length: int | None, limit: int) -> Iterable[bytes]:
    """A file's blocks, and the file closed; one that is larger than `limit` bytes is not read to its end.

    `length`: of its Content-Length, at most `limit`."""
    blocks: list[bytes] = []
    try:
        if length is not None and type(iterable) is FileWrapper and type(iterable.filelike) is io.FileIO:
            # one call and one piece of memory; what the file has grown by since is not part of this body
            blocks.append(iterable.filelike.read(length))
        else:
            iterator = iter(iterable)
            for block in iterator:
                blocks.append(block)
                limit -= len(block)
                if limit < 0:
                    return _Rest(blocks, iterator, iterable)
    except BaseException:
        close(iterable)
        raise
    close(iterable)
    return blocks
