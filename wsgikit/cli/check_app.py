"""`wsgikit check app pkg.mod:app`: drive an app in process as a hostile but legal server would, and report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wsgikit.errors import ConfigError
from wsgikit.validators.app import METHODS, Request, Settings
from wsgikit.validators.app.links import read_urls
from wsgikit.validators.report.command import add_options, check_options, publish
from wsgikit.validators.report.progress import Progress
from wsgikit.validators.rules import rule
from wsgikit.validators.supervisor import Job, supervise

HELP = """Test a WSGI app against PEP 3333, in process.

Asks the app as a hostile but legal server may: every method, the least environ, blocks taken late or not at all, broken
input, several threads at once. With --between, also each seam of a middleware stack, to name the layer at fault."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("app", metavar="MODULE:APP", help="the app, or a factory: pkg.mod:create()")
    request = parser.add_argument_group("what to ask")
    request.add_argument("--path", action="append", metavar="/PATH", help="a URL of the app; repeatable [/]")
    request.add_argument("--method", action="append", metavar="NAME", help="only these methods; repeatable")
    request.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'", help="send a header")
    request.add_argument("--host", default="localhost:8000", help="the Host of the requests")
    request.add_argument("--body", metavar="FILE", help="the body of the requests; - for standard input")
    request.add_argument("--urls", metavar="FILE", help="more URLs: /path or METHOD /path, one a line")
    request.add_argument("--crawl", type=int, default=0, metavar="N", help="follow up to N of the app's own links")
    parser.add_argument("--between", action="store_true", help="put a lint at every seam of the middleware stack")
    parser.add_argument("--select", action="append", default=[], metavar="RULE", help="report these rules only")
    parser.add_argument("--threads", type=int, default=8, metavar="N", help="threads at once [8]")
    parser.add_argument("--patience", type=float, default=10.0, metavar="S", help="seconds for one request [10]")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="S", help="seconds for the whole run [120]")
    add_options(parser, "http")


def run(options: argparse.Namespace) -> int:
    """Check, report. Returns 0 clean, 1 violations, 2 usage, 3 when the app did not start or nothing was judged."""
    check_options(options)
    job = Job(
        kind="between" if options.between else "app",
        target=options.app,
        settings=settings_from(options),
        profile=options.profile,
        patience=positive(options.patience, "--patience"),
        timeout=positive(options.timeout, "--timeout"),
        show_output=options.verbose,
    )
    with Progress(sys.stderr) as progress:
        report = supervise(job, progress)
    return publish(report, options)


def settings_from(options: argparse.Namespace) -> Settings:
    """The settings that the arguments ask for. Raises ConfigError."""
    first = Request(
        method=(options.method or ["GET"])[0],
        headers=tuple(request_header(text) for text in options.header),
        body=_body(options.body),
        host=options.host,
    )
    requests = [first.but(target=request_target(path)) for path in options.path or ()]
    if options.urls:
        requests += read_urls(options.urls, first)
    return Settings(
        requests=tuple(requests) or (first,),
        methods=tuple(options.method or METHODS),
        crawl=max(options.crawl, 0),
        profile=options.profile,
        select=tuple(rule(name).id for name in options.select),
        threads=int(positive(options.threads, "--threads")),
        patience=positive(options.patience, "--patience"),
    )


def positive(number: float, flag: str) -> float:
    """The number. Raises ConfigError when it is not above 0."""
    if number <= 0:
        raise ConfigError(f"{flag} {number:g}: it has to be more than 0")
    return number


def request_target(path: str) -> str:
    """The path. Raises ConfigError when it is no origin form."""
    if not path.startswith("/") and path != "*":
        raise ConfigError(f"--path {path}: a path begins with a slash")
    return path


def request_header(text: str) -> tuple[str, str]:
    """Name and value of a header line. Raises ConfigError."""
    name, colon, value = text.partition(":")
    if not colon or not name:
        raise ConfigError(f"--header {text!r}: write 'Name: value'")
    return name.strip(), value.strip()


def _body(name: str | None) -> bytes:
    if name is None:
        return b""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise ConfigError(f"--body {name}: {error.strerror or error}") from error
