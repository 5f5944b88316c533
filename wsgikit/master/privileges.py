"""Who a process is and what it may use: user and group, file and memory limits.

The master keeps its own user; workers give it up after the fork, before any code of an app runs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from wsgikit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Identity:
    """User and group ids a worker takes on; `name` is the user's, for the supplementary groups, "" when unknown."""

    uid: int
    gid: int
    name: str = ""

    def take_on(self) -> None:
        """Become this user for good. ConfigError: not allowed."""
        if (os.getuid(), os.geteuid(), os.getgid(), os.getegid()) == (self.uid, self.uid, self.gid, self.gid):
            return
        try:
            if self.name:
                os.initgroups(self.name, self.gid)
            else:
                os.setgroups([self.gid])
            os.setgid(self.gid)
            os.setuid(self.uid)
        except PermissionError:
            raise ConfigError(
                f"user {self.name or self.uid}: only root can start workers as another user; "
                "leave out --user and --group, or start as root"
            ) from None


def identity(user: str, group: str) -> Identity | None:
    """The identity that two option values mean, None when both are empty. ConfigError: there is no such user or group.

    Without a group it is the user's own one; without a user the present one stays.
    """
    if not user and not group:
        return None
    uid, gid, name = _user(user) if user else (os.geteuid(), os.getegid(), "")
    return Identity(uid, _group(group) if group else gid, name)


def _user(text: str) -> tuple[int, int, str]:
    import pwd

    try:
        entry = pwd.getpwuid(int(text)) if _is_number(text) else pwd.getpwnam(text)
    except KeyError:
        if _is_number(text):  # containers run under numbers that no file knows
            return int(text), os.getegid(), ""
        raise ConfigError(f"user {text!r}: there is no such user on this machine") from None
    return entry.pw_uid, entry.pw_gid, entry.pw_name


def _group(text: str) -> int:
    import grp

    if _is_number(text):
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise ConfigError(f"group {text!r}: there is no such group on this machine") from None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def raise_file_limit() -> int:
    """Set the soft limit of open files to the hard one, since each connection needs a file; the limit now."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            return soft  # macOS refuses "unlimited" although it names it as the hard limit
    return hard


def limit_address_space(size: int) -> None:
    """Hard limit of this process's virtual memory in bytes; 0 = leave it."""
    if size:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))
