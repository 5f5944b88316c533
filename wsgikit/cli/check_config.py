"""`wsgikit check config`: test a configuration without serving it.

Reads every source as `wsgikit serve` would, makes all settings, and loads every app, unless told not to. What is wrong
is collected on the way, so that a person is told of everything in one go.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wsgikit.cli.assemble import assemble, imports_of, upstream_app
from wsgikit.cli.layers import at, nothing, wrapped
from wsgikit.config import build
from wsgikit.config.problems import Problems
from wsgikit.config.resolve import Config, Sources
from wsgikit.errors import ConfigError, LoadError, Mistakes, WsgikitError

if TYPE_CHECKING:
    from wsgikit.config.structure import MountEntry, RouteEntry

HELP = """Test a configuration without serving it.

Reads the file and the environment as `wsgikit serve` does, checks every option, and loads the apps and middleware.
Leaves with 0 when all is well, with 2 and a list of the mistakes when it is not. An upstream or a group that nothing
uses is a warning."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", nargs="?", help="wsgikit.toml or pyproject.toml; as `wsgikit serve` finds it")
    parser.add_argument("--no-load", action="store_true", help="do not import the apps and their middleware")


def run(options: argparse.Namespace) -> int:
    """Check; ConfigError and LoadError say what is wrong. Returns 0."""
    problems = Problems()
    config = Sources(file=options.file).read_noting(problems)
    mistakes = list(_wrong_upstreams(config))
    if not problems.found:
        mistakes += _wrong_settings(config)
        if not options.no_load:
            _load(config, mistakes)
    elif not options.no_load:
        mistakes += _wrong_layers(config)
    _tell(problems, mistakes)
    warnings = list(_warnings(config))
    for warning in warnings:
        sys.stderr.write(f"wsgikit: warning: {warning}\n")
    print(_summary(config, loaded=not options.no_load, warnings=len(warnings)))
    return 0


def _wrong_settings(config: Config) -> list[ConfigError]:
    """Settings check themselves when they are made."""
    mistakes = Mistakes()
    makers = (build.start_settings, build.log_settings, build.master_settings, build.bind_settings, build.limits)
    for make in makers:
        with mistakes:
            make(config)
    for group in ("", *config.groups):
        with mistakes:
            build.worker_settings(config, group)
    if not mistakes.found:
        with mistakes:
            build.group_settings(config)
    return mistakes.found


def _wrong_upstreams(config: Config) -> Iterator[WsgikitError]:
    if config.upstreams:
        _prepare(config)  # an algorithm may be the user's, files are named from the folder that the server goes to
    for upstream in config.upstreams.values():
        try:
            if upstream.sound:
                upstream_app(upstream)
        except ConfigError as error:
            yield error


def _wrong_layers(config: Config) -> list[ConfigError]:
    """What can be said about middleware where the rest of the file is not good enough to load an app."""
    mistakes = Mistakes()
    _prepare(config)
    for entry in _entries(config):
        with mistakes, at(entry):
            wrapped(nothing, [use for use in entry.use if use.sound])
    return mistakes.found


def _load(config: Config, mistakes: list[WsgikitError]) -> None:
    """Put everything together; what is wrong is added to `mistakes`."""
    if config.mounts or config.get("app") or config.routes:
        _prepare(config)
        try:
            assemble(config, imports=imports_of(config, strict=True), mistakes=mistakes)
        except (ConfigError, LoadError) as error:
            mistakes.append(error)


def _prepare(config: Config) -> None:
    from wsgikit.cli.launch import prepare_imports

    os.environ.update(config.get("env"))
    prepare_imports(config)


def _tell(problems: Problems, mistakes: list[WsgikitError]) -> None:
    """Raise what was found: one mistake as it is, with the traceback of the app behind it; several as a list."""
    texts = [str(one) for error in mistakes for one in (error.several if isinstance(error, ConfigError) else (error,))]
    if not problems.found and len(set(texts)) == 1:
        raise mistakes[0]
    problems.found += texts
    problems.stop()


def _warnings(config: Config) -> Iterator[str]:
    """Tables that nothing names: nobody but mounts and routes can."""
    forwarding = {entry.upstream for entry in _entries(config)}
    for name, upstream in config.upstreams.items():
        if name not in forwarding:
            yield f"{upstream.place()}: no mount and no route has upstream = {name!r}: [upstream.{name}] is not used"
    working = {mount.group for mount in config.mounts}
    for name, group in config.groups.items():
        if name not in working:
            yield f"{group.place()}: no mount has group = {name!r}: no worker of [group.{name}] is started"


def _entries(config: Config) -> tuple[MountEntry | RouteEntry, ...]:
    return (*config.mounts, *config.routes)


def _summary(config: Config, *, loaded: bool, warnings: int) -> str:
    name = config.file.name if config.file else "no file, environment only"
    counts = [
        (len(config.values), "option"),
        (len(config.mounts), "mount"),
        (len(config.routes), "route"),
        (len(config.upstreams), "upstream"),
        (len(config.groups), "group"),
    ]
    parts = [_counted(count, noun) for count, noun in counts if count]
    found = f"no mistakes found, {_counted(warnings, 'warning')}" if warnings else "no mistakes found"
    how = "" if loaded else " (apps were not loaded)"
    return f"{name}: {', '.join(parts) or 'nothing is set'}; {found}{how}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
