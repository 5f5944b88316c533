"""Verdicts, findings and the report every front end hands in. Knows rules by id; knows no output format.

A `Finding` is one observation about one rule. A `Report` holds the findings of one run over one target and works out
the verdict of each rule from them: the worst one counts.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from wsgikit.validators.rules import RULES, Rule, rule


class Verdict(enum.StrEnum):
    """What became of a rule, best first."""

    PASS = "PASS"
    SKIP = "SKIP"
    """Not judged: the target lacks the capability, or only a human can judge it. `reason` says which."""
    INFO = "INFO"
    """Worth knowing; breaks nothing that is written down as must or should."""
    DEVIATION = "DEVIATION"
    """Broken, declared in `wsgikit-expect.toml` with a reason."""
    WARN = "WARN"
    """A should is broken."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """Tried, retried, and the observations do not agree (timing, or a target that answers at random)."""
    FAIL = "FAIL"
    """A must is broken."""
    ERROR = "ERROR"
    """The validator itself, or its set-up, went wrong; says nothing about the target."""


_RANK = {
    verdict: rank
    for rank, verdict in enumerate(
        (
            Verdict.SKIP,
            Verdict.PASS,
            Verdict.INFO,
            Verdict.DEVIATION,
            Verdict.WARN,
            Verdict.INCONCLUSIVE,
            Verdict.FAIL,
            Verdict.ERROR,
        )
    )
}

_BROKEN = MappingProxyType({"must": Verdict.FAIL, "should": Verdict.WARN, "advice": Verdict.INFO})


def broken(one: Rule) -> Verdict:
    """The verdict for a rule that was broken: FAIL for a must, WARN for a should, INFO for advice."""
    return _BROKEN[one.level]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The one that counts among several of the same rule. A PASS outweighs a SKIP. SKIP when there is none."""
    return max(verdicts, key=_RANK.__getitem__, default=Verdict.SKIP)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reproducer:
    """How to see it happen again: the bytes on the wire and a one-line command, or a script of about ten lines."""

    raw: bytes = b""
    command: str = ""
    script: str = ""


@dataclass(frozen=True, slots=True)
class Location:
    """The line of the target's source that did it."""

    path: str
    line: int
    function: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One observation. `rule` is a public id ("WSGI-A33").

    `detail` says what was seen, `case` under which circumstances ("POST /form, second write"), `layer` which middleware
    of a stack is meant, `reason` why a rule was skipped, is inconclusive or is a declared deviation (then `issue` links
    to the discussion).
    """

    rule: str
    verdict: Verdict
    detail: str = ""
    case: str = ""
    layer: str = ""
    reason: str = ""
    issue: str = ""
    reproducer: Reproducer | None = None
    location: Location | None = None

    def __post_init__(self) -> None:
        known = RULES.get(self.rule)
        if known is None:
            raise ValueError(f"no rule has the id {self.rule!r}")
        if known.human and self.verdict is Verdict.PASS:
            raise ValueError(f"{self.rule} can only be judged by a human and never passes")


@dataclass(frozen=True, slots=True)
class Row:
    """A rule with its verdict and all that was found about it."""

    rule: Rule
    verdict: Verdict
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Expectation:
    """A declared deviation: rule id, glob over target names, why, and where it is discussed."""

    id: str
    target: str
    reason: str
    issue: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run. `kind` is "lint", "app", "middleware" or "server".

    `facts` describe the target ("version", "command"), `notes` are remarks about the run (seams that cannot be seen),
    `stale` are expectations whose rule passed, `aborted` says why the run ended early or never began.
    """

    kind: str
    target: str
    profile: str
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stale: tuple[Expectation, ...] = ()
    aborted: str = ""

    def rows(self) -> tuple[Row, ...]:
        """Every rule that has findings, in the registry's order."""
        grouped: dict[str, list[Finding]] = {}
        for finding in self.findings:
            grouped.setdefault(finding.rule, []).append(finding)
        return tuple(
            Row(one, worst(f.verdict for f in grouped[one.id]), tuple(grouped[one.id]))
            for one in RULES.values()
            if one.id in grouped
        )

    def counts(self) -> dict[Verdict, int]:
        """How many rules ended in each verdict; every verdict has an entry."""
        counts = dict.fromkeys(Verdict, 0)
        for row in self.rows():
            counts[row.verdict] += 1
        return counts

    def verdict(self, name: str) -> Verdict | None:
        """The verdict of one rule (id or key), None when the run said nothing about it."""
        wanted = rule(name).id
        found = [finding.verdict for finding in self.findings if finding.rule == wanted]
        return worst(found) if found else None

    def completed(self, rules: Iterable[Rule], reason: str) -> Report:
        """The report with a SKIP for each of `rules` it says nothing about, so that nothing is left out in silence.

        Rules that only a human can judge get that as their reason, the others `reason`.
        """
        seen = {finding.rule for finding in self.findings}
        missing = tuple(
            Finding(rule=one.id, verdict=Verdict.SKIP, reason="only a human can judge it" if one.human else reason)
            for one in rules
            if one.id not in seen
        )
        return replace(self, findings=self.findings + missing)
