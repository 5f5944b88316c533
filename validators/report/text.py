"""The report for people: with colours by rich where that is installed and the output is a terminal, plain otherwise.

Grouped by verdict, the worst first. Passed and skipped rules are counted, and listed only when asked for.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from wsgikit.validators.report.model import Finding, Report, Row, Verdict

if TYPE_CHECKING:
    from rich.console import Console

_ORDER = (
    Verdict.ERROR,
    Verdict.FAIL,
    Verdict.INCONCLUSIVE,
    Verdict.WARN,
    Verdict.DEVIATION,
    Verdict.INFO,
    Verdict.SKIP,
    Verdict.PASS,
)
_QUIET = (Verdict.SKIP, Verdict.PASS)
_STYLE = {
    Verdict.ERROR: "bold magenta",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "magenta",
    Verdict.WARN: "yellow",
    Verdict.DEVIATION: "cyan",
    Verdict.INFO: "blue",
    Verdict.SKIP: "dim",
    Verdict.PASS: "green",
}
_WIDTH = 100
# A rule that hundreds of URLs break is one problem; the rest is counted.
_SHOWN = 3

Line = tuple[str, str]  # text, style


def render(report: Report) -> str:
    """The plain text of the report, without passed and skipped rules."""
    out = io.StringIO()
    for text, _ in lines(report, verbose=False):
        out.write(text + "\n")
    return out.getvalue()


def show(report: Report, out: TextIO, *, verbose: bool = False) -> None:
    """Print the report to `out`."""
    console = _console(out)
    for text, style in lines(report, verbose=verbose):
        if console is None:
            out.write(text + "\n")
        else:
            console.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)
    out.flush()


def _console(out: TextIO) -> Console | None:
    if not out.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=out)


def lines(report: Report, *, verbose: bool) -> Iterator[Line]:
    """Every line of the report with its style."""
    yield f"{report.kind} {report.target}", "bold"
    for name, value in sorted(report.facts.items()):
        yield f"  {name}: {value}", "dim"
    rows = report.rows()
    for verdict in _ORDER:
        if verdict in _QUIET and not verbose:
            continue
        for row in rows:
            if row.verdict is verdict:
                yield from _row(row)
    yield from _remarks(report)
    yield "", ""
    yield summary(report), "bold"


def summary(report: Report) -> str:
    """One line: how many rules ended how, in which profile."""
    counts = report.counts()
    parts = [f"{counts[verdict]} {verdict}" for verdict in _ORDER if counts[verdict]]
    return f"{', '.join(parts) or 'nothing judged'} (profile {report.profile})"


def _row(row: Row) -> Iterator[Line]:
    style = _STYLE[row.verdict]
    yield "", ""
    first, *rest = textwrap.wrap(row.rule.text, _WIDTH - 24)
    yield f"{row.verdict:<13}{row.rule.id:<10} {first}", style
    for line in rest:
        yield f"{'':<24}{line}", style
    shown = [finding for finding in row.findings if finding.verdict is row.verdict]
    for finding in shown[:_SHOWN]:
        yield from finding_lines(finding)
    if len(shown) > _SHOWN:
        yield f"    ... and {len(shown) - _SHOWN} more of the kind", "dim"
    if row.verdict not in _QUIET:
        yield from ((f"    {title}: {url}", "dim") for title, url in row.rule.sources)


def finding_lines(finding: Finding) -> Iterator[Line]:
    """What was seen, where, and how to see it again."""
    where = f" [{finding.layer}]" if finding.layer else ""
    head = "; ".join(part for part in (finding.detail, finding.reason) if part)
    if head or where or finding.case:
        case = f" ({finding.case})" if finding.case else ""
        yield f"    {head}{where}{case}", ""
    if finding.issue:
        yield f"      see {finding.issue}", "dim"
    if finding.location is not None:
        place = finding.location
        yield f"      at {place.path}:{place.line}" + (f" in {place.function}" if place.function else ""), "dim"
    if finding.reproducer is not None:
        if finding.reproducer.command:
            yield f"      again: {finding.reproducer.command}", "dim"
        if finding.reproducer.raw:
            yield f"      bytes: {_clipped(finding.reproducer.raw)}", "dim"
        for line in finding.reproducer.script.splitlines():
            yield f"      | {line}", "dim"


def _clipped(raw: bytes, limit: int = 300) -> str:
    return repr(raw) if len(raw) <= limit else f"{raw[:limit]!r}... ({len(raw)} bytes; all of them in the JSON report)"


def _remarks(report: Report) -> Iterator[Line]:
    if report.notes or report.stale or report.aborted:
        yield "", ""
    for note in report.notes:
        yield f"note: {note}", ""
    for one in report.stale:
        yield f"unexpected pass: {one.id} is declared as a deviation ({one.reason}) but holds; drop the entry", "cyan"
    if report.aborted:
        yield f"the run did not finish: {report.aborted}", "bold magenta"
