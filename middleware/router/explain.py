"""Why a URL goes where it goes: a verdict for each route of a table, in words.

Owns: the comparison of one rule with one path, segment by segment, for people. It decides nothing: the table does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from wsgikit.middleware.router.hosts import HostTable, display, parse_pattern
from wsgikit.middleware.router.leaf import Leaf
from wsgikit.middleware.router.pattern import CATCH_ALL, KIND_NAMES, STATIC, Segment
from wsgikit.middleware.router.route import Route
from wsgikit.middleware.router.table import Decision, HasTable, Match, NotAllowed, Redirect, Table
from wsgikit.middleware.router.target import ENCODED_SLASH, SURROGATES


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a route makes of a request. `agreed`: how many segments agree before the first that does not."""

    route: Route
    template: str
    chosen: bool
    matches: bool
    agreed: int
    reason: str


@dataclass(frozen=True, slots=True)
class _Asked:
    method: str
    path: str
    host: tuple[str, str]

    @property
    def parts(self) -> list[str]:
        return self.path.split("/")

    @property
    def odd(self) -> bool:
        return SURROGATES.search(self.path) is not None


def outcome(decision: Decision) -> str:
    """A decision in one line."""
    if isinstance(decision, Match):
        values = ", ".join(f"{name}={value!r}" for name, value in decision.variables.items())
        return decision.template + (f"  with {values}" if values else "")
    if isinstance(decision, Redirect):
        return "308 redirect, " + ("with a slash added" if decision.add_slash else "with the last slash removed")
    if isinstance(decision, NotAllowed):
        return f"405, Allow: {', '.join(decision.allow)} (OPTIONS gets 204)"
    return "404, no route matches"


def explain(table: Table, method: str, path: str, host: tuple[str, str] = ("", "")) -> list[Verdict]:
    """A verdict for each route, nested ones included: the chosen one, then those that match, then by `agreed`."""
    decision = table.resolve(method, path, host)
    chosen = decision if isinstance(decision, Match) else None
    verdicts = list(_verdicts(table, _Asked(method, path, host), chosen, ""))
    return sorted(verdicts, key=lambda verdict: (not verdict.chosen, not verdict.matches, -verdict.agreed))


def _verdicts(table: Table, asked: _Asked, chosen: Match | None, above: str) -> Iterator[Verdict]:
    for leaf in table.leaves:
        mine = chosen is not None and chosen.leaf.route is leaf.route
        agreed, problem = _compare(leaf, asked)
        nested = leaf.route.app
        if isinstance(nested, HasTable) and not problem:
            below = _Asked(asked.method, "/".join(leaf.below(asked.parts)), asked.host)
            inner = chosen.inner if chosen is not None and mine else None
            yield from _verdicts(nested.table, below, inner, above + leaf.prefix_template)
            continue
        reason = problem or ("" if mine else _lost(leaf, chosen))
        yield Verdict(leaf.route, above + leaf.pattern.rule, mine, not problem, agreed, reason)


def _compare(leaf: Leaf, asked: _Asked) -> tuple[int, str]:
    pattern = parse_pattern(leaf.route.host)
    if pattern and not any(HostTable({pattern: True}).candidates(asked.host)):
        return 0, f"its host is {display(pattern)}"
    agreed, problem = _compare_segments(leaf, asked.parts)
    if problem:
        return agreed, problem
    if leaf.values(asked.parts, asked.odd) is None:
        return agreed, "a converter refuses the value"
    if leaf.methods is not None and asked.method not in leaf.methods:
        return agreed, f"takes {', '.join(sorted(leaf.methods))}, not {asked.method}"
    return agreed, ""


def _compare_segments(leaf: Leaf, parts: list[str]) -> tuple[int, str]:
    for number, segment in enumerate(leaf.pattern.segments, 1):
        if number >= len(parts):
            return number - 1, f"the path ends before {_shown(segment)}"
        text = "/".join(parts[number:]) if segment.kind == CATCH_ALL else parts[number]
        if not re.fullmatch(segment.regex(groups=True), text) or (segment.kind != STATIC and not text):
            return number - 1, f"segment {number}: {_readable(text)!r} is not {_shown(segment)}"
    count = len(leaf.pattern.segments)
    if leaf.tail is None and not leaf.prefix and len(parts) > count + 1:
        return count, f"the path goes on: {_readable('/'.join(['', *parts[count + 1 :]]))!r}"
    if leaf.prefix and not leaf.bare and len(parts) == count + 1:
        return count, "the path has no slash after the prefix"
    return count, ""


def _shown(segment: Segment) -> str:
    if segment.kind == STATIC:
        return repr(segment.text) if segment.text else "the end after a slash"
    return "".join(p if isinstance(p, str) else f"<{type(p.converter).__name__}:{p.name}>" for p in segment.pieces)


def _lost(leaf: Leaf, chosen: Match | None) -> str:
    if chosen is None:
        return "its path agrees"
    if parse_pattern(chosen.leaf.route.host) != parse_pattern(leaf.route.host):
        return f"matches too, and the other's host is nearer: {display(parse_pattern(chosen.leaf.route.host))}"
    for number, (ours, best) in enumerate(zip(leaf.order[0], chosen.leaf.order[0], strict=False), 1):
        if ours != best:
            if ours[0] == best[0]:
                return f"matches too, with less text in segment {number}"
            return f"matches too, and segment {number}: {KIND_NAMES[best[0]]} goes before {KIND_NAMES[ours[0]]}"
    if leaf.order[0] != chosen.leaf.order[0]:
        return "matches too, and the exact rule goes before the prefix"
    return "matches too, registered later"


def _readable(text: str) -> str:
    return text.replace(ENCODED_SLASH, "%2F")
