"""`wsgikit serve`: serve WSGI apps over HTTP/1.1.

Owns the command line of the server. What the options mean stands in `wsgikit.config`, what is done in `launch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgikit.config import sources
from wsgikit.config.problems import Problems
from wsgikit.config.resolve import Sources
from wsgikit.config.table import OPTIONS
from wsgikit.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from wsgikit.config.structure import MountEntry

HELP = """Serve WSGI apps over HTTP/1.1.

APP is package.module:name, a factory package.module:create(), or package.module with an `application` or `app`.
Every option can also stand in wsgikit.toml and in the environment; docs/options.md tells how."""

_BIND = "write --bind HOST:PORT, or --bind unix:PATH"
# what users of Gunicorn and of other servers may type, and what there is instead
HINTS = {
    "-k": "all workers are threads that share a poller; see --threads",
    "--worker-class": "all workers are threads that share a poller; see --threads",
    "-D": "leave it to a supervisor (systemd, supervisor, a container) to run it in the background",
    "--daemon": "leave it to a supervisor (systemd, supervisor, a container) to run it in the background",
    "-c": "the file is TOML here: --config wsgikit.toml",
    "--worker-tmp-dir": "heartbeats are in shared memory; temporary files go to --spool-dir",
    "--paste": "name the file in place of the app: wsgikit serve production.ini",
    "--capture-output": "standard output is left alone",
    "--check-config": "test the configuration by `wsgikit check config`",
    "--print-config": "test the configuration by `wsgikit check config`",
    "--log-config": "records go through logging; see docs/logging.md",
    **dict.fromkeys(("--host", "--port", "--listen", "--http", "--http-socket", "--socket", "--unix-socket"), _BIND),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the app, the file, and all options of the table."""
    parser.usage = "wsgikit serve [OPTIONS] [APP]"
    parser.add_argument("app", nargs="?", help="what to serve: package.module:app")
    parser.add_argument("--config", metavar="FILE", help="wsgikit.toml or pyproject.toml; '' reads none")
    parser.add_argument(
        "--mount", metavar="[HOST]/PATH=APP", action="append", default=[], help="serve a further app at a path"
    )
    sources.add_options(parser, OPTIONS)


def plain(arguments: list[str]) -> object | None:
    """The options of a command line that needs no argparse; None for any other."""
    from types import SimpleNamespace

    found = sources.plain_arguments(arguments, OPTIONS)
    return None if found is None else SimpleNamespace(**found)


def run(options: Any) -> int:
    """Serve until stopped. Returns the exit status."""
    from wsgikit.cli.launch import serve

    return serve(read_sources(options))


def read_sources(options: Any) -> Sources:
    """What was typed, and where else to read. ConfigError for a mount that cannot be understood."""
    problems = Problems()
    mounts = tuple(_mount(text, problems) for text in getattr(options, "mount", ()))
    problems.stop()
    return Sources(sources.from_command_line(options, OPTIONS), file=getattr(options, "config", None), mounts=mounts)


def _mount(text: str, problems: Problems) -> MountEntry:
    from wsgikit.config.structure import MountEntry
    from wsgikit.middleware.mount import parse_mount

    try:
        row = parse_mount(text)
        return MountEntry(host=row["host"], path=row["path"], app=row["app"])
    except ConfigError as error:
        problems.add("command line", str(error))
        return MountEntry()
