"""`check middleware` against the specimens: one broken middleware a rule, and legal ones that break none."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from wsgikit.validators.report import Verdict
from wsgikit.validators.rules import RULES
from wsgikit.validators.sandwich import (
    MiddlewareSettings,
    check_middleware,
    judge_blocks,
    judge_closing,
    judge_environ,
    judge_heads,
)
from wsgikit.validators.sandwich.bench import Bench, _made
from wsgikit.validators.sandwich.judge_blocks import boundary_notes
from wsgikit.validators.sandwich.judge_closing import closing_notes
from wsgikit.validators.sandwich.script import PAGE, SHORT, Script
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


@pytest.mark.parametrize("one", MIDDLEWARE, ids=lambda one: one.name)
def test_the_script_of_a_finding_runs_and_shows_the_same_again(one: Specimen, capsys, monkeypatch) -> None:
    """Two lints tell what they found, a body and headers are compared with what the script says, traces are judged."""
    monkeypatch.setitem(sys.modules, "shown", types.SimpleNamespace(broken=one.subject))
    report = check_middleware(one.subject, "shown:broken", MiddlewareSettings(profile="pedantic"))
    (found, *_) = (finding for finding in report.findings if finding.rule == f"WSGI-{one.key}")
    assert found.reproducer is not None
    lines = found.reproducer.script.splitlines()
    assert len(lines) <= 10

    names: dict[str, Any] = {}
    exec(found.reproducer.script, names)

    printed, run = capsys.readouterr().out, names["run"]
    assert run.case() == found.case
    notes = {note.key: note.detail for note in (*boundary_notes(run.trace), *closing_notes(run.trace))}
    if one.key in ("M05", "M06", "M07", "M10", "M11"):
        assert notes[one.key] == found.detail
    if one.key == "M14":
        assert "still referred to: the scripted app failed" in printed
    if one.key == "M26":
        assert "X-Spoiled" in printed
    if "it breaks WSGI-" in found.detail:
        assert found.detail.partition(": ")[2] in printed


def shows_its_own_error_page(app: Any) -> Any:
    """Hands exc_info on, and when the server has raised it, tries again without."""

    def middleware(environ: Any, start_response: Any) -> Any:
        body = app(environ, start_response)
        try:
            yield from body
        except Exception:
            try:
                start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
                yield b"an error page"
            except Exception:
                environ["wsgi.errors"].write("too late\n")
        finally:
            body.close()

    return middleware


def starts_by_itself(app: Any) -> Any:
    """Calls start_response after the app has returned; when that raises, nobody closes."""

    def middleware(environ: Any, start_response: Any) -> Any:
        began: list[Any] = []
        body = app(environ, lambda *head: began.append(head) or (lambda data: None))
        if began:
            start_response(*began[0])
            return body
        body.close()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    return middleware


def test_a_page_of_its_own_after_output_is_no_lost_exc_info() -> None:
    report = check_middleware(shows_its_own_error_page, "m", MiddlewareSettings())
    assert report.verdict("M12") is Verdict.PASS
    details = [finding.detail for finding in report.findings if finding.rule == "WSGI-M01"]
    assert any("WSGI-A33" in detail for detail in details)


def test_who_raises_instead_of_returning_breaks_no_must_about_close() -> None:
    report = check_middleware(starts_by_itself, "m", MiddlewareSettings(select=("WSGI-M10",)))
    assert report.verdict("M10") is Verdict.WARN


def test_every_run_of_a_check_can_be_written_down() -> None:
    bench = Bench(lambda app: app, "m", MiddlewareSettings(profile="pedantic"))
    for judge in (judge_blocks, judge_closing, judge_heads, judge_environ):
        judge.judge(bench)
    scripts = {run.script for run in bench._runs.values()}
    assert len(scripts) > 20
    for script in scripts:
        assert eval(_made(script), {"PAGE": PAGE, "SHORT": SHORT, "Script": Script}) == script
        assert len(_made(script)) < 200


@pytest.mark.parametrize("one", [one for one in LEGAL if one.seen_by == "middleware"], ids=lambda one: one.name)
def test_a_legal_middleware_trips_nothing(one: Specimen) -> None:
    assert broken_rules(one) == {}


def test_every_middleware_rule_a_program_can_judge_has_a_specimen() -> None:
    shown = {one.key for one in MIDDLEWARE}

    assert {one.key for one in RULES.values() if one.role == "middleware" and not one.human} - shown == set()
