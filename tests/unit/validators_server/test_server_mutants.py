"""The server checks are checked: each mutant trips its rule, and the correct server trips none."""

from __future__ import annotations

import contextlib
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from http_mutants import HttpMutant, load_http
from server_mutants import Mutant, load
from tiny_server import Request, TinyServer

import wsgikit.validators.server.probe as probe
from wsgikit.validators.report import Finding, Verdict
from wsgikit.validators.report.model import broken
from wsgikit.validators.rules import RULES
from wsgikit.validators.server import Plan, Target, cases, certificate, check
from wsgikit.validators.server.case import CASES, Case
from wsgikit.validators.server.control import Control
from wsgikit.validators.server.lane import tried
from wsgikit.validators.server.probe.control import VARIABLE
from wsgikit.validators.server.trial import Site, Trial

cases.load()
MUTANTS = load()
HTTP_MUTANTS = load_http()
BROKEN = (Verdict.FAIL, Verdict.WARN, Verdict.INFO)
TINY = str(Path(sys.modules["tiny_server"].__file__ or ""))
# The mutants are told apart by what they do, not by how long they take.
PATIENCE = 0.3

Serve = Callable[[Mutant | None], contextlib.AbstractContextManager[Site]]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate.write(tmp_path_factory.mktemp("tls")))
    return context


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Serve:
    """Runs the tiny server, or a mutant of it, in this process."""

    @contextlib.contextmanager
    def serving(mutant: Mutant | None) -> Iterator[Site]:
        control = Control()
        monkeypatch.setenv(VARIABLE, control.address)
        kind = mutant.request if mutant else Request
        context = request.getfixturevalue("tls") if mutant and mutant.tls else None

        @contextlib.contextmanager
        def starter(app: str) -> Iterator[Any]:
            with TinyServer(getattr(probe, app), kind, context) as other:
                yield other.address

        try:
            with TinyServer(probe.application, kind, context) as server:
                yield Site(
                    address=server.address,
                    control=control,
                    patience=PATIENCE,
                    tls=certificate.client_context() if context else None,
                    starter=starter,
                )
        finally:
            control.close()

    return serving


def judge(case: Case, site: Site) -> Finding:
    trial = Trial(site)
    try:
        return tried(case, trial)
    finally:
        trial.close()


def judge_twice(case: Case, site: Site, *wanted: Verdict) -> Finding:
    """A busy machine spoils what has to be fast; what is broken is as broken when there is time."""
    finding = judge(case, site)
    return finding if finding.verdict in wanted else judge(case, replace(site, patience=3.0))


def of_rule(key: str) -> list[Case]:
    return [case for case in CASES if case.rule.key == key]


@pytest.mark.parametrize("mutant", [one for one in MUTANTS if not one.process], ids=lambda one: one.rule)
def test_the_mutant_trips_its_rule(mutant: Mutant, serve: Serve) -> None:
    with serve(mutant) as site:
        for case in of_rule(mutant.rule):
            finding = judge(case, site)
            assert finding.verdict is not Verdict.ERROR, finding.detail
            if finding.verdict in BROKEN:
                return
    pytest.fail(f"no case of {mutant.rule} noticed: {mutant.words}")


def of_mutant(key: str) -> Mutant:
    return next(one for one in MUTANTS if one.rule == key)


@pytest.mark.parametrize(
    ("mutant", "rule", "verdict", "words"),
    [
        ("S08", "S74", Verdict.SKIP, "see WSGI-S08"),
        ("S08", "S75", Verdict.SKIP, "see WSGI-S08"),
        ("S09", "S61", Verdict.SKIP, "held back"),
        ("S15", "S15", Verdict.WARN, "still asked for"),
        ("S21", "S21", Verdict.WARN, "REQUEST_METHOD"),
        ("S95", "S95", Verdict.WARN, "never called start_response"),
        ("S96", "H30", Verdict.PASS, ""),
    ],
)
def test_no_mutant_is_accused_of_more_than_it_did(
    mutant: str, rule: str, verdict: Verdict, words: str, serve: Serve
) -> None:
    with serve(of_mutant(mutant)) as site:
        findings = [judge(case, site) for case in of_rule(rule)]
    worst = max(findings, key=lambda one: (Verdict.PASS, Verdict.SKIP, *BROKEN[::-1]).index(one.verdict))
    assert worst.verdict is verdict, worst.detail
    assert any(words in one.reason + one.detail for one in findings)


