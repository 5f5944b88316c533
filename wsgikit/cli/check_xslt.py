"""`wsgikit check xslt`: compile all configured stylesheets, list what they import, and say what a policy refuses."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any

from wsgikit.cli.xslt import policy_arguments, policy_from_arguments
from wsgikit.errors import ConfigError

if TYPE_CHECKING:
    from wsgikit.config.structure import UseEntry
    from wsgikit.middleware.xslt.engine import Engine
    from wsgikit.middleware.xslt.policy import Policy
    from wsgikit.middleware.xslt.scan import Finding

HELP = """Compile stylesheets, list what they import, and say what their policy refuses.

Without arguments, those of the wsgikit.toml that `wsgikit serve` would read, each with its own options; a .toml file
names another one. MODULE:APP: those of the Stack that a program makes. With stylesheets as arguments, those, under the
policy that the flags say. Leaves with 0 when all of them can be used, else with 1."""

# What is no reason to refuse a stylesheet, but whoever answers for it wants to know
_NOTES = {
    "write": "is refused when it is reached",
    "regexp": "",
    "unescaped": "",
    "encoding": "",
    "unsupported": "fails when it is reached, unless there is an xsl:fallback",
}


@dataclass(kw_only=True)
class Report:
    """What is known of one stylesheet. `place`: where it is configured."""

    sheet: str
    place: str = ""
    engine: str = "lxml"
    version: str = ""
    content_type: str = ""
    files: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("what", nargs="*", metavar="SHEET", help="stylesheets, or one .toml, or one MODULE:APP")
    parser.add_argument("--json", action="store_true", help="one JSON object a stylesheet")
    policy_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Check, print. Returns 0, or 1 when a stylesheet cannot be used. Raises ConfigError."""
    reports = list(_reports(options))
    for report in reports:
        print(json.dumps(asdict(report)) if options.json else _text(report))
    if not reports:
        print(
            "no stylesheet is configured in a [[mount.use]]; for a Stack in a program: wsgikit check xslt MODULE:APP;"
        )
        print("for those that documents name (follow): wsgikit check xslt SHEET ...")
    return 1 if any(report.problems for report in reports) else 0


def _reports(options: argparse.Namespace) -> Iterator[Report]:
    sheets = [name for name in options.what if not (name.endswith(".toml") or _is_app(name))]
    others = [name for name in options.what if name not in sheets]
    if len(others) > 1 or (others and sheets):
        raise ConfigError("one .toml file, or one MODULE:APP, or stylesheets")
    if sheets:
        return _named(options, sheets)
    return _of_app(others[0]) if others and _is_app(others[0]) else _configured(others[0] if others else None)


def _is_app(name: str) -> bool:
    return ":" in name and "/" not in name.partition(":")[0] and not os.path.exists(name)


def _of_app(name: str) -> Iterator[Report]:
    from wsgikit.loader import load_app, search_first
    from wsgikit.middleware import XSLT, Stack

    search_first(os.getcwd())
    app = load_app(name)
    if not isinstance(app, Stack):
        raise ConfigError(f"{name} is no Stack, so its layers cannot be seen")
    for layer in app.layers:
        factory = layer.use.factory
        if isinstance(factory, type) and issubclass(factory, XSLT):
            yield from _of_options(layer.use.options, f"{name}, layer {layer.name}")


def _named(options: argparse.Namespace, sheets: list[str]) -> Iterator[Report]:
    from wsgikit.middleware.xslt.engine import make_engine

    for path in sheets:
        policy = policy_from_arguments(options, [path])
        yield _report(path, make_engine(options.engine, policy, copies=1), policy)


def _configured(file: str | None) -> Iterator[Report]:
    from wsgikit.config.resolve import Sources

    config = Sources(file=file).read()
    uses = [use for mount in config.mounts for use in mount.use]
    uses += [use for route in config.routes for use in route.use]
    for use in uses:
        if _is_xslt(use):
            yield from _of_options({name: use.options[name] for name in use.options if name != "when"}, use.place())


def _is_xslt(use: UseEntry) -> bool:
    from wsgikit.middleware import XSLT
    from wsgikit.middleware.stack_options import resolve

    factory = resolve(use.middleware, f"{use.place()}: ")
    return isinstance(factory, type) and issubclass(factory, XSLT)


def _of_options(given: Mapping[str, Any], place: str) -> Iterator[Report]:
    """The stylesheets of one layer, under its own options."""
    from wsgikit.middleware import XSLT
    from wsgikit.middleware.xslt.build import engine_from, policy_of, settings_from
    from wsgikit.middleware.xslt.space import shown

    defaults = {name: parameter.default for name, parameter in signature(XSLT).parameters.items() if name != "app"}
    options = {**defaults, **given, "isolate": False}
    try:
        settings = settings_from(options)
        policy = policy_of(options, settings)
        engine = engine_from(options, policy)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None
    for uri in dict.fromkeys(uri for rule in settings.rules for uri in rule.sheets):
        yield _report(shown(uri), engine, policy, place)


def _report(path: str, engine: Engine, policy: Policy, place: str = "") -> Report:
    from wsgikit.middleware.xslt.build import later_version
    from wsgikit.middleware.xslt.bundle import survey
    from wsgikit.middleware.xslt.failures import XsltError
    from wsgikit.middleware.xslt.space import Folders, file_uri, shown

    space = Folders(policy)
    report = Report(sheet=path, place=place, engine=engine.name)
    files, problems = survey(file_uri(path), space, policy)
    report.files = [file for file in files if file != shown(space.normal(file_uri(path)))]
    report.problems = [problem.whole for problem in problems]
    if problems:
        return report
    try:
        sheet = engine.compile(file_uri(path), space)
        sheet.prepare()
    except XsltError as error:
        report.problems.append(error.whole)
        return report
    report.version = sheet.bundle.version
    report.content_type = sheet.output.content_type()
    report.notes = [text for found in sheet.bundle.notes if (text := _note(found, engine, policy))]
    later = later_version(report.version, engine)
    if later:
        report.notes.append(later)
    if sheet.bundle.volatile:
        report.notes.append("results change with time or chance: they are not kept, and have no time")
    return report


def _note(found: Finding, engine: Engine, policy: Policy) -> str:
    if found.reason not in _NOTES or (found.reason == "unsupported" and engine.name != "lxml"):
        return ""
    if found.reason in policy.allow:
        return ""
    more = _NOTES[found.reason]
    return f"{found.place}: {found.text}" + (f"; {more}" if more else "")


def _text(report: Report) -> str:
    state = "cannot be used" if report.problems else "ok"
    lines = [f"{report.sheet}: {state}" + (f" ({report.place})" if report.place else "")]
    if report.content_type:
        lines.append(f"  {report.engine}, XSLT {report.version or '1.0'}, {report.content_type}")
    lines += [f"  imports {path}" for path in report.files]
    lines += [f"  refused: {problem}" for problem in report.problems]
    lines += [f"  note: {note}" for note in report.notes]
    return "\n".join(lines)
