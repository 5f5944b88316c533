"""Where values come from, before anybody compares them: command line, environment, Python call.

Owns the flags of `wsgikit serve` and the names of environment variables. Each source gives raw values by option name
with the place they came from; `resolve` checks them and lets the first source win.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from wsgikit.config.option import Option

if TYPE_CHECKING:
    import argparse

    from wsgikit.config.file import File
    from wsgikit.config.problems import Problems

PREFIX = "WSGIKIT_"
FILE_VARIABLE = "WSGIKIT_CONFIG"
# $PORT is how platforms (Heroku, Cloud Run, Fly, Railway) say where they knock; from outside, so on all interfaces
PORT = "PORT"


class Given(NamedTuple):
    """A value as somebody wrote it. `text`: as typed; else a value of TOML or Python."""

    value: Any
    source: str
    key: str
    text: bool = False
    file: File | None = None
    way: tuple[str | int, ...] = ()

    @property
    def place(self) -> str:
        """ "wsgikit.toml:3", "command line", "environment"."""
        return self.file.place(*self.way) if self.file else self.source


def add_options(parser: argparse.ArgumentParser, options: Iterable[Option]) -> None:
    """Add a flag for each option, in groups. Its default is looked up when help is shown, as that imports the room."""
    from argparse import SUPPRESS

    groups: dict[str, Any] = {}
    for option in options:
        if option.name == "app":
            continue
        if option.section not in groups:
            groups[option.section] = parser.add_argument_group(option.section)
        add = groups[option.section].add_argument
        common = {"dest": option.name, "default": SUPPRESS}
        shown = option.help.replace("%", "%%")
        if option.switch:
            action = add(*option.spellings, **common, help=shown, action="store_const", const="true")
            negative = "--no-" + option.name.replace("_", "-")
            add(negative, **common, help=SUPPRESS, action="store_const", const="false")
        else:
            form = "append" if option.repeats else "store"
            action = add(*option.spellings, **common, help=shown, action=form, metavar=option.kind.typed)
        action.shown_default = partial(_default, option)


def plain_arguments(arguments: Sequence[str], options: Iterable[Option]) -> dict[str, Any] | None:
    """What argparse would make of the arguments where they are plain: known flags, each with its value, and one app.

    None for everything else: help, mistakes, `-b:8000`, values that begin with a dash. argparse decides about those;
    most starts then need no argparse, which costs every worker a third of a megabyte and the start six milliseconds.
    """
    flags = {flag: option for option in options if option.name != "app" for flag in option.spellings}
    found: dict[str, Any] = {}
    rest = list(reversed(arguments))
    while rest:
        flag, equals, value = rest.pop().partition("=")
        option = flags.get(flag)
        if option is None and not flag.startswith("-") and "app" not in found:
            found["app"] = flag + equals + value
            continue
        if option is None or (equals and (option.switch or not flag.startswith("--"))):
            return None
        if option.switch:
            value = "true"
        elif not equals:
            if not rest or rest[-1].startswith("-"):
                return None
            value = rest.pop()
        found[option.name] = [*found.get(option.name, ()), value] if option.repeats else value
    return found


def from_command_line(namespace: object, options: Iterable[Option]) -> dict[str, Given]:
    """What was typed; each flag once, lists as lists of texts."""
    found = {}
    for option in options:
        value = getattr(namespace, option.name, None)
        if value is not None:
            key = option.name if option.name == "app" else option.spellings[-1]
            found[option.name] = Given(value, "command line", key, text=True)
    return found


def from_environment(environ: Mapping[str, str], options: Iterable[Option], problems: Problems) -> dict[str, Given]:
    """WSGIKIT_* and the platforms' own names. An unknown WSGIKIT_* is noted when it is nearly a known one.

    Others are let pass: a Kubernetes service called wsgikit puts WSGIKIT_SERVICE_HOST and more into every container.
    """
    found, known = {}, {FILE_VARIABLE}
    for option in options:
        if option.name == "env":
            continue
        known.add(option.variable)
        for variable in (option.variable, *option.variables):
            if variable in environ and option.name not in found:
                found[option.name] = Given(environ[variable], "environment", variable, text=True)
    if PORT in environ and "bind" not in found:
        found["bind"] = Given(f"0.0.0.0:{environ[PORT]}", "environment", PORT, text=True)
    _note_slips(environ, known, problems)
    return found


def from_call(options: Mapping[str, Any], known: Mapping[str, Option], problems: Problems) -> dict[str, Given]:
    """Keyword arguments of `wsgikit.serve()`."""
    found = {}
    for name, value in options.items():
        if name in known:
            found[name] = Given(value, "serve()", name)
        else:
            problems.unknown("serve()", name, known, "option")
    return found


def _note_slips(environ: Mapping[str, str], known: set[str], problems: Problems) -> None:
    unknown = [name for name in environ if name.startswith(PREFIX) and name not in known]
    if not unknown:
        return
    import difflib

    bare = {name.removeprefix(PREFIX): name for name in known}
    for name in unknown:
        near = difflib.get_close_matches(name.removeprefix(PREFIX), bare, n=1, cutoff=0.8)
        if near:
            problems.add("environment", f"unknown variable {name!r}; did you mean {bare[near[0]]!r}?")


def _default(option: Option) -> str:
    value = option.default
    if option.switch or value in ("", None, ()) or value == {}:
        return ""
    return option.kind.show(value)
