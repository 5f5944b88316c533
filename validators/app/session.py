"""One check of one app: asks, collects findings, remembers what was tried, and makes the report.

Owns the evidence. The scenarios decide what to ask and what an answer means.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, replace
from typing import Any

from wsgikit.validators.app.driver import MOST, PLAIN, Answer, Conduct, Conversation, ask
from wsgikit.validators.app.request import Request
from wsgikit.validators.lint import Lint, replay
from wsgikit.validators.lint.notes import named
from wsgikit.validators.lint.places import definition
from wsgikit.validators.report.model import Finding, Report, Reproducer, Verdict, broken
from wsgikit.validators.rules import RULES, in_profile, rule, select

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "WSGIKIT")
"""What is tried when no method is named: all common ones, and one that nobody knows."""

# The same finding for every URL of a crawl is one problem.
_PER_RULE = 20

_CUT = f"bodies of more than {MOST // 1024 // 1024} MiB were cut off by closing early"

# Rules that the lint can only judge when the app uses the thing.
_NEEDS = {
    "exc_info": ("A34", "A35"),
    "write()": ("A40", "A41"),
    "len()": ("A29",),
    "wsgi.input": ("A42",),
    "wsgi.errors": ("A46",),
    "wsgi.file_wrapper": ("A52",),
    "Content-Length": ("A48", "A49"),
    "start_response": (
        *("A04", "A05", "A06", "A07", "A08", "A09", "A10", "A11", "A12", "A13", "A14", "A15", "A16", "A17", "A18"),
        *("A19", "A21", "A33", "A37", "A39", "A50", "A51"),
    ),
    "an iterable": ("A20", "A24", "A25", "A26", "A27", "A28", "A31"),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to check. `requests` are the beginning; `crawl` more URLs are taken from the app's own links.

    `methods` are tried on each URL; `profile` limits the rules, `select` even more; `threads` run at once;
    `patience` is seconds for one request (kept by whoever supervises the run).
    """

    requests: tuple[Request, ...] = (Request(),)
    methods: tuple[str, ...] = METHODS
    crawl: int = 0
    profile: str = "http"
    select: tuple[str, ...] = ()
    threads: int = 8
    patience: float = 10.0


class Session:
    """The state of one check."""

    def __init__(self, app: Callable[..., Any], target: str, settings: Settings) -> None:
        self.app = app
        self.target = target
        self.settings = settings
        self.notes: list[str] = []
        self.answered = 0
        self.broken = 0
        self.asked = 0
        self.busy: tuple[str, float] | None = None
        self.announce: Callable[[str], None] = lambda label: None
        self._lint = Lint(app, profile=settings.profile, roles=("app",))
        self._findings: dict[str, list[Finding]] = {}
        self._tried: set[str] = set()
        self._wanted = {one.id for one in select(settings.profile, names=settings.select)}
        self._lock = threading.Lock()

    def ask(self, request: Request, conduct: Conduct = PLAIN) -> Answer:
        """One conversation under the lint."""
        self._begin(request.label)
        try:
            answer = ask(self._lint, request, conduct)
        finally:
            self.busy = None
        for finding in self._lint.findings:
            again = command_for(self.target, request, finding.rule)
            self._add(replace(finding, case=case_of(request, conduct), reproducer=again))
        self._lint.clear()
        self.answered += not answer.crashed
        if answer.cut:
            self.note(_CUT)
        return answer

    def _begin(self, label: str) -> None:
        self.asked += 1
        self.busy = (label, time.monotonic())
        self.announce(label)

    def ask_bare(self, request: Request, conduct: Conduct = PLAIN) -> Answer:
        """One conversation without the lint in between, for what the lint would hide; safe to call in threads."""
        self._begin(request.label)
        try:
            return ask(self.app, request, conduct)
        finally:
            self.busy = None

    def note(self, text: str) -> None:
        """Say something in the report, once."""
        if text not in self.notes:
            self.notes.append(text)

    def tried(self, *keys: str) -> None:
        """Say that a scenario could judge these rules: without a finding they pass."""
        self._tried.update(rule(key).id for key in keys)

    def found(self, key: str, detail: str, request: Request, conduct: Conduct = PLAIN, *, mild: bool = False) -> None:
        """A rule is broken. `mild` reports it as INFO, where it is worth knowing only."""
        one = rule(key)
        self.tried(key)
        self.broken += 1
        if not in_profile(one, self.settings.profile):
            return
        self._add(
            Finding(
                rule=one.id,
                verdict=Verdict.INFO if mild else broken(one),
                detail=detail,
                case=case_of(request, conduct),
                location=definition(self.app),
                reproducer=command_for(self.target, request, one.id),
            )
        )

    def _add(self, finding: Finding) -> None:
        with self._lock:
            kept = self._findings.setdefault(finding.rule, [])
            known = any(one.detail == finding.detail and one.location == finding.location for one in kept)
            if not known and len(kept) < _PER_RULE:
                kept.append(finding)

    def report(self, aborted: str = "") -> Report:
        """All that is known so far."""
        with self._lock:
            findings = tuple(one for kept in self._findings.values() for one in kept if one.rule in self._wanted)
        seen = {finding.rule for finding in findings}
        passed = tuple(
            Finding(rule=name, verdict=Verdict.PASS)
            for name in (self._tried | self._lint_tried()) & self._wanted
            if name not in seen and not RULES[name].human
        )
        report = Report(
            kind="app",
            target=self.target,
            profile=self.settings.profile,
            findings=findings + passed,
            notes=tuple(self.notes),
            aborted=aborted,
        )
        rules = select(self.settings.profile, "app", self.settings.select)
        return report.completed(rules, "nothing the app did put it to the test")

    def _lint_tried(self) -> set[str]:
        return tried_by(self._lint.recorder.used)


