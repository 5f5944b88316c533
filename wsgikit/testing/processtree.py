"""What the kernel tells about other processes through /proc: marks, groups, listening sockets.

Linux only; elsewhere every function finds nothing, and the process group alone has to do. It starts nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

MARK = "PROCESS_MARK_OF_WSGIKIT"  # not WSGIKIT_*: those are options of our own server
"""Environment variable that a started server and all its children carry."""

_LISTEN = "0A"  # include/net/tcp_states.h


def marked(token: str) -> list[int]:
    """Process ids, our own excepted, whose environment carries the mark with `token`."""
    wanted = f"{MARK}={token}".encode()
    return [pid for pid in _pids() if pid != os.getpid() and wanted in _read(f"/proc/{pid}/environ").split(b"\0")]


def kill_marked(token: str) -> list[int]:
    """Kills what carries the mark, until nothing does: a process may fork while we look. Returns the ids."""
    killed: list[int] = []
    for _ in range(20):
        found = [pid for pid in marked(token) if not _is_zombie(pid)]
        if not token or not found:
            break
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            except (ProcessLookupError, PermissionError):
                pass
    return killed


def group_members(group: int) -> list[int]:
    """Process ids in the process group `group`."""
    members = []
    for pid in _pids():
        fields = _stat(pid)
        if len(fields) > 2 and fields[2] == str(group):
            members.append(pid)
    return members


def listening_of_group(group: int) -> list[str]:
    """ "address:port" of every TCP socket on which a member of the process group listens."""
    inodes = set()
    for pid in group_members(group):
        inodes |= _socket_inodes(pid)
    return sorted(place for inode, place in _listeners() if inode in inodes)


def _pids() -> Iterator[int]:
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    yield from (int(name) for name in names if name.isdecimal() and name.isascii())


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _stat(pid: int) -> list[str]:
    """The fields after the command name, which may itself hold spaces and parentheses."""
    text = _read(f"/proc/{pid}/stat").decode("utf-8", "replace")
    return text.rpartition(")")[2].split()


def _is_zombie(pid: int) -> bool:
    fields = _stat(pid)
    return not fields or fields[0] == "Z"


def _socket_inodes(pid: int) -> set[str]:
    inodes: set[str] = set()
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return inodes
    for name in names:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    return inodes


def _listeners() -> Iterator[tuple[str, str]]:
    for path, width in (("/proc/net/tcp", 8), ("/proc/net/tcp6", 32)):
        for line in _read(path).decode("ascii", "replace").split("\n")[1:]:
            parts = line.split()
            if len(parts) > 9 and parts[3] == _LISTEN:
                address, _, port = parts[1].partition(":")
                yield parts[9], f"{_dotted(address, width)}:{int(port, 16)}"


def _dotted(address: str, width: int) -> str:
    if width != 8:
        return "[::]" if not address.strip("0") else "[ipv6]"
    value = int(address, 16)  # the kernel prints the four bytes in host order
    return ".".join(str(value >> shift & 255) for shift in (0, 8, 16, 24))
