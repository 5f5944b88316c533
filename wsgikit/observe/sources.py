"""Where log lines come from: files, gzip files, standard input, line by line in bounded memory.

Owns opening and cutting into lines. Must not know what is in them.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from wsgikit.errors import WsgikitError

LONGEST = 128 * 1024  # bytes; the server's own lines end below: the largest head (64 KiB), its few fields escaped
_GZIP = b"\x1f\x8b"


class UnreadableError(WsgikitError):
    """A file cannot be opened, or not be read to its end."""


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """The file, decompressed if it begins as gzip does; "-" is standard input. Raises UnreadableError."""
    try:
        raw = cast(io.BufferedReader, sys.stdin.buffer if path == "-" else open(path, "rb"))  # noqa: SIM115 - closed below
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror}") from error
    try:
        if raw.peek(2)[:2] == _GZIP:
            with gzip.GzipFile(fileobj=raw) as file:
                yield cast(IO[bytes], file)
        else:
            yield raw
    except (OSError, EOFError, zlib.error) as error:  # an OSError is also gzip's BadGzipFile
        raise UnreadableError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    finally:
        if path != "-":
            raw.close()


def lines(file: IO[bytes]) -> Iterator[tuple[int, str | None]]:
    """Each line with its number, from 1, without its newline; None for a line longer than LONGEST."""
    number = 0
    while line := file.readline(LONGEST):
        number += 1
        if line.endswith(b"\n") or len(line) < LONGEST:
            yield number, line.rstrip(b"\r\n").decode("utf-8", "replace")
        else:
            while (rest := file.readline(LONGEST)) and not rest.endswith(b"\n"):
                pass
            yield number, None
