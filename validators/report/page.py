"""The HTML report: one file that needs nothing else, for one report or for several side by side.

Several reports make a matrix: a row for each rule, a column for each target, with filters. Styles and the script are
files beside this one and are put into the page. Without JavaScript everything is shown, and only the filters are gone.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from wsgikit.validators.report.document import read
from wsgikit.validators.report.model import Finding, Report, Row, Verdict
from wsgikit.validators.report.text import summary
from wsgikit.validators.rules import RULES, Rule
from wsgikit.version import __version__

_HERE = Path(__file__).parent
_ORDER = (
    Verdict.ERROR, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.WARN, Verdict.DEVIATION, Verdict.INFO, Verdict.PASS,
    Verdict.SKIP,
)  # fmt: skip
_TITLE = {"lint": "Lint", "app": "App", "middleware": "Middleware", "server": "Server"}


def render(report: Report) -> str:
    """One report as a page."""
    rows = sorted(report.rows(), key=lambda row: _ORDER.index(row.verdict))
    body = [
        f"<h1>{_TITLE[report.kind]} <code>{_text(report.target)}</code></h1>",
        f'<p class="summary">{_text(summary(report))}</p>',
        _facts(report),
        _remarks(report),
        _filters(report.counts(), (row.rule.role for row in rows)),
        '<section class="rules">',
        *(_card(row) for row in rows),
        "</section>",
    ]
    return _page(f"{report.target}: wsgikit check {report.kind}", body)


def matrix(reports: Sequence[Report]) -> str:
    """Several reports as one table of rules against targets."""
    rows = [{row.rule.id: row for row in report.rows()} for report in reports]
    rules = [rule for rule in RULES.values() if any(rule.id in found for found in rows)]
    counts = {verdict: sum(report.counts()[verdict] for report in reports) for verdict in Verdict}
    body = [
        "<h1>Rules and targets</h1>",
        f'<p class="summary">{len(reports)} targets, {len(rules)} rules. Choose a cell to read what was seen.</p>',
        _filters(counts, (rule.role for rule in rules), profiles=True),
        '<div class="scroll" tabindex="0" role="region" aria-label="Matrix"><table class="matrix"><thead><tr>',
        '<th scope="col">Rule</th>',
        *(f'<th scope="col"><span>{_text(report.target)}</span></th>' for report in reports),
        "</tr></thead><tbody>",
        *(_line(rule, [found.get(rule.id) for found in rows]) for rule in rules),
        "</tbody><tfoot>",
        _totals(reports),
        "</tfoot></table></div>",
        *(_detail(rule, reports, [found.get(rule.id) for found in rows]) for rule in rules),
        *(_facts(report, report.target) for report in reports),
        *(_remarks(report, report.target) for report in reports),
    ]
    return _page("wsgikit: rules and targets", body)


def matrix_from(paths: Iterable[str | Path]) -> str:
    """A matrix from JSON reports. Raises ConfigError for a file that is none."""
    return matrix([read(path) for path in paths])


def _page(title: str, body: Sequence[str]) -> str:
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + f"\n</main>\n<footer>wsgikit {__version__}</footer>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _text(value: str) -> str:
    return html.escape(value, quote=True)


def _badge(verdict: Verdict) -> str:
    return f'<span class="badge {verdict.lower()}">{verdict}</span>'


def _facts(report: Report, title: str = "") -> str:
    if not report.facts:
        return ""
    items = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in sorted(report.facts.items()))
    head = f"<h2>{_text(title)}</h2>" if title else ""
    return f'{head}<dl class="facts">{items}</dl>'


def _remarks(report: Report, title: str = "") -> str:
    items = [f"The run did not finish: {report.aborted}"] if report.aborted else []
    items += [f"Unexpected pass: {one.id} is declared as a deviation ({one.reason})" for one in report.stale]
    items += report.notes
    if not items:
        return ""
    head = f"<h2>{_text(title)}</h2>" if title else ""
    return head + '<ul class="notes">' + "".join(f"<li><pre>{_text(item)}</pre></li>" for item in items) + "</ul>"


def _filters(counts: dict[Verdict, int], roles: Iterable[str], *, profiles: bool = False) -> str:
    boxes = "".join(
        f'<label class="chip"><input type="checkbox" data-verdict="{verdict.lower()}" checked>'
        f"{_badge(verdict)} {counts[verdict]}</label>"
        for verdict in _ORDER
        if counts[verdict]
    )
    kinds = list(dict.fromkeys(roles))
    role = _select("role", kinds) if len(kinds) > 1 else ""
    profile = _select("profile", list(dict.fromkeys(rule.profile for rule in RULES.values()))) if profiles else ""
    differ = '<label class="chip"><input type="checkbox" data-differ>only where they differ</label>' if profiles else ""
    return (
        '<form class="filters" aria-label="Filters"><input type="search" placeholder="Search" aria-label="Search">'
        f"{role}{profile}{boxes}{differ}</form>"
    )


def _select(name: str, values: Sequence[str]) -> str:
    options = "".join(f"<option>{value}</option>" for value in values)
    return f'<select data-by="{name}" aria-label="{name}"><option value="">every {name}</option>{options}</select>'


def _data(rule: Rule, verdicts: Iterable[str]) -> str:
    found = " ".join(verdicts)
    return f'data-verdicts="{found}" data-role="{rule.role}" data-profile="{rule.profile}"'


def _card(row: Row) -> str:
    rule = row.rule
    opened = " open" if row.verdict in (Verdict.FAIL, Verdict.ERROR) else ""
    return (
        f'<details class="card" {_data(rule, [row.verdict.lower()])}{opened}>'
        f"<summary>{_badge(row.verdict)} <b>{rule.id}</b> <span>{_text(rule.text)}</span></summary>"
        f"{_about(rule)}{''.join(_finding(one) for one in row.findings)}</details>"
    )


def _about(rule: Rule) -> str:
    links = "; ".join(
        f'<a href="{_text(url)}">{_text(title)}</a>' if url else _text(title) for title, url in rule.sources
    )
    position = f"<p>Position: {_text(rule.position)}</p>" if rule.position else ""
    return f'<p class="about">{rule.role}, {rule.level} ({rule.word}), profile {rule.profile}. {links}</p>{position}'


def _finding(finding: Finding) -> str:
    said = "; ".join(part for part in (finding.detail, finding.reason) if part)
    places = [finding.case, f"layer {finding.layer}" if finding.layer else ""]
    if finding.location is not None:
        places.append(f"{finding.location.path}:{finding.location.line}")
    where = ", ".join(filter(None, places))
    lines = [f"<p>{_text(said)}</p>" if said else "", f'<p class="about">{_text(where)}</p>' if where else ""]
    if finding.issue.startswith(("https://", "http://")):
        lines.append(f'<p class="about"><a href="{_text(finding.issue)}">{_text(finding.issue)}</a></p>')
    elif finding.issue:
        # "javascript:" in a report that somebody else made
        lines.append(f'<p class="about">{_text(finding.issue)}</p>')
    if finding.reproducer is not None:
        again = finding.reproducer
        raw = repr(again.raw) if again.raw else ""
        lines += [f"<pre>{_text(part)}</pre>" for part in (again.command, again.script, raw) if part]
    inside = "".join(lines)
    return f'<div class="finding">{inside}</div>' if inside else ""


def _line(rule: Rule, rows: Sequence[Row | None]) -> str:
    verdicts = [row.verdict.lower() if row else "" for row in rows]
    cells = "".join(
        f'<td class="{row.verdict.lower()}">{_symbol(rule, row, number)}</td>' if row else "<td></td>"
        for number, row in enumerate(rows)
    )
    name = f'<th scope="row"><a href="#{rule.id}">{rule.id}</a> <span>{_text(rule.text)}</span></th>'
    return f"<tr {_data(rule, verdicts)}>{name}{cells}</tr>"


def _symbol(rule: Rule, row: Row, number: int) -> str:
    said = next((one.detail or one.reason for one in row.findings if one.verdict is row.verdict), "")
    return f'<a href="#{rule.id}" data-column="{number}" title="{_text(said[:300])}">{row.verdict}</a>'


def _totals(reports: Sequence[Report]) -> str:
    lines = []
    for verdict in _ORDER:
        counts = [report.counts()[verdict] for report in reports]
        if any(counts):
            cells = "".join(f"<td>{count or ''}</td>" for count in counts)
            lines.append(f'<tr><th scope="row">{_badge(verdict)}</th>{cells}</tr>')
    return "".join(lines)


def _detail(rule: Rule, reports: Sequence[Report], rows: Sequence[Row | None]) -> str:
    parts = []
    for report, row in zip(reports, rows, strict=True):
        if row is not None and row.verdict not in (Verdict.PASS, Verdict.SKIP):
            found = "".join(_finding(one) for one in row.findings if one.verdict is row.verdict)
            parts.append(f"<h3>{_text(report.target)} {_badge(row.verdict)}</h3>{found}")
    verdicts = [row.verdict.lower() for row in rows if row]
    body = "".join(parts) or "<p>Nothing to report.</p>"
    head = f"<summary><b>{rule.id}</b> <span>{_text(rule.text)}</span></summary>"
    return f'<details class="card" id="{rule.id}" {_data(rule, verdicts)}>{head}{_about(rule)}{body}</details>'
