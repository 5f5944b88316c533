"""From the sources of a configuration to a Plan for the master.

Owns the seam between options and rooms: settings in, callables out that load the apps and serve them after the fork.
A reload calls `make_plan` again, so everything here is read anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from wsgikit.config import build
from wsgikit.config.resolve import Config, Sources
from wsgikit.errors import ConfigError
from wsgikit.master.plan import GroupPlan, Plan, WorkerInfo, WorkerSpec

if TYPE_CHECKING:
    from wsgikit.config.structure import MountEntry
    from wsgikit.master.settings import MasterSettings
    from wsgikit.master.sockets import OpenListener
    from wsgikit.observe.record import Access
    from wsgikit.workers import Listener

App = Callable[..., Iterable[bytes]]

log = logging.getLogger("wsgikit.error")


def make_plan(sources: Sources, app: App | None = None) -> Plan:
    """Read the configuration and make a Plan of it. ConfigError lists what is wrong with it."""
    return plan_of(sources.read(), app)


def serve(sources: Sources, app: App | None = None) -> int:
    """Serve until a signal ends it. Returns the exit status. ConfigError: nothing was started."""
    from wsgikit.master.master import Master
    from wsgikit.observe import set_up_error_log

    config = sources.read()
    set_up_error_log(build.log_settings(config))
    plan = plan_of(config, app)
    return Master(plan, reload=partial(make_plan, sources, app), announce=partial(announce, config)).run()


def announce(config: Config, listeners: Sequence[OpenListener]) -> None:
    """Log which addresses to open, with the ports that the system chose."""
    from wsgikit.cli.assemble import mounts_of

    mounts = mounts_of(config) if config.mounts else ()
    for opened in listeners:
        log.info("listening on %s", opened.url)
        for mount in () if opened.address.startswith("unix:") else mounts:
            log.info("  %s  %s", address_of(opened.url, mount), mount.app or mount.upstream)


def address_of(url: str, mount: MountEntry) -> str:
    """What a person types into a browser to get to a mount."""
    scheme, _, rest = url.partition("://")
    host, colon, port = rest.rpartition(":")
    name = mount.host or {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    return f"{scheme}://{name}{colon}{port}{mount.path}"


def plan_of(config: Config, app: App | None = None) -> Plan:
    """The Plan of a configuration. `app` is one that is there already."""
    from wsgikit.cli.assemble import check_something_to_serve

    check_something_to_serve(config, app)
    binds = build.bind_settings(config)
    groups = tuple(
        GroupPlan(
            settings=settings,
            load=partial(load, config, app),
            start=partial(start, config, settings.name),
            binds=() if settings.name else binds,
        )
        for settings in build.group_settings(config)
    )
    from wsgikit.observe import reopen_logs

    return Plan(settings=_with_hooks(config, build.master_settings(config)), groups=groups, reopen_logs=reopen_logs)


def load(config: Config, app: App | None = None) -> App:
    """Import the apps and put them together; in a worker, or once in the master with `preload`."""
    from wsgikit.cli.assemble import assemble
    from wsgikit.observe import revive_loggers

    prepare_imports(config)
    assembled = assemble(config, app)
    revive_loggers()
    return assembled


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


def start(config: Config, group: str, spec: WorkerSpec) -> None:
    """Serve in a worker process; returns when it was stopped."""
    from wsgikit.workers import Surroundings, Worker

    surroundings = Surroundings(
        limits=build.limits(config),
        record=access_log(config),
        board=spec.board,
        slot=spec.slot,
        siblings=spec.workers,
        retire=spec.retire,
    )
    listeners = [listener(opened) for opened in spec.listeners]
    spec.serve(Worker(spec.app, listeners, build.worker_settings(config, group), surroundings))


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
