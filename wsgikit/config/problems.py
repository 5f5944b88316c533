"""All mistakes of a configuration, told at once.

Owns the wording of a mistake: place, key, value, what is allowed, nearest name. It must not know options.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.loader import nearest

# what a person reads in one go; the rest is fixed in the next round
_MOST = 25
_LONGEST = 120


class Problems:
    """Collects mistakes; `stop()` raises one ConfigError that lists them."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, place: str, text: str) -> None:
        """Note a mistake at a place: "wsgikit.toml:3", "environment", "command line"."""
        self.found.append(f"{place}: {text}" if place else text)

    def wrong(self, place: str, key: str, value: Any, reason: str) -> None:
        """Note a value that is not allowed. `reason` completes "key = value: "."""
        self.add(place, f"{key} = {shown(value)}: {reason}")

    def unknown(self, place: str, key: str, known: Iterable[str], what: str = "key") -> None:
        """Note a name that nobody knows, with the nearest one, or with all where they are few."""
        names = sorted(known)
        hint = nearest(key, names)
        if not hint and names and len(names) <= 16:
            hint = f"; allowed are {', '.join(names)}"
        self.add(place, f"unknown {what} {key!r}{hint}")

    def stop(self) -> None:
        """Raise ConfigError with everything noted so far; return when there is nothing."""
        if not self.found:
            return
        lines = sorted(dict.fromkeys(self.found), key=_by_line)
        more = len(lines) - _MOST
        raise ConfigError("\n".join(lines[:_MOST] + ([f"... and {more} more"] if more > 0 else [])))


def _by_line(text: str) -> tuple[str, int]:
    """File by file, each from top to bottom; what has no line comes first, in the order it was noted."""
    match = re.match(r"(.*?):([0-9]+): ", text)
    return (match[1], int(match[2])) if match else ("", 0)


def shown(value: Any) -> str:
    """A value as it goes into a message: as Python writes it, and never longer than a line."""
    text = repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
