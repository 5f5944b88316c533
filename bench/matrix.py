"""`wsgikit check server` against every installed server: `make matrix`, or `python bench/matrix.py [--servers A,B]`.

Writes one JSON report a server, `matrix.html` (rules against servers, to be filtered) and `matrix.md` (counts, and what
each server breaks) into --output. A server is started as its documentation says for production, with threads where it
has them; those that have no command line are started by `launch.py`, mod_wsgi by `apache.py`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OUTPUT = HERE / "results" / "matrix"
PAGE = HERE.parent / "docs" / "matrix.md"
INTRODUCTION = """# Servers against PEP 3333 and HTTP/1.1

Written by `make matrix ARGS=--publish` on one machine, in the profile `{profile}`: how many rules each server keeps and
breaks when it is started as its documentation says. [The rules](rules.md) say what each id means; a rule that only a
human can judge is a SKIP. To see a finding with its bytes and a line that repeats it:

    wsgikit check server --select HTTP-31 -- waitress-serve --listen={{host}}:{{port}} {{app}}

A server behind a strict proxy never sees most of what the HTTP rules are about, and some deviations are deliberate.
FAIL is a broken must, WARN a broken should, INFO advice.

"""
WSGIKIT = [sys.executable, "-m", "wsgikit", "check"]
BIN = Path(sys.executable).parent
COLUMNS = ("PASS", "INFO", "WARN", "FAIL", "INCONCLUSIVE", "ERROR", "SKIP")
# A run has a limit of its own (110 s); this is for a server that cannot even be stopped.
LONGEST = 240


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One server: `module` must be importable, or `program` be there, for it to count as installed."""

    name: str
    command: tuple[str, ...]
    module: str = ""
    package: str = ""
    program: str = ""

    @property
    def installed(self) -> bool:
        if self.program:
            return (BIN / self.program).is_file()  # an absolute path replaces BIN
        return importlib.util.find_spec(self.module) is not None

    @property
    def title(self) -> str:
        """Name and version."""
        try:
            return f"{self.name} {version(self.package)}" if self.package else f"{self.name} {_own_version(self.name)}"
        except PackageNotFoundError:
            return self.name


def _own_version(name: str) -> str:
    """Of a server that is no Python package: the interpreter's for wsgiref, the distribution's for mod_wsgi."""
    if name != "mod_wsgi":
        return ".".join(map(str, sys.version_info[:3]))
    query = ["dpkg-query", "-W", "-f", "${Version}", "libapache2-mod-wsgi-py3"]
    if shutil.which(query[0]) is None:
        return ""
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout


def _gunicorn(kind: str, *more: str) -> Peer:
    command = (str(BIN / "gunicorn"), "-b", "{host}:{port}", "-k", kind, *more, "--no-control-socket", "{app}")
    return Peer(name=f"gunicorn {kind}", command=command, program="gunicorn", package="gunicorn")


def _library(name: str, package: str = "", module: str = "") -> Peer:
    command = (sys.executable, str(HERE / "launch.py"), name, "{app}", "{port}", "8")
    return Peer(name=name, command=command, module=module or name, package=package)


def _program(name: str, *arguments: str, program: str = "") -> Peer:
    binary = program or name
    return Peer(name=name, command=(str(BIN / binary), *arguments), program=binary, package=name)


_UWSGI = ("--http-socket", "{host}:{port}", "--master", "--die-on-term", "--need-app", "--threads", "8",
          "--virtualenv", sys.prefix, "--pythonpath", "{directory}", "--module", "{app}")  # fmt: skip
_GRANIAN = ("--interface", "wsgi", "--http", "1", "--host", "{host}", "--port", "{port}", "--blocking-threads", "8",
            "{app}")  # fmt: skip
