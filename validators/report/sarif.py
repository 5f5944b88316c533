"""SARIF 2.1.0, for code scanning: the findings that have a line of source. The others are not for this format.

Paths are relative to the working directory, since code scanning wants a location inside the repository.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wsgikit.validators.report.github import relative
from wsgikit.validators.report.model import Finding, Report, Verdict
from wsgikit.validators.rules import RULES, Rule
from wsgikit.version import __version__

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL = {Verdict.FAIL: "error", Verdict.WARN: "warning", Verdict.INFO: "note", Verdict.INCONCLUSIVE: "note"}
_DEFAULT = {"must": "error", "should": "warning", "advice": "note"}
# GitHub refuses files with more results.
_MOST = 25_000


def render(report: Report) -> str:
    """The report as a SARIF log with one run."""
    findings = [one for one in report.findings if one.location is not None and one.verdict in _LEVEL][:_MOST]
    rules = [RULES[name] for name in RULES if any(finding.rule == name for finding in findings)]
    index = {rule.id: number for number, rule in enumerate(rules)}
    driver = {
        "name": "wsgikit",
        "semanticVersion": __version__,
        "rules": [_rule(one) for one in rules],
    }
    ended: dict[str, Any] = {"executionSuccessful": not report.aborted}
    if report.aborted:
        ended["toolExecutionNotifications"] = [{"level": "error", "message": {"text": report.aborted}}]
    run = {
        "tool": {"driver": driver},
        "invocations": [ended],
        "results": [_result(finding, index) for finding in findings],
        "columnKind": "unicodeCodePoints",
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    title, url = rule.sources[0]
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.text},
        "fullDescription": {"text": f"{rule.text} {rule.position}".strip()},
        "help": {"text": f"{title}; `wsgikit rules {rule.id}` says more."},
        "helpUri": url or "https://peps.python.org/pep-3333/",
        "defaultConfiguration": {"level": _DEFAULT[rule.level]},
        "properties": {"tags": ["wsgi", rule.role, rule.profile]},
    }


def _result(finding: Finding, index: dict[str, int]) -> dict[str, Any]:
    place = finding.location
    if place is None:
        raise ValueError("a finding without a source line is not for SARIF")
    message = "; ".join(part for part in (finding.detail, finding.case, finding.reason) if part) or finding.rule
    path = relative(place.path)
    uri = path if not Path(path).is_absolute() else Path(path).as_uri()
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "level": _LEVEL[finding.verdict],
        "message": {"text": message},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": place.line}}}],
        "partialFingerprints": {"wsgikit/v1": f"{finding.rule}:{place.function}:{finding.layer}"},
    }
    if finding.reproducer is not None and finding.reproducer.command:
        result["properties"] = {"reproducer": finding.reproducer.command}
    return result
