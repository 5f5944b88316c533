"""The matrix as Markdown: docs/matrix.md and the table of the README, which name no failure that nobody verified, and
`matrix.md`, which names all of them and stays where it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verified import Compared, Evidence

COLUMNS = ("PASS", "INFO", "WARN", "FAIL", "INCONCLUSIVE", "ERROR", "SKIP")
START, END = "<!-- matrix: written by bench/matrix.py --publish -->", "<!-- matrix: end -->"
INTRODUCTION = """# Servers against PEP 3333 and HTTP/1.1

Written by `make matrix ARGS=--publish` on one machine, in the profile `{profile}`: how many rules each server keeps and
breaks when it is started as its documentation says. [The rules](rules.md) say what each id means; a rule that only a
human can judge is a SKIP. To see a finding with its bytes and a line that repeats it:

    wsgikit check server --select HTTP-31 -- waitress-serve --listen={{host}}:{{port}} {{app}}

FAIL is a broken must, WARN a broken should, INFO advice. A failure is named here only after its cause was found in the
server's source, or its bytes were replayed by hand over a bare socket; what was seen stands with it. "Unverified"
counts the failures that nobody has looked at: they may be ours. A server behind a strict proxy never sees most of what
the HTTP rules are about, what its authors decided and documented is marked *deliberate*, and the servers of wsgiref and
Werkzeug are for development, as their documentation says.

"""


@dataclass(frozen=True, slots=True)
class Judged:
    """One server: its JSON report, and what the evidence says about it."""

    report: dict[str, Any]
    compared: Compared

    @property
    def name(self) -> str:
        return str(self.report["target"])

    def count(self, verdict: str) -> int:
        return int(self.report["summary"].get(verdict, 0))

    @property
    def confirmed(self) -> int:
        """Rules, not entries: several entries may stand behind one rule."""
        return len({one.rule for one in self.compared.confirmed})

    @property
    def unverified(self) -> int:
        return len(self.compared.unverified)


def published(judged: Sequence[Judged], profile: str) -> str:
    """docs/matrix.md."""
    rows = [
        (one.name, one.count("PASS"), one.confirmed, one.unverified, one.count("WARN"), one.count("INFO"),
         one.count("INCONCLUSIVE") + one.count("ERROR"), one.count("SKIP"))
        for one in judged
    ]  # fmt: skip
    head = ("server", "PASS", "FAIL, verified", "unverified", "WARN", "INFO", "unclear", "SKIP")
    parts = [INTRODUCTION.format(profile=profile) + _table(head, rows)]
    parts += [_server(one) for one in judged]
    return "\n\n".join(parts) + "\n"


def summary(judged: Sequence[Judged]) -> str:
    """The short table. What is unverified has a column as long as there is any, for "0 failed" means little then."""
    head, more = ("server", "passed", "failed, verified"), any(one.unverified for one in judged)
    rows = [
        (one.name, one.count("PASS"), one.confirmed, *((one.unverified,) if more else ()), one.count("WARN"))
        for one in judged
    ]
    return _table((*head, *(("unverified",) if more else ()), "warnings"), rows)


def put_into(path: Path, table: str) -> bool:
    """Replaces what stands between the two marks of a page; False when it has none."""
    text = path.read_text("utf-8")
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        return False
    path.write_text(f"{before}{START}\n\n{table}\n\n{END}{after}", "utf-8")
    return True


def private(reports: Sequence[dict[str, Any]]) -> str:
    """A line a server with the counts of its rules, then what each of them breaks, verified or not."""
    rows = [(report["target"], *(report["summary"].get(verdict, 0) for verdict in COLUMNS)) for report in reports]
    parts = [_table(("server", *COLUMNS), rows)]
    for report in reports:
        lines = [f"musts broken: {_listed(report, 'FAIL')}  ", f"shoulds broken: {_listed(report, 'WARN')}  "]
        aborted = f"not judged: {report['aborted']}"
        parts += [f"**{report['target']}**", aborted if report["aborted"] else "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    columns = [str(cell) for cell in head]
    lines = [columns, ["---"] * len(columns), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _server(one: Judged) -> str:
    lines = [f"## {one.name}", ""]
    if one.report["aborted"]:
        return "\n".join([*lines, f"Not judged: {one.report['aborted']}"])
    lines += [_failure(entry, one.name) for entry in one.compared.confirmed] or ["No verified failure."]
    if one.unverified:
        lines += ["", f"Unverified failures: {one.unverified}."]
    return "\n".join([*lines, "", f"WARN: {_listed(one.report, 'WARN', linked=True)}."])


def _failure(one: Evidence, server: str) -> str:
    by = {"source": "source", "trace": "bytes", "both": "source and bytes"}[one.kind]
    seen = "" if server.endswith(f" {one.version}") else f", with {one.version}"
    choice = f" *Deliberate*: {one.documented}" if one.documented else ""
    return f"- **{_link(one.rule)}** ({', '.join(one.cases)}): {one.evidence}{choice} ({by}{seen})"


def _listed(report: dict[str, Any], verdict: str, *, linked: bool = False) -> str:
    rules = [result["rule"] for result in report["results"] if result["verdict"] == verdict]
    return ", ".join(_link(key) if linked else key for key in rules) or "none"


def _link(key: str) -> str:
    return f"[{key}](rules.md#{key.lower()})"
