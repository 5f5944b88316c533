"""The length of a body that does not tell it, for wires that need it before the body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO

_BLOCK = 64 * 1024
_MEMORY = 512 * 1024  # what is larger goes to a file


def measured(blocks: Iterable[bytes]) -> tuple[int, Iterator[bytes]]:
    """The length of a body, and its blocks, which are kept meanwhile, in memory first."""
    from tempfile import SpooledTemporaryFile

    file: IO[bytes] = SpooledTemporaryFile(_MEMORY, prefix="wsgikit-upload-")  # noqa: SIM115
    length = 0
    try:
        for block in blocks:
            length += len(block)
            file.write(block)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return length, _kept(file)


def _kept(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block
