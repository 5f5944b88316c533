"""Waiting for an endpoint while all have as many requests as they may.

Bounded in number and time; those that wait are served in their order, in one worker. An endpoint that another worker
lets go of cannot wake us, so that a waiting request also looks again every `LOOK` seconds.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

LOOK = 0.02


class Waiting:
    """The queue of one upstream in one worker."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._queue: deque[threading.Event] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def until(self, attempt: Callable[[], T | None], gone: Callable[[], bool]) -> T | None:
        """What `attempt` gives once it gives something; None: too many wait, time is over, or the client has gone."""
        if len(self._queue) >= self._most:
            return None
        turn = threading.Event()
        self._queue.append(turn)
        deadline = monotonic() + self._seconds
        try:
            while (left := deadline - monotonic()) > 0 and not gone():
                turn.wait(min(left, LOOK))
                turn.clear()
                if self._queue[0] is turn:
                    found = attempt()
                    if found is not None:
                        return found
            return None
        finally:
            self._queue.remove(turn)
            self.wake()

    def wake(self) -> None:
        """A request is over: the first in the queue may try."""
        if self._queue:
            try:
                self._queue[0].set()
            except IndexError:
                pass  # it has just left
