"""Idle connections of one endpoint: last in, first out, so that few stay warm and the others run out.

Taking and giving back cost the same however many there are, and need no lock: a deque's ends are atomic. Bounded by
`max_idle` and `keep_alive`. A child process forgets its parent's connections. Must not know HTTP.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Callable
from time import monotonic

from wsgikit.client.connection import Connection

_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


class Pool:
    """Connections that nobody uses now."""

    def __init__(
        self, keep_alive: float, max_idle: int, max_requests: int = 0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._keep_alive = keep_alive
        self._max_idle = max_idle
        self._max_requests = max_requests
        self._clock = clock
        self._idle: deque[Connection] = deque()
        self._closed = False
        _pools.add(self)

    def __len__(self) -> int:
        return len(self._idle)

    def checkout(self) -> Connection | None:
        """A connection that is still good; None when there is none."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            # Only the one that is wanted is looked at. Younger ones come first: past an old one all are old.
            if self._clock() - connection.idle_since > self._keep_alive or not connection.usable():
                connection.close()
            else:
                return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose response was read to its end, or close it when there are enough."""
        if connection.watched >= 0:
            connection.watch(-1)
        connection.uses += 1
        if self._closed or (self._max_requests and connection.uses >= self._max_requests):
            connection.close()
            return
        connection.idle_since = self._clock()
        self._idle.append(connection)
        if len(self._idle) > self._max_idle:
            self._drop_oldest()

    def trim(self) -> None:
        """Close what has been idle for too long. For whoever keeps time; costs what it closes."""
        try:
            while self._clock() - self._idle[0].idle_since > self._keep_alive:
                self._drop_oldest()
        except IndexError:
            pass

    def _drop_oldest(self) -> None:
        try:
            self._idle.popleft().close()
        except IndexError:
            pass

    def close(self) -> None:
        """Close all idle connections, and those in use once they are given back."""
        self._closed = True
        self.forget()

    def forget(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._drop_oldest()

    def __del__(self) -> None:
        self.forget()


def _after_fork() -> None:
    # Two processes that write to one connection would mix their requests.
    for pool in list(_pools):
        pool.forget()


os.register_at_fork(after_in_child=_after_fork)
