"""The child process of a check: loads the target, runs the check in a thread, and reports on its standard output.

A target that hangs is noticed by the main thread, which reports what is known so far and ends the process.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from wsgikit.errors import WsgikitError
from wsgikit.validators.lint.notes import named
from wsgikit.validators.report.document import to_document
from wsgikit.validators.report.model import Report
from wsgikit.validators.supervisor import IMPORTING, Job, out_of_time

_TICK = 0.05


class Check(Protocol):
    """A check under way, as the watchdog sees it."""

    @property
    def busy(self) -> tuple[str, float] | None:
        """What is under way and since when (time.monotonic())."""

    def announce_to(self, listener: Callable[[str], None]) -> None:
        """Tell somebody about each request before it is made."""

    def run(self) -> Report:
        """Do all of it."""

    def report(self, aborted: str = "") -> Report:
        """What is known so far."""


def main() -> None:
    """Take a job from standard input, do it, say how it went, and end without waiting for anybody."""
    channel = _private_output()
    job: Job = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, args=(_private_input(),), daemon=True).start()
    report = _run(job, lambda label: _say(channel, {"busy": label}))
    _say(channel, {"report": to_document(report)})
    sys.stderr.flush()
    # Threads and exit handlers of the target must not keep the process.
    os._exit(0)


def _private_output() -> int:
    """Keep the real standard output for us; what the target prints goes to standard error."""
    channel = os.dup(1)
    os.dup2(2, 1)
    return channel


def _private_input() -> int:
    """Keep the real standard input for us; the target finds an empty one."""
    life = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return life


def _end_with_parent(life: int) -> None:
    """The parent says no more, and keeps the pipe open as long as it lives: its end is the end of the whole session."""
    os.read(life, 1)
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _say(channel: int, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(channel, data) :]


def _run(job: Job, progress: Callable[[str], None]) -> Report:
    done: list[Report] = []
    checks: list[Check] = []
    under_way = [IMPORTING]
    deadline = job.began + job.timeout

    def announced(label: str) -> None:
        under_way[0] = label
        progress(label)

    def work() -> None:
        try:
            checks.append(_check(job))
            checks[0].announce_to(announced)
            done.append(checks[0].run())
        except WsgikitError as error:
            if error.__cause__ is not None:
                traceback.print_exception(error.__cause__)  # where in the target it went wrong
            done.append(_failed(job, str(error)))
        except BaseException as error:  # the target's SystemExit as well: this thread is the last to know
            traceback.print_exc()
            done.append(_failed(job, named(error)))

    thread = threading.Thread(target=work, name="check", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_TICK)
        busy = checks[0].busy if checks else None
        if busy is not None and time.monotonic() - busy[1] > job.patience:
            return checks[0].report(f"{busy[0]} was not answered within {job.patience:g} s")
        if time.monotonic() > deadline:
            why = out_of_time(job, under_way[0])
            return checks[0].report(why) if checks else _failed(job, why)
    return done[0]


def _check(job: Job) -> Check:
    from wsgikit.loader import load, load_app, search_first

    search_first(os.getcwd())
    if job.kind == "middleware":
        from wsgikit.validators.sandwich.check import MiddlewareCheck

        return MiddlewareCheck(load(job.target), job.target, job.settings)
    if job.kind == "between":
        from wsgikit.validators.app.between import BetweenCheck

        return BetweenCheck(load_app(job.target), job.target, job.settings)
    from wsgikit.validators.app.check import AppCheck

    return AppCheck(load_app(job.target), job.target, job.settings)


def _failed(job: Job, why: str) -> Report:
    return Report(
        kind="app" if job.kind == "between" else job.kind, target=job.target, profile=job.profile, aborted=why
    )


if __name__ == "__main__":
    main()
