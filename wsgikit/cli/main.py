"""The `wsgikit` command: finds the command's module, parses for it, runs it, and turns errors into one line.

Owns the list of commands and the exit statuses. A command is a module of this room with HELP (its first line is the
summary), `configure(parser)` and `run(options) -> status`; it is imported only when it is asked for. One that must
start fast may read plain arguments itself (`plain(arguments) -> options, or None`); argparse gets the others.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError, WsgikitError

if TYPE_CHECKING:
    from types import ModuleType

    from wsgikit.cli.parser import Parser

# in the order of `wsgikit --help`; a name without a module is not shown
COMMANDS = (
    "serve", "serve-dir", "check", "rules", "routes", "logs", "top", "cgi", "xslt", "deploy",
)  # fmt: skip

USAGE, INTERRUPTED, BROKEN_PIPE = 2, 130, 141


def run(arguments: list[str]) -> int:
    """Run `wsgikit` with its arguments. Returns the exit status: 2 for what the caller got wrong."""
    try:
        status = _run(arguments)
        sys.stdout.flush()
        return status
    except WsgikitError as error:
        return report(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _after_broken_pipe()


def report(error: WsgikitError) -> int:
    """Write an error to standard error, with the traceback where an app raised it. Returns the exit status."""
    cause = _foreign_cause(error)
    # "no such file": the message has said it
    if cause is not None and not (isinstance(cause, OSError) and isinstance(error, ConfigError)):
        import traceback

        sys.stderr.write("".join(traceback.format_exception(cause)))
    sys.stderr.write(f"wsgikit: {error}\n")
    return USAGE


def command_parser(name: str, module: ModuleType, prefix: str = "wsgikit") -> Parser:
    """The parser of one command, configured by its module."""
    from wsgikit.cli.parser import Parser

    parser = Parser(prog=f"{prefix} {name}", description=module.HELP, hints=getattr(module, "HINTS", None))
    module.configure(parser)
    return parser


def module_name(command: str) -> str:
    """The module of a command: `serve-dir` is in `wsgikit.cli.serve_dir`."""
    return "wsgikit.cli." + command.replace("-", "_")


def there(commands: tuple[str, ...]) -> list[str]:
    """Those of the commands whose module exists."""
    return [command for command in commands if find_spec(module_name(command))]


def summary(command: str) -> str:
    """The first line of a command's help."""
    return str(import_module(module_name(command)).HELP).strip().partition("\n")[0]


def overview(prog: str, commands: list[str], module_of: Any = None) -> str:
    """The text of `wsgikit --help`."""
    name_of = module_of or (lambda command: command)
    width = max(len(command) for command in commands)
    rows = [f"  {command:<{width}}  {summary(name_of(command))}" for command in commands]
    return "\n".join([f"usage: {prog} COMMAND ...", "", "commands:", *rows, "", f"{prog} COMMAND --help says more."])


def unknown(prog: str, command: str, commands: list[str]) -> int:
    """Say that there is no such command. Returns the exit status."""
    from wsgikit.loader import nearest

    hint = nearest(command, commands)
    if not hint and prog == "wsgikit" and (":" in command or "." in command):
        hint = f"; to serve that app: wsgikit serve {command}"
    sys.stderr.write(f"{prog}: unknown command {command!r}{hint}\nsee {prog} --help\n")
    return USAGE


def _run(arguments: list[str]) -> int:
    name = arguments[0] if arguments else ""
    if name in ("", "-h", "--help", "help"):
        print(overview("wsgikit", there(COMMANDS)))
        return 0 if name else USAGE
    if name in ("--version", "-V"):
        from wsgikit.version import __version__

        print("wsgikit", __version__)
        return 0
    if name not in COMMANDS or not find_spec(module_name(name)):
        return unknown("wsgikit", name, there(COMMANDS))
    module = import_module(module_name(name))
    if hasattr(module, "dispatch"):
        return int(module.dispatch(arguments[1:]))
    options = module.plain(arguments[1:]) if hasattr(module, "plain") else None
    if options is None:
        options = command_parser(name, module).parse_args(arguments[1:])
    return int(module.run(options) or 0)


def _foreign_cause(error: BaseException) -> BaseException | None:
    """What made us raise: an exception of an app or a library, not one of ours."""
    cause = error.__cause__
    return _foreign_cause(cause) if isinstance(cause, WsgikitError) else cause


def _after_broken_pipe() -> int:
    """The reader (`| head`) has left. Standard output is pointed elsewhere, else Python complains at exit."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE
