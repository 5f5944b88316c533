"""One pytest test for each rule, for the test suite of a server project.

    from wsgikit.validators.server import run_server_tests

    test_conformance = run_server_tests(["myserver", "--bind", "{host}:{port}", "{app}"])

The rules that a run selects (`-k S14`) are tried together, on several servers side by side, when the first of their
tests is asked for; each test then reports its rule. What only a human can judge is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgikit.validators.report import Report, Row, Verdict, apply_expectations, load_expectations
from wsgikit.validators.report.expect import FILE
from wsgikit.validators.server.runner import Plan, check, judged_rules
from wsgikit.validators.server.target import Target

if TYPE_CHECKING:
    import pytest


def run_server_tests(
    command: Sequence[str], *, profile: str = "http", fail_on: str = "must", expect: str = FILE, lanes: int = 4
) -> Callable[[pytest.FixtureRequest, str], None]:
    """A parametrised test function; bind it to a name that begins with `test`.

    `command` is as for `wsgikit check server`. With `fail_on` "should" broken advice fails too, otherwise it warns.
    Deviations declared in the file `expect` are expected failures. Raises ConfigError for an unknown profile.
    """
    import pytest

    target = Target(command=tuple(command))
    rules = [one.id for one in judged_rules(Plan(profile=profile)) if not one.human]
    reports: dict[str, Report] = {}

    @pytest.mark.parametrize("rule", rules)
    def test(request: pytest.FixtureRequest, rule: str) -> None:
        if not reports:
            wanted = _selected(request, rules)
            report = check(target, Plan(profile=profile, rules=tuple(wanted), lanes=lanes))
            expected = load_expectations(expect) if Path(expect).is_file() else ()
            reports["run"] = apply_expectations(report, expected)
        _report(reports["run"], rule, fail_on)

    return test


def _selected(request: pytest.FixtureRequest, rules: Sequence[str]) -> list[str]:
    """The rules of those tests of ours that this run will ask for."""
    function = getattr(request.node, "originalname", "")
    items: list[Any] = [
        item
        for item in request.session.items
        if getattr(item, "originalname", None) == function and item.path == request.node.path
    ]
    return [item.callspec.params["rule"] for item in items] or list(rules)


def _report(report: Report, rule: str, fail_on: str) -> None:
    import pytest

    __tracebackhide__ = True
    if report.aborted:
        pytest.fail("\n".join((report.aborted, *report.notes)), pytrace=False)
    row = next((row for row in report.rows() if row.rule.id == rule), None)
    if row is None:
        pytest.skip("not judged")
    failing = {Verdict.FAIL, Verdict.ERROR} | ({Verdict.WARN} if fail_on == "should" else set())
    if row.verdict in failing:
        pytest.fail(_text(row), pytrace=False)
    if row.verdict in (Verdict.SKIP, Verdict.INCONCLUSIVE):
        pytest.skip("; ".join(dict.fromkeys(finding.reason for finding in row.findings if finding.reason)))
    if row.verdict is Verdict.DEVIATION:
        pytest.xfail("; ".join(dict.fromkeys(finding.reason for finding in row.findings if finding.reason)))
    if row.verdict is Verdict.WARN:
        _warn(_text(row))


def _warn(text: str) -> None:
    """A broken "should" that does not fail the test shows among pytest's warnings."""
    import warnings

    warnings.warn(text, ServerRuleWarning, stacklevel=2)


class ServerRuleWarning(UserWarning):
    """A server breaks what PEP 3333 or an RFC calls a should."""


def _text(row: Row) -> str:
    parts = [f"{row.rule.id}: {row.rule.text}"]
    for finding in row.findings:
        if finding.verdict in (Verdict.PASS, Verdict.SKIP, Verdict.INFO):
            continue
        parts.append(f"\n{finding.verdict} {finding.case}\n{finding.detail}")
        if finding.reproducer is not None and finding.reproducer.command:
            parts.append(f"try: {finding.reproducer.command}")
    return "\n".join(parts)
