"""The JSON form of a report, both ways. Its schema is `report.schema.json` beside this file.

The same findings give the same bytes: no time, no host name, no order but the registry's. Raw bytes are written as a
Python bytes literal, which a person can read and `ast.literal_eval` can take back.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.validators.report.model import Expectation, Finding, Location, Report, Reproducer, Row, Verdict
from wsgikit.version import __version__

FORMAT = "wsgikit-report"
VERSION = 1
SCHEMA = Path(__file__).with_name("report.schema.json")

_PLAIN = ("detail", "case", "layer", "reason", "issue")


def to_document(report: Report) -> dict[str, Any]:
    """The report as JSON-ready values."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "tool": {"name": "wsgikit", "version": __version__},
        "kind": report.kind,
        "target": report.target,
        "facts": dict(sorted(report.facts.items())),
        "profile": report.profile,
        "summary": {str(verdict): count for verdict, count in report.counts().items()},
        "results": [_result(row) for row in report.rows()],
        "unexpected_passes": [
            {"id": one.id, "target": one.target, "reason": one.reason, "issue": one.issue} for one in report.stale
        ],
        "notes": list(report.notes),
        "aborted": report.aborted,
    }


def render(report: Report) -> str:
    """The report as JSON text with a line end."""
    return json.dumps(to_document(report), indent=2, ensure_ascii=True) + "\n"


def _result(row: Row) -> dict[str, Any]:
    return {
        "rule": row.rule.id,
        "role": row.rule.role,
        "level": row.rule.level,
        "profile": row.rule.profile,
        "text": row.rule.text,
        "verdict": str(row.verdict),
        "findings": [_finding(finding) for finding in row.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    entry: dict[str, Any] = {"verdict": str(finding.verdict)}
    entry |= {name: value for name in _PLAIN if (value := getattr(finding, name))}
    if finding.location is not None:
        place = finding.location
        entry["location"] = {"path": place.path, "line": place.line, "function": place.function}
    if finding.reproducer is not None:
        again = finding.reproducer
        entry["reproducer"] = {"raw": repr(again.raw), "command": again.command, "script": again.script}
    return entry


def read(path: str | Path) -> Report:
    """A report from a JSON file. Raises ConfigError when it is not one of ours or of a later version."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ConfigError(f"{path}: not a {FORMAT} document; make one with `wsgikit check ... --format json`")
    if document.get("version") != VERSION:
        raise ConfigError(f"{path}: version {document.get('version')!r}; this program reads version {VERSION}")
    try:
        return from_document(document)
    except (KeyError, TypeError, ValueError, SyntaxError) as error:
        raise ConfigError(f"{path}: damaged document: {error!r}") from error


def from_document(document: dict[str, Any]) -> Report:
    """The inverse of `to_document`. Raises KeyError, TypeError or ValueError for a document that breaks the schema."""
    return Report(
        kind=document["kind"],
        target=document["target"],
        profile=document["profile"],
        facts=document["facts"],
        notes=tuple(document["notes"]),
        aborted=document["aborted"],
        stale=tuple(Expectation(**one) for one in document["unexpected_passes"]),
        findings=tuple(
            _read_finding(result["rule"], entry) for result in document["results"] for entry in result["findings"]
        ),
    )


def _read_finding(rule: str, entry: dict[str, Any]) -> Finding:
    place, again = entry.get("location"), entry.get("reproducer")
    return Finding(
        rule=rule,
        verdict=Verdict(entry["verdict"]),
        location=None if place is None else Location(**place),
        reproducer=None if again is None else Reproducer(**(again | {"raw": ast.literal_eval(again["raw"])})),
        **{name: entry[name] for name in _PLAIN if name in entry},
    )
