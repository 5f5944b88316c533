"""The input and error streams of the in-process server: exactly the PEP's methods, and faults on demand."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

# More log than this is counted and dropped.
_KEPT = 64 * 1024


class BodyInput:
    """wsgi.input over bytes that are there. `fail_at`: the call with this number (from 1) raises OSError instead."""

    def __init__(self, body: bytes, fail_at: int = 0) -> None:
        self._body = io.BytesIO(body)
        self._fail_at = fail_at
        self.calls = 0
        self.failed = False

    def read(self, size: int = -1) -> bytes:
        self._count()
        return self._body.read(size)

    def readline(self, size: int = -1) -> bytes:
        self._count()
        return self._body.readline(size)

    def readlines(self, hint: int = -1) -> list[bytes]:
        self._count()
        return self._body.readlines(hint)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def _count(self) -> None:
        self.calls += 1
        if self.calls == self._fail_at:
            self.failed = True
            raise OSError("the client went away while its body was read (injected by wsgikit check)")


class ErrorLog:
    """wsgi.errors that keeps what it gets. With `broken`, every write raises OSError, as on a full disk."""

    def __init__(self, broken: bool = False) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._broken = broken
        self.failed = False

    def write(self, text: str) -> None:
        if self._broken:
            self.failed = True
            raise OSError("the log cannot be written (injected by wsgikit check)")
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        self._size += len(text)
        if self._size <= _KEPT:
            self._parts.append(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        pass

    @property
    def text(self) -> str:
        """All that was logged, up to a limit."""
        return "".join(self._parts)
