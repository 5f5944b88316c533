"""A worker: threads that share a poller, the connections they serve, and how it all ends.

    worker = Worker(app, listeners, WorkerSettings(threads=8))
    worker.run()                     # in the main thread, until stop() or abort()

Owns the tables of connections and the life of the threads. The main thread keeps house (see `housekeeping`) and does
not serve. It must not know configuration, other workers' processes, or what a protocol does with its bytes.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING
from wsgiref.types import WSGIApplication

from wsgikit.observe.record import Access
from wsgikit.scoreboard.cells import AVAILABLE, CONNECTIONS
from wsgikit.wire.http11 import Head, Limits
from wsgikit.workers.acceptor import Balance
from wsgikit.workers.housekeeping import Housekeeping
from wsgikit.workers.lead import Lead
from wsgikit.workers.listener import Listener
from wsgikit.workers.member import Member
from wsgikit.workers.pause import Wait
from wsgikit.workers.poller import EpollPoller, make_poller
from wsgikit.workers.services import make_acceptors
from wsgikit.workers.settings import WorkerSettings

if TYPE_CHECKING:
    from wsgikit.scoreboard import Scoreboard, Slot
    from wsgikit.workers.connection import Connection

log = logging.getLogger("wsgikit.error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a worker has around it. All of it is optional: an embedded server has none."""

    limits: Limits = field(default_factory=Limits)
    record: Callable[[Access], None] | None = None
    """Access log."""
    board: Scoreboard | None = None
    slot: Slot | None = None
    siblings: int = 1
    """Workers that share the listeners."""
    body_mode: Callable[[Head], str] | None = None
    """Chooses "spool" or "stream" for a request by its head; None: `WorkerSettings.body` for all."""
    retire: Callable[[str], None] | None = None
    """Told, with the reason, that this worker wants to be replaced; None: it stops by itself."""


