"""Conflicts: pairs of routes that match one path and that only the order of registration tells apart.

Owns: the report. Each conflict comes with a path as its witness, found by trying sample texts: none is reported in
vain, and one between two exotic regexes may go unnoticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from wsgikit.middleware.router.hosts import parse_pattern
from wsgikit.middleware.router.leaf import Leaf
from wsgikit.middleware.router.pattern import STATIC, Segment, Variable
from wsgikit.middleware.router.route import Route
from wsgikit.middleware.router.table import HasTable, Table

_SAMPLES = (
    *("a", "x", "en", "item", "a-b", "a_b", "A1", "Name", "\u00e9"),
    *("0", "7", "42", "007", "2024", "-7", "12345678", "1.5", "-1.5", "1.2.3"),
    *("2024-01-31", "deadbeef", "00000000-0000-4000-8000-000000000000", "a.txt", "a@b.example"),
)
# Enough for every pairing of samples in two variables of one segment.
_MOST_TEXTS = 1000


@dataclass(frozen=True, slots=True)
class Conflict:
    """`first` wins over `second` on `witness` by registration alone; `unreachable`: on every path of `second`."""

    first: Route
    second: Route
    witness: str
    unreachable: bool

    def __str__(self) -> str:
        outcome = "can never be reached behind" if self.unreachable else "loses to the earlier"
        return f"{self.second.rule!r} {outcome} {self.first.rule!r}, as on {self.witness!r}"


def find_conflicts(table: Table) -> list[Conflict]:
    """All conflicts of a table, and of the routers nested in it, in order of registration."""
    buckets: dict[Any, list[Leaf]] = {}
    for leaf in table.leaves:
        texts = [segment.text for segment in leaf.pattern.segments if segment.kind == STATIC]
        buckets.setdefault((parse_pattern(leaf.route.host), leaf.order[0], *texts), []).append(leaf)
    found = [
        (second.order[1], conflict)
        for leaves in buckets.values()
        for first, second in combinations(leaves, 2)
        if (conflict := _conflict(first, second)) is not None
    ]
    inner = [conflict for nested in table.nested for conflict in find_conflicts(nested.table)]
    return [conflict for _, conflict in sorted(found, key=lambda pair: pair[0])] + inner


def _conflict(first: Leaf, second: Leaf) -> Conflict | None:
    if isinstance(first.route.app, HasTable):
        return None  # what the nested router does not take goes on to the second
    if first.methods is not None and second.methods is not None and not first.methods & second.methods:
        return None
    texts = []
    for ours, theirs in zip(first.pattern.segments, second.pattern.segments, strict=False):
        text = next(_common_texts(ours, theirs), None)
        if text is None:
            return None
        texts.append(text)
    if len(first.pattern.segments) != len(second.pattern.segments):
        texts.append("a")  # a prefix beside a catch-all: anything below
    covers = first.methods is None or (second.methods is not None and second.methods <= first.methods)
    return Conflict(first.route, second.route, "/" + "/".join(texts), covers and _alike(first, second))


def _common_texts(ours: Segment, theirs: Segment) -> Iterator[str]:
    """Texts that both segments match."""
    if ours.kind == STATIC:
        yield ours.text
        return
    mine, other = (re.compile(segment.regex(groups=True)) for segment in (ours, theirs))
    for segment, rest in ((ours, theirs), (theirs, ours)):
        for text in _texts(segment, rest):
            if mine.fullmatch(text) and other.fullmatch(text):
                yield text


def _texts(segment: Segment, other: Segment) -> Iterator[str]:
    """Texts that may match the segment, made with an eye on the texts and items of the other."""
    fillers = list(_SAMPLES)
    for piece in other.pieces:
        if isinstance(piece, str):
            fillers += [edge for sample in _SAMPLES[:6] for edge in (sample + piece, piece + sample)]
    choices = [[piece] if isinstance(piece, str) else [*_items(piece), *fillers] for piece in segment.pieces]
    for number, pieces in enumerate(product(*choices)):
        if number == _MOST_TEXTS:
            return
        yield "".join(pieces)


def _items(variable: Variable) -> list[str]:
    return sorted(getattr(variable.converter, "items", ()), key=str)


def _alike(first: Leaf, second: Leaf) -> bool:
    """Whether every path of the second is one of the first: same pieces, and converters that refuse alike."""
    return [_shape(segment) for segment in first.pattern.segments] == [
        _shape(segment) for segment in second.pattern.segments
    ] and first.prefix == second.prefix


def _shape(segment: Segment) -> list[Any]:
    return [piece if isinstance(piece, str) else _converter_shape(piece.converter) for piece in segment.pieces]


def _converter_shape(converter: Any) -> Any:
    return type(converter), {key: value for key, value in vars(converter).items() if key != "map"}
