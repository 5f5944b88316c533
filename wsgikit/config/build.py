"""From a Config to the frozen settings of the rooms.

The only place where option names become fields. A value nobody set stays out, so that the settings' own default holds.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, TypeVar

from wsgikit.config.option import Option
from wsgikit.config.resolve import Config
from wsgikit.config.settings import StartSettings
from wsgikit.config.table import BY_NAME, OPTIONS
from wsgikit.errors import ConfigError
from wsgikit.master.settings import BindSettings, CertificateSettings, GroupSettings, MasterSettings, TlsSettings
from wsgikit.observe.settings import LogSettings
from wsgikit.wire.http11.limits import Limits
from wsgikit.workers.settings import WorkerSettings

Settings = TypeVar("Settings")


def start_settings(config: Config) -> StartSettings:
    """What is served and how it is found."""
    return _filled(StartSettings, config.values)


def log_settings(config: Config) -> LogSettings:
    """Access, slow and error log."""
    return _filled(LogSettings, config.values)


def master_settings(config: Config) -> MasterSettings:
    """The master's own; `workers` is a number here, also where "auto" was asked for."""
    return _filled(MasterSettings, config.values)


def worker_settings(config: Config, group: str = "") -> WorkerSettings:
    """Limits and timeouts of the workers of a group; what the group does not set is as for everybody."""
    return _filled(WorkerSettings, {**config.values, **_group_values(config, group)})


def limits(config: Config) -> Limits:
    """How large a request's head, chunk lines and trailers may be."""
    return _filled(Limits, config.values)


def group_settings(config: Config) -> tuple[GroupSettings, ...]:
    """All groups, the front group (it has the public listeners) first."""
    shared = {name: config.values[name] for name in _names(GroupSettings) if name in config.values}
    env = config.values.get("env", {})
    front = GroupSettings(workers=master_settings(config).workers, env=env, **shared)
    fields = {field.name for field in dataclasses.fields(GroupSettings)}
    found = [front]
    for name in config.groups:
        values = {BY_NAME[key].attribute: value for key, value in _group_values(config, name).items()}
        own = {key: _counted(key, value) for key, value in values.items() if key in fields}
        found.append(GroupSettings(name=name, **{**shared, **own, "env": env | own.get("env", {})}))
    return tuple(found)


def bind_settings(config: Config) -> tuple[BindSettings, ...]:
    """One for each address to listen on."""
    shared = _fields(BindSettings, config.values)
    binds: tuple[Mapping[str, Any], ...] = shared.pop("address", ()) or ({},)
    tls = tls_settings(config)
    return tuple(BindSettings(**{**shared, **bind}, tls=tls) for bind in binds)


def tls_settings(config: Config) -> TlsSettings | None:
    """None where no certificate is set. One on the command line takes the place of all in the file."""
    certificates = [dict(certificate) for certificate in config.certificates]
    if "certfile" in config.values and not (certificates and config.origins["certfile"].file):
        certificates = [_fields(CertificateSettings, config.values)]
    if not certificates:
        _refuse_half_tls(config)
        return None
    made = tuple(CertificateSettings(**certificate) for certificate in certificates)
    return _filled(TlsSettings, config.values, certificates=made)


def processors() -> int:
    """CPUs this process may use: its affinity, and the quota of its control group (cgroup v2), rounded up."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as stream:
            quota, period = stream.read().split()
    except (OSError, ValueError):
        return count
    return count if quota == "max" else max(1, min(count, -(-int(quota) // int(period))))


def _refuse_half_tls(config: Config) -> None:
    for name in ("keyfile", "ca_certs"):
        if config.values.get(name):
            raise ConfigError(f"{config.place(name)}: {name} has no use without certfile")


def _group_values(config: Config, group: str) -> Mapping[str, Any]:
    return config.groups[group].values if group else {}


def _filled(make: type[Settings], values: Mapping[str, Any], **more: Any) -> Settings:
    return make(**_fields(make, values), **more)


def _fields(make: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    names = _names(make)
    return {names[name].attribute: _counted(name, value) for name, value in values.items() if name in names}


def _names(make: type[Any]) -> dict[str, Option]:
    home = f"{make.__module__}:{make.__qualname__}"
    return {option.name: option for option in OPTIONS if option.home == home}


def _counted(name: str, value: Any) -> Any:
    return processors() if name == "workers" and value == "auto" else value
