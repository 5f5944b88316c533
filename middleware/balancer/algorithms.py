"""Who gets the next request: the algorithms by name, and the registry that takes one of yours.

    class Cheapest:
        def pick(self, endpoints, environ):          # one of `endpoints`, which is never empty
            return min(endpoints, key=lambda endpoint: price[endpoint.url])

    register("cheapest", Cheapest)                   # or: balance = "shop.balancing:Cheapest"

`pick` is called under the balancer's lock: it must be quick and must not wait. It may use `in_flight`, `weight`
(slow start taken into account), `latency` and `credit` of an Endpoint, and keep state of its own. An optional
`observe(endpoint, seconds)` is told the time to the first byte of each response.

What they know is what this process knows: how many of its own requests are under way, how long they took. With several
workers each balances its own share; that evens out, and p2c suffers least from it.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import exp
from time import monotonic
from typing import Any, Protocol

from wsgikit.errors import ConfigError
from wsgikit.loader import nearest
from wsgikit.middleware.amounts import text_of
from wsgikit.middleware.balancer.endpoint import Endpoint

Endpoints = Sequence[Endpoint]


class Algorithm(Protocol):
    """Chooses among endpoints that are all fit to take a request."""

    def pick(self, endpoints: Endpoints, environ: dict[str, Any], /) -> Endpoint: ...


class RoundRobin:
    """Smooth weighted round robin, as in nginx: over each round everybody gets exactly its weight, never in bursts."""

    def __init__(self) -> None:
        # Workers that start together must not all begin with the same endpoint.
        self._skip = random.randrange(64)

    def pick(self, endpoints: Endpoints, environ: dict[str, Any], /) -> Endpoint:
        for _ in range(self._skip):
            self._next(endpoints)
        self._skip = 0
        return self._next(endpoints)

    def _next(self, endpoints: Endpoints) -> Endpoint:
        total = 0.0
        best = endpoints[0]
        for endpoint in endpoints:
            total += endpoint.weight
            endpoint.credit += endpoint.weight
            if endpoint.credit > best.credit:
                best = endpoint
        best.credit -= total
        return best


class LeastRequest:
    """The endpoint with the fewest requests under way for its weight; among equals a random one, by weight."""

    def pick(self, endpoints: Endpoints, environ: dict[str, Any], /) -> Endpoint:
        best = min(endpoint.in_flight / endpoint.weight for endpoint in endpoints)
        equals = [endpoint for endpoint in endpoints if endpoint.in_flight / endpoint.weight == best]
        return equals[0] if len(equals) == 1 else by_weight(equals)


class PowerOfTwo:
    """Of two that chance chooses, the one with fewer requests under way for its weight (Mitzenmacher 1996).

    Nearly as even as looking at all, at the cost of two, and without the herd that many workers make when they all see
    the same one idle.
    """

    def pick(self, endpoints: Endpoints, environ: dict[str, Any], /) -> Endpoint:
        one, other = two_of(endpoints)
        return other if other.in_flight / other.weight < one.in_flight / one.weight else one


class PeakEwma:
    """Of two that chance chooses, the one that is expected to answer sooner.

    Expected: the moving average of its latency, times the requests it would have. A slow answer raises the average at
    once, quick ones lower it over `decay` seconds (as Twitter's Finagle does); an endpoint that is not asked is
    forgiven at the same rate, so that it is tried again.
    """

    def __init__(self, decay: float = 10.0, clock: Callable[[], float] = monotonic) -> None:
        self._decay = decay
        self._clock = clock

    def pick(self, endpoints: Endpoints, environ: dict[str, Any], /) -> Endpoint:
        one, other = two_of(endpoints)
        now = self._clock()
        return other if self._cost(other, now) < self._cost(one, now) else one

    def _cost(self, endpoint: Endpoint, now: float) -> float:
        if not endpoint.latency_at:
            # Nothing is known of it: it gets a request, but not a second one before the first is answered.
            return 1e9 * endpoint.in_flight
        average = endpoint.latency * exp((endpoint.latency_at - now) / self._decay)
        return average * (endpoint.in_flight + 1) / endpoint.weight

    def observe(self, endpoint: Endpoint, seconds: float) -> None:
        now = self._clock()
        if seconds >= endpoint.latency or not endpoint.latency_at:
            endpoint.latency = seconds
        else:
            keep = exp((endpoint.latency_at - now) / self._decay)
            endpoint.latency = endpoint.latency * keep + seconds * (1 - keep)
        endpoint.latency_at = now


class Random:
    """Any, by weight. For comparison, and for endpoints that balance among themselves."""

    def pick(self, endpoints: Endpoints, environ: dict[str, Any], /) -> Endpoint:
        return by_weight(endpoints)


def by_weight(endpoints: Endpoints) -> Endpoint:
    """One by chance, in proportion to its weight."""
    first = endpoints[0].weight
    for endpoint in endpoints:
        if endpoint.weight != first:
            sums = list(accumulate(endpoint.weight for endpoint in endpoints))
            return endpoints[min(bisect(sums, random.random() * sums[-1]), len(endpoints) - 1)]
    return endpoints[int(random.random() * len(endpoints))]


def two_of(endpoints: Endpoints) -> tuple[Endpoint, Endpoint]:
    """Two by chance, in proportion to their weights; different ones where there are two."""
    one = by_weight(endpoints)
    if len(endpoints) == 1:
        return one, one
    if len(endpoints) == 2:
        return one, endpoints[0] if one is endpoints[1] else endpoints[1]
    return one, by_weight([endpoint for endpoint in endpoints if endpoint is not one])


_registry: dict[str, Callable[..., Algorithm]] = {
    "round-robin": RoundRobin,
    "least-request": LeastRequest,
    "p2c": PowerOfTwo,
    "peak-ewma": PeakEwma,
    "random": Random,
}


def register(name: str, factory: Callable[..., Algorithm]) -> None:
    """Make an algorithm known by a name. `factory` is called for each balancer; its options come as keywords."""
    _registry[name] = factory


def names() -> tuple[str, ...]:
    """The names that `balance` may be, in order."""
    return (*sorted(_registry), "hash")


def make(name: str, key: str = "") -> Algorithm:
    """The algorithm of that name, or of `package.module:factory`. ConfigError names the nearest one.

    key: what "hash" goes by, see `wsgikit.middleware.balancer.hashing`.
    """
    if text_of(name, "balance") == "hash":
        from wsgikit.middleware.balancer.hashing import ConsistentHash

        return ConsistentHash(key)
    if key:
        raise ConfigError(f"hash = {key!r}: only balance = 'hash' goes by a key")
    factory: Any = _registry.get(name)
    if factory is None and ":" in name:
        factory = _load(name)
    if factory is None:
        hint = nearest(name, names()) or f"; known are {', '.join(names())}"
        raise ConfigError(f"balance = {name!r} is not known{hint} (yours: 'package.module:factory')")
    made: Algorithm = factory()
    if not callable(getattr(made, "pick", None)):
        raise ConfigError(f"balance = {name!r}: {made!r} has no pick(endpoints, environ)")
    return made


def _load(name: str) -> Any:
    from wsgikit.errors import LoadError
    from wsgikit.loader import load

    try:
        return load(name)
    except LoadError as error:
        raise ConfigError(f"balance = {name!r}: {error}") from None
