"""A clock that moves only when it is told to."""

from __future__ import annotations

import threading


class FakeClock:
    """Stands for `time.monotonic`, `time.time` and `time.sleep`; safe in threads.

    Calling the clock itself gives the monotonic time, so it can be passed where `time.monotonic` would be.

        clock = FakeClock()
        clock(), clock.time()
        clock.advance(2.5)
    """

    def __init__(self, start: float = 1000.0, *, epoch: float = 1_700_000_000.0) -> None:
        self._now = start
        self._epoch = epoch - start
        self._moved = threading.Condition()

    def __call__(self) -> float:
        return self.monotonic()

    def __repr__(self) -> str:
        return f"<FakeClock {self._now:.3f}>"

    def monotonic(self) -> float:
        """Seconds, never backwards."""
        with self._moved:
            return self._now

    def time(self) -> float:
        """Seconds since 1970; moves along with monotonic()."""
        with self._moved:
            return self._now + self._epoch

    def advance(self, seconds: float) -> None:
        """Moves on by `seconds` and wakes those in wait_until()."""
        if seconds < 0:
            raise ValueError("a monotonic clock does not go back")
        with self._moved:
            self._now += seconds
            self._moved.notify_all()

    def sleep(self, seconds: float) -> None:
        """Takes no time: it moves the clock on."""
        self.advance(max(seconds, 0.0))

    def set_time(self, epoch: float) -> None:
        """Sets the wall clock, in either direction, as an administrator would; monotonic() does not notice."""
        with self._moved:
            self._epoch = epoch - self._now

    def wait_until(self, moment: float, timeout: float = 5.0) -> bool:
        """Blocks this thread until the clock reaches `moment`; False after `timeout` real seconds."""
        with self._moved:
            return self._moved.wait_for(lambda: self._now >= moment, timeout)
