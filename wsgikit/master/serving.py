"""A worker process from the moment its app is loaded: signals, the watch on its master, and the run.

It knows the worker only as something to run, stop and abort.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from time import monotonic_ns
from types import FrameType
from typing import TYPE_CHECKING

from wsgikit.scoreboard.cells import HEARTBEAT, READY, STATE, STOPPED

if TYPE_CHECKING:
    from wsgikit.master.plan import Servable, WorkerSpec

Handler = Callable[[int, FrameType | None], None]


def serve(spec: WorkerSpec, worker: Servable) -> None:
    """Run `worker` until a signal, or its own end, stops it."""
    _handle_signals(spec, worker)
    if spec.lifeline >= 0:
        threading.Thread(target=_follow, args=(spec.lifeline,), name="wsgikit-lifeline", daemon=True).start()
    if spec.settings.reload and spec.watches:
        from wsgikit.master.watch import restart_on_change

        restart_on_change(spec.master, spec.settings)
    spec.slot.cells[HEARTBEAT] = monotonic_ns() // 1_000_000  # watched from now on, even if the first request hangs
    spec.slot.cells[STATE] = READY
    spec.nudge()
    try:
        worker.run()
    finally:
        spec.slot.cells[STATE] = STOPPED


def _handle_signals(spec: WorkerSpec, worker: Servable) -> None:
    leaving: list[int] = []

    def graceful(signum: int, frame: FrameType | None) -> None:
        if not leaving:
            leaving.append(signum)
            worker.stop(spec.settings.graceful_timeout)

    def fast(signum: int, frame: FrameType | None) -> None:
        worker.abort()

    def reopen(signum: int, frame: FrameType | None) -> None:
        # Not here: the main thread may have been interrupted inside a log handler, half-way through a line.
        if spec.reopen_logs is not None:
            threading.Thread(target=spec.reopen_logs, name="wsgikit-reopen-logs", daemon=True).start()

    signal.signal(signal.SIGTERM, graceful)
    signal.signal(signal.SIGINT, fast)
    signal.signal(signal.SIGQUIT, fast)
    signal.signal(signal.SIGUSR1, reopen)


def _follow(lifeline: int) -> None:
    """Wait until the master is gone, however it went, then leave as if it had said so."""
    try:
        while os.read(lifeline, 1):
            pass
    except OSError:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
