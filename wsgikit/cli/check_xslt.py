"""`wsgikit check xslt`: compile all configured stylesheets, list what they import, and say what a policy refuses."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from inspect import signature
from typing import TYPE_CHECKING

from wsgikit.cli.xslt import policy_arguments, policy_from_arguments
from wsgikit.errors import ConfigError

if TYPE_CHECKING:
    from wsgikit.config.structure import UseEntry
    from wsgikit.middleware.xslt.engine import Engine
    from wsgikit.middleware.xslt.policy import Policy
    from wsgikit.middleware.xslt.scan import Finding

HELP = """Compile stylesheets, list what they import, and say what their policy refuses.

Without arguments, those of the wsgikit.toml that `wsgikit serve` would read, each with its own options; a .toml file
names another one. With stylesheets as arguments, those, under the policy that the flags say. Leaves with 0 when all of
them can be used, else with 1."""

# What is no reason to refuse a stylesheet, but whoever answers for it wants to know
_NOTES = {
    "write": "is refused when it is reached",
    "regexp": "",
    "unescaped": "",
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
    parser.add_argument("what", nargs="*", metavar="SHEET", help="stylesheets, or one file ending in .toml")
    parser.add_argument("--json", action="store_true", help="one JSON object a stylesheet")
    policy_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Check, print. Returns 0, or 1 when a stylesheet cannot be used. Raises ConfigError."""
    sheets = [name for name in options.what if not name.endswith(".toml")]
    files = [name for name in options.what if name.endswith(".toml")]
    if len(files) > 1 or (files and sheets):
        raise ConfigError("one .toml file, or stylesheets, but not both")
    reports = list(_named(options, sheets) if sheets else _configured(files[0] if files else None))
    for report in reports:
        print(json.dumps(asdict(report)) if options.json else _text(report))
    if not reports:
        print("no stylesheet is configured")
    return 1 if any(report.problems for report in reports) else 0


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
            yield from _of_use(use)


def _is_xslt(use: UseEntry) -> bool:
    from wsgikit.middleware import XSLT
    from wsgikit.middleware.stack_options import resolve

    factory = resolve(use.middleware, f"{use.place()}: ")
    return isinstance(factory, type) and issubclass(factory, XSLT)


def _of_use(use: UseEntry) -> Iterator[Report]:
    """The stylesheets of one `[[mount.use]]`, under its own options."""
    from wsgikit.middleware import XSLT
    from wsgikit.middleware.xslt.build import engine_from, policy_of, settings_from
    from wsgikit.middleware.xslt.space import shown

    given = {name: value for name, value in use.options.items() if name != "when"}
    defaults = {name: parameter.default for name, parameter in signature(XSLT).parameters.items() if name != "app"}
    options = {**defaults, **given, "isolate": False}
    try:
        settings = settings_from(options)
        policy = policy_of(options, settings)
        engine = engine_from(options, policy)
    except ConfigError as error:
        raise ConfigError(f"{use.place()}: {error}") from None
    for uri in dict.fromkeys(uri for rule in settings.rules for uri in rule.sheets):
        yield _report(shown(uri), engine, policy, use.place())


def _report(path: str, engine: Engine, policy: Policy, place: str = "") -> Report:
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
