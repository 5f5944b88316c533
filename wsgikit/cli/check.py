"""`wsgikit check WHAT`: apps, middleware, servers, configurations and stylesheets, tested without serving them.

Owns nothing but the choice; each WHAT is a module of its own, `check_WHAT`.
"""

from __future__ import annotations

from importlib import import_module

from wsgikit.cli import main

HELP = "Test an app, a middleware, a server, a configuration or a stylesheet."

SUBJECTS = ("app", "middleware", "server", "config", "xslt", "matrix")


def dispatch(arguments: list[str]) -> int:
    """Run `wsgikit check` with its arguments. Returns the exit status."""
    subject = arguments[0] if arguments else ""
    there = [name for name in SUBJECTS if main.there((_command(name),))]
    if subject in ("", "-h", "--help", "help"):
        print(main.overview("wsgikit check", there, _command))
        return 0 if subject else main.USAGE
    if subject not in there:
        return main.unknown("wsgikit check", subject, there)
    module = import_module(main.module_name(_command(subject)))
    parser = main.command_parser(subject, module, "wsgikit check")
    return int(module.run(parser.parse_args(arguments[1:])) or 0)


def _command(subject: str) -> str:
    return f"check-{subject}"
