"""Consistent hashing: the same key to the same endpoint, and few keys move when endpoints come and go.

    hash = "path" | "address" | "header:X-User" | "cookie:session"

A ring of points (Karger 1997; 160 a unit of weight, as libketama has), and a key goes to the first point at or after
its own. An endpoint that is down is passed over, so only its keys move, spread over all the others. The order depends
on the endpoints' URLs alone: every worker and every machine sends a key to the same place. A request without the key
goes where chance sends it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import text_of
from wsgikit.middleware.balancer.algorithms import Endpoints, by_weight
from wsgikit.middleware.balancer.endpoint import Endpoint
from wsgikit.middleware.request_fields import environ_key

_POINTS = 160
# More are scaled down, in proportion: a ring is made while requests wait, and 50,000 points take 0.1 s.
_MOST = 50_000
_RINGS = 8  # rings kept: one for each set of endpoints that was asked for lately

Key = Callable[[dict[str, Any]], str]


def point(text: str) -> int:
    """Where a text lies on the ring. Not hash(): that differs from process to process."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")


def key_of(option: str) -> Key:
    """The function that finds a request's key. ConfigError: unknown kind."""
    kind, _, name = text_of(option, "hash").partition(":")
    if kind == "path" and not name:
        return lambda environ: str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", ""))
    if kind == "address" and not name:
        return lambda environ: str(environ.get("REMOTE_ADDR", ""))
    if kind == "header" and name:
        variable = environ_key(name)
        return lambda environ: str(environ.get(variable, ""))
    if kind == "cookie" and name:
        return lambda environ: cookie(environ, name)
    raise ConfigError(f"hash = {option!r}: allowed are 'path', 'address', 'header:NAME', 'cookie:NAME'")


def cookie(environ: dict[str, Any], name: str) -> str:
    """The value of a cookie of the request, "" without it."""
    found = environ.get("HTTP_COOKIE", "")
    if name not in found:
        return ""
    for part in found.split(";"):
        key, _, value = part.partition("=")
        if key.strip(" \t") == name:
            return str(value.strip(" \t"))
    return ""


class ConsistentHash:
    """The endpoint that a key belongs to. See the module."""

    def __init__(self, key: str) -> None:
        self._key = key_of(key or "path")
        self._rings: dict[tuple[int, ...], tuple[list[int], list[Endpoint]]] = {}

    def pick(self, endpoints: Endpoints, environ: dict[str, Any], /) -> Endpoint:
        key = self._key(environ)
        if not key:
            return by_weight(endpoints)
        points, owners = self._ring(endpoints)
        return owners[bisect_left(points, point(key)) % len(owners)]

    def _ring(self, endpoints: Endpoints) -> tuple[list[int], list[Endpoint]]:
        # Endpoints that are down are not among those we get. A ring without them is the ring with them, passed over.
        identity = tuple(map(id, endpoints))
        ring = self._rings.get(identity)
        if ring is None:
            if len(self._rings) >= _RINGS:
                self._rings.clear()
            ring = self._rings[identity] = _make(endpoints)
        return ring


def _make(endpoints: Endpoints) -> tuple[list[int], list[Endpoint]]:
    scale = min(1.0, _MOST / (_POINTS * sum(endpoint.spec.weight for endpoint in endpoints)))
    placed = []
    for endpoint in endpoints:
        for number in range(max(1, round(_POINTS * endpoint.spec.weight * scale))):
            placed.append((point(f"{endpoint.url} {number}"), endpoint))
    placed.sort(key=lambda pair: pair[0])
    return [place for place, _ in placed], [endpoint for _, endpoint in placed]