PEERS = (
    _program("wsgikit", "serve", "{app}", "-b", "{host}:{port}"),
    _gunicorn("sync"),
    _gunicorn("gthread", "--threads", "8"),
    _gunicorn("gevent"),
    _program("waitress", "--listen={host}:{port}", "{app}", program="waitress-serve"),
    _library("cheroot", "cheroot"),
    _library("gevent", "gevent"),
    _library("wsgiref"),
    _library("werkzeug", "werkzeug"),
    _library("tornado", "tornado"),
    Peer(
        name="mod_wsgi",
        program="/usr/lib/apache2/modules/mod_wsgi.so",
        command=(sys.executable, str(HERE / "apache.py"), "{host}", "{port}", "{file}", "{directory}"),
    ),
    _program("uwsgi", *_UWSGI),
    _program("granian", *_GRANIAN),
    _program("hypercorn", "-b", "{host}:{port}", "wsgi:{app}"),
    _library("bjoern", "bjoern"),
    _library("fastwsgi", "fastwsgi", "_fastwsgi"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table. Returns 1 when no server could be tried."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", help="names, separated by commas; all that are installed")
    parser.add_argument("--profile", default="http", help="pep, recommended, http or pedantic [http]")
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"folder for the reports [{OUTPUT}]")
    parser.add_argument("--publish", action="store_true", help=f"write {PAGE} as well")
    options = parser.parse_args(arguments)
    names = options.servers.split(",") if options.servers else [peer.name for peer in PEERS]
    chosen = [peer for peer in PEERS if peer.name in names and peer.installed]
    absent = sorted(set(names) - {peer.name for peer in chosen})
    if absent:
        print(f"not installed or unknown, left out: {', '.join(absent)}", file=sys.stderr)
    options.output.mkdir(parents=True, exist_ok=True)
    paths = [path for peer in chosen if (path := check(peer, options.profile, options.output))]
    if not paths:
        return 1
    subprocess.run([*WSGIKIT, "matrix", "-o", str(options.output / "matrix.html"), *map(str, paths)], check=True)
    text = markdown([json.loads(path.read_text("utf-8")) for path in paths])
    (options.output / "matrix.md").write_text(text, "utf-8")
    if options.publish:
        PAGE.write_text(INTRODUCTION.format(profile=options.profile) + text, "utf-8")
    print(text, f"{options.output / 'matrix.html'}", sep="\n")
    return 0


def check(peer: Peer, profile: str, folder: Path) -> Path | None:
    """Run the checks against one server; the report, or None when there is none."""
    path = folder / f"{peer.name.replace(' ', '-')}.json"
    path.unlink(missing_ok=True)
    command = [*WSGIKIT, "server", "--name", peer.title, "--profile", profile, "--output", f"json={path}"]
    print(f"{peer.title} ...", file=sys.stderr, flush=True)
    try:
        subprocess.run([*command, "--", *peer.command], stdout=subprocess.DEVNULL, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        print(f"{peer.title}: no result within {LONGEST} s", file=sys.stderr)
    return path if path.is_file() else None


def markdown(reports: Sequence[dict[str, Any]]) -> str:
    """A line a server with the counts of its rules, then what each of them breaks."""
    lines = [f"| server | {' | '.join(COLUMNS)} |", "|---|" + "---|" * len(COLUMNS)]
    for report in reports:
        counts = " | ".join(str(report["summary"].get(verdict, 0)) for verdict in COLUMNS)
        lines.append(f"| {report['target']} | {counts} |")
    for report in reports:
        lines += ["", f"**{report['target']}**", "", *_broken(report)]
    return "\n".join(lines) + "\n"


def _broken(report: dict[str, Any]) -> list[str]:
    if report["aborted"]:
        return [f"not judged: {report['aborted']}"]
    lines = []
    for verdict, words in (("FAIL", "musts"), ("WARN", "shoulds")):
        rules = [result["rule"] for result in report["results"] if result["verdict"] == verdict]
        lines.append(f"{words} broken: {', '.join(rules) or 'none'}  ")
    return lines


if __name__ == "__main__":
    sys.exit(main())
