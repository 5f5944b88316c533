"""Files below one folder, opened so that nothing outside it can be reached.

Owns the way from a URL path to an open file: which names are refused, what links may lead to, what is a file at all.
Must not know HTTP.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from wsgikit.errors import ConfigError

__all__ = ["FileStore", "Found", "segments"]

# O_NONBLOCK: opening a named pipe would wait for its writer
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)
_WINDOWS = os.name == "nt"


class Found(NamedTuple):
    """An open regular file (`fd`), or a folder (`fd` -1). Who gets it closes it."""

    fd: int
    path: str
    size: int
    modified_ns: int
    is_folder: bool


def segments(path_info: str, *, hidden: bool) -> list[str] | None:
    """The names a PATH_INFO leads through, without the empty one after a last slash; None: refused.

    Refused are `.` and `..`, empty names, backslashes, NUL, names with a dot before them unless `hidden` (but for
    `.well-known`, RFC 8615), and on Windows colons.
    """
    try:
        raw = path_info.encode("latin-1")
    except UnicodeEncodeError:
        return None
    names = raw.strip(b"/").split(b"/") if raw.strip(b"/") else []
    if b"//" in raw or b"\\" in raw or b"\0" in raw or (_WINDOWS and b":" in raw):
        return None
    for name in names:
        if name in (b".", b"..") or (name.startswith(b".") and not hidden and name != b".well-known"):
            return None
    return [os.fsdecode(name) for name in names]


class FileStore:
    """One folder. symlinks: "inside" (may lead to anything in the folder), "none", or "any"."""

    def __init__(self, folder: str, *, symlinks: str) -> None:
        self.root = os.path.realpath(folder)
        self._inside = os.path.join(self.root, "")
        self._symlinks = symlinks
        if not os.path.isdir(self.root):
            raise ConfigError(f"directory = {folder!r}: there is no such folder")

    def open(self, names: list[str], suffix: str = "") -> Found | None:
        """What stands at these names; None for nothing, something unreadable, or something that is no file."""
        path = os.path.join(self.root, *names) + suffix
        try:
            fd = os.open(path, _FLAGS)
        except (OSError, ValueError):
            return None
        try:
            status = os.fstat(fd)
            if self._is_inside(fd, path) or self._may(path, status):
                if stat.S_ISREG(status.st_mode):
                    found = Found(fd, path, status.st_size, status.st_mtime_ns, False)
                    fd = -1
                    return found
                if stat.S_ISDIR(status.st_mode):
                    return Found(-1, path, 0, status.st_mtime_ns, True)
            return None
        finally:
            if fd >= 0:
                os.close(fd)

    def _is_inside(self, fd: int, path: str) -> bool:
        """Whether the kernel itself says that it has opened this very path, through no link: one call on Linux, where
        to find that out by names would take one for each folder above. False: it has to be found out by names."""
        try:
            return os.readlink(f"/proc/self/fd/{fd}") == path
        except OSError:
            return False

    def shows(self, folder: str, entry: os.DirEntry[str]) -> bool:
        """Whether what stands at an entry of a folder can be opened by its name, so far as that is about links."""
        if "\\" in entry.name or (_WINDOWS and ":" in entry.name):
            return False
        return not entry.is_symlink() or self._may(os.path.join(folder, entry.name), entry.stat())

    def _may(self, path: str, opened: os.stat_result) -> bool:
        if self._symlinks == "any":
            return True
        real = os.path.realpath(path)
        if self._symlinks == "none" and real != path:
            return False
        if real != self.root and not real.startswith(self._inside):
            return False
        try:
            # the link may have been turned between open() and realpath(): it has to be the file that is open
            status = os.stat(real)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == (opened.st_dev, opened.st_ino)
