"""The lint against every specimen it can see: each broken one trips its rule and no other, no legal one trips any."""

from __future__ import annotations

from typing import Any

import pytest

from wsgikit.validators.app.driver import Conversation
from wsgikit.validators.lint import Lint
from wsgikit.validators.rules import RULES, rule
from wsgikit.validators.specimens import BROKEN, LEGAL, Specimen

APPS = [one for one in BROKEN if one.key[0] == "A" and one.seen_by == "lint"]
APPS_THAT_MAY = [one for one in LEGAL if one.seen_by == "lint"]
SERVERS = [one for one in BROKEN if one.key[0] == "S"]


def profile_for(one: Specimen) -> str:
    return "pedantic" if rule(one.key).profile == "pedantic" else "http"


def drive(lint: Lint, one: Specimen) -> None:
    Conversation(one.request, one.conduct).run(lint)
    lint.finish()


def tripped(lint: Lint) -> set[str]:
    return {finding.rule.removeprefix("WSGI-") for finding in lint.findings}


@pytest.mark.parametrize("one", APPS, ids=lambda one: one.name)
def test_a_broken_app_trips_its_rule_and_no_other(one: Specimen) -> None:
    lint = Lint(one.subject, profile=profile_for(one))
    drive(lint, one)

    assert tripped(lint) == {one.key, *one.implied}


@pytest.mark.parametrize("one", SERVERS, ids=lambda one: one.name)
def test_a_broken_server_trips_its_rule_and_no_other(one: Specimen) -> None:
    lints: list[Lint] = []

    def lint(app: Any) -> Lint:
        lints.append(Lint(app, profile=profile_for(one)))
        return lints[-1]

    one.subject(lint)
    for used in lints:
        used.finish()

    assert set().union(*map(tripped, lints)) == {one.key, *one.implied}


@pytest.mark.parametrize("one", APPS_THAT_MAY, ids=lambda one: one.name)
def test_a_legal_behaviour_trips_nothing(one: Specimen) -> None:
    lint = Lint(one.subject())
    drive(lint, one)

    assert [finding.detail for finding in lint.findings] == []


def test_there_are_as_many_legal_kinds_as_were_counted_in_other_lints() -> None:
    assert len(APPS_THAT_MAY) >= 27


def test_every_rule_the_lint_can_judge_has_a_specimen() -> None:
    shown = {one.key for one in BROKEN}
    visible = {
        one.key for one in RULES.values() if one.role in ("app", "server") and {"call", "request"} & set(one.how)
    }

    assert visible - shown == set()


def test_every_app_rule_a_program_can_judge_has_a_specimen() -> None:
    shown: set[Any] = {one.key for one in BROKEN}

    assert {one.key for one in RULES.values() if one.role == "app" and not one.human} - shown == set()
