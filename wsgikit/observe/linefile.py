"""A file of lines that several processes append to: one write a line, reopened in place, never an exception.

Owns file descriptors and what happens when a write fails. Must not know what the lines are.

On Linux an O_APPEND write to a regular file is atomic whatever its size; one to a pipe is up to PIPE_BUF (pipe(7)).
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable

from wsgikit.errors import ConfigError

PIPE_FIELD = 1000  # characters of a field: target, Referer and User-Agent stay below PIPE_BUF (4096) together
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC

_files: list[LineFile] = []


class LineFile:
    """`path`, or "-" for the descriptor `standard` (1 or 2), which is neither opened nor closed nor reopened.

    Raises ConfigError when the file cannot be opened. `report` is told in one sentence when writing fails for the first
    time and when it works again; it must not write to this file.
    """

    def __init__(self, path: str, standard: int, report: Callable[[str], None] | None = None) -> None:
        self.path = path
        self.report = report
        self.lost = 0
        """Lines lost since the last one that was written."""
        self._torn = False
        self._lock = threading.Lock()
        self.fd = standard if path == "-" else _open(path)
        if path != "-":
            _files.append(self)

    @property
    def regular(self) -> bool:
        return stat.S_ISREG(os.fstat(self.fd).st_mode)

    def write(self, line: bytes) -> None:
        """Append one line, its newline included. Loses it when the system does not take it at once."""
        if self._torn:
            line = b"\n" + line  # what another line left behind must not spoil this one
        try:
            if os.write(self.fd, line) == len(line):
                if self.lost or self._torn:
                    self._recovered()
                return
            self._failed("short write: is the disk full?", torn=True)
        except OSError as error:
            self._failed(error.strerror or str(error), torn=self._torn)

    def _failed(self, reason: str, *, torn: bool) -> None:
        with self._lock:
            self._torn = torn
            self.lost += 1
            first = self.lost == 1
        if first and self.report is not None:
            self.report(f"cannot write to {self._name}: {reason}; lines are lost until it works again")

    def _recovered(self) -> None:
        with self._lock:
            lost, self.lost, self._torn = self.lost, 0, False
        if lost and self.report is not None:
            self.report(f"writing to {self._name} works again; {lost} lines are lost")

    @property
    def _name(self) -> str:
        return "the standard stream" if self.path == "-" else self.path

    def reopen(self) -> None:
        """Open the path anew under the same descriptor, so that no thread in the middle of a write is disturbed.

        The old file stays in use when the new one cannot be opened.
        """
        if self.path == "-":
            return
        try:
            fresh = _open(self.path)
        except ConfigError as error:
            if self.report is not None:
                self.report(f"cannot reopen a log: {error}")
            return
        os.dup2(fresh, self.fd, inheritable=False)
        os.close(fresh)

    def close(self) -> None:
        """Close the descriptor; nothing may be written afterwards."""
        if self in _files:
            _files.remove(self)
            os.close(self.fd)


def _open(path: str) -> int:
    try:
        return os.open(path, _FLAGS, 0o644)
    except OSError as error:
        raise ConfigError(f"log file {path!r}: {error.strerror}") from None


def reopen_all() -> None:
    """Reopen every log file of this process, as USR1 asks for after a rotation. Raises nothing."""
    for file in list(_files):
        file.reopen()
