"""`wsgikit check app --between`: a lint and a tracer at every seam of a stack, and the name of the layer at fault.

A fault in a response belongs to the innermost layer that shows it, a fault in a request to the outermost. Between two
neighbouring seams stands one layer, and its handling of blocks and of close() is judged as in `check middleware`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from wsgikit.validators.app.driver import Answer, Conduct, Wrapper, ask
from wsgikit.validators.app.request import Request
from wsgikit.validators.app.seams import Opened, Seam
from wsgikit.validators.app.session import Settings, case_of, command_for, tried_by
from wsgikit.validators.lint import Lint
from wsgikit.validators.report.model import Finding, Report, Verdict, broken
from wsgikit.validators.rules import RULES, Rule, rule, select
from wsgikit.validators.sandwich import trace as at
from wsgikit.validators.sandwich.judge_blocks import boundary_notes
from wsgikit.validators.sandwich.judge_closing import closing_notes
from wsgikit.validators.sandwich.trace import Trace

_PER_RULE = 20
_CONDUCTS = (Conduct(), Conduct(take=1), Conduct(take=0), Conduct(environ="minimal"), Conduct(file_wrapper=True))

# What the server's side of a seam is to the layer below, and the app's side to the layer above.
_INNER = {at.CALL: at.IN_CALL, at.RETURN: at.IN_RETURN, at.ASK: at.IN_ASK, at.GIVE: at.IN_GIVE, at.END: at.IN_END,
          at.RAISE: at.IN_RAISE, at.CLOSE: at.IN_CLOSE}  # fmt: skip


class BetweenCheck:
    """One check of one stack."""

    def __init__(self, app: Callable[..., Any], target: str, settings: Settings) -> None:
        self.busy: tuple[str, float] | None = None
        self._target = target
        self._settings = settings
        self._announce: Callable[[str], None] = lambda label: None
        self._events: list[tuple[Seam, str, Any]] = []
        self._lints: dict[Seam, Lint] = {}
        self._findings: list[Finding] = []
        self._answered = 0
        self._called: set[Seam] = set()
        self._opened = Opened(app, self._watch)

    def announce_to(self, listener: Callable[[str], None]) -> None:
        """Tell somebody about each request before it is made."""
        self._announce = listener

    def run(self) -> Report:
        """Every request with every method and several conducts."""
        try:
            for request in self._settings.requests:
                for method in self._settings.methods:
                    for conduct in _CONDUCTS:
                        self._one(request.but(method=method), conduct)
        finally:
            self._opened.close()
        return self.report("" if self._answered else "the app raised an error for every request")

    def _one(self, request: Request, conduct: Conduct) -> None:
        self.busy = (request.label, time.monotonic())
        self._announce(request.label)
        self._events.clear()
        try:
            answer: Answer = ask(self._opened.entry, request, conduct)
        finally:
            self.busy = None
        self._answered += not answer.crashed
        self._called |= {seam for seam, what, _ in self._events if what == at.CALL}
        for finding in (*self._by_lint(), *self._by_trace()):
            self._add(replace(finding, case=case_of(request, conduct)), request)
        for lint in self._lints.values():
            lint.clear()

    def _watch(self, app: Any, seam: Seam) -> Any:
        lint = Lint(app, profile=self._settings.profile)
        self._lints[seam] = lint
        return _Tracer(lint, seam, self._events)

    # who did it

    def _by_lint(self) -> Iterator[Finding]:
        seen = {seam: {finding.rule for finding in lint.findings} for seam, lint in self._lints.items()}
        for seam, lint in self._lints.items():
            for finding in lint.findings:
                if RULES[finding.rule].role == "app":
                    if not any(finding.rule in seen[inner] for inner in seam.inner):
                        yield replace(finding, layer=seam.name)
                elif seam.outer is not None and finding.rule not in seen[seam.outer]:
                    yield replace(finding, layer=seam.outer.name)

    def _by_trace(self) -> Iterator[Finding]:
        for outer in self._lints:
            for inner in outer.inner:
                trace = self._trace(outer, inner)
                for note in (*boundary_notes(trace), *closing_notes(trace)):
                    one = rule(note.key)
                    yield Finding(rule=one.id, verdict=broken(one), detail=note.detail, layer=outer.name)

    def _trace(self, outer: Seam, inner: Seam) -> Trace:
        """The events on both sides of the layer between two seams."""
        trace = Trace()
        for seam, what, data in self._events:
            if seam is outer:
                trace.add(what, data)
            elif seam is inner and what in _INNER:
                trace.add(_INNER[what], data)
        return trace

    def _add(self, finding: Finding, request: Request) -> None:
        alike = [one for one in self._findings if one.rule == finding.rule]
        if len(alike) >= _PER_RULE:
            return
        # What a trace shows varies with the number of blocks; once for each layer is enough.
        traced = RULES[finding.rule].role == "middleware"
        if any(one.layer == finding.layer and (traced or one.detail == finding.detail) for one in alike):
            return
        again = command_for(self._target, request, finding.rule, "--between")
        self._findings.append(replace(finding, reproducer=again))

    # the report

    def report(self, aborted: str = "") -> Report:
        """What is known so far."""
        rules = [one for role in ("app", "server", "middleware") for one in self._rules(role)]
        wanted = {one.id for one in rules}
        findings = tuple(one for one in self._findings if one.rule in wanted)
        seen = {finding.rule for finding in findings}
        used = {fact for lint in self._lints.values() for fact in lint.recorder.used}
        tried = tried_by(used) | {one.id for one in rules if one.role != "app"}
        passed = tuple(Finding(rule=name, verdict=Verdict.PASS) for name in tried & wanted if name not in seen)
        opened = self._opened
        missed = [seam.name for seam in opened.seams if seam not in self._called]
        notes = [f"not seen: {what}" for what in dict.fromkeys(opened.unseen)]
        if missed and self._answered:
            notes.append(f"never called: {', '.join(missed)}; give --path, --method or --header that lead there")
        report = Report(
            kind="app",
            target=self._target,
            profile=self._settings.profile,
            findings=findings + (passed if self._answered else ()),
            facts={"layers": " > ".join(seam.name for seam in opened.seams)},
            notes=tuple(notes),
            aborted=aborted,
        )
        return report.completed(rules, "no layer did what would put it to the test")

    def _rules(self, role: str) -> list[Rule]:
        """What a lint or a tracer at a seam can judge."""
        traced = {"M05", "M06", "M07", "M10", "M11"}
        return [
            one
            for one in select(self._settings.profile, role, self._settings.select)
            if ({"call", "request"} & set(one.how) if role != "middleware" else one.key in traced)
        ]


class _Tracer:
    """Notes what passes a seam, and changes nothing."""

    def __init__(self, app: Any, seam: Seam, events: list[tuple[Seam, str, Any]]) -> None:
        self._app = app
        self._seam = seam
        self._events = events

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self._events.append((self._seam, at.CALL, None))
        try:
            result = self._app(environ, start_response)
        except BaseException:
            self._events.append((self._seam, at.RAISE, None))
            raise
        self._events.append((self._seam, at.RETURN, None))
        if isinstance(result, Wrapper) or not hasattr(type(result), "__iter__"):
            self._events.append((self._seam, at.CLOSE, None))  # it is the server's from here on
            return result
        kind = _SizedTracedBody if hasattr(type(result), "__len__") else _TracedBody
        return kind(result, self._seam, self._events)


class _TracedBody:
    def __init__(self, inner: Any, seam: Seam, events: list[tuple[Seam, str, Any]]) -> None:
        self._inner = inner
        self._seam = seam
        self._events = events

    def _note(self, what: str, data: Any = None) -> None:
        self._events.append((self._seam, what, data))

    def __iter__(self) -> Iterator[Any]:
        iterator = iter(self._inner)
        while True:
            self._note(at.ASK)
            try:
                block = next(iterator)
            except StopIteration:
                self._note(at.END)
                return
            except BaseException:
                self._note(at.RAISE)
                raise
            self._note(at.GIVE, block)
            yield block

    def close(self) -> None:
        self._note(at.CLOSE)
        if hasattr(self._inner, "close"):
            self._inner.close()


class _SizedTracedBody(_TracedBody):
    def __len__(self) -> int:
        return len(self._inner)
