"""The workers of one group in one generation of the code: how many there are, who goes, who comes.

Pure rules over children, times and states; forking and signalling belong to the crew that is handed in. `tend` is
called again and again and compares what is with what should be, so no single event can get it out of step.

- A worker is missing: fork one; after deaths in quick succession only when the back-off is over.
- A worker wants to retire: fork one more; when there are more ready ones than wanted, the retiring one is told to
  leave. So there are never fewer ready workers than wanted because of a retirement.
- A worker's heartbeat stands still, or it does not get ready in time: end it; the first rule replaces it.
- A worker was told to leave and is still there at its deadline: kill it.
"""

from __future__ import annotations

import logging
import os
import signal
from typing import Protocol

from wsgikit.master.settings import GroupSettings, MasterSettings
from wsgikit.scoreboard import Slot
from wsgikit.scoreboard.cells import HEARTBEAT, READY, RETIRING, STARTING, STATE, STOPPED

log = logging.getLogger("wsgikit.error")

KILL_SLACK = 1.0
"""Seconds after a worker's own deadline: it may still write down which requests it cut off."""
WEDGED_SLACK = 1.0
"""Seconds between ABRT, at which a wedged worker writes its stacks, and KILL."""
_QUICK = 1.0  # a worker that was ready for less died "at once"
# Seconds before the n-th replacement in a row of a worker that died at once: 0, 0.25, 0.5, ... (precedents: systemd
# starts with 0.1 s and gives up after five; Kubernetes doubles from 10 s to 300 s). Nobody's requests wait for long
# when the cause has passed, and a loop of failing imports costs little.
_FIRST_DELAY = 0.25
_LONGEST_DELAY = 15.0
_TICK = 1.0
_STARTING_TICK = 0.05  # how soon it is seen that a worker is ready, if it may not tell us
_REPORT = 65536


class Child:
    """A forked process and what the parent knows of it.

    leave_by: when it is killed, None while it may stay. told: its end is our wish.
    """

    __slots__ = ("beat", "born", "killed", "leave_by", "pid", "ready_at", "report", "slot", "stale", "told", "watches")

    def __init__(self, pid: int, slot: Slot, report: int, born: float, watches: bool = False) -> None:
        self.pid = pid
        self.slot = slot
        self.report = report
        self.born = born
        self.watches = watches
        self.ready_at: float | None = None
        self.leave_by: float | None = None
        self.told = False
        self.killed = False
        self.beat = 0
        self.stale = 0.0

    @property
    def state(self) -> int:
        return int(self.slot.cells[STATE])

    def read_report(self) -> str:
        """What the child wrote about its failure; closes the pipe."""
        try:
            return os.read(self.report, _REPORT).decode("utf-8", "replace")
        except OSError:
            return ""
        finally:
            os.close(self.report)


class Crew(Protocol):
    """Who forks and signals for a fleet."""

    def launch(self, fleet: Fleet) -> Child | None:
        """Fork one worker; None (and a line in the log) when that is not possible now."""

    def send(self, child: Child, signum: int) -> None:
        """Signal a child that was not waited for yet."""


