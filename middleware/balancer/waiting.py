"""Waiting for an endpoint while all have as many requests as they may.

Bounded in number and time; those that wait are served in their order, in one worker. An endpoint that another worker
lets go of cannot wake us, so that the first one also looks again every `LOOK` seconds.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

LOOK = 0.02


class Place:
    """One request's place in the queue. `fd` is a descriptor that is readable when it is its turn to try."""

    __slots__ = ("_lock", "_waiting", "deadline", "fd", "turn")

    def __init__(self, waiting: Waiting, deadline: float, fd: int) -> None:
        self._waiting = waiting
        self.deadline = deadline
        self.fd = fd
        self.turn = threading.Event()
        self._lock = threading.Lock()  # who calls must not write to what has been closed, and is another file by now

    def call(self) -> None:
        """It is its turn."""
        self.turn.set()
        with self._lock:
            if self.fd >= 0:
                os.eventfd_write(self.fd, 1)

    def called(self) -> bool:
        """Whether `call` was called since it was asked last."""
        called = self.turn.is_set()
        self.turn.clear()
        if self.fd >= 0:
            try:
                os.eventfd_read(self.fd)  # whatever `turn` says: `call` may be between the two
                called = True
            except BlockingIOError:
                pass
        return called

    def look_by(self) -> float:
        """Monotonic seconds at which to try by itself: often for the first one, who is told when it becomes that."""
        return monotonic() + LOOK if self._waiting.first() is self else self.deadline

    def attempt(self, attempt: Callable[[], T | None]) -> T | None:
        """What `attempt` gives, for the first in the queue."""
        return attempt() if self._waiting.first() is self else None

    def leave(self) -> None:
        """Give the place up. May be called twice."""
        self._waiting.remove(self)
        with self._lock:
            fd, self.fd = self.fd, -1
            if fd >= 0:
                os.close(fd)


class Waiting:
    """The queue of one upstream in one worker."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._queue: deque[Place] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def enter(self, *, descriptor: bool = False) -> Place | None:
        """A place at the end, with a descriptor if that is wanted (Linux); None: too many wait. `leave` it."""
        if len(self._queue) >= self._most:
            return None
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) if descriptor else -1
        place = Place(self, monotonic() + self._seconds, fd)
        self._queue.append(place)
        return place

    def until(self, attempt: Callable[[], T | None], gone: Callable[[], bool]) -> T | None:
        """What `attempt` gives once it gives something; None: too many wait, time is over, or the client has gone."""
        place = self.enter()
        if place is None:
            return None
        try:
            return self.wait(place, attempt, gone)
        finally:
            place.leave()

    def wait(self, place: Place, attempt: Callable[[], T | None], gone: Callable[[], bool]) -> T | None:
        """As `until`, in a place that is there already."""
        while (left := place.deadline - monotonic()) > 0 and not gone():
            place.turn.wait(min(left, LOOK))
            place.called()
            found = place.attempt(attempt)
            if found is not None:
                return found
        return None

    def first(self) -> Place | None:
        try:
            return self._queue[0]
        except IndexError:
            return None

    def remove(self, place: Place) -> None:
        try:
            self._queue.remove(place)
        except ValueError:
            return
        self.wake()

    def wake(self) -> None:
        """A request is over: the first in the queue may try."""
        place = self.first()
        if place is not None:
            place.call()
