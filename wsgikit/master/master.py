"""The master: opens listeners, keeps the workers of a plan running, reloads and ends them on signals.

    status = Master(plan, reload=read_the_file_again).run()

    TERM        graceful: workers finish their requests within graceful_timeout, then they are killed
    INT, QUIT   fast: requests under way are cut off
    HUP         reload: configuration and code are read again; the new workers must be ready before the old ones are
                told to leave; when anything about the new ones fails, the old ones stay and the error is logged
    TTIN, TTOU  one worker more, one less, in the front group, until the next HUP
    USR1        log files are opened again, in the master and in all workers
    USR2        nothing: hand the listeners to systemd (socket activation) to replace the program itself

It imports no app and no protocol, so that it stays as small as an interpreter and a fork of it can load anything.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from wsgikit import scoreboard
from wsgikit.master.activation import activated_binds, take_activated
from wsgikit.master.child import LOAD_FAILED, Birth, explain
from wsgikit.master.fleet import Fleet
from wsgikit.master.generation import open_generation
from wsgikit.master.notify import READY, STOPPING, Notifier, reloading
from wsgikit.master.pidfile import PidFile
from wsgikit.master.plan import Plan
from wsgikit.master.private import PrivateFolder
from wsgikit.master.privileges import raise_file_limit
from wsgikit.master.refusal import refuse_new
from wsgikit.master.sockets import OpenListener, close_listeners
from wsgikit.master.supervisor import Supervisor
from wsgikit.scoreboard import Scoreboard

log = logging.getLogger("wsgikit.error")

_FEWEST_SLOTS = 256
_SWEEP = 1.0  # seconds between two looks for slots whose worker is gone


class Master(Supervisor):
    """See the module's text.

    reload: reads the configuration again and returns the new plan; without it HUP loads the code of the same plan
    again. announce: told which listeners were opened; without it they are logged. The scoreboard, the pid file and the
    umask are those of the first plan.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        reload: Callable[[], Plan] | None = None,
        announce: Callable[[Sequence[OpenListener]], None] | None = None,
    ) -> None:
        super().__init__(_board(plan))
        self._plan = plan
        self._reload = reload
        self._announce = announce or _log_addresses
        self._again = False
        self._notifier = Notifier()
        self._sweep_at = 0.0
        self._opened = 0
        self._folder = PrivateFolder()
        self._pidfile = PidFile(plan.settings.pid)
        self._activated: list[str] = []

    def run(self) -> int:
        """Serve until a signal ends it; the exit status: 0, or 3 when the app cannot be loaded at the first start.

        Main thread only. ConfigError: a listener, the pid file or a user is wrong; nothing was started then.
        """
        before = scoreboard.install(self.board)
        try:
            with self.signals:
                raise_file_limit()
                if self._plan.settings.umask is not None:
                    os.umask(self._plan.settings.umask)
                self._activated = take_activated()
                self._pidfile.write()
                self._begin(self._plan)
                return self.supervise()
        finally:
            self._clean_up()
            scoreboard.install(before)

    def hang_up(self) -> None:
        if self.stopping:
            return
        if self.incoming is not None:
            self._again = True  # what was read for the reload under way may be older than this signal
            return
        log.info("reload")
        self._notifier.tell(reloading())
        try:
            self._begin(self._reload() if self._reload is not None else self._plan)
        except Exception as error:
            log.error("reload failed, the running workers stay:\n%s", explain(error))
            self.reload_ended()

    def reload_ended(self) -> None:
        self._notifier.tell(READY)
        if self._again:
            self._again = False
            self.hang_up()

    def serving(self, first: bool) -> None:
        if self.current is not None and self.current.plan.serving is not None:
            self.current.plan.serving()
        workers = sum(post.group.settings.workers for post in self.current.posts) if self.current else 0
        ready = "1 worker is ready" if workers == 1 else f"{workers} workers are ready"
        log.info("%s: %s", "started" if first else "reloaded", ready)

    def tend(self, now: float) -> None:
        super().tend(now)
        if now >= self._sweep_at:
            # Workers of a preloader that was killed: they leave by themselves, and nobody waits for them.
            self._sweep_at = now + _SWEEP
            self.board.sweep()

    def stopped(self) -> None:
        if not self.status:  # else "cannot start" has been said
            log.info("stopping")
        self._notifier.tell(STOPPING)

    def failed(self, report: str) -> None:
        self.status = LOAD_FAILED
        log.critical("cannot start: %s", report)

    def upgrade(self) -> None:
        log.warning(
            "USR2 does nothing: HUP loads new code; to replace the server itself without losing connections, let "
            "systemd hold the sockets (socket activation) and restart the service"
        )

    def shut(self, listeners: Sequence[OpenListener]) -> None:
        refuse_new(listeners)
        close_listeners(listeners)

    def run_child(self, birth: Birth, fleet: Fleet) -> int:
        if not fleet.preloads:
            return super().run_child(birth, fleet)
        from wsgikit.master.preloader import run_preloader

        return run_preloader(birth)

    def _begin(self, plan: Plan) -> None:
        """Open what a plan needs and start its workers beside the present ones."""
        kept = list(self.current.listeners) if self.current is not None else []
        number = self._opened + 1
        generation = open_generation(number, self._with_activated(plan), self, self._folder, kept)
        self._opened, self._plan = number, plan
        known = {listener.sock for listener in kept}
        self._announce([listener for listener in generation.listeners if listener.sock not in known])
        self.begin(generation)

    def _with_activated(self, plan: Plan) -> Plan:
        """Sockets from systemd are the front group's."""
        groups = (
            group if group.settings.name else replace(group, binds=activated_binds(self._activated, group.binds))
            for group in plan.groups
        )
        return replace(plan, groups=tuple(groups))

    def _clean_up(self) -> None:
        if self.current is not None:
            close_listeners(self.current.listeners)
        self._folder.remove()
        self._pidfile.remove()
        self.close()


def _board(plan: Plan) -> Scoreboard:
    """Room for all workers four times: old and new ones of a reload, leaving ones, and TTIN."""
    workers = sum(group.settings.workers for group in plan.groups)
    return Scoreboard(slots=max(_FEWEST_SLOTS, 4 * workers), arena=plan.settings.shared_memory)


def _log_addresses(listeners: Sequence[OpenListener]) -> None:
    for listener in listeners:
        log.info("listening on %s", listener.url)
