"""Parts of the traffic for some of the endpoints: canary releases, A/B tests, a version for testers.

    endpoints = ["http://a:8000", "http://b:8000", "http://c:8000 lane=canary"]

    [upstream.shop.lanes.canary]
    weight = 0.05                     # one request in twenty, ...
    by = "cookie:session"             # ... and always the same clients ("header:NAME", "address"); by chance without
    header = "X-Canary: yes"          # besides, whoever sends this
    cookie = "canary=1"               # or has this cookie

What is for no lane goes to the endpoints without one. A lane of which no endpoint is up gives its requests to the rest.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial
from typing import Any

from wsgikit.errors import ConfigError, all_of
from wsgikit.middleware.amounts import text_of, values_of
from wsgikit.middleware.balancer.hashing import Key, cookie, key_of, point
from wsgikit.middleware.request_fields import environ_key


class Lane:
    """One lane. ConfigError names a key that is wrong."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        place = f"lanes.{name}"
        made = values_of(
            options,
            place,
            weight=lambda: _weight(options.get("weight", 0.0), place),
            by=lambda: key_of(options["by"]) if options.get("by") else None,
            header=lambda: _field(options.get("header", ""), place),
            cookie=lambda: text_of(options.get("cookie", ""), f"{place}.cookie"),
        )
        self.name = name
        self.weight: float = made["weight"]
        self._key: Key | None = made["by"]
        self._variable, self._value = made["header"]
        self._cookie, _, self._wanted = made["cookie"].partition("=")
        if not self.weight and not self._variable and not self._cookie:
            raise ConfigError(f"{place} gets nothing: give it a weight, a header or a cookie")

    def asked_for(self, environ: dict[str, Any]) -> bool:
        """Whether the request names this lane by its header or cookie."""
        if self._variable:
            value = environ.get(self._variable)
            if value is not None and (not self._value or value == self._value):
                return True
        if self._cookie:
            value = cookie(environ, self._cookie)
            return bool(value) and (not self._wanted or value == self._wanted)
        return False

    def place(self, environ: dict[str, Any], chance: float) -> float:
        """From 0 to 1: where the request's client stands among all; `chance` for a request without the key."""
        key = self._key(environ) if self._key is not None else ""
        return point(key) / 2**64 if key else chance


def _weight(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError(f"{place}.weight = {value!r}: a part of the traffic, from 0 to 1")
    return float(value)


def _field(written: object, place: str) -> tuple[str, str]:
    name, colon, value = text_of(written, f"{place}.header").partition(":")
    if not colon and not name:
        return "", ""
    if not colon or not name:
        raise ConfigError(f"{place}.header = {written!r}: write 'Name: value', or 'Name:' for any value")
    return environ_key(name), value.strip(" ")


class Lanes:
    """All lanes of an upstream."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        made = all_of(**{name: partial(Lane, name, options) for name, options in tables.items()})
        self._lanes: list[Lane] = list(made.values())
        if sum(lane.weight for lane in self._lanes) > 1:
            raise ConfigError("lanes: the weights are more than the whole traffic (1)")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(lane.name for lane in self._lanes)

    def named(self, environ: dict[str, Any]) -> str:
        """The lane that a request names by its header or cookie, "" for none."""
        return next((lane.name for lane in self._lanes if lane.asked_for(environ)), "")

    def choose(self, environ: dict[str, Any]) -> str:
        """The lane of a request, "" for none."""
        named = self.named(environ)
        if named:
            return named
        chance, begin = random.random(), 0.0
        for lane in self._lanes:
            if lane.weight and begin <= lane.place(environ, chance) < begin + lane.weight:
                return lane.name
            begin += lane.weight
        return ""
