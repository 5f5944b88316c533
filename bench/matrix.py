"""`wsgikit check server` against every installed server: `make matrix`, or `python bench/matrix.py [--servers A,B]`.

Writes one JSON report a server, `matrix.html` (rules against servers, to be filtered) and `matrix.md` (counts, and what
each server breaks) into --output. With --publish docs/matrix.md and the table of the README as well, which name the
failures that have their evidence in `evidence/` and count the others. A server is started as its documentation says for
production, with threads where it has them; those that have no command line are started by `launch.py`, mod_wsgi by
`apache.py`.
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

from matrix_page import Judged, private, published, put_into, summary
from verified import compare, file_name, load, strangers

from wsgikit.errors import ConfigError

HERE = Path(__file__).parent
OUTPUT = HERE / "results" / "matrix"
PAGE = HERE.parent / "docs" / "matrix.md"
README = HERE.parent / "README.md"
EVIDENCE = HERE / "evidence"
WSGIKIT = [sys.executable, "-m", "wsgikit", "check"]
BIN = Path(sys.executable).parent
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


# Its documentation wants --http, and no --http-socket, where nothing stands in front of it.
_UWSGI = ("--http", "{host}:{port}", "--master", "--die-on-term", "--need-app", "--threads", "8",
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
    parser.add_argument("--keep", action="store_true", help="run only servers that have no report in --output")
    parser.add_argument("--publish", action="store_true", help=f"write {PAGE} and the table of README.md as well")
    options = parser.parse_args(arguments)
    try:
        evidence = {peer.name: load(EVIDENCE, peer.name) for peer in PEERS}
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    for name in strangers(EVIDENCE, [peer.name for peer in PEERS]):
        print(f"{EVIDENCE / name}: there is no such server; names are as in PEERS, with - for spaces", file=sys.stderr)
    options.output.mkdir(parents=True, exist_ok=True)
    reports = {peer: path for peer in _chosen(options.servers) if (path := _report(peer, options))}
    if not reports:
        return 1
    page = options.output / "matrix.html"
    subprocess.run([*WSGIKIT, "matrix", "-o", str(page), *map(str, reports.values())], check=True)
    documents = {peer: json.loads(path.read_text("utf-8")) for peer, path in reports.items()}
    text = private(list(documents.values()))
    (options.output / "matrix.md").write_text(text, "utf-8")
    print(text, page, sep="\n")
    judged = {peer: Judged(found, compare(found, evidence[peer.name])) for peer, found in documents.items()}
    for peer, one in judged.items():
        _tell(peer, one)
    if options.publish:
        publish(list(judged.values()), options.profile)
    return 0


def publish(judged: Sequence[Judged], profile: str) -> None:
    """Writes the page and the README's table."""
    PAGE.write_text(published(judged, profile), "utf-8")
    if not put_into(README, summary(judged)):
        print(f"{README}: no marks for the table, left alone", file=sys.stderr)


def _chosen(servers: str | None) -> list[Peer]:
    names = servers.split(",") if servers else [peer.name for peer in PEERS]
    chosen = [peer for peer in PEERS if peer.name in names and peer.installed]
    absent = sorted(set(names) - {peer.name for peer in chosen})
    if absent:
        print(f"not installed or unknown, left out: {', '.join(absent)}", file=sys.stderr)
    return chosen


def _report(peer: Peer, options: argparse.Namespace) -> Path | None:
    path: Path = options.output / f"{file_name(peer.name)}.json"
    if options.keep and path.is_file():
        return path
    return check(peer, options.profile, path)


def _tell(peer: Peer, one: Judged) -> None:
    """What is left to do for whoever keeps the evidence."""
    compared, lines = one.compared, []
    lines += [f"unverified {key}: {', '.join(cases)}" for key, cases in compared.unverified.items()]
    lines += [f"unverified cases of {key}: {', '.join(cases)}" for key, cases in compared.unseen.items()]
    lines += [
        f"stale: {entry.rule} ({', '.join(entry.cases)}), seen with {entry.version}, is {verdict} now"
        for entry, verdict in compared.stale.items()
    ]
    others = {entry.version for entry in compared.confirmed if not one.name.endswith(f" {entry.version}")}
    lines += [f"evidence from version {version}" for version in sorted(others)]
    for line in lines:
        print(f"{peer.title}: {line}", file=sys.stderr)


def check(peer: Peer, profile: str, path: Path) -> Path | None:
    """Run the checks against one server; its report at `path`, or None when there is none."""
    path.unlink(missing_ok=True)
    command = [*WSGIKIT, "server", "--name", peer.title, "--profile", profile, "--output", f"json={path}"]
    print(f"{peer.title} ...", file=sys.stderr, flush=True)
    try:
        subprocess.run([*command, "--", *peer.command], stdout=subprocess.DEVNULL, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        print(f"{peer.title}: no result within {LONGEST} s", file=sys.stderr)
    return path if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
