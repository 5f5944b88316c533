"""A preloader: a child of the master that loads the app once and forks the workers of one group from there.

The master itself never loads an app, preloaded or not. So it stays small, and a fork of it is as good as a fresh
interpreter: a reload starts a second preloader, which imports the new code, and ends the first one when the workers of
the second are ready. The master sees a preloader as one worker: it is ready when all its workers are.
"""

from __future__ import annotations

import gc

from wsgikit.errors import LoadError
from wsgikit.master.child import Birth, become, send_report
from wsgikit.master.generation import preloaded
from wsgikit.master.supervisor import Supervisor
from wsgikit.scoreboard.cells import HEARTBEAT, READY, ROLE, STATE


def run_preloader(birth: Birth) -> int:
    """Load the app and be the master of its workers; the exit status."""
    birth.slot.cells[ROLE] = 1
    try:
        become(birth)
        app = birth.group.load()
    except Exception as error:
        return send_report(birth.report, error)
    # What is there now stays shared with the workers: the collector would write into every object it visits.
    gc.collect()
    gc.freeze()
    preloader = Preloader(birth)
    with preloader.signals:
        preloader.begin(preloaded(birth, app, preloader))
        return preloader.supervise()


class Preloader(Supervisor):
    """The supervisor of one group's workers, told what to do by the master's signals."""

    def __init__(self, birth: Birth) -> None:
        super().__init__(birth.board, birth.lifeline)
        self.master = birth.master
        self._birth_of_us = birth

    def tend(self, now: float) -> None:
        self._birth_of_us.slot.cells[HEARTBEAT] = int(now * 1000)
        super().tend(now)

    def serving(self, first: bool) -> None:
        self._birth_of_us.slot.cells[STATE] = READY

    def failed(self, report: str) -> None:
        self.status = send_report(self._birth_of_us.report, LoadError(report))