class Worker:
    """See the module's text. `app` is a WSGI application."""

    def __init__(
        self,
        app: WSGIApplication,
        listeners: Sequence[Listener],
        settings: WorkerSettings,
        surroundings: Surroundings | None = None,
    ) -> None:
        self.app = app
        self.settings = settings
        self.around = around = surroundings or Surroundings()
        self.poller = make_poller(settings.poller)
        self.pausable = isinstance(self.poller, EpollPoller)  # whether apps may wait without a thread
        self.parked: dict[int, Connection | Wait] = {}  # the sender half is what is stored and read; see `Sender.park`
        self.open: set[Connection] = set()
        self.ready: deque[tuple[int, int]] = deque()  # polled and not yet served
        self.queued: deque[int] = deque()  # to be served after what the poller tells of next; see `queue`
        self.lead = Lead(settings.lead_slow, settings.lead_long, watched=settings.threads > 1)
        self.members: list[Member] = []
        self.polled = 0.0
        self.requests = 0
        self.request_limit: float = float("inf")
        self.patience = settings.keep_alive  # seconds for which an idle connection is kept
        self.refused = 0
        self.stopping = False
        self.finished = False
        self._cells = None if around.slot is None else around.slot.cells
        self.balance: Balance | None = None
        if around.board is not None and around.slot is not None:
            self.balance = Balance(around.board, around.slot)
        self.acceptors = {acceptor.fd: acceptor for acceptor in make_acceptors(self, listeners)}
        self.housekeeping = Housekeeping(self)

    # Life

    def run(self) -> None:
        """Serve until stopped. Blocks; call it from the main thread when signals are to reach it."""
        self.start()
        try:
            self.housekeeping.run()
        finally:
            self.finish()

    def start(self, *, beside: int = 0) -> None:
        """Start the threads, `beside` of them being there already."""
        self.housekeeping.renew_date()
        for acceptor in self.acceptors.values():
            acceptor.watch()
        threads = self.settings.threads
        for number in range(beside, threads):
            threading.Thread(target=self._serve, name=f"wsgikit-{number + 1}", daemon=True).start()
        if threads > 1:
            threading.Thread(target=self.lead.watch, name="wsgikit-watchdog", daemon=True).start()

    def stop(self, grace: float) -> None:
        """Finish what is under way, within `grace` seconds. May be called from a signal handler, and twice."""
        self.housekeeping.stop(monotonic() + grace)

    def abort(self) -> None:
        """Stop now: requests under way are cut off."""
        self.stop(0.0)

    def finish(self) -> None:
        """Let the threads end and close what is left."""
        self.finished = True
        self.lead.end()
        self.poller.wake()
        for connection in list(self.open):
            connection.abort()
        deadline = monotonic() + 0.5  # threads in the app are left to the end of the process
        for member in list(self.members):
            member.thread.join(max(0.0, deadline - monotonic()))
        if not any(member.thread.is_alive() for member in self.members):
            for connection in list(self.open):
                connection.destroy()
            self.poller.close()
            self.housekeeping.close()

    # Threads

    def _serve(self) -> None:
        member = Member()
        self.members.append(member)
        lead = self.lead
        while not self.finished:
            lead.take(member)
            try:
                while member.leads and not self.finished:
                    self.step(member)
            except BaseException:  # also a KeyboardInterrupt that an app raised: this thread must not die with the lead
                log.critical("an error in wsgikit itself; the connection is closed", exc_info=True)
            if member.leads:
                lead.give(member)

    def step(self, member: Member, longest: float = -1.0) -> None:
        """Serve one descriptor that is ready, or poll, for `longest` seconds at most. The calling thread leads."""
        if self.ready:
            self._serve_one(member)
            return
        cells, queued = self._cells, self.queued
        patience = self._patience(longest)
        if queued or self.ready:  # a listener that was closed just now gave us what it still held
            patience = 0.0
        if cells is None:
            self.ready.extend(self.poller.wait(patience))
        else:
            cells[AVAILABLE] = 1
            self.ready.extend(self.poller.wait(patience))
            cells[AVAILABLE] = 0
        self.polled = monotonic()
        for _ in range(len(queued)):
            self.ready.append((queued.popleft(), 0))

    def _patience(self, patience: float) -> float:
        """How long the poller may wait: as long as it likes, or until a paused listener is due."""
        for acceptor in self.acceptors.values():
            left = acceptor.pause_left()
            if left >= 0 and (patience < 0 or left < patience):
                patience = left
        if self.housekeeping.closing_listeners:
            self.housekeeping.closing_listeners = False
            for acceptor in self.acceptors.values():
                acceptor.close()
            self.acceptors = {}
        return patience

    def _serve_one(self, member: Member) -> None:
        try:
            fd = self.ready.popleft()[0]
        except IndexError:
            return
        connection = self.parked.pop(fd, None)
        if connection is not None:
            try:
                connection.serve(member)
            except BaseException:
                connection.destroy()
                raise
        else:
            acceptor = self.acceptors.get(fd)
            if acceptor is not None:
                acceptor.on_ready()

    # Connections

    def queue(self, connection: Connection | Wait, member: Member) -> None:
        """Have a thread look at a connection though the poller may not tell of it. The caller, `member`, gives it up.

        It waits for one more look at the poller: one that keeps coming here must not keep others from being heard.
        """
        self.parked[connection.fd] = connection
        self.queued.append(connection.fd)
        if not member.leads:
            self.poller.wake()  # who leads may be waiting there

    def watch(self, connection: Connection, mask: int) -> None:
        """Have the poller tell of a connection, which the caller gives up."""
        fd = connection.fd
        self.parked[fd] = connection
        try:
            if connection.watched:
                self.poller.arm(fd, mask)
            else:
                connection.watched = True
                self.poller.add(fd, mask)
        except OSError:
            if connection.fd >= 0:  # else a thread with an event from before has found it in the table, and closed it
                raise

    def look_at(self, connection: Connection) -> None:
        """Have a thread look at a new connection, before the poller is asked: what it waits for may be here already.

        The caller leads, and gives it up.
        """
        self.parked[connection.fd] = connection
        self.ready.append((connection.fd, 0))

    def admit(self, connection: Connection) -> None:
        """A connection was accepted, says the thread that leads."""
        self.open.add(connection)
        stale = self.parked.pop(connection.fd, None)
        if isinstance(stale, Wait):  # an app has closed what it waits for: its wait would be forgotten, with its time
            stale.displace()
        if self._cells is not None:
            self._cells[CONNECTIONS] = len(self.open)

    def forget(self, connection: Connection, fd: int) -> None:
        """A connection is about to be closed."""
        if self.parked.get(fd) is connection:
            del self.parked[fd]
        self.open.discard(connection)
        if connection.watched and not connection.released:  # else the number may be another connection's by now
            try:
                self.poller.remove(fd)
            except OSError:  # not registered (any more)
                pass
        if self._cells is not None:
            self._cells[CONNECTIONS] = len(self.open)
        if self.stopping and not self.open:
            self.housekeeping.wake()

    def count(self) -> None:
        """A request was answered."""
        self.requests += 1
        if self.requests >= self.request_limit:
            self.housekeeping.retire(f"{self.requests} requests served")
