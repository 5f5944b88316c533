"""`wsgikit check config`: test a configuration without serving it.

Reads every source as `wsgikit serve` would, makes all settings, and loads every app, unless told not to.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

from wsgikit.cli.assemble import assemble, imports_of, upstream_app
from wsgikit.config import build
from wsgikit.config.problems import Problems
from wsgikit.config.resolve import Config, Sources
from wsgikit.errors import ConfigError, LoadError, WsgikitError

HELP = """Test a configuration without serving it.

Reads the file and the environment as `wsgikit serve` does, checks every option, and loads the apps and middleware.
Leaves with 0 when all is well, with 2 and a list of the mistakes when it is not."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", nargs="?", help="wsgikit.toml or pyproject.toml; as `wsgikit serve` finds it")
    parser.add_argument("--no-load", action="store_true", help="do not import the apps and their middleware")


def run(options: argparse.Namespace) -> int:
    """Check; ConfigError and LoadError say what is wrong. Returns 0."""
    config = Sources(file=options.file).read()
    _make_settings(config)
    mistakes = list(_wrong_upstreams(config))
    if not options.no_load:
        _load(config, mistakes)
    _tell(mistakes)
    print(_summary(config, loaded=not options.no_load))
    return 0


def _make_settings(config: Config) -> None:
    """Settings check themselves when they are made."""
    build.start_settings(config)
    build.log_settings(config)
    build.master_settings(config)
    build.bind_settings(config)
    build.limits(config)
    for group in build.group_settings(config):
        build.worker_settings(config, group.name)


def _wrong_upstreams(config: Config) -> Iterator[WsgikitError]:
    for upstream in config.upstreams.values():
        try:
            upstream_app(upstream)
        except ConfigError as error:
            yield error


def _load(config: Config, mistakes: list[WsgikitError]) -> None:
    """Put everything together; what is wrong is added to `mistakes`."""
    from wsgikit.cli.launch import prepare_imports

    if config.mounts or config.get("app") or config.routes:
        os.environ.update(config.get("env"))
        prepare_imports(config)
        try:
            assemble(config, imports=imports_of(config, strict=True), mistakes=mistakes)
        except (ConfigError, LoadError) as error:
            mistakes.append(error)


def _tell(mistakes: list[WsgikitError]) -> None:
    """Raise what was found: one mistake as it is, with the traceback of the app behind it; several as a list."""
    texts = list(dict.fromkeys(str(error) for error in mistakes))
    if len(texts) == 1:
        raise mistakes[0]
    problems = Problems()
    problems.found += texts
    problems.stop()


def _summary(config: Config, *, loaded: bool) -> str:
    name = config.file.name if config.file else "no file, environment only"
    counts = [
        (len(config.values), "option"),
        (len(config.mounts), "mount"),
        (len(config.routes), "route"),
        (len(config.upstreams), "upstream"),
        (len(config.groups), "group"),
    ]
    parts = [f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts if count]
    how = "" if loaded else " (apps were not loaded)"
    return f"{name}: {', '.join(parts) or 'nothing is set'}; no mistakes found{how}"
