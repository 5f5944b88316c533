"""The part of a connection that waits for its app: how a pause begins, ends, and is cut off.

Ownership is as in `connection`, whose base this is; `pause` has what stands in the worker's table meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from wsgikit.protocols import Action
from wsgikit.workers.pause import Pause, Wait
from wsgikit.workers.poller import LEFT
from wsgikit.workers.sender import Sender
from wsgikit.workers.stages import OPEN, PAUSED
from wsgikit.workers.stream import Stream

if TYPE_CHECKING:
    from wsgikit.workers.client_gone import ClientGone
    from wsgikit.workers.connection import Connection
    from wsgikit.workers.member import Member
    from wsgikit.workers.worker import Worker


class Pausing(Sender):
    """`pauses`: what the app wishes; `waits`: the wait that is under way."""

    __slots__ = ("client_gone", "pauses", "protocol", "stage", "waits")

    def __init__(self, worker: Worker, stream: Stream) -> None:
        super().__init__(worker, stream)
        self.protocol: Any = None
        self.stage = OPEN
        self.client_gone: ClientGone | None = None
        self.pauses: Pause | None = None
        self.waits: Wait | None = None

    def _wait(self, member: Member) -> None:
        """The app waits for a descriptor, and nothing is left to be sent: give the thread to others.

        Or it has only let others go first, and its client takes bytes.
        """
        wish, worker, connection = self.pauses, self.worker, cast("Connection", self)  # what it is a part of
        if self.gone:
            self._run(member, self._abandon)
            self.destroy()
            return
        if self.contended and wish is not None:
            wish.fd = -1
            self.resume_sending()
            self.proceed(member, self._run(member, self._resume))
            return
        self.stage = PAUSED
        self.deadline = inf  # the wait has its own
        if wish is None or not member.leads:  # who leads is to begin it, so that nobody polls meanwhile
            worker.queue(connection, member)
            return
        self.waits = wait = Wait(connection, wish.fd, wish.until)
        wish.fd = -1
        try:
            wait.stand_alone(worker.parked)
            worker.poller.borrow(wait.fd)
        except (OSError, ValueError):  # no such descriptor, or a file: the app sees for itself
            worker.queue(connection, member)
            return
        worker.parked[self.fd] = connection
        if wish.client and not wish.left:
            worker.poller.arm(self.fd, LEFT)
        worker.parked[wait.fd] = wait  # last: it may end at once, and then has to find the connection
        worker.housekeeping.expect(wish.until)

    def is_brief(self) -> bool:
        """See `Sender`."""
        return self.action == Action.PAUSE and self.pauses is not None and self.pauses.until <= monotonic()

    def _on_pause(self, member: Member) -> None:
        """The calling thread, which owns the connection, begins the wait or ends it."""
        wait = self.waits
        if wait is None:
            self._wait(member)
            return
        self._forget_wait()
        self.stage = OPEN
        self.proceed(member, self._run(member, self._resume))

    def _resume(self, _: float) -> int:
        action: int = self.protocol.resume()
        return action

    def _abandon(self, _: float) -> int:
        self.protocol.abandon()
        return Action.CLOSE

    def _forget_wait(self) -> None:
        wait, self.waits = self.waits, None
        if wait is None:
            return
        if self.worker.parked.get(wait.fd) is wait:  # neither the descriptor nor the clock was first
            self.worker.parked.pop(wait.fd, None)
            if self.pauses is not None:
                self.pauses.left = bool(self.client_gone)
        wait.close(self.worker.poller)

    def proceed(self, member: Member, action: int) -> None:
        """Do what the protocol wants, until the connection is parked or closed."""
        raise NotImplementedError

    def destroy(self) -> None:
        """Close, and let the worker forget this connection. May be called twice."""
        raise NotImplementedError

    def _run(self, member: Member, run: Callable[[float], int]) -> int:
        raise NotImplementedError
