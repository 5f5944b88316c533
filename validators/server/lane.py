"""One running server and the cases tried on it, one after another; lanes run side by side, each with its own server.

It decides how often a case is tried, brings a dead server back, and turns what a trial raised into a finding.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import replace

from wsgikit.errors import WsgikitError
from wsgikit.testing import Address
from wsgikit.validators.report import Finding, Verdict
from wsgikit.validators.server.case import Broken, Case, NotApplicable, Unclear
from wsgikit.validators.server.reproduce import PLACE, SOCKET, reproducer
from wsgikit.validators.server.target import Running, Target, TargetError
from wsgikit.validators.server.trial import Site, Trial

# Often enough to tell a broken rule from a busy machine; the verdict FAIL needs all of them to agree.
_TRIES = 2
_TIMING_TRIES = 3
_MOST_RESTARTS = 12
# Writing a core file takes longer than closing sockets.
_CRASH = 0.5
_BROKEN = (Verdict.INFO, Verdict.WARN, Verdict.FAIL)
_BY_LEVEL = {"must": Verdict.FAIL, "should": Verdict.WARN, "advice": Verdict.INFO}


class Lane:
    """Runs cases on a server of its own. `finding(case)` never raises for what the server does."""

    def __init__(self, target: Target, running: Running | None = None) -> None:
        self.target = target
        self._running = running
        self._restarts = 0
        self._given_up = ""

    def close(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None

    def start(self) -> Running:
        """The running server, started when there is none or it has ended. Raises TargetError."""
        if self._running is not None and not self._running.alive and self.target.startable:
            self.close()
        if self._running is None:
            running = Running(self.target)
            running.__enter__()
            self._running = running
        return self._running

    def finding(self, case: Case) -> Finding:
        """Tries the case until the verdict stands."""
        found: list[Finding] = []
        for _ in range(_TIMING_TRIES if case.timing else _TRIES):
            found.append(self._attempt(case))
            settled = len(found) == 1 and found[0].verdict in (Verdict.PASS, Verdict.SKIP, Verdict.ERROR)
            if settled or self._given_up:
                break
        return _concluded(case, found)

    def _attempt(self, case: Case) -> Finding:
        if self._given_up:
            return unjudged(case, self._given_up)
        try:
            running = self.start()
        except TargetError as error:
            self._given_up = f"the server does not come back: {error}"
            return unjudged(case, self._given_up)
        trial = Trial(running.site)
        try:
            finding = tried(case, trial)
        except OSError as error:
            finding = _observed(case, trial, Verdict.INCONCLUSIVE, f"no connection any more: {error}")
        finally:
            trial.close()
        if finding.verdict not in (Verdict.PASS, Verdict.SKIP):
            finding = self._after_trouble(running, finding)
        return finding

    def _after_trouble(self, running: Running, finding: Finding) -> Finding:
        """A server that died, or no longer answers, is replaced, and the finding says so."""
        if _healthy(running):
            return finding
        if running.ends(_CRASH):
            finding = replace(finding, verdict=Verdict.FAIL, reason="", detail=f"the server ended | {finding.detail}")
        else:
            finding = replace(finding, detail=f"{finding.detail} | then the server answered nothing any more")
        if not self.target.startable:
            self._given_up = "the server no longer answers"
            return finding
        self.close()
        self._restarts += 1
        if self._restarts > _MOST_RESTARTS:
            self._given_up = f"the server had to be started anew {self._restarts} times"
        return finding


def _healthy(running: Running) -> bool:
    if not running.alive:
        return False
    trial = Trial(running.site)
    try:
        return trial.get("/hello").response is not None
    except OSError:
        return False
    finally:
        trial.close()


def tried(case: Case, trial: Trial) -> Finding:
    """One trial. Only OSError can leave it, from a server that does not accept."""
    if not case.wire and not trial.site.probed:
        reason = "the server does not run the probe app"
        return Finding(rule=case.rule.id, verdict=Verdict.SKIP, reason=reason, case=case.name)
    try:
        remark = case.run(trial)
        return Finding(rule=case.rule.id, verdict=Verdict.PASS, detail=remark or "", case=case.name)
    except Broken as error:
        return _observed(case, trial, _BY_LEVEL[error.level or case.rule.level], error.detail)
    except NotApplicable as error:
        return Finding(rule=case.rule.id, verdict=Verdict.SKIP, reason=str(error), case=case.name)
    except Unclear as error:
        return _observed(case, trial, Verdict.INCONCLUSIVE, str(error))
    except WsgikitError as error:
        return _observed(case, trial, Verdict.INCONCLUSIVE, f"the connection failed: {error}")
    except OSError:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        detail = f"the case itself failed: {type(error).__name__}: {error} ({where.name}, line {where.lineno})"
        return _observed(case, trial, Verdict.ERROR, detail)


def _observed(case: Case, trial: Trial, verdict: Verdict, detail: str) -> Finding:
    """A finding with what both sides saw; made while the trial's record is still there."""
    clients = [client for client in trial.clients if client.sent]
    raw = trial.raw or (bytes(clients[0].sent) if clients else b"")
    seen = [detail]
    if clients:
        seen.append(f"client received: {_shortened(bytes(clients[0].received))}")
    calls = trial.calls
    seen.append(f"app calls: {len(calls)}" + "".join(f"; {call.story()[:400]}" for call in calls[:3]))
    return Finding(
        rule=case.rule.id,
        verdict=verdict,
        detail=" | ".join(seen),
        case=case.name,
        reason=detail if verdict is Verdict.INCONCLUSIVE else "",
        reproducer=reproducer(
            raw,
            trial.endpoint,
            place=_place(trial.site),
            tls=trial.site.tls is not None,
        ),
    )


def _place(site: Site) -> Address:
    """Where the reader's own server will be."""
    if site.starter is None:
        return site.address
    return SOCKET if isinstance(site.address, str) else PLACE


def _shortened(data: bytes, limit: int = 400) -> str:
    text = repr(data[:limit])
    return f"{text} and {len(data) - limit} bytes more" if len(data) > limit else text


def _concluded(case: Case, found: Sequence[Finding]) -> Finding:
    """One verdict from several tries: they agree, or most of a timing case's passed, or it is inconclusive.

    A try from which nothing could be concluded (the server was busy with an earlier one) does not speak against two
    that agree.
    """
    verdicts = [finding.verdict for finding in found]
    judged = [finding for finding in found if finding.verdict is not Verdict.INCONCLUSIVE]
    if len(judged) >= min(len(found), _TRIES) and all(finding.verdict in _BROKEN for finding in judged):
        return min(judged, key=lambda finding: _BROKEN.index(finding.verdict))
    if len(set(verdicts)) == 1:
        return found[-1]
    passed = [finding for finding in found if finding.verdict is Verdict.PASS]
    if case.timing and len(passed) > len(found) / 2:
        return passed[0]
    reason = f"{len(found)} tries ended differently: {', '.join(verdicts)}"
    evidence = next((finding for finding in found if finding.detail), found[0])
    return replace(evidence, verdict=Verdict.INCONCLUSIVE, reason=reason)


def unjudged(case: Case, reason: str) -> Finding:
    """For a case that could not be tried, or not in time."""
    return Finding(rule=case.rule.id, verdict=Verdict.INCONCLUSIVE, reason=reason, case=case.name)