class Fleet:
    """See the module's text. `target` is how many ready workers are wanted."""

    def __init__(self, group: GroupSettings, settings: MasterSettings, crew: Crew, *, preloads: bool = False) -> None:
        self.group = group
        self.settings = settings
        self.crew = crew
        self.preloads = preloads
        """Its one child loads the app and has workers of its own."""
        self.target = 1 if preloads else max(group.workers, 1)
        self.children: list[Child] = []
        self.failures = 0
        self._not_before = 0.0
        self._tended: float | None = None

    @property
    def name(self) -> str:
        return f"group {self.group.name!r}: " if self.group.name else ""

    @property
    def is_ready(self) -> bool:
        """As many workers as wanted serve."""
        return sum(_serves(child) for child in self.children) >= self.target

    def tend(self, now: float) -> None:
        """One round of the rules above. `now`: monotonic seconds."""
        passed = min(now - self._tended, 2 * _TICK) if self._tended is not None else 0.0
        self._tended = now
        for child in self.children:
            self._check(child, now, passed)
        ready = [child for child in self.children if _serves(child)]
        surplus = len(ready) - self.target
        if surplus > 0:
            ready.sort(key=lambda child: child.state != RETIRING)  # stable: then the oldest
            for child in ready[:surplus]:
                self.dismiss(child, now)
        self._launch_missing(now)

    def leave(self, now: float, signum: int, within: float) -> None:
        """Tell all to leave, and kill who is there after `within` seconds. Again with a nearer deadline: hurry."""
        self.target = 0
        # Those that still load die at once; the last one that serves can then empty the backlog for all.
        for child in sorted(self.children, key=lambda child: child.state != STARTING):
            self.dismiss(child, now, signum, within)

    def dismiss(self, child: Child, now: float, signum: int = signal.SIGTERM, within: float | None = None) -> None:
        """Tell one to leave."""
        within = self.settings.graceful_timeout if within is None else within
        deadline = now + within + KILL_SLACK * (2 if self.preloads else 1)
        if child.leave_by is None or deadline < child.leave_by:
            child.leave_by = deadline
            child.told = True
            self.crew.send(child, signum)

    def resize(self, change: int) -> None:
        """TTIN and TTOU: one worker more or less, one at the least."""
        self.target = max(1, self.target + change)

    def gone(self, child: Child, now: float) -> float:
        """A child was waited for. Seconds until it is replaced."""
        self.children.remove(child)
        return 0.0 if child.told else self._count(child, now)

    def _count(self, child: Child, now: float) -> float:
        """A worker ended that should not have: seconds until the next one may start."""
        if child.ready_at is not None and now - child.ready_at >= _QUICK:
            self.failures = 0
            return 0.0
        self.failures += 1
        # A crash may be a request's fault, so the first one is replaced at once; a failed start is not.
        steps = self.failures - (2 if child.ready_at is not None else 1)
        delay = 0.0 if steps < 0 else min(_FIRST_DELAY * 2**steps, _LONGEST_DELAY)
        self._not_before = now + delay
        return delay

    def patience(self, now: float) -> float:
        """Seconds until `tend` has something to do, when no signal comes."""
        times = [_TICK, self.settings.worker_timeout / 4 or _TICK]
        for child in self.children:
            if child.leave_by is not None:
                times.append(child.leave_by - now)
            elif child.state == STARTING:
                times.append(_STARTING_TICK)
        if len(self.children) < self.target:
            times.append(max(self._not_before - now, _STARTING_TICK))
        return max(min(times), 0.0)

    def _check(self, child: Child, now: float, passed: float) -> None:
        if child.leave_by is not None:
            if now >= child.leave_by and not child.killed:
                log.warning("%sworker %d is still there: killed", self.name, child.pid)
                child.killed = True
                child.leave_by = now + _TICK
                self.crew.send(child, signal.SIGKILL)
            return
        if child.state == STARTING:
            limit = self.settings.start_timeout
            if limit and now - child.born > limit:
                log.error("%sworker %d is not ready after %g s: killed", self.name, child.pid, limit)
                self._end_wedged(child, now)
            return
        if child.ready_at is None:
            child.ready_at = now
        if child.state == STOPPED:
            # What is left of it, a thread of the app perhaps, gets no longer than others.
            log.error("%sworker %d stopped without being told", self.name, child.pid)
            self._count(child, now)
            child.told, child.leave_by = True, now + self.settings.graceful_timeout
            return
        self._check_heartbeat(child, now, passed)

    def _check_heartbeat(self, child: Child, now: float, passed: float) -> None:
        """Time is added up over rounds, so that a machine that slept does not find all its workers dead."""
        beat = child.slot.cells[HEARTBEAT]
        limit = self.settings.worker_timeout
        if beat != child.beat or not beat or not limit:
            child.beat, child.stale = beat, 0.0
            return
        child.stale += passed
        if child.stale > limit:
            log.error("%sworker %d has been stuck for %g s: its stacks follow", self.name, child.pid, limit)
            child.told = True
            self._end_wedged(child, now)

    def _end_wedged(self, child: Child, now: float) -> None:
        child.leave_by = now + WEDGED_SLACK
        self.crew.send(child, signal.SIGABRT)

    def _launch_missing(self, now: float) -> None:
        staying = [child for child in self.children if child.leave_by is None]
        missing = self.target - len(staying)
        if missing == 0 and self.target and any(child.state == RETIRING for child in staying):
            missing = 1
        if missing <= 0 or now < self._not_before:
            return
        for _ in range(missing):
            child = self.crew.launch(self)
            if child is None:
                self._not_before = now + _TICK
                return
            self.children.append(child)


def _serves(child: Child) -> bool:
    return child.leave_by is None and child.state in (READY, RETIRING)
