"""The state of all balancers as plain values: what the page, JSON and Prometheus show in their own ways.

Owns the names and units of the numbers. Reads the scoreboard; changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from wsgikit.middleware.balancer import board as cells
from wsgikit.middleware.balancer import registry
from wsgikit.middleware.balancer.app import Balancer
from wsgikit.middleware.balancer.endpoint import Endpoint

PERCENTILES = (0.5, 0.9, 0.99)
# What an ejection was for, to a reader; by the names of `board.REASONS`.
_WHY = {
    "": "failures",
    "connect": "cannot connect",
    "tls": "no TLS connection",
    "send": "takes no request",
    "head": "no proper answer",
    "body": "answers are cut short",
    "timeout": "too slow",
    "gateway error": "answers 502, 503 or 504",
}


def snapshot() -> dict[str, Any]:
    """All balancers of this process, with the numbers of all workers. Times are seconds."""
    now = time.monotonic()
    return {
        "time": round(time.time(), 3),
        "slice": cells.SLICE,
        "upstreams": [_upstream(balancer, now) for balancer in registry.balancers()],
    }


def _upstream(balancer: Balancer, now: float) -> dict[str, Any]:
    # The page is often the first to look, before any request has started the thread that counts.
    balancer.start()
    upstream = balancer.upstream
    upstream.refresh()
    row = upstream.board.upstream()
    fit = upstream.roster.fit()
    endpoints = [_endpoint(balancer, endpoint, now) for endpoint in balancer.endpoints]
    found: dict[str, Any] = {
        "name": balancer.name,
        "balance": balancer.balance,
        "state": _overall(endpoints, bool(fit)),
        "endpoints": endpoints,
    }
    if upstream.breaker is not None:
        left = max(0.0, row[cells.OPEN_UNTIL] / 1000 - now)
        found["breaker"] = {"open": left > 0, "tries_again_in": round(left, 1), "openings": row[cells.OPENINGS]}
        if left > 0:
            found["state"] = "down"  # whatever the endpoints are: nobody gets through
    return found


def _overall(endpoints: list[dict[str, Any]], any_fit: bool) -> str:
    up = [each for each in endpoints if each["state"] in ("up", "warming", "backup")]
    if not endpoints or not any_fit:
        return "down"
    wanted = [each for each in endpoints if each["state"] != "draining"]
    return "up" if len(up) == len(wanted) else "degraded" if up else "down"


def _endpoint(balancer: Balancer, endpoint: Endpoint, now: float) -> dict[str, Any]:
    board = balancer.upstream.board
    row = board.health(endpoint)
    counters, histogram = board.counts(endpoint)
    state, why = _state(balancer, endpoint, row, now)
    spec = endpoint.spec
    return {
        "url": endpoint.url,
        "state": state,
        "why": why,
        "weight": spec.weight,
        "lane": spec.lane,
        "max_connections": spec.max_connections,
        "in_flight": board.in_flight(endpoint),
        **dict(zip(cells.COUNTER_NAMES, counters, strict=True)),
        "ejections": row[cells.EJECTIONS],
        "latency": {f"p{round(part * 100)}": percentile(histogram, part) for part in PERCENTILES},
        "histogram": list(histogram),
        "history": board.history(endpoint),
    }


def _state(balancer: Balancer, endpoint: Endpoint, row: tuple[int, ...], now: float) -> tuple[str, str]:
    """One word, and why."""
    if endpoint.spec.drain:
        return "draining", "no new requests"
    if endpoint.health.checked < 0:
        return "down", f"{-row[cells.STREAK]} checks failed"
    left = row[cells.EJECTED_UNTIL] / 1000 - now
    if left > 0:
        return "ejected", f"{_WHY[cells.REASONS[row[cells.REASON]]]}; {left:.0f} s left"
    if endpoint.spec.backup:
        return "backup", "waits for the others to fail"
    part = endpoint.warmed(now, balancer.upstream.policy.slow_start)
    if part < 1.0:
        return "warming", f"{part:.0%} of its weight"
    return "up", ""


def percentile(histogram: Sequence[int], part: float) -> float | None:
    """The upper bound of the bucket in which that part of the requests has ended, in seconds; None without any."""
    total = sum(histogram)
    if not total:
        return None
    seen = 0
    for count, bound in zip(histogram, cells.bounds(), strict=True):
        seen += count
        if seen >= part * total:
            return round(bound, 6)
    return round(cells.bounds()[-1], 6)
