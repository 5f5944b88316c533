"""`wsgikit check server` against every installed server: `make matrix`, or `python bench/matrix.py [--servers A,B]`.

Writes one JSON report a server, `matrix.html` (rules against servers, to be filtered) and `matrix.md` (a table of the
counts) into --output. Each server is started as in the comparison of speed (`servers.py`), on 8 threads where it can.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from servers import SERVERS, Plan, Server

OUTPUT = Path(__file__).parent / "results" / "matrix"
WSGIKIT = [sys.executable, "-m", "wsgikit", "check"]
COLUMNS = ("PASS", "FAIL", "WARN", "INCONCLUSIVE", "ERROR", "SKIP")
# `check server` puts its own port and app in the place of these
PLAN = Plan(app="{app}", port="{port}", threads=8, connections=64)  # type: ignore[arg-type]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", help="names, separated by commas; all that are installed")
    parser.add_argument("--profile", default="http", help="pep, recommended, http or pedantic [http]")
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"folder for the reports [{OUTPUT}]")
    options = parser.parse_args(arguments)
    names = options.servers.split(",") if options.servers else [server.name for server in SERVERS]
    chosen = [server for server in SERVERS if server.name in names and server.installed]
    absent = sorted(set(names) - {server.name for server in chosen})
    if absent:
        print(f"not installed or unknown, left out: {', '.join(absent)}", file=sys.stderr)
    options.output.mkdir(parents=True, exist_ok=True)
    reports = [report for server in chosen if (report := check(server, options.profile, options.output))]
    if not reports:
        return 1
    subprocess.run([*WSGIKIT, "matrix", "-o", str(options.output / "matrix.html"), *map(str, reports)], check=True)
    (options.output / "matrix.md").write_text(table(reports), "utf-8")
    print(table(reports), f"{options.output / 'matrix.html'}", sep="\n")
    return 0


def check(server: Server, profile: str, folder: Path) -> Path | None:
    """Run the checks against one server; the report, or None when there is none."""
    report = folder / f"{server.name}.json"
    report.unlink(missing_ok=True)
    named = ["server", "--name", f"{server.name} {server.version}", "--profile", profile]
    command = [*WSGIKIT, *named, "--output", f"json={report}", "--format", "json", "--", *server.command(PLAN)]
    print(f"{server.name} ...", file=sys.stderr, flush=True)
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=300)
    return report if report.is_file() else None


def table(reports: Sequence[Path]) -> str:
    """Markdown: a line a server, the counts of its verdicts."""
    rows = [f"| server | {' | '.join(COLUMNS)} |", "|---|" + "---|" * len(COLUMNS)]
    for report in reports:
        data = json.loads(report.read_text("utf-8"))
        counts = " | ".join(str(data["summary"].get(verdict, 0)) for verdict in COLUMNS)
        rows.append(f"| {data['target']} | {counts} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.exit(main())
