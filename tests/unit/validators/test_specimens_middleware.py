"""`check middleware` against the specimens: one broken middleware a rule, and legal ones that break none."""

from __future__ import annotations

import pytest

from wsgikit.validators.report import Verdict
from wsgikit.validators.rules import RULES
from wsgikit.validators.sandwich import MiddlewareSettings, check_middleware
from wsgikit.validators.specimens import BROKEN, LEGAL, Specimen

MIDDLEWARE = [one for one in BROKEN if one.seen_by == "middleware"]


def broken_rules(one: Specimen) -> dict[str, str]:
    report = check_middleware(one.subject, "m", MiddlewareSettings(profile="pedantic"))
    bad = (Verdict.FAIL, Verdict.WARN, Verdict.INFO, Verdict.ERROR)
    return {f.rule.removeprefix("WSGI-"): f"{f.detail} ({f.case})" for f in report.findings if f.verdict in bad}


@pytest.mark.parametrize("one", MIDDLEWARE, ids=lambda one: one.name)
def test_a_broken_middleware_trips_its_rule_and_no_other(one: Specimen) -> None:
    found = broken_rules(one)

    assert one.key in found
    assert {key: why for key, why in found.items() if key not in (one.key, *one.implied)} == {}
    assert set(one.implied) <= set(found)


@pytest.mark.parametrize("one", [one for one in LEGAL if one.seen_by == "middleware"], ids=lambda one: one.name)
def test_a_legal_middleware_trips_nothing(one: Specimen) -> None:
    assert broken_rules(one) == {}


def test_every_middleware_rule_a_program_can_judge_has_a_specimen() -> None:
    shown = {one.key for one in MIDDLEWARE}

    assert {one.key for one in RULES.values() if one.role == "middleware" and not one.human} - shown == set()
