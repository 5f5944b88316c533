"""How many retries there may be. Without a bound, an upstream that fails gets twice the load that made it fail.

A token bucket: every request pays a part of a token in, every retry takes a whole one; `floor` tokens a second come for
nothing, so that a quiet service can retry as well. Over any time, retries are at most ratio x requests + floor x
seconds + the bucket (10 s of the floor). As the retry budgets of Finagle and Linkerd (20 %). For each worker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

_SECONDS = 10.0


class RetryBudget:
    """Counts requests and retries."""

    def __init__(self, ratio: float = 0.2, floor: float = 3.0, clock: Callable[[], float] = monotonic) -> None:
        self._ratio = ratio
        self._floor = floor
        self._most = max(floor * _SECONDS, 1.0) if ratio or floor else 0.0
        self._clock = clock
        self._tokens = self._most
        self._at = clock()
        self._lock = threading.Lock()

    def request(self) -> None:
        """A request has come."""
        # Not under the lock: a lost fraction of a token is no harm, and this is on every request's way.
        self._tokens = min(self._most, self._tokens + self._ratio)

    def take(self) -> bool:
        """Whether one more retry is allowed; it is counted then."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._most, self._tokens + (now - self._at) * self._floor)
            self._at = now
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True
