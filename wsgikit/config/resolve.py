"""All sources together: command line over environment over file over default.

Owns the order, the checking of every value, and `Config`, the finished result. It must not build anything from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wsgikit.config import file as files
from wsgikit.config import sources
from wsgikit.config.option import Option
from wsgikit.config.problems import Problems
from wsgikit.config.sources import Given
from wsgikit.config.structure import GroupEntry, MountEntry, RouteEntry, UpstreamEntry
from wsgikit.config.table import BY_NAME, OPTIONS
from wsgikit.config.tables import TableReader

STRUCTURE = ("mount", "route", "upstream", "group", "tls")


@dataclass(frozen=True, kw_only=True)
class Config:
    """What was asked for, checked. `values` holds what somebody set, `origins` where; defaults are not in it."""

    values: Mapping[str, Any]
    origins: Mapping[str, Given]
    file: files.File | None = None
    mounts: tuple[MountEntry, ...] = ()
    routes: tuple[RouteEntry, ...] = ()
    upstreams: Mapping[str, UpstreamEntry] = field(default_factory=dict)
    groups: Mapping[str, GroupEntry] = field(default_factory=dict)
    certificates: tuple[Mapping[str, Any], ...] = ()

    def __getitem__(self, name: str) -> Any:
        """The value of an option, or its default."""
        return self.values[name] if name in self.values else BY_NAME[name].default

    def place(self, name: str) -> str:
        """Where an option's value comes from: `wsgikit.toml:3`, "command line", "environment", "default"."""
        return self.origins[name].place if name in self.origins else "default"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where to read from. Kept by a running server, so that a reload reads everything again.

    `file` is a path, None to look into `folder`, or "" for no file at all.
    """

    given: Mapping[str, Given] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: str = field(default_factory=os.getcwd)
    file: str | None = None
    mounts: tuple[MountEntry, ...] = ()

    def read(self) -> Config:
        """Read every source. ConfigError lists every mistake of all of them."""
        problems = Problems()
        path = self._path()
        file = files.open_config(path) if path else None
        reading = _Reading(self, problems, file)
        config = reading.config()
        problems.stop()
        return config

    def _path(self) -> str | None:
        if self.file is not None:
            return os.path.join(self.folder, self.file) if self.file else None
        named = self.environ.get(sources.FILE_VARIABLE)
        return os.path.join(self.folder, named) if named else files.find(self.folder)


class _Reading:
    """One pass over all sources. Ends with a Config, or with notes in `problems`."""

    def __init__(self, origin: Sources, problems: Problems, file: files.File | None) -> None:
        self.origin = origin
        self.problems = problems
        self.file = file

    def config(self) -> Config:
        values: dict[str, Any] = {}
        origins: dict[str, Given] = {}
        for name, given in self._in_order():
            value = self._checked(BY_NAME[name], given)
            if name not in origins:
                values[name], origins[name] = value, given
            elif isinstance(value, dict) and isinstance(values[name], dict):
                values[name] = value | values[name]
        environ = {**self.origin.environ, **(values.get("env") or {})}
        reader = TableReader(self.file or files.File("", "", {}), environ, self.problems)
        config = Config(
            values=values,
            origins=origins,
            file=self.file,
            mounts=_merged(reader.mounts(), self.origin.mounts),
            routes=reader.routes(),
            upstreams=reader.upstreams(),
            groups=dict(self._groups(reader)),
            certificates=tuple(reader.certificates()),
        )
        self._check_references(config)
        return config

    def _in_order(self) -> Iterator[tuple[str, Given]]:
        yield from self.origin.given.items()
        yield from sources.from_environment(self.origin.environ, OPTIONS, self.problems).items()
        if self.file is None:
            return
        for name, value in self.file.top.items():
            if name in BY_NAME:
                yield name, Given(value, "file", name, file=self.file, way=(name,))
            elif name not in STRUCTURE:
                self.problems.unknown(self.file.place(name), name, [*BY_NAME, *STRUCTURE], "option")

    def _checked(self, option: Option, given: Given) -> Any:
        base = given.file.folder if given.file else self.origin.folder
        try:
            return option.kind.located(_parsed(option, given), base)
        except ValueError as error:
            self.problems.wrong(given.place, given.key, given.value, str(error) or f"must be {option.kind.allowed}")
            return None

    def _groups(self, reader: TableReader) -> Iterator[tuple[str, GroupEntry]]:
        for name, raw in reader.named("group").items():
            values = {}
            for key, value in raw.items():
                option = BY_NAME.get(key)
                way = ("group", name, key)
                if option is None:
                    known = [option.name for option in OPTIONS if option.inner]
                    self.problems.unknown(reader.file.place(*way), key, known, f"[group.{name}] key")
                elif not option.inner:
                    self.problems.add(reader.file.place(*way), f"{key!r} holds for the whole server; put it at the top")
                else:
                    values[key] = self._checked(option, Given(value, "file", key, file=reader.file, way=way))
            yield name, GroupEntry(name=name, values=values, file=reader.file, way=("group", name))

    def _check_references(self, config: Config) -> None:
        """Names in one table that another table must have; hosts and paths that are taken."""
        forwarding: list[MountEntry | RouteEntry] = [*config.mounts, *config.routes]
        for entry in forwarding:
            if entry.upstream and entry.upstream not in config.upstreams:
                self.problems.unknown(entry.place("upstream"), entry.upstream, config.upstreams, "upstream")
        taken: dict[tuple[str, str], MountEntry] = {}
        for mount in config.mounts:
            if mount.group and mount.group not in config.groups:
                self.problems.unknown(mount.place("group"), mount.group, config.groups, "group")
            first = taken.setdefault((mount.host, mount.path), mount)
            if first is not mount:
                self.problems.add(mount.place("path"), f"{mount.url} is mounted twice, first at {first.place('path')}")


def _parsed(option: Option, given: Given) -> Any:
    if not given.text:
        return option.kind.from_toml(given.value)
    if not isinstance(given.value, list):
        return option.kind.from_text(given.value)
    parts = [option.kind.from_text(text) for text in given.value]
    if parts and isinstance(parts[0], dict):
        return {name: value for part in parts for name, value in part.items()}
    return tuple(value for part in parts for value in part)


def _merged(mounts: tuple[MountEntry, ...], typed: tuple[MountEntry, ...]) -> tuple[MountEntry, ...]:
    """What is typed takes the place of the file's mount at the same host and path."""
    taken = {(mount.host, mount.path) for mount in typed}
    return (*(mount for mount in mounts if (mount.host, mount.path) not in taken), *typed)
