"""Turns: not more transformations at once than there are cores, as far as nobody waits long for it.

Owns that order for all layers of a process. Transforming is nothing but work for a core and its caches, in which a tree
of some megabytes has just about room: 16 threads that all transform on two cores need a third more CPU time each than
two that do while the others wait. Must not know engines.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Turns", "turns"]

# Seconds. Most transformations take some milliseconds; one that takes longer must not stop those.
_LENGTH = 0.05


class Turns:
    """`count` at once, in the order of coming. A turn that has lasted `length` seconds goes on as one too many: who
    waits takes its place."""

    def __init__(self, count: int, length: float = _LENGTH) -> None:
        self._count = count
        self._length = length
        self.begin_anew()

    def begin_anew(self) -> None:
        """All places are free: after a fork, when the threads that had them are not there any more."""
        self._free = self._count
        self._lock = threading.Lock()
        # beginning of each turn that has its place, the oldest first
        self._began: dict[object, float] = {}
        self._waiting: deque[threading.Lock] = deque()
        self._own = threading.local()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A turn for this thread."""
        mine = self.begin()
        try:
            yield
        finally:
            self.end(mine)

    def begin(self) -> object:
        """The same by hand, for where a microsecond counts: returns what `end` has to be called with."""
        if getattr(self._own, "has", False):
            return None  # this thread has one: document() can ask an app that transforms, too
        self._wait()
        mine = object()
        with self._lock:
            self._began[mine] = time.monotonic()
        self._own.has = True
        return mine

    def end(self, mine: object) -> None:
        if mine is not None:
            self._own.has = False
            with self._lock:
                if self._began.pop(mine, None) is not None:
                    self._next()

    def _wait(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            called = threading.Lock()
            called.acquire()
            self._waiting.append(called)
        try:
            while not called.acquire(timeout=self._length):
                with self._lock:
                    self._displace()
        except BaseException:  # KeyboardInterrupt
            with self._lock:
                if called in self._waiting:
                    self._waiting.remove(called)
                else:
                    self._next()
            raise

    def _displace(self) -> None:
        """Take the place of the oldest turn if that has had its time. With the lock."""
        oldest = next(iter(self._began), None)
        if oldest is not None and time.monotonic() - self._began[oldest] >= self._length:
            del self._began[oldest]
            self._next()

    def _next(self) -> None:
        """Give a place away. With the lock."""
        if self._waiting:
            self._waiting.popleft().release()
        else:
            self._free += 1


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


turns = Turns(_cores())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=turns.begin_anew)
