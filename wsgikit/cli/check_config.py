"""`wsgikit check config`: test a configuration without serving it.

Reads every source as `wsgikit serve` would, makes all settings, and loads every app, unless told not to.
"""

from __future__ import annotations

import argparse
import os

from wsgikit.cli.assemble import assemble, imports_of, upstream_app
from wsgikit.config import build
from wsgikit.config.resolve import Config, Sources

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
    if not options.no_load:
        _load(config)
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
    for upstream in config.upstreams.values():
        upstream_app(upstream)


def _load(config: Config) -> None:
    from wsgikit.cli.launch import prepare_imports

    if config.mounts or config.get("app") or config.routes:
        os.environ.update(config.get("env"))
        prepare_imports(config)
        assemble(config, imports=imports_of(config, strict=True))


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
