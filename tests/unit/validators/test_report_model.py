"""Verdicts, what a run amounts to, exit statuses, and declared deviations."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgikit.errors import ConfigError
from wsgikit.validators.report import (
    Expectation,
    Finding,
    Report,
    Verdict,
    apply_expectations,
    broken,
    exit_status,
    load_expectations,
    worst,
)
from wsgikit.validators.rules import rule, select


def report(*findings: Finding, target: str = "pkg:app", aborted: str = "") -> Report:
    return Report(kind="app", target=target, profile="http", findings=findings, aborted=aborted)


def finding(key: str, verdict: Verdict, detail: str = "") -> Finding:
    return Finding(rule=rule(key).id, verdict=verdict, detail=detail)


def test_a_broken_rule_has_the_verdict_of_its_level() -> None:
    assert broken(rule("A33")) is Verdict.FAIL
    assert broken(rule("A42")) is Verdict.WARN
    assert broken(rule("A39")) is Verdict.INFO


def test_the_worst_verdict_of_a_rule_counts() -> None:
    assert worst([Verdict.SKIP, Verdict.PASS]) is Verdict.PASS
    assert worst([Verdict.WARN, Verdict.FAIL, Verdict.PASS]) is Verdict.FAIL
    assert worst([Verdict.FAIL, Verdict.ERROR]) is Verdict.ERROR
    assert worst([]) is Verdict.SKIP


def test_rows_are_in_the_order_of_the_registry_and_counts_are_of_rules() -> None:
    found = report(
        finding("S13", Verdict.PASS),
        finding("A33", Verdict.PASS),
        finding("A33", Verdict.FAIL),
        finding("A04", Verdict.PASS),
    )

    assert [row.rule.key for row in found.rows()] == ["A04", "A33", "S13"]
    assert found.counts()[Verdict.PASS] == 2
    assert found.counts()[Verdict.FAIL] == 1
    assert found.verdict("a33") is Verdict.FAIL
    assert found.verdict("A05") is None


def test_a_rule_for_humans_never_passes() -> None:
    with pytest.raises(ValueError, match="only be judged by a human"):
        finding("S35", Verdict.PASS)


def test_a_finding_needs_a_rule_that_exists() -> None:
    with pytest.raises(ValueError, match="no rule"):
        Finding(rule="WSGI-A99", verdict=Verdict.FAIL)


def test_what_was_not_judged_is_listed_with_its_reason() -> None:
    whole = report(finding("A33", Verdict.PASS)).completed(select("http", "app"), "not tried")
    reasons = {row.rule.key: row.findings[0].reason for row in whole.rows()}

    assert len(whole.rows()) == len(select("http", "app"))
    assert reasons["A23"] == "only a human can judge it"
    assert reasons["A04"] == "not tried"
    assert whole.verdict("A33") is Verdict.PASS


@pytest.mark.parametrize(
    ("verdicts", "fail_on", "status"),
    [
        ("PASS SKIP", "must", 0),
        ("PASS WARN INFO DEVIATION", "must", 0),
        ("PASS WARN", "should", 1),
        ("PASS FAIL", "must", 1),
        ("PASS FAIL", "should", 1),
        ("PASS FAIL ERROR", "must", 1),
        ("PASS ERROR", "must", 3),
        ("PASS INCONCLUSIVE", "should", 0),
        ("INCONCLUSIVE SKIP", "must", 3),
        ("SKIP", "must", 3),
        ("", "must", 3),
    ],
)
def test_exit_status(verdicts: str, fail_on: str, status: int) -> None:
    keys = ("A04", "A05", "A06", "A07")
    found = report(*(finding(key, Verdict(name)) for key, name in zip(keys, verdicts.split(), strict=False)))

    assert exit_status(found, fail_on) == status


def test_an_aborted_run_is_unresolved_unless_it_found_something() -> None:
    assert exit_status(report(finding("A04", Verdict.PASS), aborted="it hangs")) == 3
    assert exit_status(report(finding("A04", Verdict.FAIL), aborted="it hangs")) == 1


class TestExpectations:
    def write(self, folder: Path, text: str) -> Path:
        path = folder / "wsgikit-expect.toml"
        path.write_text(text)
        return path

    def test_a_declared_violation_is_a_deviation(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, '[[expect]]\nid = "a33"\nreason = "on purpose"\nissue = "https://x/1"\n')
        found = apply_expectations(report(finding("A33", Verdict.FAIL)), load_expectations(path))

        assert found.verdict("A33") is Verdict.DEVIATION
        assert (found.findings[0].reason, found.findings[0].issue) == ("on purpose", "https://x/1")
        assert exit_status(found, "should") == 0
        assert found.stale == ()

    def test_an_unexpected_pass_is_reported(self) -> None:
        expected = [Expectation("WSGI-A33", "*", "on purpose")]
        found = apply_expectations(report(finding("A33", Verdict.PASS)), expected)

        assert found.stale == tuple(expected)
        assert exit_status(found, "must") == 0
        assert exit_status(found, "should") == 1

    def test_the_target_is_a_glob(self) -> None:
        expected = [Expectation("WSGI-A33", "mod_wsgi*", "on purpose")]
        ours = apply_expectations(report(finding("A33", Verdict.FAIL), target="mod_wsgi 5"), expected)
        other = apply_expectations(report(finding("A33", Verdict.FAIL), target="gunicorn"), expected)

        assert ours.verdict("A33") is Verdict.DEVIATION
        assert other.verdict("A33") is Verdict.FAIL

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[[expect]]\nid = 'A33'\n", "expect #1: reason is missing"),
            ("[[expect]]\nreason = 'x'\n", "expect #1: id is missing"),
            ("[[expect]]\nid = 'A33'\nreason = 'x'\ntarge = '*'\n", "unknown key 'targe'; did you mean 'target'?"),
            ("[[expect]]\nid = 'A99'\nreason = 'x'\n", "no rule named 'A99'"),
            ("[[expect]]\nid = 33\nreason = 'x'\n", "id has to be a string"),
            ("[expect]\nid = 'A33'\n", "two brackets"),
            ("[[expected]]\nid = 'A33'\n", "unknown key 'expected'"),
            ("expect = [1]\n", "expect #1 is not a table"),
            ("[[expect\n", "wsgikit-expect.toml"),
        ],
    )
    def test_mistakes_name_the_place_and_the_remedy(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(ConfigError) as caught:
            load_expectations(self.write(tmp_path, text))

        assert message in str(caught.value)

    def test_a_file_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="nowhere"):
            load_expectations(tmp_path / "nowhere.toml")
