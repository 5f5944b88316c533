"""What a log says: requests, errors, percentiles and bytes by route, and the slowest requests.

Owns the counting, in bounded memory. Must not know how lines are read or shown.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from wsgikit.observe.entries import PARTS, Entry
from wsgikit.observe.histogram import ERROR, Histogram

OTHER = "(other)"
LONGEST_NAME = 300  # characters of a path that serves as a route
QUANTILES = (0.50, 0.95, 0.99)

_VARIABLE = re.compile(r"[0-9]+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=[a-f]*[0-9])[0-9a-f]{12,}")


class Row:
    """The figures of one route."""

    __slots__ = ("bytes", "client_errors", "errors", "requests", "times")

    def __init__(self) -> None:
        self.requests = 0
        self.client_errors = 0
        """Answers with 4xx."""
        self.errors = 0
        """Answers with 5xx, and requests that got none."""
        self.bytes = 0
        self.times = Histogram()

    def add(self, entry: Entry) -> None:
        self.requests += 1
        self.bytes += entry.bytes
        if 400 <= entry.status < 500:
            self.client_errors += 1
        elif entry.status >= 500 or entry.status == 0:
            self.errors += 1
        if entry.total is not None:
            self.times.add(entry.total)

    def merge(self, other: Row) -> None:
        self.requests += other.requests
        self.client_errors += other.client_errors
        self.errors += other.errors
        self.bytes += other.bytes
        self.times.merge(other.times)

    def as_dict(self) -> dict[str, Any]:
        p50, p95, p99 = (self.times.quantile(share) for share in QUANTILES)
        timed = self.times.count > 0
        return {
            "requests": self.requests,
            "client_errors": self.client_errors,
            "errors": self.errors,
            "bytes": self.bytes,
            "p50": p50,
            "p95": p95,
            "p99": p99,
            "max": self.times.largest if timed else None,
            "time": self.times.total if timed else None,
        }


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What is counted and how much is kept.

    routes: so many routes at least are kept by name, the busiest; the rest is counted as "(other)". slowest: so many
    slow requests are kept. since, until: seconds since the epoch, inclusive and exclusive. collapse: numbers, UUIDs and
    long hexadecimal words in a path that serves as a route are one route ("/orders/*").
    """

    routes: int = 1000
    slowest: int = 10
    bad: int = 10
    since: float | None = None
    until: float | None = None
    collapse: bool = False


@dataclass
class Summary:
    """Add entries and bad lines; then read the fields or `as_dict()`."""

    bounds: Bounds
    total: Row = field(default_factory=Row)
    routes: dict[str, Row] = field(default_factory=dict)
    folded: int = 0
    """How often a route was folded into "(other)"; while it is 0, every route's figures are complete."""
    bad_lines: int = 0
    bad: list[str] = field(default_factory=list)
    first: float | None = None
    last: float | None = None
    _slow: list[tuple[int, int, Entry]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)

    def add(self, entry: Entry) -> None:
        if not self._wanted(entry.time):
            return
        self.total.add(entry)
        name = self.name(entry)
        row = self.routes.get(name)
        if row is None:
            row = self.routes[name] = Row()
            if len(self.routes) > 2 * self.bounds.routes + 1:
                self._fold(name)
        row.add(entry)
        if entry.total is not None and self.bounds.slowest:
            self._remember(entry, entry.total)

    def add_bad(self, place: str, reason: str) -> None:
        self.bad_lines += 1
        if len(self.bad) < self.bounds.bad:
            self.bad.append(f"{place}: {reason}")

    def _wanted(self, when: float | None) -> bool:
        bounds = self.bounds
        if when is None:
            return bounds.since is None and bounds.until is None
        if (bounds.since is not None and when < bounds.since) or (bounds.until is not None and when >= bounds.until):
            return False
        self.first = when if self.first is None else min(self.first, when)
        self.last = when if self.last is None else max(self.last, when)
        return True

    def name(self, entry: Entry) -> str:
        """The route's template where the log has it, else the path, with the method and the mount."""
        route = entry.route
        if not route:
            route = entry.target.partition("?")[0][:LONGEST_NAME]
            if self.bounds.collapse:
                route = "/".join("*" if _VARIABLE.fullmatch(part) else part for part in route.split("/"))
        return f"{entry.method} {route}" + (f" [{entry.mount}]" if entry.mount else "")

    def _fold(self, keep: str) -> None:
        """Keep the busiest routes and the one that has just come; a route that comes back starts from nothing."""
        other = self.routes.pop(OTHER, None) or Row()
        ordered = sorted(self.routes, key=lambda name: (name != keep, -self.routes[name].requests))
        for name in ordered[self.bounds.routes :]:
            other.merge(self.routes.pop(name))
            self.folded += 1
        self.routes[OTHER] = other

    def _remember(self, entry: Entry, total: int) -> None:
        item = (total, -next(self._order), entry)  # of equal ones the earliest stays
        if len(self._slow) < self.bounds.slowest:
            heapq.heappush(self._slow, item)
        elif item > self._slow[0]:
            heapq.heapreplace(self._slow, item)

    @property
    def slowest(self) -> list[Entry]:
        """Slowest first."""
        return [entry for _, _, entry in sorted(self._slow, reverse=True)]

    def by(self, order: str) -> list[tuple[str, Row]]:
        """Routes, the largest of `order` first: "time" (spent in all its requests), a field of `Row`, or "p95"."""
        keys: dict[str, Callable[[Row], tuple[int, ...]]] = {
            "time": lambda row: (row.times.total, row.requests),
            "requests": lambda row: (row.requests, row.times.total),
            "errors": lambda row: (row.errors, row.client_errors, row.requests),
            "bytes": lambda row: (row.bytes, row.requests),
            "p95": lambda row: (row.times.quantile(0.95) or 0, row.requests),
        }
        return sorted(self.routes.items(), key=lambda item: keys[order](item[1]), reverse=True)

    def as_dict(self, order: str) -> dict[str, Any]:
        return {
            "first": self.first,
            "last": self.last,
            "total": self.total.as_dict(),
            "routes": [{"route": name, **row.as_dict()} for name, row in self.by(order)],
            "routes_complete": not self.folded,
            "slowest": [_slow_dict(entry) for entry in self.slowest],
            "bad_lines": self.bad_lines,
            "bad": self.bad,
            "percentile_error": ERROR,
        }


def _slow_dict(entry: Entry) -> dict[str, Any]:
    values: Iterable[int | None] = entry.parts or (None,) * len(PARTS)
    return {
        "time": entry.time,
        "total": entry.total,
        "method": entry.method,
        "target": entry.target,
        "status": entry.status or None,
        "bytes": entry.bytes,
        **dict(zip(PARTS, values, strict=True)),
        "route": entry.route or None,
        "mount": entry.mount or None,
        "request_id": entry.request_id or None,
    }
