"""Replacements for `wsgi.input` that a middleware may put into the environ it passes on.

Owns the whole method set of PEP 3333 ("Input and Error Streams") around another stream: `LimitedInput` (refuses a
body past a limit) and `ReplayInput` (keeps what was read, so that a second app can read it again). Must not know
environ keys; CONTENT_LENGTH and wsgi.input_terminated stay true, as neither changes the body.
"""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from wsgiref.types import InputStream

__all__ = ["LimitedInput", "ReplayInput"]


class _Input:
    """readlines() and iteration from readline(), which subclasses have."""

    __slots__ = ()

    def read(self, size: int = -1, /) -> bytes:
        raise NotImplementedError

    def readline(self, size: int = -1, /) -> bytes:
        raise NotImplementedError

    def readlines(self, hint: int = -1, /) -> list[bytes]:
        lines, total = [], 0
        for line in self:
            lines.append(line)
            total += len(line)
            if 0 < hint <= total:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")


class LimitedInput(_Input):
    """At most `limit` bytes of `source`; `refuse()` is raised as soon as there is one more."""

    __slots__ = ("_left", "_refuse", "_source")

    def __init__(self, source: InputStream, limit: int, refuse: Callable[[], Exception]) -> None:
        self._source = source
        self._left = limit
        self._refuse = refuse

    def _allowed(self, size: int) -> int:
        # one byte more than is left tells a body that ends exactly at the limit from one that does not
        return self._left + 1 if size is None or size < 0 else min(size, self._left + 1)

    def _taken(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            self._left = 0
            raise self._refuse()
        return data

    def read(self, size: int = -1, /) -> bytes:
        return self._taken(self._source.read(self._allowed(size)))

    def readline(self, size: int = -1, /) -> bytes:
        return self._taken(self._source.readline(self._allowed(size)))


class ReplayInput(_Input):
    """Keeps what is read from `source`, up to `limit` bytes (`memory` of them not in a file), for `rewind()`.

    After more than `limit` bytes it keeps nothing more and `rewind()` says False: the body can be read once only.
    """

    __slots__ = ("_at", "_kept", "_limit", "_size", "_source")

    def __init__(self, source: InputStream, *, limit: int, memory: int = 65536) -> None:
        self._source = source
        self._limit = limit
        self._kept: SpooledTemporaryFile[bytes] | None = SpooledTemporaryFile(max_size=memory)  # noqa: SIM115
        self._size = self._at = 0

    @property
    def whole(self) -> bool:
        """Whether all that was read has been kept."""
        return self._kept is not None

    def rewind(self) -> bool:
        """Start again from the first byte. False if the body was too large to keep."""
        self._at = 0
        return self.whole

    def close(self) -> None:
        """Drop what was kept. For the middleware that made it; apps may not close an input (PEP 3333)."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def read(self, size: int = -1, /) -> bytes:
        size = -1 if size is None else size
        data = self._again(size, line=False)
        if len(data) == size:
            return data
        return data + self._keep(self._source.read(size - len(data) if size >= 0 else -1))

    def readline(self, size: int = -1, /) -> bytes:
        size = -1 if size is None else size
        data = self._again(size, line=True)
        if len(data) == size or data.endswith(b"\n"):
            return data
        return data + self._keep(self._source.readline(size - len(data) if size >= 0 else -1))

    def _again(self, size: int, *, line: bool) -> bytes:
        if self._kept is None or self._at == self._size:
            return b""
        self._kept.seek(self._at)
        data = self._kept.readline(size) if line else self._kept.read(size)
        self._at += len(data)
        return data

    def _keep(self, data: bytes) -> bytes:
        if self._kept is not None:
            if self._size + len(data) > self._limit:
                self.close()
            else:
                self._kept.seek(self._size)
                self._kept.write(data)
                self._size = self._at = self._size + len(data)
        return data
