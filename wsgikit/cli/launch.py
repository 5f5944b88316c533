"""From the sources of a configuration to a Plan for the master.

Owns the seam between options and rooms: settings in, callables out that load the apps and serve them after the fork.
A reload asks the `Deployment` for a plan again, so everything here is read anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from wsgikit.config import build
from wsgikit.config.resolve import Config, Sources
from wsgikit.errors import ConfigError
from wsgikit.master.plan import GroupPlan, Plan, WorkerInfo, WorkerSpec

if TYPE_CHECKING:
    from wsgikit.cli.imports import Imports
    from wsgikit.config.structure import MountEntry
    from wsgikit.master.settings import MasterSettings
    from wsgikit.master.sockets import OpenListener
    from wsgikit.observe.record import Access
    from wsgikit.wire.http11 import Head
    from wsgikit.wire.http11.limits import Limits
    from wsgikit.workers import Listener

App = Callable[..., Iterable[bytes]]

_FOR_EVER = 86400.0
_TIME_TO_SAY_504 = 10.0

log = logging.getLogger("wsgikit.error")


class Deployment:
    """A configuration on the way into service, read at the start and again at each reload. Lives in the master."""

    def __init__(self, sources: Sources, app: App | None = None) -> None:
        self.sources = sources
        self.app = app
        self._failing: Callable[[], set[str]] | None = None  # of what serves; None before anything does

    def plan(self, config: Config | None = None) -> Plan:
        """A Plan of the configuration, read now unless it is given. ConfigError lists what is wrong with it."""
        config = config or self.sources.read()
        if not config.mounts and not config.routes:
            return replace(plan_of(config, self.app), serving=partial(self._note, set))
        from wsgikit.cli.assemble import imports_of

        imports = imports_of(config, self.app, self._failing and self._failing())

        def serving() -> None:
            imports.begun()
            self._note(imports.failing)

        return replace(plan_of(config, self.app, imports), serving=serving)

    def _note(self, failing: Callable[[], set[str]]) -> None:
        self._failing = failing


def serve(sources: Sources, app: App | None = None) -> int:
    """Serve until a signal ends it. Returns the exit status. ConfigError: nothing was started."""
    from wsgikit.master.master import Master
    from wsgikit.observe import set_up_error_log

    config = sources.read()
    set_up_error_log(build.log_settings(config))
    deployment = Deployment(sources, app)
    return Master(deployment.plan(config), reload=deployment.plan, announce=partial(announce, config)).run()


def announce(config: Config, listeners: Sequence[OpenListener]) -> None:
    """Log which addresses to open, with the ports that the system chose."""
    from wsgikit.cli.assemble import mounts_of

    mounts = mounts_of(config) if config.mounts else ()
    for opened in listeners:
        log.info("listening on %s", opened.url)
        for mount in () if opened.address.startswith("unix:") else mounts:
            log.info("  %s  %s", address_of(opened.url, mount), mount.app or mount.upstream or _layers(mount))


def _layers(mount: MountEntry) -> str:
    return ", ".join(use.middleware for use in mount.use)


def address_of(url: str, mount: MountEntry) -> str:
    """What a person types into a browser to get to a mount."""
    scheme, _, rest = url.partition("://")
    host, colon, port = rest.rpartition(":")
    if mount.host.rpartition(":")[2].isdigit():  # it says which port clients ask for, such as a proxy's
        return f"{scheme}://{mount.host}{mount.path}"
    name = mount.host or {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    return f"{scheme}://{name}{colon}{port}{mount.path}"


def plan_of(config: Config, app: App | None = None, imports: Imports | None = None) -> Plan:
    """The Plan of a configuration. `app` is one that is there already."""
    from wsgikit.cli.assemble import check_something_to_serve
    from wsgikit.observe import reopen_logs

    check_something_to_serve(config, app)
    binds = build.bind_settings(config)
    used = {"", *(mount.group for mount in config.mounts)}
    addresses: dict[str, str] = {}
    groups = tuple(
        GroupPlan(
            settings=settings,
            load=partial(load, config, app, settings.name, addresses=addresses, imports=imports),
            start=partial(start, config, app, settings.name, addresses),
            binds=() if settings.name else binds,
        )
        for settings in build.group_settings(config)
        if settings.name in used
    )
    return Plan(settings=_with_hooks(config, build.master_settings(config)), groups=groups, reopen_logs=reopen_logs)


def load(
    config: Config,
    app: App | None = None,
    group: str = "",
    *,
    addresses: Mapping[str, str] | None = None,
    imports: Imports | None = None,
) -> App:
    """Import the apps of a group and put them together; in a worker, or once in a preloader.

    addresses: filled in later, with the private socket of each group. Without it all groups are this process.
    """
    from wsgikit.cli.assemble import assemble
    from wsgikit.observe import revive_loggers

    prepare_imports(config)
    forward = None if addresses is None else partial(_forward, config, addresses)
    assembled = assemble(config, app, group=group, forward=forward, imports=imports)
    revive_loggers()
    if not group:
        return assembled
    from wsgikit.client.group import received

    return received(assembled)


def _forward(config: Config, addresses: Mapping[str, str], group: str) -> App:
    """The app that hands requests to a group. It may hold half of the threads: it cannot stop the rest."""
    from wsgikit.client.group import GroupForward

    patience = (build.worker_settings(config, group).timeout or _FOR_EVER) + _TIME_TO_SAY_504
    limit = max(1, build.worker_settings(config).threads // 2)
    return GroupForward(group, lambda: addresses[group], limit=limit, patience=patience)


def prepare_imports(config: Config) -> None:
    """Go to the folder of the apps, and look for modules there and in `pythonpath`."""
    from wsgikit.loader import search_first

    if config.get("chdir"):
        os.chdir(config.get("chdir"))
    for folder in (os.getcwd(), *reversed(config.get("pythonpath"))):
        search_first(folder)


def _with_hooks(config: Config, settings: MasterSettings) -> MasterSettings:
    """The hooks live where the apps do, and the first of them runs before any app was looked for."""
    hooks: dict[str, Any] = {
        name: partial(_run_hook, config, hook)
        for name in ("on_worker_start", "on_worker_exit")
        if (hook := getattr(settings, name))
    }
    return replace(settings, **hooks)


def _run_hook(config: Config, name: str, info: WorkerInfo) -> None:
    from wsgikit import loader

    prepare_imports(config)
    hook = loader.load(name)
    if not callable(hook):
        raise ConfigError(f"hook {name!r} cannot be called")
    hook(info)


def start(config: Config, app: App | None, group: str, addresses: dict[str, str], spec: WorkerSpec) -> None:
    """Serve in a worker process; returns when it was stopped."""
    from wsgikit.workers import Surroundings, Worker

    addresses.update(spec.groups)
    surroundings = Surroundings(
        limits=_private(build.limits(config)) if group else build.limits(config),
        record=None if group else access_log(config),  # the front group logs the request
        board=spec.board,
        slot=spec.slot,
        siblings=spec.workers,
        body_mode=_body_mode(config, app, group),
        retire=spec.retire,
    )
    listeners = [listener(opened) for opened in spec.listeners]
    spec.serve(Worker(spec.app, listeners, build.worker_settings(config, group), surroundings))


def _body_mode(config: Config, app: App | None, group: str) -> Callable[[Head], str] | None:
    """None where there are no tables that could say anything about bodies."""
    if not config.mounts and not config.routes:
        return None
    from wsgikit.cli.bodies import body_mode

    return body_mode(config, app, group)


def _private(limits: Limits) -> Limits:
    """A group's worker gets the client's request and one field more, which holds a client certificate's names."""
    more = 1 << 16
    return replace(limits, fields=limits.fields + 4, field=limits.field + more, head=limits.head + 2 * more)


def access_log(config: Config) -> Callable[[Access], None] | None:
    """What writes the access log and the slow log; None where both are off."""
    settings = build.log_settings(config)
    if settings.access_logfile == "off" and not settings.slow_log:
        return None
    from wsgikit.observe import access_logger

    return access_logger(settings)


def listener(opened: OpenListener) -> Listener:
    """What a worker needs to know of a socket the master has opened."""
    from wsgikit.workers import Listener

    bind = opened.bind
    return Listener(
        sock=opened.sock,
        address=opened.address,
        scheme=opened.protocol,
        tls=opened.tls,
        proxy_protocol=bind.proxy_protocol,
        trusted=networks(bind.trusted),
        forwarded=bind.forwarded,
        takeover=bind.takeover,
    )


def networks(trusted: Iterable[str]) -> tuple[Any, ...]:
    """Addresses and CIDR blocks as networks; the text was checked when the configuration was read."""
    texts = tuple(trusted)
    if not texts:
        return ()
    from ipaddress import ip_network

    return tuple(ip_network(text, strict=False) for text in texts)
