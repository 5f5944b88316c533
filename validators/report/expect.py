"""Declared deviations: `wsgikit-expect.toml`.

    [[expect]]
    id = "WSGI-S62"
    target = "mod_wsgi*"          # a glob over the target's name; every target when left out
    reason = "tolerates a second start_response before output, on purpose"
    issue = "https://..."         # optional

A broken rule that is declared becomes DEVIATION. A declared rule that passes is reported as unexpected pass.
"""

from __future__ import annotations

import difflib
import fnmatch
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from wsgikit.errors import ConfigError
from wsgikit.validators.report.model import Expectation, Finding, Report, Verdict
from wsgikit.validators.rules import rule

FILE = "wsgikit-expect.toml"
_KEYS = ("id", "target", "reason", "issue")
_BROKEN = (Verdict.FAIL, Verdict.WARN, Verdict.INFO)


def load_expectations(path: str | Path) -> tuple[Expectation, ...]:
    """Read the file. Raises ConfigError naming file, entry and key for anything that is not as above."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for key in document:
        if key != "expect":
            raise ConfigError(f"{path}: unknown key {key!r}; only [[expect]] tables are read")
    entries = document.get("expect", [])
    if not isinstance(entries, list):
        raise ConfigError(f"{path}: write [[expect]] with two brackets, one table for each deviation")
    return tuple(_expectation(f"{path}: expect #{number}", entry) for number, entry in enumerate(entries, 1))


def _expectation(place: str, entry: object) -> Expectation:
    if not isinstance(entry, dict):
        raise ConfigError(f"{place} is not a table")
    for key, value in entry.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            raise ConfigError(f"{place}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        if not isinstance(value, str):
            raise ConfigError(f"{place}: {key} has to be a string")
    for key in ("id", "reason"):
        if not entry.get(key, ""):
            raise ConfigError(f"{place}: {key} is missing")
    try:
        known = rule(entry["id"])
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
    return Expectation(known.id, entry.get("target", "*"), entry["reason"], entry.get("issue", ""))


def apply_expectations(report: Report, expectations: Iterable[Expectation]) -> Report:
    """Turn declared violations into DEVIATION and collect those that did not come as expected in `stale`."""
    ours = [one for one in expectations if fnmatch.fnmatch(report.target, one.target)]
    by_rule = {one.id: one for one in reversed(ours)}
    passed = {row.rule.id for row in report.rows() if row.verdict is Verdict.PASS}
    return replace(
        report,
        findings=tuple(_declared(finding, by_rule.get(finding.rule)) for finding in report.findings),
        stale=tuple(one for one in ours if one.id in passed),
    )


def _declared(finding: Finding, expectation: Expectation | None) -> Finding:
    if expectation is None or finding.verdict not in _BROKEN:
        return finding
    return replace(finding, verdict=Verdict.DEVIATION, reason=expectation.reason, issue=expectation.issue)
