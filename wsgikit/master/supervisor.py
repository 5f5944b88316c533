"""The loop of a process that has workers: it forks, waits, replaces, and ends them, in one generation or several.

Shared by the master and by a preloader, which is a master of one group inside a worker's place. What differs is in the
methods that a subclass gives: what HUP means, what happens when a generation is ready, and when it fails.

All state is changed by the loop alone: signals arrive as values (`SignalPipe`), children are waited for at each turn.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from time import monotonic

from wsgikit.master.child import Birth, ignore_masters_signals, in_child, run_worker
from wsgikit.master.fleet import Child, Fleet
from wsgikit.master.generation import Generation, Order
from wsgikit.master.signals import LIFELINE, SignalPipe, held_back
from wsgikit.master.sockets import OpenListener, close_listeners
from wsgikit.master.waiting import describe, exit_code, reap_orphans
from wsgikit.scoreboard import Scoreboard, Slot
from wsgikit.scoreboard.cells import STARTING

log = logging.getLogger("wsgikit.error")

SIGNALS = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1,
    signal.SIGUSR2, signal.SIGCHLD,
)  # fmt: skip

FAST = 2.0
"""Seconds between INT and KILL."""
_UNKILLABLE = 5.0  # then the process is stuck in the kernel, and waiting longer helps nobody


class Supervisor:
    """See the module's text. `lifeline`: pipe end that ends with our own parent."""

    def __init__(self, board: Scoreboard, lifeline: int = -1) -> None:
        self.board = board
        self.master = os.getpid()
        self.status = 0
        self.current: Generation | None = None
        self.incoming: Generation | None = None
        self.generations: list[Generation] = []
        self.signals = SignalPipe(SIGNALS, lifeline)
        self._stop_by: float | None = None
        self._graceful = True
        self._ends = os.pipe()  # children hold the reading end: it ends when we are gone
        self._actions: dict[int, Callable[[], None]] = {
            LIFELINE: self.stop,
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop_fast,
            signal.SIGQUIT: self.stop_fast,
            signal.SIGHUP: self.hang_up,
            signal.SIGTTIN: lambda: self.resize(+1),
            signal.SIGTTOU: lambda: self.resize(-1),
            signal.SIGUSR1: self.reopen_logs,
            signal.SIGUSR2: self.upgrade,
        }

    # What a subclass decides

    def serving(self, first: bool) -> None:
        """A generation is ready and the one before it, if any, was told to leave."""

    def failed(self, report: str) -> None:
        """The first generation cannot start; all is being stopped."""

    def stopped(self) -> None:
        """All workers are about to be told to leave."""

    def hang_up(self) -> None:
        """HUP."""

    def upgrade(self) -> None:
        """USR2."""

    def reload_ended(self) -> None:
        """A reload has succeeded or failed: there may be another one to do."""

    def run_child(self, birth: Birth, fleet: Fleet) -> int:
        """What a forked child runs; its exit status."""
        return run_worker(birth)

    # The loop

    def supervise(self) -> int:
        """Run until all workers are gone; the exit status. The signals are caught by the caller."""
        while True:
            self.reap()
            now = monotonic()
            self.tend(now)
            if self._is_over(now):
                return self.status
            patience = min((fleet.patience(now) for each in self.generations for fleet in each.fleets), default=1.0)
            for number in self.signals.wait(patience):
                action = self._actions.get(number)
                if action is not None:
                    action()

    def tend(self, now: float) -> None:
        for generation in self.generations:
            generation.tend(now)
        if self.incoming is not None and self.incoming.is_ready:
            self._promote(self.incoming, now)
        self.generations = [generation for generation in self.generations if not generation.has_left]

    def begin(self, generation: Generation) -> None:
        """Start a generation beside the current one."""
        self.incoming = generation
        self.generations.append(generation)

    def _promote(self, generation: Generation, now: float) -> None:
        before, self.current, self.incoming = self.current, generation, None
        if before is not None:
            self._dismiss(before, generation, signal.SIGTERM, before.plan.settings.graceful_timeout)
        self.serving(before is None)
        self.reload_ended()

    def _abandon(self, generation: Generation, report: str) -> None:
        """A worker of a generation that never served failed: the generation before it stays, if there is one."""
        if self.current is None:
            self.failed(report)
            self.stop_fast()
            return
        self.incoming = None
        self._dismiss(generation, self.current, signal.SIGINT, FAST)
        log.error("reload failed, the running workers stay:\n%s", report)
        self.reload_ended()

    def _dismiss(self, generation: Generation, stays: Generation, signum: int, within: float) -> None:
        """Let one generation go while another one stays: only what that one does not use is closed."""
        used = {listener.sock for listener in stays.listeners}
        now = monotonic()

        def shut(listeners: Sequence[OpenListener]) -> None:
            self.shut([listener for listener in listeners if listener.sock not in used])

        generation.leave(Order(signum, now + within, shut), now)

    def _is_over(self, now: float) -> bool:
        return self._stop_by is not None and (not self.generations or now > self._stop_by + _UNKILLABLE)

    # Signals

    @property
    def stopping(self) -> bool:
        return self._stop_by is not None

    def stop(self) -> None:
        """Graceful: workers finish their requests until the deadline."""
        if not self.stopping:
            within = max((each.plan.settings.graceful_timeout for each in self.generations), default=0.0)
            self._stop(signal.SIGTERM, within)

    def stop_fast(self) -> None:
        """Workers cut their requests off."""
        if self._graceful:
            self._graceful = False
            self._stop(signal.SIGINT, FAST)

    def _stop(self, signum: int, within: float) -> None:
        self.stopped()
        now = monotonic()
        self._stop_by = now + within
        self.incoming = None
        for generation in self.generations:
            generation.leave(Order(signum, self._stop_by, self.shut), now)

    def shut(self, listeners: Sequence[OpenListener]) -> None:
        """Close for good. Their workers may still have to empty the queues."""
        close_listeners(listeners, remove=False)

    def resize(self, change: int) -> None:
        """TTIN, TTOU: for the front group, by the preloader itself where there is one."""
        if self.current is None or self.stopping:
            return
        fleet = self.current.posts[0].fleet
        if not fleet.preloads:
            fleet.resize(change)
            log.info("%d workers from now on", fleet.target)
            return
        for child in fleet.children:
            self.send(child, signal.SIGTTIN if change > 0 else signal.SIGTTOU)

    def reopen_logs(self) -> None:
        """USR1: here and in all children."""
        reopen = self.generations[-1].plan.reopen_logs if self.generations else None
        if reopen is not None:
            reopen()
        for generation in self.generations:
            for _, child in generation.children:
                self.send(child, signal.SIGUSR1)

    # Children

    def send(self, child: Child, signum: int) -> None:
        # Never to a stranger: an id is free for others only after we waited for it, and then it is in no list.
        try:
            os.kill(child.pid, signum)
        except ProcessLookupError:
            pass

    def launch(self, fleet: Fleet) -> Child | None:
        slot = self.board.claim(fleet.group.name)
        if slot is None:
            log.error("no worker can be started: all %d slots of the scoreboard are taken", len(self.board.slots))
            return None
        watches = not any(child.watches and child.leave_by is None for child in fleet.children)
        read, write = os.pipe()
        os.set_blocking(read, False)
        try:
            pid = self._fork(self._birth(fleet, slot, write, watches), fleet, read)
        except OSError as error:
            log.error("no worker can be started: %s", error.strerror)
            self.board.release(slot)
            os.close(read)
            return None
        finally:
            os.close(write)
        return Child(pid, slot, read, monotonic(), watches)

    def _birth(self, fleet: Fleet, slot: Slot, report: int, watches: bool) -> Birth:
        generation = next(each for each in self.generations if fleet in each.fleets)
        post = generation.post_of(fleet)
        return Birth(
            plan=generation.plan,
            group=post.group,
            identity=post.identity,
            board=self.board,
            slot=slot,
            generation=generation.number,
            workers=fleet.target,
            listeners=post.listeners,
            groups=generation.groups,
            lifeline=self._ends[0],
            report=report,
            parent=os.getpid(),
            master=self.master,
            watches=watches,
        )

    def _fork(self, birth: Birth, fleet: Fleet, report: int) -> int:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # else the child would write our buffer once more
        # A signal that came between the fork and the child's own handlers would land in the pipe we share with it.
        with held_back() as mask:
            pid = os.fork()
            if pid == 0:
                in_child(lambda: self._be_born(birth, fleet, report, mask))
            return pid

    def _be_born(self, birth: Birth, fleet: Fleet, report: int, mask: set[int]) -> int:
        self.signals.forget()
        ignore_masters_signals()
        self._let_go(birth, report)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return self.run_child(birth, fleet)

    def _let_go(self, birth: Birth, report: int) -> None:
        """In a child: close what belongs to the parent or to its other children.

        A listener held by somebody who does not accept would keep connections waiting that nobody answers.
        """
        os.close(self._ends[1])
        os.close(report)
        own = {listener.sock for listener in birth.listeners}
        for generation in self.generations:
            for listener in generation.listeners:
                if listener.sock not in own:
                    listener.sock.close()
            for _, child in generation.children:
                os.close(child.report)

    def reap(self) -> None:
        """Wait for all children that have ended; also for adopted ones, where we are the first process."""
        for generation in self.generations:
            for fleet, child in list(generation.children):
                status = exit_code(child.pid)
                if status is not None:
                    self._gone(generation, fleet, child, status)
        if os.getpid() == 1:
            reap_orphans({child.pid for each in self.generations for _, child in each.children})

    def _gone(self, generation: Generation, fleet: Fleet, child: Child, status: int) -> None:
        now = monotonic()
        if child.ready_at is None and child.state != STARTING:
            child.ready_at = now
        report = child.read_report()
        self.board.release(child.slot)
        delay = fleet.gone(child, now)
        what = f"{fleet.name}worker {child.pid} {describe(status)}"
        story = f"{what}:\n{report}" if report else what
        if generation is self.incoming and child.ready_at is None:
            self._abandon(generation, story)
        elif child.told:
            log.debug("%s", what)  # the same story as the first one of its generation, if it has any
        else:
            log.error("%s%s", story, f"\nthe next one starts in {delay:g} s" if delay else "")

    def close(self) -> None:
        """Give back what the constructor opened."""
        for end in self._ends:
            os.close(end)
