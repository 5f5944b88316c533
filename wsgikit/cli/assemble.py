"""From the mounts of a configuration to the one WSGI app that the server runs.

Owns the order in which things go around an app: the app, its middleware, Lint, the dispatch. Runs in the workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wsgikit import loader
from wsgikit.config.resolve import Config
from wsgikit.config.structure import MountEntry, UseEntry
from wsgikit.errors import ConfigError, LoadError

App = Callable[..., Iterable[bytes]]


def assemble(config: Config, app: App | None = None) -> App:
    """Load every app, put its middleware around it, and mount it.

    `app` is one that is there already (`wsgikit.serve(app)`). LoadError and ConfigError name the place in the file.
    """
    mounts = mounts_of(config, app)
    built = {(mount.host, mount.path): _built(config, mount, app) for mount in mounts}
    if list(built) == [("", "/")]:
        return built["", "/"]
    from wsgikit.cli.prefixes import Prefixes

    return Prefixes(built)


def mounts_of(config: Config, app: App | None = None) -> tuple[MountEntry, ...]:
    """The mounts of the file; without any, the app of the command line at "/"."""
    name = config["app"]
    if config.mounts and name and config.origins["app"].file is None:
        # both were asked for: the app is what is not mounted elsewhere
        rest = (mount for mount in config.mounts if (mount.host, mount.path) != ("", "/"))
        return (*rest, MountEntry(app=name))
    if config.mounts:
        return config.mounts
    if not name and app is None:
        where = f"{config.file.name} has no [[mount]] and no app" if config.file else "there is no wsgikit.toml here"
        raise ConfigError(f"nothing to serve: {where}; name an app: wsgikit serve package.module:app")
    return (MountEntry(app=name),)


def _built(config: Config, mount: MountEntry, app: App | None) -> App:
    if mount.upstream:
        raise ConfigError(f"{mount.place('upstream')}: upstreams cannot be served by this version")
    built = wrapped(_loaded(mount) if mount.app else _given(app), mount.use)
    return _linted(built) if config["lint"] else built


def wrapped(app: App, uses: Iterable[UseEntry]) -> App:
    """Put middleware around an app, the first outermost. ConfigError names the place in the file."""
    entries = tuple(uses)
    if not entries:
        return app
    from wsgikit.middleware import Stack
    from wsgikit.middleware.stack_options import table_use

    return Stack(app, [table_use(use.middleware, use.options, f"{use.place()}: ") for use in entries])


def _given(app: App | None) -> App:
    if app is None:
        raise ConfigError("no app")
    return app


def _loaded(mount: MountEntry) -> App:
    try:
        return loader.load_app(mount.app)
    except LoadError as error:
        raise LoadError(f"{mount.place('app')}: {error}") from error.__cause__


def _linted(app: App) -> App:
    from wsgikit.validators import Lint

    linted: App = Lint(app, on_violation="log")
    return linted
