"""A lock over processes and threads that a dying holder gives back.

POSIX record locks on a file nobody else opens: the kernel drops them when their process ends, however it ends. They do
not tell threads of one process apart, so a thread lock stands before them. There is one thread lock for all ranges of a
file on purpose: with one a process never waits for a range while it holds another, so there is no cycle that the
kernel could take for a deadlock (it looks at processes, and would refuse with EDEADLK where only threads wait).
"""

from __future__ import annotations

import os
from _thread import allocate_lock, get_ident
from collections.abc import Callable
from fcntl import LOCK_EX, LOCK_UN, lockf
from typing import TypeVar

T = TypeVar("T")


def _anonymous_file() -> int:
    """File descriptor of a file without a name. Forked children share it; executed ones do not get it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("wsgikit-locks")
    import tempfile

    fd, path = tempfile.mkstemp(prefix="wsgikit-locks-")
    os.unlink(path)
    return fd


class RangeLocks:
    """Locks by number. `run(number, function)` holds one while the function runs."""

    def __init__(self) -> None:
        self._fd = _anonymous_file()
        self._reset()

    def _reset(self) -> None:
        """Also after a fork: a thread that held the lock does not exist in the child."""
        self._thread = allocate_lock()
        self._owner = 0

    def run(self, number: int, function: Callable[[], T]) -> T:
        """What `function` returns, run while this process and thread alone hold lock `number`.

        RuntimeError: called from such a function. Two locks at once could wait for each other between processes.
        """
        if self._owner == get_ident():
            raise RuntimeError("a shared row is already held by this thread: finish that update first")
        # Order matters for an exception that arrives from outside (a request's time limit, a signal handler): `with`
        # and `finally` run to their next call without a look at pending exceptions, so the range is always given back.
        with self._thread:
            try:
                self._owner = get_ident()
                lockf(self._fd, LOCK_EX, 1, number)
                return function()
            finally:
                self._owner = 0
                lockf(self._fd, LOCK_UN, 1, number)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
