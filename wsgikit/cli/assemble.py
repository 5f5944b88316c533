"""From the mounts of a configuration to the one WSGI app that the server runs.

Owns the order in which things go around an app: the app, its middleware, Lint, the dispatch. Runs in the workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from wsgikit import loader
from wsgikit.cli.layers import NoApp, at, nothing, placed, wrapped
from wsgikit.config.resolve import Config
from wsgikit.errors import ConfigError, LoadError, Mistakes, WsgikitError

if TYPE_CHECKING:
    from wsgikit.cli.imports import Imports
    from wsgikit.config.structure import MountEntry, RouteEntry, UpstreamEntry
    from wsgikit.middleware.mount import MountPoint
    from wsgikit.middleware.router import Route

App = Callable[..., Iterable[bytes]]
Forward = Callable[[str], App]
Made = TypeVar("Made")


def assemble(
    config: Config,
    app: App | None = None,
    *,
    group: str = "",
    forward: Forward | None = None,
    imports: Imports | None = None,
    mistakes: list[WsgikitError] | None = None,
) -> App:
    """Load every app, put its middleware around it, and mount it; routes go before mounts.

    `group` is the worker group this process belongs to: the front group ("") forwards to the others by the app that
    `forward(name)` makes, every other has its own mounts. Without `forward` everything is in one process.
    `app` is one that is there already (`wsgikit.serve(app)`). `imports` decides about apps that cannot be imported.
    LoadError and ConfigError name the place in the file. Where `mistakes` is given they are added to it, so that the
    next ones are found as well; the result is of no use then.
    """
    if not config.mounts and not config.routes:
        return _plain(config, app)
    whole = _Assembly(config, app, imports or imports_of(config, app), mistakes)
    mounts = [mount for mount in mounts_of(config, app) if not group or mount.group == group]
    if [(mount.host, mount.path) for mount in mounts] == [("", "/")] and not mounts[0].group:
        mounted = whole.built(mounts[0])
    else:
        from wsgikit.middleware.mount import Mount

        away = forward if not group else None
        mounted = Mount(list(whole.those(partial(whole.point, mount, away) for mount in mounts)))
    if config.routes and not group:
        mounted = whole.routed(mounted)
    if mistakes is None:
        whole.imports.check()
    return mounted


def imports_of(
    config: Config, app: App | None = None, excused: set[str] | None = None, *, strict: bool = False
) -> Imports:
    """What decides about apps of a configuration that cannot be imported; `excused`: see there."""
    from wsgikit.cli.imports import Imports

    entries: tuple[MountEntry | RouteEntry, ...] = (*mounts_of(config, app), *config.routes)
    return Imports(entries, excused, tolerant=config.get("on_import_error") == "503", strict=strict)


def check_something_to_serve(config: Config, app: App | None = None) -> None:
    """ConfigError when there is no app at all."""
    if config.mounts or config.routes or config.get("app") or app is not None:
        return
    where = f"{config.file.name} has no [[mount]] and no app" if config.file else "there is no wsgikit.toml here"
    raise ConfigError(f"nothing to serve: {where}; name an app, package.module:app")


def _plain(config: Config, app: App | None) -> App:
    """One app and nothing around it: what most people start with, and what must start fast."""
    check_something_to_serve(config, app)
    name = config.get("app")
    plain = named_app(name, config.place("app")) if name or app is None else app
    return _linted(plain) if config.get("lint") else plain


def mounts_of(config: Config, app: App | None = None) -> tuple[MountEntry, ...]:
    """The mounts of the file; without any, the app of the command line at "/"."""
    from wsgikit.config.structure import MountEntry

    name = config.get("app")
    if config.mounts and name and config.origins["app"].file is None:
        # both were asked for: the app is what is not mounted elsewhere
        rest = (mount for mount in config.mounts if (mount.host, mount.path) != ("", "/"))
        return (*rest, MountEntry(app=name))
    if config.mounts:
        return config.mounts
    return (MountEntry(app=name),) if name or app is not None else ()


class _Assembly:
    """One pass over the tables of a configuration: each entry becomes an app."""

    def __init__(self, config: Config, app: App | None, imports: Imports, mistakes: list[WsgikitError] | None) -> None:
        self.config = config
        self.app = app
        self.imports = imports
        self.mistakes = mistakes
        self.upstreams: dict[str, App] = {}

    def point(self, mount: MountEntry, forward: Forward | None) -> MountPoint:
        from wsgikit.middleware.mount import MountPoint

        with at(mount):
            if mount.group and forward is not None:
                # the group's workers mount the app themselves, so they need the path as it came
                return MountPoint(mount.path, forward(mount.group), host=mount.host, strip=False, name=mount.name)
            return MountPoint(mount.path, self.built(mount), host=mount.host, strip=mount.strip, name=mount.name)

    def routed(self, mounted: App) -> App:
        from wsgikit.middleware.router import Router

        rows = list(self.those(partial(self.route, entry) for entry in self.config.routes))
        try:
            return Router([route for _, route in rows], not_found=mounted)
        except ConfigError as error:
            # the router knows rules, not where they stand
            _check_alone(rows)
            named = [entry for entry, _ in rows if repr(entry.rule) in str(error)]
            raise (placed(error, named[-1]) if named else error) from error.__cause__

    def those(self, makers: Iterable[Callable[[], Made]]) -> Iterator[Made]:
        """What the makers make; where mistakes are collected, without those that fail."""
        for make in makers:
            try:
                yield make()
            except ConfigError as error:
                if self.mistakes is None:
                    raise
                self.mistakes.append(error)

    def route(self, entry: RouteEntry) -> tuple[RouteEntry, Route]:
        from wsgikit.middleware.router import Route

        app = self.built(entry)
        try:
            return entry, Route(
                entry.rule,
                app,
                host=entry.host,
                methods=entry.methods or None,
                name=entry.name,
                slash=entry.slash,
                prefix=entry.prefix,
                # an upstream sees the URL that the client sent, unless the row asks for less
                strip=not entry.upstream if entry.strip is None else entry.strip,
                defaults=entry.defaults,
            )
        except ConfigError as error:
            raise placed(error, entry) from None

    def built(self, entry: MountEntry | RouteEntry) -> App:
        """The app of an entry with all that is around it."""
        loaded = NoApp(entry) if _has_no_app(entry) else self.tried(entry, lambda: self.loaded(entry))
        app = self.tried(entry, lambda: wrapped(loaded, entry.use))
        return _linted(app) if self.config.get("lint") else app

    def tried(self, entry: MountEntry | RouteEntry, make: Callable[[], App]) -> App:
        """What `make` makes; where mistakes are collected, something in the place of what cannot be made."""
        try:
            return make()
        except (ConfigError, LoadError) as error:
            if self.mistakes is None:
                raise
            self.mistakes.append(placed(error, entry) if isinstance(error, ConfigError) else error)
            return nothing

    def loaded(self, entry: MountEntry | RouteEntry) -> App:
        if entry.upstream:
            # one for all that name it: its connections and counts are theirs together
            if entry.upstream not in self.upstreams:
                self.upstreams[entry.upstream] = upstream_app(self.config.upstreams[entry.upstream])
            return self.upstreams[entry.upstream]
        if not entry.app and self.app is not None:
            return self.app
        load = partial(named_app, entry.app, entry.place("app"))
        return self.imports.app(entry, load, lazy=getattr(entry, "lazy", False))


def _check_alone(rows: Iterable[tuple[RouteEntry, Route]]) -> None:
    """ConfigError for all routes that are wrong also without the others, with their places."""
    from wsgikit.middleware.router import Router

    mistakes = Mistakes()
    for entry, route in rows:
        with mistakes, at(entry):
            Router([route])
    mistakes.stop()


def _has_no_app(entry: MountEntry | RouteEntry) -> bool:
    return bool(entry.use) and not entry.app and not entry.upstream


def upstream_app(entry: UpstreamEntry) -> App:
    """What forwards to an upstream. ConfigError names the place in the file, and the key."""
    from wsgikit.middleware.balancer import Balancer

    with at(entry):
        return Balancer.from_table(entry.name, entry.options, entry.file.folder if entry.file else "")


def named_app(name: str, place: str = "") -> App:
    """The app that a text names: `package.module:name`, a Paste file, `egg:Project#name`. LoadError, with the place."""
    try:
        if name.startswith("egg:"):
            from wsgikit.middleware.paste import egg_app

            return egg_app(name)
        if name.partition("#")[0].endswith(".ini"):
            from wsgikit.middleware.paste import load_ini

            return load_ini(name)
        return loader.load_app(name)
    except LoadError as error:
        raise LoadError(f"{place}: {error}" if place else str(error)) from error.__cause__


def _linted(app: App) -> App:
    from wsgikit.validators import Lint

    linted: App = Lint(app, on_violation="log")
    return linted
