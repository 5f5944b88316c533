"""What happens in a forked process between the fork and the app: it becomes a worker, and ends as a process should.

It must not touch the parent's state; the parent closed nothing for it, so it is told what to let go of.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from wsgikit.errors import LoadError, WsgikitError
from wsgikit.master.plan import GroupPlan, Plan, WorkerInfo, WorkerSpec, worker_info
from wsgikit.master.privileges import Identity, limit_address_space
from wsgikit.master.settings import Hook
from wsgikit.master.sockets import OpenListener
from wsgikit.scoreboard import Scoreboard, Slot
from wsgikit.scoreboard.cells import PID

log = logging.getLogger("wsgikit.error")

LOAD_FAILED = 3
"""Exit status of a worker, and of a master at its first start, when the app cannot be loaded."""
_REPORT_MOST = 32768  # fits into any pipe at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """What a child is born with."""

    plan: Plan
    group: GroupPlan
    identity: Identity | None
    board: Scoreboard
    slot: Slot
    generation: int
    workers: int
    listeners: tuple[OpenListener, ...]
    groups: Mapping[str, str]
    lifeline: int
    report: int
    parent: int
    master: int
    watches: bool = False


def run_worker(birth: Birth) -> int:
    """Be a worker until it is told to leave; the exit status."""
    settings = birth.plan.settings
    info = worker_info(birth.slot, birth.generation)
    try:
        become(birth)
        _run_hook(settings.on_worker_start, info)
        app = birth.group.load()
        birth.group.start(_spec(birth, info, app))
    except Exception as error:
        return send_report(birth.report, error)
    finally:
        try:
            _run_hook(settings.on_worker_exit, info)
        except Exception:
            log.exception("on_worker_exit failed")
    return 0


def become(birth: Birth) -> None:
    """Environment, limits and user of the group."""
    birth.slot.cells[PID] = os.getpid()
    _show_stacks_on_crash()
    os.environ.update(birth.group.settings.env)
    limit_address_space(birth.group.settings.address_space)
    if birth.identity is not None:
        birth.identity.take_on()
    from importlib import invalidate_caches

    invalidate_caches()  # the parent may have looked into the app's folders before its new files were there
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:  # preloaded: Python reseeds its own generator after a fork, numpy does not
        numpy.seed()


def _show_stacks_on_crash() -> None:
    import faulthandler

    try:
        faulthandler.enable()
    except (OSError, ValueError, RuntimeError, AttributeError):
        pass  # no stderr to write to


def _spec(birth: Birth, info: WorkerInfo, app: Any) -> WorkerSpec:
    return WorkerSpec(
        info=info,
        app=app,
        slot=birth.slot,
        board=birth.board,
        workers=birth.workers,
        listeners=birth.listeners,
        settings=birth.plan.settings,
        groups=birth.groups,
        reopen_logs=birth.plan.reopen_logs,
        lifeline=birth.lifeline,
        parent=birth.parent,
        master=birth.master,
        watches=birth.watches,
    )


def _run_hook(hook: Hook | None, info: WorkerInfo) -> None:
    if isinstance(hook, str):
        from wsgikit.loader import load

        hook = load(hook)
    if callable(hook):
        hook(info)


def send_report(pipe: int, error: BaseException) -> int:
    """Tell the parent why this process ends; the exit status for it."""
    text = explain(error).encode("utf-8", "backslashreplace")
    try:
        os.set_blocking(pipe, False)
        os.write(pipe, text[-_REPORT_MOST:])
    except OSError:
        pass
    return LOAD_FAILED


def explain(error: BaseException) -> str:
    """The traceback of an error; of one of ours the message, after the traceback of what the app raised."""
    if not isinstance(error, WsgikitError):
        return "".join(traceback.format_exception(error)).rstrip()
    cause = error.__cause__ if isinstance(error, LoadError) else None
    return "".join(traceback.format_exception(cause)) + str(error) if cause is not None else str(error)


def in_child(work: Callable[[], int]) -> NoReturn:
    """Run `work` as a process of its own and end the process with the status it returns, never going back."""
    status = 1
    try:
        status = work()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        log.critical("process %d failed", os.getpid(), exc_info=True)
    finally:
        _end(status)


def ignore_masters_signals() -> None:
    """HUP and USR1 mean something to the master only, but a terminal that closes sends HUP to everybody."""
    # Functions, not SIG_IGN: an ignored signal would stay ignored in programs that the app starts.
    signal.signal(signal.SIGHUP, _ignore)
    signal.signal(signal.SIGUSR1, _ignore)


def _ignore(signum: int, frame: FrameType | None) -> None:
    """Nothing."""


def _end(status: int) -> NoReturn:
    """End the process: threads, exit handlers and buffers of the app, but no frame of the parent below us.

    As multiprocessing does it for its forked children: there is no public way to do it.
    """
    import atexit
    import threading

    steps = (threading._shutdown, atexit._run_exitfuncs, sys.stdout.flush, sys.stderr.flush)  # type: ignore[attr-defined]
    try:
        for step in steps:
            try:
                step()
            except Exception:
                traceback.print_exc()
    finally:
        os._exit(status & 0xFF)
