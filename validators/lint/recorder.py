"""Where the lint's findings go: a bounded list, and, as asked for, a warning, a log line or an exception.

Owns the choice of `on_violation`; knows nothing of requests but what a `Scene` tells it.
"""

from __future__ import annotations

import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from wsgikit.errors import ConfigError
from wsgikit.validators.lint.notes import Note
from wsgikit.validators.lint.places import caller
from wsgikit.validators.report.model import Finding, Location, Reproducer, Verdict, broken
from wsgikit.validators.rules import PROFILES, Rule, in_profile, rule

MODES = ("record", "warn", "log", "raise")
ROLES = ("app", "server")


class LintError(AssertionError):
    """A must was broken, in raising mode. `finding` says which; a subclass of AssertionError as wsgiref's is."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(_line(finding))
        self.finding = finding


class LintWarning(UserWarning):
    """What warning mode warns with."""


@dataclass(frozen=True, kw_only=True)
class LintSettings:
    """`on_violation` is one of `MODES`; `profile` the largest whose rules are judged; `roles` whose duties are judged;
    `keep` how many findings are kept (the rest is counted) and how many open responses are remembered; `layer` names
    the layer that this lint stands before.
    """

    on_violation: str = "record"
    profile: str = "http"
    roles: tuple[str, ...] = ROLES
    keep: int = 1000
    layer: str = ""

    def __post_init__(self) -> None:
        if self.on_violation not in MODES:
            raise ConfigError(f"on_violation={self.on_violation!r}; choose one of {', '.join(MODES)}")
        if self.profile not in PROFILES:
            raise ConfigError(f"profile={self.profile!r}; choose one of {', '.join(PROFILES)}")
        for role in self.roles:
            if role not in ROLES:
                raise ConfigError(f"roles has {role!r}; choose from {', '.join(ROLES)}")
        if self.keep < 1:
            raise ConfigError(f"keep={self.keep}; it has to be 1 or more")


class Scene(NamedTuple):
    """What a finding needs to know of its request, worked out only when there is a finding."""

    case: Callable[[], str]
    reproducer: Callable[[], Reproducer]


class Recorder:
    """Takes notes, gives findings. Safe to share between threads."""

    def __init__(self, settings: LintSettings) -> None:
        self.settings = settings
        self.dropped = 0
        self.counts: Counter[str] = Counter()
        # What the app made use of: a rule about write() says nothing about an app that never calls it.
        self.used: set[str] = set()
        self._kept: deque[Finding] = deque()
        self._lock = threading.Lock()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All kept findings, the oldest first."""
        with self._lock:
            return tuple(self._kept)

    def clear(self) -> None:
        """Forget every finding."""
        with self._lock:
            self._kept.clear()
            self.counts.clear()
            self.dropped = 0

    def judge(self, notes: Iterable[Note], scene: Scene, location: Location | None = None) -> LintError | None:
        """Turn notes into findings. Returns the error to raise, in raising mode, when a must was broken."""
        error = None
        for note in notes:
            known = rule(note.key)
            if self._wanted(note, known):
                finding = self._finding(note, known, scene, location)
                self._deliver(finding)
                if self.settings.on_violation == "raise" and finding.verdict is Verdict.FAIL and error is None:
                    error = LintError(finding)
        return error

    def _wanted(self, note: Note, known: Rule) -> bool:
        profile = self.settings.profile
        if known.role not in self.settings.roles or not in_profile(known, profile):
            return False
        return not note.profile or PROFILES.index(note.profile) <= PROFILES.index(profile)

    def _finding(self, note: Note, known: Rule, scene: Scene, location: Location | None) -> Finding:
        return Finding(
            rule=known.id,
            verdict=note.verdict or broken(known),
            detail=note.detail,
            case=scene.case(),
            layer=self.settings.layer,
            reproducer=scene.reproducer(),
            location=location or caller(),
        )

    def _deliver(self, finding: Finding) -> None:
        with self._lock:
            self.counts[finding.rule] += 1
            if len(self._kept) < self.settings.keep:
                self._kept.append(finding)
            else:
                self.dropped += 1
        if self.settings.on_violation == "warn":
            place = finding.location or Location("<unknown>", 1)
            warnings.warn_explicit(_line(finding), LintWarning, place.path, place.line)
        elif self.settings.on_violation == "log":
            _log(finding)


def _log(finding: Finding) -> None:
    import logging

    levels = {Verdict.FAIL: logging.ERROR, Verdict.WARN: logging.WARNING}
    logging.getLogger("wsgikit.lint").log(levels.get(finding.verdict, logging.INFO), "%s", _line(finding))


def _line(finding: Finding) -> str:
    where = f" at {finding.location.path}:{finding.location.line}" if finding.location else ""
    what = f"{finding.verdict} {finding.rule}: {finding.detail} ({finding.case}){where}"
    return f"{what}; see `wsgikit rules {finding.rule}`"
