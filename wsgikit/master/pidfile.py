"""The file with the master's process id, for scripts that send it signals."""

from __future__ import annotations

import os

from wsgikit.errors import ConfigError


class PidFile:
    """`path` "" makes a file that is never there. Removed only while it still names this process."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path) if path else ""

    def write(self) -> None:
        """Put our id there. ConfigError: a living process has its id there already, or the file cannot be written."""
        if not self.path:
            return
        other = self.read()
        if other and other != os.getpid() and _lives(other):
            raise ConfigError(f"pid file {self.path}: process {other} is running; stop it or choose another file")
        draft = f"{self.path}.{os.getpid()}"
        try:
            # A reader never sees half a number: the file appears whole.
            with open(draft, "w", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")
            os.replace(draft, self.path)
        except OSError as error:
            raise ConfigError(f"pid file {self.path}: cannot be written: {error.strerror}") from None

    def read(self) -> int:
        """The id in the file, 0 when there is none."""
        try:
            with open(self.path, "rb") as file:
                text = file.read(32).strip(b" \r\n")
        except OSError:
            return 0
        return int(text) if text.isdigit() else 0

    def remove(self) -> None:
        if self.path and self.read() == os.getpid():
            try:
                os.unlink(self.path)
            except OSError:
                pass  # the folder may belong to root, and we no longer do


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