def tried_by(used: Set[str]) -> set[str]:
    """The rules that a lint could judge, from what it saw an app use."""
    tried = [key for fact, keys in _NEEDS.items() if fact in used for key in keys]
    if used & {"wsgi.input", "wsgi.errors"}:
        tried += ["A43", "A44"]
    return {rule(key).id for key in tried}


def case_of(request: Request, conduct: Conduct) -> str:
    """Request and conduct, for people: what is unusual about the server is named."""
    odd = [
        name.replace("_", " ") if value is True else f"{name.replace('_', ' ')} {value}"
        for name, value in vars(conduct).items()
        if value != getattr(PLAIN, name)
    ]
    return request.label + (f", server with {', '.join(odd)}" if odd else "")


def command_for(target: str, request: Request, name: str, *flags: str) -> Reproducer:
    """The request on the wire, and the command that finds rule `name` again."""
    words = ["wsgikit", "check", "app", target, "--path", request.target, "--method", request.method, *flags]
    for key, value in request.headers:
        words += ["--header", f"{key}: {value}"]
    if not in_profile(rule(name), "http"):
        words += ["--profile", "pedantic"]
    raw = replay.reproducer(Conversation(request).environ(), request.body).raw
    command = shlex.join([*words, "--select", name])
    if request.body:
        octal = "".join(f"\\{byte:03o}" for byte in request.body)
        command = f"printf '{octal}' | {command} --body -"
    return Reproducer(raw=raw, command=command)


def alike(one: Answer, other: Answer, body: bool) -> bool:
    """Whether two answers to the same request say the same; with `body`, to the last byte."""
    if (one.crashed, one.status) != (other.crashed, other.status):
        return False
    return not body or one.digest == other.digest


def difference(one: Answer, other: Answer) -> str:
    """What changed from `one` to `other`, for people."""
    if other.crashed != one.crashed or other.status != one.status:
        return f"{outcome(one)} became {outcome(other)}"
    return "the body is another one"


def outcome(answer: Answer) -> str:
    """Status or exception."""
    if answer.raised is not None:
        return named(answer.raised)
    return answer.status or "no status"


def headers_named(answer: Answer, names: Iterable[str]) -> list[str]:
    """The values of some headers."""
    wanted = {name.lower() for name in names}
    return [value for name, value in answer.headers if name.lower() in wanted]
