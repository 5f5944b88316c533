"""What a master is told to run, and what it tells a worker. Values only.

`cli` makes a Plan from the configuration. The master never imports the app, the worker or a protocol: `load` and
`start` run after the fork.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from wsgikit.master.settings import BindSettings, GroupSettings, MasterSettings
from wsgikit.scoreboard.cells import RETIRING, STATE

if TYPE_CHECKING:
    from wsgikit.master.sockets import OpenListener
    from wsgikit.scoreboard import Scoreboard, Slot


class Servable(Protocol):
    """A worker as its process sees it; `wsgikit.workers.Worker` is one."""

    def run(self) -> None:
        """Serve in the main thread until stopped."""

    def stop(self, grace: float) -> None:
        """Finish what is under way within `grace` seconds; called from a signal handler."""

    def abort(self) -> None:
        """End now; called from a signal handler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """What a hook gets to know about its worker."""

    pid: int
    group: str
    slot: int
    """Number of its line in the scoreboard: small, and given to the next worker when this one is gone."""
    generation: int
    """How often the code was loaded: 1, and one more at each reload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """Everything a worker process gets: `start(spec)` makes a worker of it and calls `serve(worker)`."""

    info: WorkerInfo
    app: Any
    """What `load()` returned."""
    slot: Slot
    board: Scoreboard
    workers: int
    """How many workers share the listeners."""
    listeners: tuple[OpenListener, ...]
    settings: MasterSettings
    groups: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Private address of each worker group: "unix:/..."."""
    reopen_logs: Callable[[], None] | None = None
    lifeline: int = -1
    """Pipe end that reaches its end when the process that forked this one is gone."""
    parent: int = 0
    """Process id of the one that forked this one: the master, or a preloader."""
    master: int = 0
    """Process id of the master, which HUP tells to reload."""
    watches: bool = False
    """This worker looks for changed files on behalf of its group (`reload`)."""

    def retire(self, reason: str) -> None:
        """Ask for a successor: the worker goes on serving until that one is ready, then it gets TERM."""
        self.slot.cells[STATE] = RETIRING
        self.nudge()

    def nudge(self) -> None:
        """Have the parent look at our slot now; it looks by itself at the latest after a second."""
        if os.getppid() == self.parent:
            try:
                os.kill(self.parent, signal.SIGCHLD)  # wakes its loop and means nothing else
            except PermissionError:
                pass  # we gave up the right with our user

    def serve(self, worker: Servable) -> None:
        """Run the worker with the signals of a worker process: TERM graceful, INT and QUIT fast, USR1 reopens logs."""
        from wsgikit.master.serving import serve

        serve(self, worker)


Load = Callable[[], Any]
Start = Callable[[WorkerSpec], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPlan:
    """A group of workers and what they run.

    load: returns the app; runs in each worker (with preload: once) after environment and user are set. start: serves;
    returns when the worker was stopped. binds: public addresses; a named group gets its private socket besides.
    """

    settings: GroupSettings
    load: Load
    start: Start
    binds: tuple[BindSettings, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All groups of one configuration.

    reopen_logs: runs in master and workers at USR1. serving: runs in the master when all workers are ready for the
    first time; workers forked later see what it changed.
    """

    settings: MasterSettings
    groups: tuple[GroupPlan, ...]
    reopen_logs: Callable[[], None] | None = None
    serving: Callable[[], None] | None = None


def worker_info(slot: Slot, generation: int) -> WorkerInfo:
    """Of the process that calls it."""
    return WorkerInfo(pid=os.getpid(), group=slot.group, slot=slot.index, generation=generation)
