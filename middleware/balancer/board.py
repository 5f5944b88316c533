"""What all workers share of an upstream: health, ejections, limits, counts. One row an endpoint in scoreboard tables.

    wsgikit-health   ejected until, how often, why; verdict of the checks; since when in service
    wsgikit-load     requests under way, a cell for each process (process id and count)
    wsgikit-counts   requests, errors, and a histogram of the time to the first byte
    wsgikit-history  requests in slices of 5 s, for the sparkline

and one row an upstream: who runs the checks, until when the breaker is open, which ejections count against the cap.

Owns the cells. Times in them are milliseconds of the monotonic clock, which all processes of a machine share. Rows are
kept through reloads, as they are found by the upstream's name and the endpoint's URL. Up to ENDPOINTS endpoints over
all upstreams; 64 processes; 56 ejections at once in one upstream.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from math import log2
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from wsgikit.middleware.balancer.endpoint import Endpoint

if TYPE_CHECKING:
    Row = memoryview[Any]

ENDPOINTS = 1000

# wsgikit-health
EJECTED_UNTIL, EJECTIONS, REASON, CHECKED, STREAK, SINCE, EJECTED_AT, CHECKED_AT = range(8)
# the upstream's row
CHECKER, LEASE_UNTIL, OPEN_UNTIL, OPENINGS = range(4)
_CLAIMS = 8

# wsgikit-counts
REQUESTS, FAILURES, TIMEOUTS, CONNECT_FAILURES, RETRIES, SERVER_ERRORS, CLIENT_LEFT, REFUSED, EJECTED = range(9)
COUNTER_NAMES = (
    "requests", "failures", "timeouts", "connect_failures", "retries", "server_errors", "client_left", "refused",
    "times_ejected",
)  # fmt: skip
_BUCKETS_AT = 16
BUCKETS = 40
_FIRST_BUCKET = 0.00025  # seconds; each bucket is the square root of two wider than the one before: up to 3 minutes

SLICES = 60
SLICE = 5.0

# Why an endpoint was ejected
REASONS = ("", "connect", "tls", "send", "head", "body", "timeout", "gateway error")

_PID_BITS = 24
_COUNT = (1 << _PID_BITS) - 1


def bucket(seconds: float) -> int:
    """The cell that counts a latency."""
    if seconds <= _FIRST_BUCKET:
        return _BUCKETS_AT
    return _BUCKETS_AT + min(BUCKETS - 1, int(2 * log2(seconds / _FIRST_BUCKET)) + 1)


def bounds() -> list[float]:
    """Upper bounds of the buckets in seconds; the last one has none but is given as if."""
    return [_FIRST_BUCKET * 2 ** (number / 2) for number in range(BUCKETS)]


def milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


class Board:
    """The shared rows of one upstream. `checks`: somebody checks it; else verdicts of earlier checks mean nothing."""

    def __init__(self, upstream: str, clock: Callable[[], float] = monotonic, *, checks: bool = True) -> None:
        from wsgikit import scoreboard

        board = scoreboard.current()
        self._clock = clock
        self._checks = checks
        self._key = f"{upstream}\0".encode()
        self._health = board.table("wsgikit-health", rows=2 * ENDPOINTS, cells=64)
        self._load = board.table("wsgikit-load", rows=ENDPOINTS, cells=64)
        self._counts = board.table("wsgikit-counts", rows=ENDPOINTS, cells=64)
        self._history = board.table("wsgikit-history", rows=ENDPOINTS, cells=SLICES)

    # Health

    def refresh(self, endpoint: Endpoint) -> bool:
        """Take over what the row says. True: something is new."""
        row = self._health.read(endpoint.key)
        health = endpoint.health
        if row is None:
            return False
        checked = row[CHECKED] if self._checks else 0
        seen = (row[EJECTED_UNTIL] / 1000, row[EJECTIONS], row[REASON], checked, row[SINCE] / 1000)
        if seen == (health.ejected_until, health.ejections, health.reason, health.checked, health.since):
            return False
        health.ejected_until, health.ejections, health.reason, health.checked, health.since = seen
        return True

    def eject(self, endpoint: Endpoint, reason: str, base: float, longest: float, most: int) -> float:
        """Take an endpoint out for base x times, if no more than `most` are out. Seconds; 0: it stays in.

        An endpoint that has behaved for as long as its last ejection took counts one ejection less for each such time.
        """
        now = self._clock()
        row = self._health.read(endpoint.key)
        times = self._times(row, now, base) + 1
        length = min(base * times, longest)
        until = milliseconds(now + length)
        if (row is not None and row[EJECTED_UNTIL] > milliseconds(now)) or not self._claim(until, most):
            return 0.0

        def change(cells: Row) -> None:
            cells[EJECTED_UNTIL], cells[EJECTED_AT] = until, milliseconds(now)
            cells[EJECTIONS], cells[REASON] = times, REASONS.index(reason)

        self._health.update(endpoint.key, change)
        self.refresh(endpoint)
        return length

    def _times(self, row: tuple[Any, ...] | None, now: float, base: float) -> int:
        if row is None or not row[EJECTIONS]:
            return 0
        quiet = now - row[EJECTED_UNTIL] / 1000
        return max(0, int(row[EJECTIONS]) - int(max(0.0, quiet) / base))

    def _claim(self, until: int, most: int) -> bool:
        """One of the `most` places that ejected endpoints may have. Exact, whichever workers eject at once."""
        now = milliseconds(self._clock())

        def change(cells: Row) -> bool:
            places = [place for place in range(_CLAIMS, len(cells)) if cells[place] <= now]
            if len(cells) - _CLAIMS - len(places) >= most or not places:
                return False
            cells[places[0]] = until
            return True

        return self._health.update(self._key, change)

    def checked(self, endpoint: Endpoint, passed: bool, rise: int, fall: int) -> int:
        """Note a check. 1 or -1 when it changed the verdict (up, down), else 0."""
        now = milliseconds(self._clock())

        def change(cells: Row) -> int:
            streak = cells[STREAK]
            cells[STREAK] = streak = max(streak, 0) + 1 if passed else min(streak, 0) - 1
            cells[CHECKED_AT] = now
            before = cells[CHECKED]
            if streak >= rise and before != 1:
                cells[CHECKED] = 1
                if before < 0:
                    cells[SINCE] = now
                return 1 if before < 0 else 0
            if -streak >= fall and before != -1:
                cells[CHECKED] = -1
                return -1
            return 0

        changed = self._health.update(endpoint.key, change)
        self.refresh(endpoint)
        return changed

    def lead(self, seconds: float) -> bool:
        """Whether this process runs the checks for the next `seconds`. Another takes over when it is gone."""
        now, pid = milliseconds(self._clock()), os.getpid()

        def change(cells: Row) -> bool:
            if cells[CHECKER] != pid and cells[LEASE_UNTIL] > now:
                return False
            cells[CHECKER], cells[LEASE_UNTIL] = pid, now + milliseconds(seconds)
            return True

        return self._health.update(self._key, change)

    def opened(self, until: float) -> None:
        """The breaker has opened, for all workers."""

        def change(cells: Row) -> None:
            cells[OPEN_UNTIL] = max(cells[OPEN_UNTIL], milliseconds(until))
            cells[OPENINGS] += 1

        self._health.update(self._key, change)

    def open_until(self) -> float:
        """Until when another worker has opened the breaker; monotonic seconds."""
        row = self._health.read(self._key)
        return row[OPEN_UNTIL] / 1000 if row else 0.0

    # Load

    def take(self, endpoint: Endpoint) -> bool:
        """Count one more request, if the endpoint may have it. Exact over all workers."""
        limit = endpoint.spec.max_connections

        def change(cells: Row) -> bool:
            values = cells.tolist()
            if sum(value & _COUNT for value in values) >= limit and not _bury(cells, values, limit):
                return False
            place = _own(cells)
            if place >= 0:
                cells[place] += 1
            return True

        return self._load.update(endpoint.key, change)

    def leave(self, endpoint: Endpoint) -> None:
        """The request is over."""
        pid = os.getpid()

        def change(cells: Row) -> None:
            for place, value in enumerate(cells.tolist()):
                if value >> _PID_BITS == pid and value & _COUNT:
                    cells[place] -= 1
                    return

        self._load.update(endpoint.key, change)

    def publish(self, endpoint: Endpoint, in_flight: int, counted: dict[int, int]) -> None:
        """Write what this process has under way and what it has counted since the last time."""
        if not endpoint.spec.max_connections:
            total = _of_all(endpoint, in_flight)
            self._load.update(endpoint.key, lambda cells: _store(cells, total))
        if counted:
            self._counts.update(endpoint.key, lambda cells: _add(cells, counted))
        if counted.get(REQUESTS):
            number = int(self._clock() // SLICE)
            self._history.update(endpoint.key, lambda cells: _slice(cells, number, counted[REQUESTS]))

    # For the status page

    def health(self, endpoint: Endpoint) -> tuple[int, ...]:
        return self._health.read(endpoint.key) or (0,) * 64

    def upstream(self) -> tuple[int, ...]:
        return self._health.read(self._key) or (0,) * 64

    def in_flight(self, endpoint: Endpoint) -> int:
        """Requests under way over all workers, as of their last second."""
        return sum(value & _COUNT for value in self._load.read(endpoint.key) or () if _is_alive(value >> _PID_BITS))

    def counts(self, endpoint: Endpoint) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Counters by name, and the histogram's buckets."""
        row = self._counts.read(endpoint.key) or (0,) * 64
        return row[: len(COUNTER_NAMES)], row[_BUCKETS_AT : _BUCKETS_AT + BUCKETS]

    def history(self, endpoint: Endpoint) -> list[int]:
        """Requests in each of the last slices, oldest first."""
        row = self._history.read(endpoint.key) or (0,) * SLICES
        current = int(self._clock() // SLICE)
        numbers = range(current - SLICES + 1, current + 1)
        return [row[n % SLICES] & 0xFFFFFFFF if row[n % SLICES] >> 32 == n else 0 for n in numbers]


# Requests under way at endpoints of this process. Two objects may stand for one row: Forward to the same URL in two
# places, or an endpoint that has left the list and come back before its last request was over.
_under_way: WeakKeyDictionary[Endpoint, int] = WeakKeyDictionary()
_summing = threading.Lock()


def _of_all(endpoint: Endpoint, in_flight: int) -> int:
    with _summing:
        if in_flight:
            _under_way[endpoint] = in_flight
        else:
            _under_way.pop(endpoint, None)
        return sum(count for other, count in _under_way.items() if other.key == endpoint.key)


def _forget_all() -> None:
    global _summing
    _summing = threading.Lock()
    _under_way.clear()


os.register_at_fork(after_in_child=_forget_all)


def _add(cells: Row, counted: dict[int, int]) -> None:
    for cell, amount in counted.items():
        cells[cell] += amount


def _slice(cells: Row, number: int, amount: int) -> None:
    """A slice's cell is its number and its count, so that one of five minutes ago is not taken for now."""
    place = number % SLICES
    count = cells[place] & 0xFFFFFFFF if cells[place] >> 32 == number else 0
    cells[place] = number << 32 | min(count + amount, 0xFFFFFFFF)


def _store(cells: Row, count: int) -> None:
    place = _own(cells)
    if place >= 0:
        cells[place] = os.getpid() << _PID_BITS | min(count, _COUNT) if count else 0


def _own(cells: Row) -> int:
    """This process's cell; a free one, a dead process's, else -1: more than 64 processes are not counted."""
    pid = os.getpid()
    free = -1
    values = cells.tolist()
    for place, value in enumerate(values):
        if value >> _PID_BITS == pid:
            return place
        if free < 0 and not value & _COUNT:
            free = place
    if free < 0:
        free = next((place for place, value in enumerate(values) if not _is_alive(value >> _PID_BITS)), -1)
    if free >= 0:
        cells[free] = pid << _PID_BITS
    return free


def _bury(cells: Row, values: list[int], limit: int) -> bool:
    """Drop what dead processes have counted; whether there is room then."""
    for place, value in enumerate(values):
        if value & _COUNT and not _is_alive(value >> _PID_BITS):
            cells[place] = values[place] = 0
    return sum(value & _COUNT for value in values) < limit


def _is_alive(pid: int) -> bool:
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
