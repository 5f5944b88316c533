"""`wsgikit.pause`: an app waits for a descriptor without holding a thread.

    environ["wsgikit.pause"](fd, 25.0)
    yield b""                           # goes on when fd is readable, when 25 s are over, or when the client has left

Owns the app's wish, and the entry that stands for the wait in the worker's table. Only the thread that leads begins a
wait, so that no other one polls meanwhile; who takes the *connection* out of the table owns the request, whether the
descriptor, the clock or the client was first.
"""

from __future__ import annotations

import os
from collections.abc import Container
from contextvars import copy_context
from time import monotonic
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from wsgikit.workers.connection import Connection
    from wsgikit.workers.member import Member
    from wsgikit.workers.poller import Poller


class Pause:
    """What apps call. One object a connection, whose requests share a context as they would share a thread's."""

    __slots__ = ("client", "context", "fd", "left", "until")

    def __init__(self) -> None:
        self.context = copy_context()
        self.fd = -1
        self.until = 0.0
        self.client = True
        self.left = False  # the client has ended its side: that was told, and ends no further wait of this request

    def __call__(self, fd: int, seconds: float, *, client: bool = True) -> None:
        """Have the server wait after the next block, if that is empty: until `fd` is readable or `seconds` are over.

        `client`: or until the client has ended its side, which is told once (`left`). What waits to be sent goes first.
        The iteration may go on in another thread, and at once where a layer further out asks for more by itself (`open`
        tells): look, and be ready to find nothing. A wish holds until it is fulfilled; `pause(-1, 0)` takes it back,
        and must be called before `fd` is closed or used for something else.
        """
        self.fd = fd
        self.until = monotonic() + seconds
        self.client = client

    @property
    def open(self) -> bool:
        """Whether there is a wish that nobody has begun to fulfil."""
        return self.fd >= 0


class Wait:
    """Stands in the worker's table under the descriptor that an app waits for. Has what the worker asks of entries."""

    __slots__ = ("connection", "deadline", "fd", "owned")

    is_idle = False

    def __init__(self, connection: Connection, fd: int, deadline: float) -> None:
        self.connection = connection
        self.fd = fd
        self.deadline = deadline
        self.owned = False

    def stand_alone(self, others: Container[int]) -> None:
        """Where somebody waits for this descriptor already, be it the client's, use a duplicate: a number stands for
        one wait. OSError."""
        if self.fd in others or self.fd == self.connection.fd:
            self.fd = os.dup(self.fd)
            self.owned = True

    def close(self, poller: Poller) -> None:
        """The wait is over. May be called twice."""
        if self.owned:
            self.owned = False
            try:
                poller.remove(self.fd)  # closing a duplicate does not: the file stays open
            except OSError:
                pass
            os.close(self.fd)

    @property
    def protocol(self) -> Self:
        return self

    def rest(self) -> None:
        """Nothing is kept here that could be let go of."""

    def serve(self, member: Member) -> None:
        """The descriptor is readable: go on, unless the client was first."""
        taken = self.connection.worker.parked.pop(self.connection.fd, None)
        if taken is not None:
            taken.serve(member)

    def expire(self, member: Member) -> None:
        """The deadline has passed. Housekeeping does not serve: a thread of the worker is to go on.

        With the connection: this entry must not come back into the table, whose number may be another's by then.
        """
        worker = self.connection.worker
        taken = worker.parked.pop(self.connection.fd, None)
        if taken is not None:
            worker.queue(taken, member)

    def displace(self) -> None:
        """The number stands for another file by now: the wait ends. For the thread that leads."""
        worker = self.connection.worker
        taken = worker.parked.get(self.connection.fd)
        if taken is not None:
            worker.queued.append(self.connection.fd)

    def destroy(self) -> None:
        """Something went wrong in wsgikit itself."""
        self.connection.destroy()
