"""`wsgikit cgi`: run a WSGI app as a CGI program.

Owns the command line. The work is in `wsgikit.protocols.cgi`.
"""

from __future__ import annotations

import argparse
import os

HELP = """Run a WSGI app as a CGI program (RFC 3875).

A web server starts this once for each request. As a script of one line, made executable in the folder of such scripts:

  #!/usr/bin/env -S wsgikit cgi --chdir /srv/shop shop.wsgi:app"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the app and where it is found."""
    parser.usage = "wsgikit cgi [OPTIONS] APP"
    parser.add_argument("--chdir", metavar="DIR", default="", help="folder to work in; modules are looked for there")
    parser.add_argument(
        "--pythonpath", metavar="DIR", action="append", default=[], help="further folder to look for modules in"
    )
    parser.add_argument(
        "--script-name", metavar="PATH", help="where the app is for clients, when the web server rewrites their URLs"
    )
    parser.add_argument("app", help="what to run: package.module:app")
    # The kernel adds the script's path, and a web server may add words of the query (RFC 3875 4.4): a client must not
    # be able to give us options (CVE-2012-1823), so that everything after the app is left alone.
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Answer one request. Returns the exit status. LoadError: there is no such app; the web server logs it."""
    from wsgikit.errors import ConfigError
    from wsgikit.loader import load_app, search_first
    from wsgikit.protocols.cgi import run_cgi

    if "GATEWAY_INTERFACE" not in os.environ:
        raise ConfigError("this is no CGI request: a web server runs `wsgikit cgi`; to try an app: wsgikit serve")
    if options.chdir:
        try:
            os.chdir(options.chdir)
        except OSError as error:
            raise ConfigError(f"--chdir {options.chdir}: {error.strerror}") from None
    for folder in (os.getcwd(), *reversed(options.pythonpath)):
        search_first(folder)
    return run_cgi(load_app(options.app), script_name=options.script_name)
