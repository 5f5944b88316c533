"""`wsgikit check middleware pkg.mod:factory`: a middleware between a scripted app and a scripted server."""

from __future__ import annotations

import argparse
import ast
import sys

from wsgikit.cli.check_app import positive, request_header, request_target
from wsgikit.errors import ConfigError
from wsgikit.validators.app.request import Request
from wsgikit.validators.report.command import add_options, check_options, publish
from wsgikit.validators.report.progress import Progress
from wsgikit.validators.rules import rule
from wsgikit.validators.sandwich import MiddlewareSettings
from wsgikit.validators.supervisor import Job, supervise

HELP = """Test a middleware against PEP 3333, in process.

Puts it between a scripted app and a scripted server, and follows every block, close() and header through it. The
factory is called as factory(app, **options)."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("factory", metavar="MODULE:FACTORY", help="what makes the middleware, or a short name of ours")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the factory, a Python literal"
    )
    parser.add_argument("--path", metavar="/PATH", help="what is asked for [/a/b?c=d]")
    parser.add_argument("--method", default="GET", metavar="NAME", help="the method of the requests [GET]")
    parser.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'", help="send a header")
    parser.add_argument("--select", action="append", default=[], metavar="RULE", help="report these rules only")
    parser.add_argument("--patience", type=float, default=10.0, metavar="S", help="seconds for one request [10]")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="S", help="seconds for the whole run [120]")
    add_options(parser, "http")


def run(options: argparse.Namespace) -> int:
    """Check, report. Returns 0 clean, 1 violations, 2 usage, 3 when nothing could be judged."""
    check_options(options)
    job = Job(
        kind="middleware",
        target=_factory(options.factory),
        settings=settings_from(options),
        profile=options.profile,
        patience=positive(options.patience, "--patience"),
        timeout=positive(options.timeout, "--timeout"),
        show_output=options.verbose,
    )
    with Progress(sys.stderr) as progress:
        report = supervise(job, progress)
    return publish(report, options)


def _factory(name: str) -> str:
    """What `[[mount.use]]` knows as `compress` is meant here by that name as well."""
    if ":" in name:
        return name
    from wsgikit.middleware import NAMES

    return NAMES.get(name.replace("_", "-"), name)


def settings_from(options: argparse.Namespace) -> MiddlewareSettings:
    """The settings that the arguments ask for. Raises ConfigError."""
    usual = MiddlewareSettings().request
    headers = tuple(request_header(text) for text in options.header)
    request = Request(
        method=options.method,
        target=request_target(options.path) if options.path else usual.target,
        headers=(*usual.headers, *headers),
    )
    return MiddlewareSettings(
        request=request,
        options=tuple(_option(text) for text in options.set),
        profile=options.profile,
        select=tuple(rule(name).id for name in options.select),
    )


def _option(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ConfigError(f"--set {text}: write name=value")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value  # a word: --set path=/var/www needs no quotes
