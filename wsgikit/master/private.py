"""Private addresses of worker groups: Unix sockets in a folder that nobody else may enter.

Not abstract names: those have no permissions, every local user could connect.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from wsgikit.errors import ConfigError
from wsgikit.master.privileges import Identity
from wsgikit.master.settings import BindSettings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


class PrivateFolder:
    """Made when the first group asks for an address, owned by the user of the workers that connect to it."""

    def __init__(self) -> None:
        self.path = ""

    def bind(self, group: str, owner: Identity | None) -> BindSettings:
        """Where a group listens. ConfigError: the name cannot be one of a file."""
        if not _NAME.fullmatch(group):
            raise ConfigError(f"group {group!r}: a name has 1-32 letters, digits, dots, dashes or underscores")
        if not self.path:
            self.path = _new_folder()
            if owner is not None and os.geteuid() == 0:
                os.chown(self.path, owner.uid, owner.gid)
        return BindSettings(address=f"unix:{self.path}/{group}.sock", mode=0o600)

    def remove(self) -> None:
        """At the end, when the sockets in it are gone."""
        if self.path:
            try:
                os.rmdir(self.path)
            except OSError:
                pass  # somebody put something there: not ours to remove
            self.path = ""


def _new_folder() -> str:
    # RUNTIME_DIRECTORY is systemd's RuntimeDirectory=, gone when the service ends. Not tempfile: a master would carry
    # fifteen modules for one mkdir.
    base = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or os.environ.get("TMPDIR") or "/tmp"
    path = os.path.join(base, f"wsgikit-{os.urandom(8).hex()}")
    try:
        os.mkdir(path, 0o700)
    except OSError as error:
        raise ConfigError(f"cannot make a folder for the sockets of worker groups: {path}: {error.strerror}") from None
    return path


def check_names(names: Iterable[str]) -> None:
    """ConfigError: two groups have one name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"group {name!r} is there twice" if name else "there are two front groups")
        seen.add(name)
