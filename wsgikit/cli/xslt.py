"""`wsgikit xslt SHEET SOURCE`: the transformation of the middleware, from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wsgikit.errors import ConfigError

if TYPE_CHECKING:
    from wsgikit.middleware.xslt.engine import Engine, Parameter, Result, Source
    from wsgikit.middleware.xslt.policy import Policy

HELP = """Transform a document, as the XSLT middleware would.

Several stylesheets are applied one after the other. SOURCE may be - for standard input. What the stylesheet says by
xsl:message goes to standard error. Leaves with 1 when the transformation fails; with 2 when it cannot begin."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("sheets", nargs="+", metavar="SHEET", help="stylesheets")
    parser.add_argument("source", metavar="SOURCE", help="the document; - for standard input")
    parser.add_argument("-o", "--output", metavar="FILE", help="where the result goes [standard output]")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=TEXT", help="a parameter, as a text")
    parser.add_argument("--xpath", action="append", default=[], metavar="NAME=EXPR", help="a parameter, as XPath")
    parser.add_argument("--html", nargs="?", const="libxml2", metavar="BUILDER", help="the source is HTML [libxml2]")
    parser.add_argument("--json", action="store_true", help="the source is JSON (--engine saxon)")
    parser.add_argument("--type", action="store_true", help="say the Content-Type of the result, on standard error")
    parser.add_argument("--isolate", action="store_true", help="in a process of its own, with a deadline")
    parser.add_argument("--deadline", metavar="TIME", help="for --isolate [10s]")
    parser.add_argument("--max-input", default="64MiB", metavar="SIZE", help="largest source [64MiB]")
    parser.add_argument("--max-output", default="256MiB", metavar="SIZE", help="largest result [256MiB]")
    policy_arguments(parser)


def policy_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that `wsgikit check xslt` has as well."""
    parser.add_argument("--engine", default="lxml", metavar="NAME", help="lxml or saxon [lxml]")
    parser.add_argument("--root", action="append", metavar="DIR", help="a folder that stylesheets may read; repeatable")
    parser.add_argument(
        "--uri", action="append", default=[], metavar="PREFIX=DIR", help="a folder that stands for URIs; repeatable"
    )
    parser.add_argument(
        "--allow", action="append", default=[], metavar="WORD", help="dynamic, regexp, extensions or entities"
    )
    parser.add_argument("--dtd", default="unread", metavar="WORD", help="refuse, unread or internal [unread]")


def run(options: argparse.Namespace) -> int:
    """Transform. Returns 0, or 1 when it fails. Raises ConfigError."""
    from wsgikit.middleware.xslt.failures import XsltError

    policy = policy_from_arguments(options, options.sheets)
    engine = _engine(options, policy)
    try:
        result = _transformed(options, engine, policy)
    except XsltError as error:
        _say(getattr(error, "messages", ()))
        print(f"wsgikit xslt: {error.whole}", file=sys.stderr)
        return 1
    finally:
        close = getattr(engine, "close", None)
        if close is not None:
            close()
    _say(result.messages)
    if options.type:
        print(result.content_type, file=sys.stderr)
    _write(result.body, options.output)
    return 0


def policy_from_arguments(options: argparse.Namespace, sheets: Sequence[str]) -> Policy:
    """The policy that the arguments ask for. Raises ConfigError."""
    from wsgikit.middleware.amounts import size
    from wsgikit.middleware.xslt.policy import Limits, policy_from

    limits = Limits(
        source=size(getattr(options, "max_input", "2MiB"), "--max-input", least=1),
        output=size(getattr(options, "max_output", "16MiB"), "--max-output", least=1),
        nodes=10_000_000,
    )
    uris = dict(named(text, "--uri") for text in options.uri)
    return policy_from(sheets, roots=options.root, uris=uris, allow=options.allow, dtd=options.dtd, limits=limits)


def _engine(options: argparse.Namespace, policy: Policy) -> Engine:
    from wsgikit.middleware.amounts import seconds
    from wsgikit.middleware.xslt.engine import make_engine

    html = options.html or "libxml2"
    if not options.isolate:
        if options.deadline is not None:
            raise ConfigError("--deadline is for --isolate; inside this process there is no such limit")
        return make_engine(options.engine, policy, copies=1, html=html)
    from wsgikit.middleware.xslt.isolation import IsolatedEngine, Isolation

    deadline = seconds(options.deadline or "10s", "--deadline", least=0.01)
    return IsolatedEngine(options.engine, policy, Isolation(seconds=deadline, processes=1), html=html)


def _transformed(options: argparse.Namespace, engine: Engine, policy: Policy) -> Result:
    from wsgikit.middleware.xslt.space import Folders, file_uri

    space = Folders(policy)
    chain = [engine.compile(file_uri(path), space) for path in options.sheets]
    return engine.apply(chain, _source(options), _parameters(options))


def _source(options: argparse.Namespace) -> Source:
    from wsgikit.middleware.xslt.engine import Source

    kind = "json" if options.json else "html" if options.html else "xml"
    if options.source == "-":
        return Source(sys.stdin.buffer.read(), kind, "", "standard input")
    try:
        with open(options.source, "rb") as file:
            return Source(file.read(), kind, "", options.source)
    except OSError as error:
        raise ConfigError(f"{options.source}: {error.strerror or error}") from error


def _parameters(options: argparse.Namespace) -> dict[str, Parameter]:
    from wsgikit.middleware.xslt.parameters import templates, values

    texts = dict(named(text, "--param") for text in options.param)
    expressions = {name: {"xpath": value} for name, value in (named(text, "--xpath") for text in options.xpath)}
    return values((*templates(texts, "--param"), *templates(expressions, "--xpath")), {})


def named(text: str, flag: str) -> tuple[str, str]:
    """`name=value` in two. Raises ConfigError."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"{flag} {text}: write NAME=VALUE")
    return name, value


def _say(messages: Sequence[str]) -> None:
    for text in messages:
        print(text, file=sys.stderr)


def _write(body: bytes, path: str | None) -> None:
    try:
        if path is None:
            sys.stdout.flush()
            sys.stdout.buffer.write(body)
            sys.stdout.buffer.flush()
            return
        with open(path, "wb") as file:
            file.write(body)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = "standard output" if path is None else f"--output {path}"
        raise ConfigError(f"{where}: {error.strerror or error}") from error
