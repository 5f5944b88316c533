"""A line of an access log read back: JSON, combined (anybody's), or a custom format.

Owns the grammar of lines. Must not know files nor what is counted. Every line comes from outside: what does not fit
raises BadLine with the reason, and no line takes more than linear time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import TypeVar

from wsgikit.errors import WsgikitError
from wsgikit.observe.clock import MONTHS
from wsgikit.observe.escape import unescape
from wsgikit.observe.logformat import OWN, getter_of, places

T = TypeVar("T", str, int)

PARTS = ("wait", "body", "app", "send")

_INSIDE = r'(?:[^"\\]|\\.)*'
_COMBINED = re.compile(
    r'(?P<h>\S+) (?P<l>\S+) (?P<u>.*?) \[(?P<t>[0-9]{1,2}/[^\]"]{1,30})\] '  # a user may hold blanks and brackets
    rf'"(?P<r>{_INSIDE})" (?P<s>[0-9]{{3}}|-) (?P<b>[0-9]+|-)(?: "(?P<f>{_INSIDE})" "(?P<a>{_INSIDE})")?(?: .*)?'
)
_COMMON_TIME = re.compile(
    r"\[?([0-9]{1,2})/([A-Z][a-z]{2})/([0-9]{4}):([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})\]?"
)
_END = 221_845_392_000.0  # 9000-01-01: leaves room for any zone below the last year that datetime knows
_NUMBER = re.compile(r"[0-9]{1,18}")
_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_OWN = {"t": r"\[[^\]]*\]", "time": r"[0-9TZ:.+-]+"}
_UNITS = {"T": 1_000_000.0, "L": 1_000_000.0, "M": 1000.0, "D": 1.0, "total": 1.0}


class BadLine(WsgikitError):
    """A line that is not in the form it should be in."""


class Entry:
    """One request of a log. Times are microseconds; None is "the log does not say"."""

    __slots__ = ("bytes", "method", "mount", "parts", "request_id", "route", "status", "target", "time", "total")

    def __init__(self, time: float | None, method: str, target: str, status: int, sent: int) -> None:
        self.time = time
        """Seconds since the epoch."""
        self.method = method
        self.target = target
        self.status = status
        """0 when no status was sent."""
        self.bytes = sent
        self.total: int | None = None
        self.parts: tuple[int, int, int, int] | None = None
        """wait, body, app, send"""
        self.route = ""
        self.mount = ""
        self.request_id = ""


Reader = Callable[[str], Entry]


def reader(form: str = "auto") -> Reader:
    """What reads a line. "auto": JSON where a line begins with a brace, else combined. Raises ConfigError for a format
    that is none."""
    if form == "json":
        return read_json
    if form == "combined":
        return read_combined
    if form == "auto":
        return lambda line: read_json(line) if line.startswith("{") else read_combined(line)
    return CustomReader(form)


def read_json(line: str) -> Entry:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine("not JSON") from error
    if not isinstance(found, dict):
        raise BadLine("not a JSON object")
    values = {name: value for name, value in found.items() if value is not None}
    method, target, time = (_typed(values, name, str) for name in ("method", "target", "time"))
    entry = Entry(_iso_time(time), method, target, _typed(values, "status", int, 0), _typed(values, "bytes", int, 0))
    for name in ("route", "mount", "request_id"):
        setattr(entry, name, _typed(values, name, str, ""))
    if all(name in values for name in PARTS):
        wait, body, app, send = (_typed(values, name, int) for name in PARTS)
        entry.parts = (wait, body, app, send)
    entry.total = _typed(values, "total", int, sum(entry.parts or ())) if "total" in values or entry.parts else None
    return entry


def _typed(values: dict[str, object], name: str, kind: type[T], default: T | None = None) -> T:
    value = values.get(name, default)
    if type(value) is not kind or (type(value) is int and not 0 <= value < 10**18):  # True is an int, too
        raise BadLine(f'no usable "{name}"' if name in values else f'no "{name}"')
    return value


def read_combined(line: str) -> Entry:
    found = _COMBINED.fullmatch(line)
    if found is None:
        raise BadLine("not in the combined format")
    return _entry(found.groupdict())


class CustomReader:
    """Reads the lines that `access_logformat` writes."""

    def __init__(self, form: str) -> None:
        pattern, self.names = "", []
        found, tail = places(form)
        for index, place in enumerate(found):
            getter_of(place.name)
            self.names.append(place.name)
            pattern += f"{re.escape(place.before)}(?P<v{index}>{_value(place.name, place.quoted, place.beside)})"
        self.pattern = re.compile(pattern + re.escape(tail))

    def __call__(self, line: str) -> Entry:
        found = self.pattern.fullmatch(line)
        if found is None:
            raise BadLine("not in the given format")
        return _entry(dict(zip(self.names, found.groups(), strict=True)))


def _value(name: str, quoted: bool, beside: str) -> str:
    """A pattern that cannot match in two ways, so that no line takes more than linear time."""
    if name in OWN:
        return _OWN.get(name, r"[0-9.]+|-|<[0-9]+>")
    if quoted:
        return _INSIDE
    if name == "r":
        return r"\S+ \S+ \S+|-"
    return f"[^{re.escape(beside)}]*" if beside else r".*"


def _entry(values: dict[str, str | None]) -> Entry:
    """From the values of a text format, as they stand in the line."""
    get = {name: unescape(value) for name, value in values.items() if value not in (None, "-")}.get
    method, target = _request(get)
    status = get("s", "0")
    entry = Entry(_time(get), method, target, _integer(status), _integer(get("b") or get("B") or get("bytes") or "0"))
    entry.route, entry.mount, entry.request_id = get("route", ""), get("mount", ""), get("request_id", "")
    parts = [value for name in PARTS if (value := get(name))]
    if len(parts) == len(PARTS):
        wait, body, app, send = map(_integer, parts)
        entry.parts = (wait, body, app, send)
        entry.total = sum(entry.parts)
    for name, unit in _UNITS.items():  # the finest comes last and wins
        if value := get(name):
            entry.total = round(_seconds(value) * unit)
    return entry


def _request(get: Callable[[str], str | None]) -> tuple[str, str]:
    if line := get("r"):
        method, _, rest = line.partition(" ")
        return method, rest.rpartition(" ")[0] or rest or "-"
    whole, path, query = get("target"), get("U"), get("q")
    return get("m") or "-", whole or (path or "-") + (f"?{query}" if query else "")


def _integer(value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise BadLine(f"{value[:20]!r} is not a number")
    return int(value)


def _seconds(value: str) -> float:
    if not _SECONDS.fullmatch(value):
        raise BadLine(f"{value[:20]!r} is not a number")
    return float(value)


def _time(get: Callable[[str], str | None]) -> float | None:
    if value := get("time"):
        return _iso_time(value)
    value = get("t")
    return None if value is None else _common_time(value)


def _iso_time(value: str) -> float:
    try:
        when = datetime.fromisoformat(value)
    except ValueError as error:
        raise BadLine(f"{value[:40]!r} is not a time") from error
    return _timestamp(when if when.tzinfo else when.replace(tzinfo=UTC))


def _common_time(value: str) -> float:
    found = _COMMON_TIME.fullmatch(value)
    if found is None or found[2] not in MONTHS:
        raise BadLine(f"{value[:40]!r} is not a time")
    offset = timedelta(hours=int(found[8]), minutes=int(found[9])) * (-1 if found[7] == "-" else 1)
    day, year, hour, minute, second = (int(found[group]) for group in (1, 3, 4, 5, 6))
    try:
        zone = timezone(offset)
        when = datetime(year, MONTHS.index(found[2]) + 1, day, hour, minute, min(second, 59), tzinfo=zone)
    except ValueError as error:
        raise BadLine(f"{value[:40]!r} is not a time") from error
    return _timestamp(when)


def _timestamp(when: datetime) -> float:
    seconds = when.timestamp()
    if not 0 <= seconds < _END:
        raise BadLine("a time outside of 1970 to 8999")
    return seconds
