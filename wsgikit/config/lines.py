"""On which line of a TOML file a key stands.

tomllib keeps no positions, so this reads the file again, statement by statement, with tomllib's own grammar: a
statement is the shortest run of lines from here that tomllib accepts. It is used for error messages only, so it may
cost what it costs; it gives up, without an error, on a file that is not TOML.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

Way = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)(.+?)\]\]?\s*(?:#.*)?\Z")
# growing a statement line by line is quadratic in its length
_LONGEST_STATEMENT = 400


def lines_of(text: str) -> dict[Way, int]:
    """Map each key's way (`("mount", 0, "path")`) to its line, from 1. Tables map to the line of their header."""
    found: dict[Way, int] = {}
    counts: dict[Way, int] = {}
    here: Way = ()
    rows = text.split("\n")
    at = 0
    while at < len(rows):
        header = _HEADER.match(rows[at])
        statement, length = _statement(rows, at)
        if header and statement is not None:
            here = _enter(statement, header[1] == "[[", counts)
            for depth in range(1, len(here) + 1):
                found.setdefault(here[:depth], at + 1)
        elif statement is not None:
            _note(statement, here, at + 1, found)
        at += length
    return found


def _statement(rows: list[str], at: int) -> tuple[dict[str, Any] | None, int]:
    """The statement that starts on a row, and how many rows it takes."""
    for length in range(1, min(_LONGEST_STATEMENT, len(rows) - at) + 1):
        try:
            return tomllib.loads("\n".join(rows[at : at + length])), length
        except tomllib.TOMLDecodeError:
            continue
    return None, 1


def _enter(statement: dict[str, Any], repeated: bool, counts: dict[Way, int]) -> Way:
    """The way of a header; a repeated table (`[[mount]]`) gets its number, also where it is only a part of the way."""
    names: list[str] = []
    inner: Any = statement
    while isinstance(inner, dict) and inner:
        name = next(iter(inner))
        names.append(name)
        inner = inner[name]
        if isinstance(inner, list):
            break
    way: Way = ()
    for number, name in enumerate(names):
        way = (*way, name)
        if repeated and number == len(names) - 1:
            counts[way] = counts.get(way, -1) + 1
        if way in counts:
            way = (*way, counts[way])
    return way


def _note(statement: dict[str, Any], here: Way, line: int, found: dict[Way, int]) -> None:
    """A statement `a.b = {c = 1}` stands for the ways a, a.b and a.b.c, all on the line where it starts."""
    pending: list[tuple[Way, Any]] = [(here, statement)]
    while pending:
        way, value = pending.pop()
        if way not in found:
            found[way] = line
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        pending.extend(((*way, key), inner) for key, inner in items)
