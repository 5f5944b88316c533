"""Waiting for processes that have ended, and saying how they did."""

from __future__ import annotations

import os
import signal


def exit_code(pid: int) -> int | None:
    """Exit code of a child that has ended (negative: the signal), None while it runs."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0  # somebody else waited for it
    return os.waitstatus_to_exitcode(status) if found else None


def reap_orphans(ours: set[int]) -> None:
    """Processes whose parent died come to the first process of a container; nobody else would wait for them."""
    for _ in range(1000):
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in ours:
            return
        exit_code(found.si_pid)


def describe(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (the system may be out of memory)" if code == -signal.SIGKILL else ""
    return f"was killed by {name}{hint}"
