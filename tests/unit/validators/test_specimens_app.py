"""`check app` against the specimens: habits that only a hostile server shows, and legal apps it must leave alone."""

from __future__ import annotations

import pytest

from wsgikit.validators.app import Settings, check_app
from wsgikit.validators.app.driver import Conduct
from wsgikit.validators.report import Verdict
from wsgikit.validators.specimens import BROKEN, LEGAL, Specimen

HABITS = [one for one in BROKEN if one.seen_by == "app"]
# Legal apps that raise, or that answer the one request they were made for.
PECULIAR = {"app_raises", "abort_after_output", "server_mounts_without_a_slash", "exact_read"}
GENERAL = [
    one
    for one in LEGAL
    if one.seen_by == "lint" and one.name not in PECULIAR and one.conduct == Conduct() and one.request.method != "HEAD"
]


@pytest.mark.parametrize("one", HABITS, ids=lambda one: one.name)
def test_a_habit_is_found_and_nothing_else(one: Specimen) -> None:
    methods = ("GET", "POST", "PUT", "PATCH")  # to HEAD the specimens send a body, which is another rule
    settings = Settings(requests=(one.request,), methods=methods, profile="pedantic", threads=4)
    report = check_app(one.subject(), "app", settings)

    broken = {f.rule.removeprefix("WSGI-") for f in report.findings if f.verdict in (Verdict.FAIL, Verdict.WARN)}
    advice = {f.rule.removeprefix("WSGI-") for f in report.findings if f.verdict is Verdict.INFO}
    assert one.key in broken | advice
    assert broken - {one.key, *one.implied} == set()


@pytest.mark.parametrize("one", GENERAL, ids=lambda one: one.name)
def test_a_legal_app_breaks_nothing(one: Specimen) -> None:
    report = check_app(
        one.subject(), "app", Settings(requests=(one.request,), methods=(one.request.method,), threads=2)
    )

    assert [(f.rule, f.detail) for f in report.findings if f.verdict in (Verdict.FAIL, Verdict.WARN)] == []
