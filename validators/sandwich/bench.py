"""One check of one middleware: plays scripts, keeps the runs, collects findings, makes the report. Judges nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from wsgikit.validators.app.request import Request
from wsgikit.validators.lint.notes import named
from wsgikit.validators.lint.places import definition
from wsgikit.validators.report.model import Finding, Report, Reproducer, Verdict, broken
from wsgikit.validators.rules import RULES, in_profile, rule, select
from wsgikit.validators.sandwich.script import PAGE, SHORT, Script
from wsgikit.validators.sandwich.server import Behaviour, Run, play

_PER_RULE = 5
# A difference is believed when it comes every time of so many.
_AGAIN = 8

TOLD = "print(run.status, run.headers, run.body, run.raised)"
"""The last line of a reproducer."""

BASES = (
    Script(),
    Script(name="page", blocks=PAGE, media_type="text/html; charset=utf-8"),
)
"""What the scripted app sends: something short and plain, and something that middleware likes to work on."""


@dataclass(frozen=True, kw_only=True)
class MiddlewareSettings:
    """`request` is what the scripted server asks for; `options` are given to the factory after the app."""

    request: Request = field(
        default_factory=lambda: Request(target="/a/b?c=d", headers=(("Accept-Encoding", "gzip, deflate, br"),))
    )
    options: tuple[tuple[str, Any], ...] = ()
    profile: str = "http"
    select: tuple[str, ...] = ()


class Bench:
    """The state of one check."""

    def __init__(self, factory: Callable[..., Any], target: str, settings: MiddlewareSettings) -> None:
        self.target = target
        self.settings = settings
        self.notes: list[str] = []
        self.busy: tuple[str, float] | None = None
        self.announce: Callable[[str], None] = lambda label: None
        self.reached = False
        self.volatile: frozenset[str] = frozenset()
        self.steady = self.steady_body = True
        self._factory = factory
        self._runs: dict[Any, Run] = {}
        self._findings: dict[str, list[Finding]] = {}
        self._tried: set[str] = set()

    def make(self, app: Callable[..., Any]) -> Any:
        """The middleware around an app."""
        return self._factory(app, **dict(self.settings.options))

    def run(self, script: Script, behaviour: Behaviour | None = None, request: Request | None = None) -> Run:
        """Play a script; the same one is played once."""
        behaviour, request = behaviour or Behaviour(), request or self.settings.request
        key = (script, behaviour, request.target, request.headers)
        if key not in self._runs:
            with self.under_way(f"{request.label}, app {script.name!r}"):
                self._runs[key] = play(self.make, script, request, behaviour)
            self.reached = self.reached or self._runs[key].reached
        return self._runs[key]

    def alike(self, one: Run, other: Run) -> bool:
        """Whether two runs gave the server the same, apart from what differs between equal requests anyway."""
        if one.status != other.status or (self.steady_body and one.body != other.body):
            return False
        return self.lasting(one) == self.lasting(other)

    def differs(self, one: Run, other: Run) -> bool:
        """Whether `one` is not alike `other`, and that comes from what is different about it.

        So both are played again, in turns: what differs between equal runs (a time, a share of all requests) says
        nothing, and a counter that has run full in the meantime is no answer to what was different in `one`.
        """
        for _ in range(_AGAIN):
            if self.alike(one, other):
                return False
            same, again = self._again(other), self._again(one)
            if same.status != other.status:
                self._note(f"after many requests the middleware answers {same.status!r} to what got {other.status!r}")
                return False
            if self.alike(again, same):
                return False
        return not self.alike(one, other)

    def _again(self, run: Run) -> Run:
        """The same run once more; headers that are others now are nothing to compare."""
        again = play(self.make, run.script, run.request, run.behaviour)
        if again.status == run.status:
            self._learn(run, again)
        return again

    def _learn(self, one: Run, other: Run) -> None:
        self.volatile |= frozenset(name.lower() for name, _ in set(one.headers) ^ set(other.headers))
        self.steady_body = self.steady_body and one.body == other.body

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def lasting(self, run: Run) -> set[tuple[str, str]]:
        """The headers that are the same for equal requests, names in lower case; the script's own mark left out."""
        ignored = {*self.volatile, "x-script"}
        return {(name.lower(), value) for name, value in run.headers if name.lower() not in ignored}

    def find_volatile(self) -> None:
        """Make the same request twice, and see which headers differ: counters, ids, times."""
        base = BASES[0]
        one, other = self.run(base), play(self.make, base, self.settings.request)
        self._learn(one, other)
        self.steady = one.status == other.status

    @contextlib.contextmanager
    def under_way(self, label: str) -> Iterator[None]:
        """Say what is under way, for whoever watches over it."""
        self.busy = (label, time.monotonic())
        self.announce(label)
        try:
            yield
        finally:
            self.busy = None

    def tried(self, *keys: str) -> None:
        """Say that these rules could be judged: without a finding they pass."""
        self._tried.update(rule(key).id for key in keys)

    def found(
        self,
        key: str,
        detail: str,
        run: Run | None = None,
        verdict: Verdict | None = None,
        shown: tuple[str, ...] = ("print(*run.trace.events, sep='\\n')", TOLD),
    ) -> None:
        """A rule is broken. `shown` are the last lines of the reproducer, which can use `run`; "@" is the factory."""
        one = rule(key)
        self.tried(key)
        kept = self._findings.setdefault(one.id, [])
        if len(kept) >= _PER_RULE or any(finding.detail == detail for finding in kept):
            return
        kept.append(
            Finding(
                rule=one.id,
                verdict=verdict or broken(one),
                detail=detail,
                case=run.case() if run else "",
                location=definition(self._factory),
                reproducer=Reproducer(script=self._script(run, shown)) if run else None,
            )
        )

    def _script(self, run: Run, shown: tuple[str, ...]) -> str:
        module, _, name = self.target.partition(":")
        options = "".join(f", {key}={value!r}" for key, value in self.settings.options)
        request, made = run.request, f"lambda app: {name or 'middleware'}(app{options})"
        return "\n".join(
            (
                f"from {module} import {name.partition('.')[0].partition('(')[0] or 'middleware'}",
                "from wsgikit.validators import Lint",
                "from wsgikit.validators.app import Request",
                "from wsgikit.validators.sandwich.script import PAGE, SHORT, Script",
                "from wsgikit.validators.sandwich.server import Behaviour, Run, ScriptedServer, play",
                f"request = Request(method={request.method!r}, target={request.target!r}, headers={request.headers!r})",
                f"run = play({made}, {_made(run.script)}, request, {_made(run.behaviour)})",
                *(line.replace("@", f"({made})") for line in shown),
            )
        )

    def report(self, aborted: str = "") -> Report:
        """All that is known so far."""
        settings = self.settings
        rules = select(settings.profile, "middleware", settings.select)
        wanted = {one.id for one in rules}
        findings = tuple(one for kept in self._findings.values() for one in kept if one.rule in wanted)
        seen = {finding.rule for finding in findings}
        passed = tuple(
            Finding(rule=name, verdict=Verdict.PASS)
            for name in self._tried & wanted
            if name not in seen and not RULES[name].human
        )
        report = Report(
            kind="middleware",
            target=self.target,
            profile=settings.profile,
            findings=findings + passed,
            notes=tuple(self.notes),
            aborted=aborted,
        )
        return report.completed(rules, "nothing the middleware did put it to the test")

    def wants(self, key: str) -> bool:
        """Whether the profile asks for this rule."""
        return in_profile(rule(key), self.settings.profile)


def crashed(run: Run) -> str:
    """What came out of the middleware, "" when nothing did."""
    return "" if run.raised is None else named(run.raised)


def _made(value: Script | Behaviour) -> str:
    """The expression that makes it again."""
    usual = type(value)()
    changes = {key: now for key, now in vars(value).items() if now != getattr(usual, key)}
    return f"{type(value).__name__}({', '.join(f'{key}={_literal(now)}' for key, now in changes.items())})"


def _literal(value: Any) -> str:
    """As repr(); blocks of the bodies that scripts send are called by their names."""
    for name, blocks in (("PAGE", PAGE), ("SHORT", SHORT)):
        if isinstance(value, tuple) and value and value == blocks:
            return name
        if isinstance(value, tuple) and any(block in blocks for block in value):
            parts = [f"{name}[{blocks.index(block)}]" if block in blocks else repr(block) for block in value]
            return f"({', '.join(parts)},)"
    return repr(value)
