"""What one may set about an upstream's policy: health, ejection, retries, waiting. Owns defaults and checks.

Where a number has a model, it is named; times are seconds or texts such as "500ms".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wsgikit.errors import ConfigError, all_of
from wsgikit.middleware.amounts import choice, seconds, text_of, texts, values_of, whole
from wsgikit.wire.http11.grammar import VALUE_TEXT

RETRY_ON = ("connect", "reset", "timeout")
_STATUS = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """Active checks: a request of our own to every endpoint, by one of the workers for all."""

    path: str = ""
    """What is asked for; relative to the endpoint's base. Empty: a connection is enough."""
    interval: float = 10.0
    jitter: float = 0.1
    """Part of the interval by which each one is longer or shorter, so that checks do not come in step."""
    timeout: float = 2.0
    rise: int = 2
    fall: int = 3
    status: tuple[tuple[int, int], ...] = ((200, 399),)
    contains: str = ""
    """Text that must be in the first 64 KiB of the body."""
    host: str = ""
    """Host to send. Empty: the endpoint's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EjectSettings:
    """Passive health: endpoints that fail real requests are left alone for a while. As Envoy's outlier detection."""

    failures: int = 5
    """Consecutive failures (no answer, broken answer, 502, 503, 504) in one worker. 0: never eject."""
    base: float = 10.0
    """Length of the first ejection; each further one is longer by this. As nginx's fail_timeout."""
    longest: float = 300.0
    most: float = 0.5
    """Part of the endpoints that may be out at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """When a request goes to another endpoint. Only requests whose body is whole, and never once an answer began."""

    attempts: int = 3
    """Endpoints a request is given to at most, the first included. As HAProxy's retries; the budget bounds them all."""
    on: frozenset[str] = frozenset(("connect", "reset"))
    """"connect": nothing was sent, any method. "reset", "timeout" (of the first byte): idempotent methods alone, and
    within the budget."""
    ratio: float = 0.2
    floor: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All of an upstream's policy besides endpoints, algorithm and fields."""

    health: HealthSettings | None = None
    eject: EjectSettings = EjectSettings()
    retry: RetrySettings = RetrySettings()
    panic: float = 0.5
    """With a smaller part of the endpoints up than this, all are used, up or not: better a chance than none, and the
    few that are left would be run over. As Envoy's panic threshold. 0: never."""
    slow_start: float = 0.0
    queue: int = 100
    """Requests of one worker that may wait while all endpoints have their max_connections."""
    queue_timeout: float = 1.0
    retry_after: float = 1.0


def health_settings(table: Mapping[str, Any]) -> HealthSettings:
    """From a table. ConfigError names the keys."""
    made = values_of(
        table,
        "health",
        path=lambda: _path(table.get("path", "")),
        interval=lambda: seconds(table.get("interval", 10), "health.interval", least=0.05),
        jitter=lambda: _part(table.get("jitter", 0.1), "health.jitter"),
        timeout=lambda: seconds(table.get("timeout", 2), "health.timeout", least=0.01),
        rise=lambda: whole(table.get("rise", 2), "health.rise", 1),
        fall=lambda: whole(table.get("fall", 3), "health.fall", 1),
        status=lambda: _statuses(table.get("status", "200-399")),
        contains=lambda: text_of(table.get("contains", ""), "health.contains"),
        host=lambda: _host(table.get("host", "")),
    )
    return HealthSettings(**made)


def eject_settings(table: Mapping[str, Any]) -> EjectSettings:
    """From a table. ConfigError names the keys."""
    made = values_of(
        table,
        "eject",
        failures=lambda: whole(table.get("failures", 5), "eject.failures", 0),
        base=lambda: seconds(table.get("base", 10), "eject.base", least=0.01),
        longest=lambda: seconds(table.get("longest", 300), "eject.longest", least=0.01),
        most=lambda: _part(table.get("most", 0.5), "eject.most"),
    )
    return EjectSettings(**made)


def retry_settings(table: Mapping[str, Any]) -> RetrySettings:
    """From a table. ConfigError names the keys."""
    made = values_of(
        table,
        "retry",
        attempts=lambda: whole(table.get("attempts", 3), "retry.attempts", 1, 10),
        on=lambda: _kinds(table.get("on", ("connect", "reset"))),
        ratio=lambda: _part(table.get("ratio", 0.2), "retry.ratio"),
        floor=lambda: seconds(table.get("floor", 3), "retry.floor"),
    )
    return RetrySettings(**made)


def _kinds(value: Any) -> frozenset[str]:
    return frozenset(choice(kind, "retry.on", RETRY_ON) for kind in texts(value, "retry.on"))


def _path(path: object) -> str:
    if not isinstance(path, str) or (path and not re.fullmatch(r"/[!-~]*", path)):
        raise ConfigError(f"health.path = {path!r}: a path that begins with '/'")
    return path


def _part(value: object, option: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError(f"{option} = {value!r}: a number from 0 to 1")
    return float(value)


def _host(value: object) -> str:
    host = text_of(value, "health.host")
    if not VALUE_TEXT.fullmatch(host) or " " in host:
        raise ConfigError(f"health.host = {host!r}: a host, such as 'shop.example:8000'")
    return host


def _statuses(value: object) -> tuple[tuple[int, int], ...]:
    found = []
    for part in value if isinstance(value, list | tuple) else str(value).split(","):
        match = _STATUS.fullmatch(str(part).strip(" "))
        if match is None or int(match[1]) > int(match[2] or match[1]):
            raise ConfigError(f"health.status = {value!r}: such as 200, '200-399' or ['200', '204']")
        found.append((int(match[1]), int(match[2] or match[1])))
    return tuple(found)


def policy(
    *,
    health: Mapping[str, Any] | None,
    eject: Mapping[str, Any],
    retry: Mapping[str, Any],
    panic: float,
    slow_start: Any,
    queue: int,
    queue_timeout: Any,
    retry_after: Any,
) -> Policy:
    """From options as people write them. ConfigError names the options."""
    made = all_of(
        health=lambda: None if health is None else health_settings(health),
        eject=lambda: eject_settings(eject),
        retry=lambda: retry_settings(retry),
        panic=lambda: _part(panic, "panic"),
        slow_start=lambda: seconds(slow_start, "slow_start"),
        queue=lambda: whole(queue, "queue", 0),
        queue_timeout=lambda: seconds(queue_timeout, "queue_timeout"),
        retry_after=lambda: seconds(retry_after, "retry_after"),
    )
    return Policy(**made)
