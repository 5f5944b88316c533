"""Runs a check in a child process, so that a target that hangs, exits or crashes still ends in a report.

Owns the child: its pipes, its deadline, its end. What the target prints is shown when it is asked for, and its end when
the run fails. What runs in the child is `wsgikit.validators.worker`.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import IO, Any

from wsgikit.testing.processtree import MARK, kill_marked
from wsgikit.validators.report.document import from_document
from wsgikit.validators.report.model import Report

# Of what the target prints, this many bytes are kept, and this many lines shown: a traceback and what led to it.
_TAIL, _LINES = 4000, 25
# Seconds between the end of a process's output and its own, and those for a report when the time is up.
_END, _GRACE = 5.0, 3.0
IMPORTING = "importing the target"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the child has to do: a `kind` the worker knows, the target's name, and its settings.

    `patience` is seconds for a single request, `timeout` for the whole run. `show_output`: let through what the target
    prints, instead of keeping the end of it. `began` is set by `supervise`: time.monotonic() is one for all processes.
    """

    kind: str
    target: str
    settings: Any
    profile: str
    patience: float = 10.0
    timeout: float = 120.0
    show_output: bool = False
    began: float = 0.0


class _Listener:
    """Reads what the child says: what it is at, and at last its report."""

    def __init__(self, pipe: IO[bytes], progress: Callable[[str], None]) -> None:
        self.report: Report | None = None
        self.last = IMPORTING
        self._pipe = pipe
        self._progress = progress
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for line in self._pipe:
            message = json.loads(line)
            if "report" in message:
                self.report = from_document(message["report"])
                return
            self.last = message["busy"]
            self._progress(self.last)

    def wait(self, seconds: float) -> bool:
        """Until the child has reported or closed its pipe. False when the time was too short for that."""
        self._thread.join(seconds)
        return not self._thread.is_alive()


class _Tail:
    """Keeps the end of what the target prints."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._kept = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(self._pipe.fileno(), 65536):
                self._kept = (self._kept + data)[-_TAIL:]

    def text(self) -> str:
        """The last lines."""
        self._thread.join(0.2)
        return "\n".join(self._kept.decode("utf-8", "replace").strip().splitlines()[-_LINES:])


def supervise(job: Job, progress: Callable[[str], None] = lambda label: None) -> Report:
    """Run the job in a child process of its own and give its report, whatever the target does to the process.

    `progress` is called with what is under way. The child and all it has started are gone afterwards, also when this
    process is killed: then the child sees the end of its input.
    """
    token, job = secrets.token_hex(12), replace(job, began=time.monotonic())
    child = subprocess.Popen(
        [sys.executable, "-m", "wsgikit.validators.worker"],
        env=os.environ | {MARK: token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if job.show_output else subprocess.PIPE,
        start_new_session=True,
    )
    tail = None if child.stderr is None else _Tail(child.stderr)
    try:
        report = _conversation(child, job, progress)
        if report.aborted and tail is not None and (text := tail.text()):
            report = replace(report, notes=(*report.notes, f"the target's last output:\n{text}"))
        return report
    finally:
        _end(child, token)


def _conversation(child: subprocess.Popen[bytes], job: Job, progress: Callable[[str], None]) -> Report:
    stdin, stdout = child.stdin, child.stdout
    if stdin is None or stdout is None:
        raise OSError("the child process has no pipes")
    with contextlib.suppress(BrokenPipeError):
        pickle.dump(job, stdin)
        stdin.flush()  # and open to the end: see supervise()
    listener = _Listener(stdout, progress)
    # The child keeps the time itself, and reports what it knows by then, unless the target keeps it from that.
    if not listener.wait(job.timeout + _GRACE):
        return _aborted(job, out_of_time(job, listener.last))
    if listener.report is not None:
        return listener.report
    return _aborted(job, f"the target's process {_ending(child.wait(_END))} during: {listener.last}")


def out_of_time(job: Job, under_way: str) -> str:
    """Why a run that took too long did not finish."""
    return f"no end within {job.timeout:g} s; the last thing under way: {under_way}"


def _ending(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"


def _aborted(job: Job, why: str) -> Report:
    return Report(
        kind="app" if job.kind == "between" else job.kind, target=job.target, profile=job.profile, aborted=why
    )


def _end(child: subprocess.Popen[bytes], token: str) -> None:
    """The whole session: targets start threads, and some start processes. And what has left the session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:  # Windows has no sessions; what the target started is its own there
            child.kill()
    kill_marked(token)
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
