"""Endpoints: what an operator says of one (`EndpointSpec`), and what this process knows of it (`Endpoint`).

    "http://10.0.0.1:8000"
    "http://10.0.0.2:8000 weight=3 max_connections=50"
    "http://10.0.0.3:8000 backup"                # only while no other is up
    "http://10.0.0.4:8000 drain"                 # no new requests, but those that stick to it
    "http+unix:/run/shop.sock lane=canary"       # for one part of the traffic
    {"url": "http://10.0.0.1:8000", "weight": 3}

Owns the texts and the local state of an endpoint. Must not know who chooses among them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wsgikit.client import Client, ClientSettings, Origin
from wsgikit.errors import ConfigError
from wsgikit.loader import nearest
from wsgikit.middleware.amounts import whole

_KEYS = ("weight", "max_connections", "lane", "backup", "drain")
_FLAGS = ("backup", "drain")
_NUMBER = re.compile(r"[0-9]{1,9}")
MAX_WEIGHT = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSpec:
    """One endpoint as it is configured or discovered."""

    origin: Origin
    weight: int = 1
    backup: bool = False
    drain: bool = False
    max_connections: int = 0
    """Requests at once, over all workers. 0: no limit."""
    lane: str = ""

    @property
    def url(self) -> str:
        return self.origin.url

    @classmethod
    def parse(cls, given: str | Mapping[str, Any]) -> EndpointSpec:
        """From a text or a table. ConfigError says what is wrong."""
        if not isinstance(given, str | Mapping):
            raise ConfigError(f"endpoint {given!r}: write 'http://10.0.0.1:8000' or {{ url = '...' }}")
        values = _from_text(given) if isinstance(given, str) else dict(given)
        url = values.pop("url", None)
        if not isinstance(url, str) or not url:
            raise ConfigError(f"endpoint {given!r} has no URL: write 'http://10.0.0.1:8000' or {{ url = '...' }}")
        place = f"endpoint {url}: "
        for key in values:
            if key not in _KEYS:
                raise ConfigError(f"{place}unknown option {key!r}{nearest(key, _KEYS)}")
        for key in _FLAGS:
            if not isinstance(values.get(key, False), bool):
                raise ConfigError(f"{place}{key} = {values[key]!r}: true or false")
        if not isinstance(values.get("lane", ""), str):
            raise ConfigError(f"{place}lane = {values['lane']!r}: a name")
        return cls(
            origin=Origin.parse(url),
            weight=whole(values.get("weight", 1), f"{place}weight", 1, MAX_WEIGHT),
            max_connections=whole(values.get("max_connections", 0), f"{place}max_connections", 0, (1 << 24) - 1),
            backup=values.get("backup", False),
            drain=values.get("drain", False),
            lane=values.get("lane", ""),
        )


def _from_text(text: str) -> dict[str, Any]:
    url, *words = text.split() or [""]
    values: dict[str, Any] = {"url": url}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            values[key] = True
        else:
            values[key] = int(value) if _NUMBER.fullmatch(value) else value
    return values


@dataclass(slots=True)
class Health:
    """What is known of an endpoint's health; times are monotonic seconds. Shared by all workers, see `board`."""

    ejected_until: float = 0.0
    ejections: int = 0
    reason: int = 0
    checked: int = 0
    """0 no verdict yet, 1 up, -1 down."""
    since: float = 0.0
    """When it came (back) into service; 0 from the start."""


class Endpoint:
    """One endpoint in one process: its client, its load, its health as last seen.

    `in_flight` and `tally` (counts not yet written to the scoreboard, by cell) are changed under the balancer's lock.
    `failures` are consecutive ones in this process; `latency` is the moving average of seconds to the first byte (peak
    EWMA); `credit` belongs to weighted round robin; `weight` is what it weighs now, slow start taken into account.
    """

    __slots__ = (
        "__weakref__", "added", "client", "credit", "failures", "health", "in_flight", "key", "latency", "latency_at",
        "origin", "spec", "tally", "url", "weight",
    )  # fmt: skip

    def __init__(self, spec: EndpointSpec, upstream: str, settings: ClientSettings, added: float = 0.0) -> None:
        self.spec = spec
        self.origin = spec.origin
        self.url = spec.origin.url
        self.key = f"{upstream}\0{spec.url}".encode()
        self.client = Client(spec.origin, settings)
        self.in_flight = 0
        self.failures = 0
        self.credit = 0.0
        self.latency = 0.0
        self.latency_at = 0.0
        self.weight = float(spec.weight)
        self.added = added
        self.health = Health()
        self.tally: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<Endpoint {self.url}, {self.in_flight} in flight>"

    def up(self, now: float) -> bool:
        """Whether neither checks nor failures keep it out."""
        return self.health.checked >= 0 and now >= self.health.ejected_until

    def warmed(self, now: float, slow_start: float) -> float:
        """The part of its weight that it has now: it grows from a tenth to the whole while it warms up."""
        since = max(self.health.since, self.health.ejected_until, self.added)
        if not slow_start or not since or now - since >= slow_start:
            return 1.0
        return max(0.1, (now - since) / slow_start)

    def count(self, cell: int) -> None:
        """One more of what `board` has in that cell. The caller holds the lock."""
        self.tally[cell] = self.tally.get(cell, 0) + 1
