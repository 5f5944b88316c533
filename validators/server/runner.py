"""A whole run: cases dealt out to lanes, a limit on time, and a report at the end. Prints nothing itself."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from wsgikit.validators.report import Finding, Report
from wsgikit.validators.rules import Rule, select
from wsgikit.validators.server import cases
from wsgikit.validators.server.case import CASES, Case
from wsgikit.validators.server.lane import Lane, unjudged
from wsgikit.validators.server.reproduce import reproduction
from wsgikit.validators.server.target import Running, Target, TargetError

_LINES = 25  # of what a target printed that did not start: a traceback

Progress = Callable[[int, int, Finding], None]
"""Called after each case: how many are done, how many there are, the last finding. Called by one thread at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """`profile` and `rules` (ids; empty: all) choose the cases.

    `lanes` servers run side by side; `limit` is in seconds.
    """

    profile: str = "http"
    rules: tuple[str, ...] = ()
    lanes: int = 4
    limit: float = 110.0


@dataclass(slots=True)
class _Run:
    total: int
    progress: Progress | None
    deadline: float
    findings: list[Finding] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, finding: Finding) -> None:
        with self.lock:
            self.findings.append(finding)
            if self.progress is not None:
                self.progress(len(self.findings), self.total, finding)


def judged_rules(plan: Plan) -> tuple[Rule, ...]:
    """The rules of servers and of HTTP that the plan is about."""
    chosen = select(plan.profile, None, plan.rules)
    return tuple(one for one in chosen if one.role in ("server", "http"))


def chosen_cases(plan: Plan) -> list[Case]:
    """The plan's cases, in the registry's order of their rules."""
    cases.load()
    wanted = {one.id: place for place, one in enumerate(judged_rules(plan))}
    return sorted((one for one in CASES if one.rule.id in wanted), key=lambda one: (wanted[one.rule.id], one.name))


def check(target: Target, plan: Plan, progress: Progress | None = None) -> Report:
    """Runs the plan against the target. What goes wrong with the target as a whole stands in `aborted`."""
    chosen = chosen_cases(plan)
    facts = _facts(target)
    try:
        first = Lane(target)
        running = first.start()
    except TargetError as error:
        last = "\n".join(error.output[-4000:].splitlines()[-_LINES:])
        output = (f"the target's last output:\n{last}",) if last else ()
        return Report(
            kind="server",
            target=target.title,
            profile=plan.profile,
            facts=facts,
            notes=output,
            aborted=f"{error.reason}: {error}",
        )
    run = _Run(len(chosen), progress, time.monotonic() + plan.limit)
    notes = _notes(running)
    _deal(first, target, plan, chosen, run)
    order = {one.id: place for place, one in enumerate(chosen)}
    findings = sorted(run.findings, key=lambda finding: order[f"{finding.rule} {finding.case}"])
    report = Report(
        kind="server",
        target=target.title,
        profile=plan.profile,
        findings=tuple(findings),
        facts=facts,
        notes=notes,
    )
    return report.completed(judged_rules(plan), "no case of this run judges it")


def _facts(target: Target) -> dict[str, str]:
    if not target.startable:
        return {"url": target.url}
    return {"command": " ".join(target.command), "reproduce": reproduction(target.command)}


def _notes(running: Running) -> tuple[str, ...]:
    if running.site.probed:
        return ()
    return ("the URL answers, but not through the probe app: only what the client sees can be judged",)


def _deal(first: Lane, target: Target, plan: Plan, chosen: Sequence[Case], run: _Run) -> None:
    """Runs the cases on as many lanes as the target allows. Slow ones first, so that no lane ends alone with them."""
    work: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for one in sorted(chosen, key=lambda one: (not one.alone, not one.timing)):
        work.put(one)
    count = min(plan.lanes, len(chosen)) if target.startable and target.parallel else 1
    lanes = [first, *(Lane(target) for _ in range(max(count, 1) - 1))]
    threads = [threading.Thread(target=_drive, args=(lane, work, run), daemon=True) for lane in lanes]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
    except BaseException:  # a signal's exception, perhaps before all have been started
        run.deadline = 0.0
        for thread in threads:
            if thread.ident is not None:
                thread.join(15.0)
        raise
    finally:
        for lane in lanes:
            lane.close()


def _drive(lane: Lane, work: queue.SimpleQueue[Case], run: _Run) -> None:
    for one in _remaining(work):
        if time.monotonic() > run.deadline:
            run.add(unjudged(one, "the run's time limit was reached"))
        else:
            run.add(lane.finding(one))


def _remaining(work: queue.SimpleQueue[Case]) -> Iterable[Case]:
    while True:
        try:
            yield work.get_nowait()
        except queue.Empty:
            return
