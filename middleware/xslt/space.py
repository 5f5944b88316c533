"""Where stylesheets come from: folders on the disk. (`subrequest` has the other place: the app itself.)

Owns how a URI becomes a file inside the roots, and how to see that a file has changed. It never opens anything else:
what is outside raises Refused, and there is no way on to a network. Must not know XML.

Inside the package a file is `wsgikit:/path`, a scheme that no XML library knows, so that nothing but a resolver of
ours can open it.
"""

from __future__ import annotations

import os
import re
import stat
import time
from hashlib import blake2b
from typing import NamedTuple, Protocol
from urllib.parse import quote, unquote

from wsgikit.middleware.xslt.failures import Place, Refused, SheetError, TooLarge
from wsgikit.middleware.xslt.policy import Policy

__all__ = ["Dependency", "Folders", "Loaded", "Space", "digest_of", "file_uri", "shown"]

SCHEME = "wsgikit:"
APP_SCHEME = "wsgikit-app:"
_ANY_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
# O_NONBLOCK: opening a named pipe would wait for its writer
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)
# Two writes within one tick of the file system's clock leave the same time stamp (jiffies are 10 ms at the longest,
# FAT has 2 s). A file read so soon after its change is compared by content the next time.
_SETTLED_NS = 2_000_000_000


class Dependency(NamedTuple):
    """One file as it was when it was read. `stamp`: mtime_ns, size, inode; None: there was none."""

    uri: str
    stamp: tuple[int, int, int] | None
    digest: str
    settled: bool = True


class Loaded(NamedTuple):
    """A file's bytes and how to see that they have changed."""

    uri: str
    data: bytes
    dependency: Dependency


class Space(Protocol):
    """A place that stylesheets come from."""

    def normal(self, uri: str) -> str:
        """One form for all ways to write a URI, without touching anything. Raises Refused."""

    def open(self, uri: str) -> Loaded:
        """Raises Refused, TooLarge, SheetError."""

    def trace(self, uri: str) -> Dependency:
        """What can be seen of a file without reading it: for those that could not be used."""

    def look(self, dependency: Dependency) -> Dependency | None:
        """None: it has changed. Else what to keep in its place."""


def digest_of(data: bytes) -> str:
    """A content's name: 16 hexadecimal digits."""
    return blake2b(data, digest_size=8).hexdigest()


def file_uri(path: str) -> str:
    """`wsgikit:/path` of a path."""
    return SCHEME + quote(os.path.abspath(path))


def shown(uri: str) -> str:
    """How people call it: a path without our scheme."""
    return unquote(uri[len(SCHEME) :]) if uri.startswith(SCHEME + "/") else uri


class Folders:
    """The files below some folders."""

    def __init__(self, policy: Policy) -> None:
        self._roots = policy.roots
        self._uris = policy.uris
        self._largest = policy.limits.sheets

    def normal(self, uri: str) -> str:
        return SCHEME + quote(self._path(uri))

    def _path(self, uri: str) -> str:
        if "%00" in uri or "\0" in uri:
            raise Refused("outside", f"{uri!r}: no file has such a name")
        for prefix, folder in self._uris:
            if uri.startswith(prefix):
                return os.path.normpath(os.path.join(folder, unquote(uri[len(prefix) :]).lstrip("/")))
        if uri.startswith("/"):  # a path as it is; what libxml2 makes of an absolute href
            return os.path.normpath(unquote(uri))
        match = _ANY_SCHEME.match(uri)
        scheme = match[1].lower() if match else ""
        rest = uri[len(scheme) + 1 :]
        if scheme == "file":
            rest = re.sub(r"\A//(?:localhost)?(?=/)", "", rest)
        if scheme not in ("file", "wsgikit") or not rest.startswith("/") or rest.startswith("//"):
            reason = "network" if "//" in uri else "outside"
            raise Refused(reason, f"{uri!r} is not a file below the roots; only such files are read")
        if "#" in rest or "?" in rest:
            raise Refused("outside", f"{uri!r}: a part of a file cannot be read alone")
        return os.path.normpath(unquote(rest))

    def open(self, uri: str) -> Loaded:
        path = self._path(uri)
        normal = SCHEME + quote(path)
        self._check_inside(path)
        try:
            fd = os.open(path, _FLAGS)
        except (OSError, ValueError) as error:
            raise SheetError(f"cannot be read: {getattr(error, 'strerror', None) or error}", Place(path)) from None
        try:
            status = os.fstat(fd)
            self._check_same(path, status)
            with open(fd, "rb", closefd=False) as file:
                # not more than it seems to have: read() makes room for all it is asked for
                data = file.read(min(status.st_size, self._largest) + 1)
        finally:
            os.close(fd)
        if len(data) > self._largest:
            raise TooLarge("max_sheets", f"larger than {self._largest} bytes", Place(path))
        return Loaded(normal, data, _dependency(normal, status, data))

    def _check_inside(self, path: str) -> None:
        real = os.path.realpath(path)
        if not any(real.startswith(os.path.join(root, "")) for root in self._roots):
            roots = ", ".join(self._roots) or "none"
            raise Refused("outside", f"{path} is outside of the roots ({roots}); name its folder in `roots`")

    def _check_same(self, path: str, opened: os.stat_result) -> None:
        """A link may have been turned between realpath() and open(): it has to be the file that is open."""
        self._check_inside(path)
        try:
            status = os.stat(os.path.realpath(path))
        except OSError:
            raise SheetError("cannot be read: it has just gone", Place(path)) from None
        if (status.st_dev, status.st_ino) != (opened.st_dev, opened.st_ino) or not stat.S_ISREG(opened.st_mode):
            raise SheetError("cannot be read: it is no regular file", Place(path))

    def trace(self, uri: str) -> Dependency:
        try:
            path = self._path(uri)
            status = os.stat(path)
        except (OSError, ValueError, Refused):
            return Dependency(uri, None, "")
        return Dependency(SCHEME + quote(path), (status.st_mtime_ns, status.st_size, status.st_ino), "")

    def look(self, dependency: Dependency) -> Dependency | None:
        try:
            status = os.stat(self._path(dependency.uri))
        except (OSError, ValueError, Refused):
            return dependency if dependency.stamp is None else None
        if dependency.stamp != (status.st_mtime_ns, status.st_size, status.st_ino):
            return None
        if dependency.settled:
            return dependency
        try:
            again = self.open(dependency.uri).dependency
        except (Refused, SheetError, TooLarge):
            return None
        return again if again.digest == dependency.digest else None


def _dependency(uri: str, status: os.stat_result, data: bytes) -> Dependency:
    stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
    settled = time.time_ns() - status.st_mtime_ns > _SETTLED_NS
    return Dependency(uri, stamp, digest_of(data), settled)