@pytest.mark.parametrize("mutant", [one for one in MUTANTS if one.process], ids=lambda one: one.rule)
def test_the_mutant_process_trips_its_rule(mutant: Mutant) -> None:
    command = (sys.executable, TINY, mutant.rule, "{host}", "{port}", "{app}")
    report = check(Target(command=command), Plan(profile="pedantic", rules=(f"WSGI-{mutant.rule}",)))
    assert report.aborted == ""
    assert report.verdict(mutant.rule) is Verdict.FAIL


def test_every_rule_that_a_program_can_judge_has_a_mutant_and_a_case() -> None:
    judged = {rule.key for rule in RULES.values() if rule.role == "server" and not rule.human}
    assert {mutant.rule for mutant in MUTANTS} == judged
    assert {case.rule.key for case in CASES if case.rule.role == "server"} == judged
    assert len({mutant.request for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", HTTP_MUTANTS, ids=lambda one: one.id)
def test_the_http_mutant_trips_its_rule(mutant: HttpMutant, serve: Serve) -> None:
    (case,) = (case for case in of_rule(mutant.rule) if case.name == mutant.case)
    with serve(mutant) as site:
        finding = judge_twice(case, site, mutant.verdict)
    assert finding.verdict is mutant.verdict, f"{mutant.words}: {finding.detail}"


def test_every_http_rule_has_a_mutant_and_a_case() -> None:
    judged = {rule.key for rule in RULES.values() if rule.role == "http" and not rule.human}
    assert {case.rule.key for case in CASES if case.rule.role == "http"} == judged
    assert sorted(mutant.rule for mutant in HTTP_MUTANTS) == sorted(judged)


def test_a_rule_about_http_weighs_what_the_catalogue_says() -> None:
    """A must that nothing can make a FAIL is no must; and the other way round."""
    for mutant in HTTP_MUTANTS:
        one = RULES[f"HTTP-{mutant.rule[1:]}"]
        assert mutant.verdict is broken(one), f"{one.id} is {one.level}, and {mutant.words}: {mutant.verdict}"


def test_the_implied_rules_exist_and_have_reasons() -> None:
    for mutant in MUTANTS:
        for key, reason in mutant.implied.items():
            assert key != mutant.rule
            assert reason
            assert of_rule(key)


def test_case_names_are_unique() -> None:
    assert len({case.id for case in CASES}) == len(CASES)


def test_the_correct_server_trips_nothing() -> None:
    command = (sys.executable, TINY, "correct", "{host}", "{port}", "{app}")
    report = check(Target(command=command), Plan(profile="pedantic"))
    assert report.aborted == ""
    bad = [f for f in report.findings if f.verdict not in (Verdict.PASS, Verdict.SKIP)]
    assert not bad, "\n".join(f"{f.verdict} {f.rule} {f.case}: {f.reason or f.detail}" for f in bad)
    skipped = {f.rule for f in report.findings if f.verdict is Verdict.SKIP}
    assert skipped == {"WSGI-S34", "WSGI-S35", "WSGI-S82", "WSGI-S83", "WSGI-S84", "WSGI-S85"}


def test_the_correct_server_trips_nothing_over_tls(serve: Serve) -> None:
    correct = Mutant(rule="", request=Request, words="", tls=True)
    with serve(correct) as site:
        for key in ("S34", "S39", "S09", "S80", "H29", "H59"):
            for case in of_rule(key):
                assert judge_twice(case, site, Verdict.PASS).verdict is Verdict.PASS, case.id


def crossed() -> list[Case]:
    """Every case about servers, and the first three of every HTTP rule: these are hundreds, and much alike."""
    http: dict[str, int] = {}
    found = []
    for case in CASES:
        http[case.rule.key] = http.get(case.rule.key, 0) + 1
        if case.rule.role == "server" or http[case.rule.key] <= 3:
            found.append(case)
    return found


# Each mutant runs through all rules: 25 minutes for them all.
@pytest.mark.soak
@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("mutant", [one for one in MUTANTS if not one.process], ids=lambda one: one.rule)
def test_a_mutant_trips_no_other_rule(mutant: Mutant, serve: Serve) -> None:
    tripped: dict[str, str] = {}
    with serve(mutant) as site:
        for case in crossed():
            if case.rule.key not in (mutant.rule, *mutant.implied) and case.rule.key not in tripped:
                finding = judge_twice(case, site, Verdict.PASS, Verdict.SKIP)
                if finding.verdict not in (Verdict.PASS, Verdict.SKIP):
                    tripped[case.rule.key] = f"{finding.verdict} {case.name}: {finding.detail[:160]}"
    assert not tripped, "\n".join(f"{key}: {text}" for key, text in tripped.items())
