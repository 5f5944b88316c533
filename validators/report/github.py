"""GitHub: annotations for the ten worst findings, and a summary of the step in Markdown.

GitHub shows ten annotations of a kind in a step, so more would only push others out; the summary has them all. It is
appended to the file that $GITHUB_STEP_SUMMARY names, where that is set.
"""

from __future__ import annotations

import os
from pathlib import Path

from wsgikit.errors import ConfigError
from wsgikit.validators.report.model import Finding, Report, Verdict
from wsgikit.validators.report.text import summary

_MOST = 10
_COMMAND = {
    Verdict.ERROR: "error",
    Verdict.FAIL: "error",
    Verdict.WARN: "warning",
    Verdict.INCONCLUSIVE: "warning",
    Verdict.INFO: "notice",
}
_WORST_FIRST = tuple(_COMMAND)


def render(report: Report) -> str:
    """The annotations as workflow commands. Also appends the step's summary where GitHub asks for one."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(step_summary(report))
        except OSError as error:
            raise ConfigError(f"GITHUB_STEP_SUMMARY names {path}: {error.strerror or error}") from error
    lines = [_annotation(finding) for finding in _top(report)]
    if report.aborted:
        lines.insert(0, f"::error title=wsgikit::{_data(f'the run did not finish: {report.aborted}')}")
    return "".join(f"{line}\n" for line in [*lines, f"wsgikit check {report.kind} {report.target}: {summary(report)}"])


def _top(report: Report) -> list[Finding]:
    """The ten worst, one of each rule before a second of any."""
    ranked = []
    for row in report.rows():
        shown = [finding for finding in row.findings if finding.verdict in _COMMAND]
        ranked += [(number, _WORST_FIRST.index(finding.verdict), finding) for number, finding in enumerate(shown)]
    ranked.sort(key=lambda item: item[:2])
    return [finding for _, _, finding in ranked[:_MOST]]


def _annotation(finding: Finding) -> str:
    where = ""
    if finding.location is not None:
        where = f"file={_property(relative(finding.location.path))},line={finding.location.line},"
    message = "; ".join(part for part in (finding.detail, finding.reason, finding.case) if part)
    again = finding.reproducer.command if finding.reproducer else ""
    text = _data(message + (f"\n{again}" if again else ""))
    return f"::{_COMMAND[finding.verdict]} {where}title={_property(finding.rule)}::{text}"


def relative(path: str) -> str:
    """The path as seen from the working directory, where it lies below it."""
    try:
        return Path(path).resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def step_summary(report: Report) -> str:
    """The summary as Markdown: counts, then a table of what is not clean."""
    lines = [f"### wsgikit check {report.kind} `{_cell(report.target)}`", "", summary(report), ""]
    if report.aborted:
        lines += [f"**The run did not finish:** {_cell(report.aborted)}", ""]
    rows = [row for row in report.rows() if row.verdict not in (Verdict.PASS, Verdict.SKIP)]
    if rows:
        lines += ["| Verdict | Rule | What | Seen |", "|---|---|---|---|"]
    for row in rows:
        first = next(finding for finding in row.findings if finding.verdict is row.verdict)
        seen = "; ".join(part for part in (first.detail, first.reason, first.layer) if part)
        url = row.rule.sources[0][1]
        lines.append(f"| {row.verdict} | [{row.rule.id}]({url}) | {_cell(row.rule.text)} | {_cell(seen)} |")
    lines += ["", *(f"- {_cell(note)}" for note in report.notes)]
    return "\n".join(lines) + "\n\n"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\r", " ").replace("\n", " ")
