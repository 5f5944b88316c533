"""A circuit breaker for a whole upstream: when most of it fails, clients get their 503 at once, and it gets a rest.

    breaker = { ratio = 0.5, requests = 20, window = "10s", open = "5s" }

Closed, it counts; open, it refuses; after `open` it lets single requests through (half open), the first of which that
succeeds closes it and the first that fails opens it again. Each worker counts its own requests; an opening is told to
all through the scoreboard.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import seconds, values_of, whole


class Breaker:
    """Opens when at least `requests` came in `window` and `ratio` of them failed. ConfigError names a wrong key."""

    def __init__(self, options: Mapping[str, Any], clock: Callable[[], float] = monotonic) -> None:
        made = values_of(
            options,
            "breaker",
            ratio=lambda: _ratio(options.get("ratio", 0.5)),
            requests=lambda: whole(options.get("requests", 20), "breaker.requests", 1),
            window=lambda: seconds(options.get("window", 10), "breaker.window", least=0.1),
            open=lambda: seconds(options.get("open", 5), "breaker.open", least=0.1),
        )
        self._ratio: float = made["ratio"]
        self._least: int = made["requests"]
        self._window: float = made["window"]
        self.open_for: float = made["open"]
        self._clock = clock
        self._lock = threading.Lock()
        self._began = clock()
        self._now = [0, 0]  # requests and failures of this half of the window
        self._before = [0, 0]  # and of the one before
        self.open_until = 0.0
        self._half_open = False
        self._probing_until = 0.0

    def allows(self) -> bool:
        """Whether a request may go on."""
        if not self._half_open:
            return True
        now = self._clock()
        if now < self.open_until:
            return False
        with self._lock:
            # One at a time; one that never comes back counts as failed after a while.
            if now < self._probing_until:
                return False
            self._probing_until = now + self.open_for
            return True

    def trip(self, until: float) -> None:
        """Open until then (monotonic seconds): another worker has seen enough."""
        if until > self.open_until:
            self.open_until = until
            self._half_open = True

    def note(self, failed: bool) -> bool:
        """A request has ended. True: it opened the breaker."""
        with self._lock:
            now = self._clock()
            if self._half_open:
                if now < self.open_until:
                    return False  # it began before the opening
                self._probing_until = 0.0
                if failed:
                    self.open_until = now + self.open_for
                    return True
                self._half_open = False
                self._began, self._now, self._before = now, [0, 0], [0, 0]
                return False
            self._turn(now)
            self._now[0] += 1
            self._now[1] += failed
            if not failed or not self._too_many():
                return False
            self.open_until = now + self.open_for
            self._half_open = True
            return True

    def _turn(self, now: float) -> None:
        half = self._window / 2
        if now - self._began >= half:
            recent = now - self._began < 2 * half
            self._before, self._now = (self._now if recent else [0, 0]), [0, 0]
            self._began = now

    def _too_many(self) -> bool:
        requests, failures = (now + before for now, before in zip(self._now, self._before, strict=True))
        return requests >= self._least and failures >= requests * self._ratio


def _ratio(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ConfigError(f"breaker.ratio = {value!r}: a number above 0, at most 1")
    return float(value)
