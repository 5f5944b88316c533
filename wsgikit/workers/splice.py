"""Bytes from one socket to another without having them in hand: splice(2), on Linux.

Copying a megabyte into a process and out again is most of what it costs to pass it on. Here its pages go from one
socket's queue to the other's by way of a pipe, which is empty before and afterwards. Owns those pipes: some are kept
for the next time. Must not know whose sockets they are.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections import deque

available = hasattr(os, "splice")

# Bytes that a pipe may hold: what an unprivileged process may ask for (pipe(7)). The usual size will do, and takes more
# calls. A user who has as much in pipes as it may gets 8 KiB: that costs four times what reading and sending does.
SIZE = 1024 * 1024
_LEAST = 64 * 1024
# A pipe is in use while bytes are moved and no longer, so that few do for many threads. All processes of a user have
# 64 MiB in pipes together (pipe-user-pages-soft), and others want some of it.
_KEPT = 4
# Not a fault of the socket: no such call here (a sandbox), not for such a socket, or no memory for it now.
_REFUSED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES, errno.ENOMEM)
_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK if available else 0


class Pipe:
    """One pipe; used by one thread at a time. `held`: bytes that are in it; `size`: bytes that it may hold."""

    __slots__ = ("_read", "_write", "held", "size")

    def __init__(self) -> None:
        self.held = 0
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self.size = fcntl.fcntl(self._write, fcntl.F_SETPIPE_SZ, SIZE)
        except OSError:  # this user has as much in pipes as it may
            self.size = fcntl.fcntl(self._write, fcntl.F_GETPIPE_SZ)

    def fill(self, source: int, most: int) -> int | None:
        """Take what has come on a socket: how many bytes, 0 at its end, None when nothing has. Raises OSError.

        None also for what has come and cannot be had by this way: in front of a byte that was sent as urgent
        (MSG_OOB), splice(2) says EAGAIN for ever, while poll(2) says that something is there. Who has waited reads.
        """
        try:
            self.held = os.splice(source, self._write, min(most, SIZE), flags=_FLAGS)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno in _REFUSED:
                return None
            raise
        return self.held

    def empty(self, target: int) -> bytes:
        """Give all of it to a socket; returns what that does not take now, or at all: sending it tells."""
        while self.held:
            try:
                self.held -= os.splice(self._read, target, self.held, flags=_FLAGS)
            except OSError:
                break
        parts = []
        while self.held:
            part = os.read(self._read, self.held)
            self.held -= len(part)
            parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


_pipes: deque[Pipe] = deque()


def take() -> Pipe | None:
    """An empty pipe. None when there are no descriptors left, or nothing but small ones: read and send instead."""
    try:
        return _pipes.pop()
    except IndexError:
        pass
    try:
        pipe = Pipe()
    except OSError:
        return None
    if pipe.size < _LEAST:
        pipe.close()
        return None
    return pipe


def give_back(pipe: Pipe) -> None:
    """Keep it for the next time. One that is not empty, because something went wrong, is closed."""
    if pipe.held or len(_pipes) >= _KEPT:
        pipe.close()
    else:
        _pipes.append(pipe)


def _after_fork() -> None:
    # Two processes with one pipe would mix what is in it.
    while _pipes:
        _pipes.pop().close()


os.register_at_fork(after_in_child=_after_fork)
