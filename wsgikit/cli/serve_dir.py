"""`wsgikit serve-dir`: serve the files of a folder, in place of `python -m http.server`.

Owns the command line and the few layers around `Static`. How files are served stands in `wsgikit.middleware.static`,
the server's options in `wsgikit.config`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wsgikit.config import sources
from wsgikit.config.resolve import Sources
from wsgikit.config.table import OPTIONS

if TYPE_CHECKING:
    import argparse
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

HELP = """Serve the files of a folder over HTTP.

Folders without an index.html are listed; ranges, conditional requests and compression work. Names with a dot before
them and links out of the folder are not served. Everything `wsgikit serve` can be told (--bind, --threads,
--access-logfile ...) can be told here, too; no configuration file is read."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the folder, how it is served, and the server's options."""
    parser.usage = "wsgikit serve-dir [OPTIONS] [DIRECTORY]"
    parser.add_argument("directory", nargs="?", default=".", help="the folder (default: this one)")
    parser.add_argument("--no-listing", action="store_true", help="do not list folders without an index.html")
    parser.add_argument("--hidden", action="store_true", help="serve names with a dot before them, too")
    parser.add_argument("--symlinks", choices=("inside", "none", "any"), default="inside", help="where links may lead")
    parser.add_argument("--max-age", default="0", help="how long clients may use a file without asking (default: 0)")
    sources.add_options(parser, OPTIONS)


def run(options: argparse.Namespace) -> int:
    """Serve until stopped. Returns the exit status."""
    from wsgikit.cli.launch import serve

    return serve(Sources(sources.from_command_line(options, OPTIONS), file=""), folder_app(options))


def folder_app(options: argparse.Namespace) -> WSGIApplication:
    """The app. ConfigError: there is no such folder, or `--max-age` is no time."""
    from wsgikit.middleware.compress import Compress
    from wsgikit.middleware.stack import Stack, Use
    from wsgikit.middleware.static import Static

    return Stack(
        nothing,
        [
            Use(Compress),
            Use(
                Static,
                directory=options.directory,
                listing=not options.no_listing,
                hidden=options.hidden,
                symlinks=options.symlinks,
                max_age=options.max_age,
                fallthrough=False,
            ),
        ],
    )


def nothing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """What is left for requests that are for no file, such as `OPTIONS *`."""
    from wsgikit.middleware.answer import answer

    return answer(environ, start_response, 404)
