"""All sources together: command line over environment over file over default.

Owns the order, the checking of every value, and `Config`, the finished result. It must not build anything from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from wsgikit.config import file as files
from wsgikit.config import sources
from wsgikit.config.option import Option
from wsgikit.config.problems import Problems
from wsgikit.config.sources import Given
from wsgikit.config.table import BY_NAME, OPTIONS

if TYPE_CHECKING:
    from wsgikit.config.structure import GroupEntry, MountEntry, RouteEntry, UpstreamEntry

NOTHING: Mapping[str, Any] = MappingProxyType({})
STRUCTURE = ("mount", "route", "upstream", "group", "tls")


class Config(NamedTuple):
    """What was asked for, checked. `values` holds what somebody set, `origins` where; defaults are not in it."""

    values: Mapping[str, Any]
    origins: Mapping[str, Given]
    file: files.File | None = None
    mounts: tuple[MountEntry, ...] = ()
    routes: tuple[RouteEntry, ...] = ()
    upstreams: Mapping[str, UpstreamEntry] = NOTHING
    groups: Mapping[str, GroupEntry] = NOTHING
    certificates: tuple[Mapping[str, Any], ...] = ()

    def get(self, name: str) -> Any:
        """The value of an option, or its default."""
        return self.values[name] if name in self.values else BY_NAME[name].default

    def place(self, name: str) -> str:
        """Where an option's value comes from: `wsgikit.toml:3`, "command line", "environment", "default"."""
        return self.origins[name].place if name in self.origins else "default"


class Sources:
    """Where to read from. Kept by a running server, so that a reload reads everything again.

    given: what was typed or handed in. environ: os.environ as it is now. folder: where relative paths start; the
    working directory of now. file: a path, None to look into `folder`, or "" for no file at all.
    """

    def __init__(
        self,
        given: Mapping[str, Given] = NOTHING,
        *,
        environ: Mapping[str, str] | None = None,
        folder: str = "",
        file: str | None = None,
        mounts: tuple[MountEntry, ...] = (),
    ) -> None:
        self.given = given
        self.environ = dict(os.environ) if environ is None else environ
        self.folder = folder or os.getcwd()
        self.file = file
        self.mounts = mounts

    def read(self) -> Config:
        """Read every source. ConfigError lists every mistake of all of them."""
        problems = Problems()
        config = self.read_noting(problems)
        problems.stop()
        return config

    def read_noting(self, problems: Problems) -> Config:
        """Read every source and note the mistakes. Where there are any, the result is only good for finding more."""
        path = self._path()
        file = files.open_config(path) if path else None
        return _Reading(self, problems, file).config()

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
            if value is None:  # a mistake that has been noted
                continue
            if name not in origins:
                values[name], origins[name] = value, given
            elif isinstance(value, dict) and isinstance(values[name], dict):
                values[name] = value | values[name]
        config = Config(values=values, origins=origins, file=self.file)
        if self.origin.mounts or (self.file is not None and not self.file.top.keys().isdisjoint(STRUCTURE)):
            return self._with_tables(config)
        return config

    def _with_tables(self, config: Config) -> Config:
        from wsgikit.config.tables import TableReader, check_references

        environ = {**self.origin.environ, **(config.values.get("env") or {})}
        reader = TableReader(self.file or files.File("", "", {}), environ, self.problems)
        whole = config._replace(
            mounts=_merged(reader.mounts(), self.origin.mounts),
            routes=reader.routes(),
            upstreams=reader.upstreams(),
            groups=reader.groups(self._checked),
            certificates=tuple(reader.certificates()),
        )
        check_references(whole, self.problems)
        return whole

    def _in_order(self) -> Iterator[tuple[str, Given]]:
        yield from self.origin.given.items()
        yield from sources.from_environment(self.origin.environ, OPTIONS, self.problems).items()
        if self.file is None:
            return
        for name, value in self.file.top.items():
            if name in BY_NAME:
                yield name, Given(value, "file", name, file=self.file, way=(name,))
            elif name == "tool":
                self.problems.add(
                    self.file.place(name), "[tool.wsgikit] is for pyproject.toml; here options need no table"
                )
            elif name not in STRUCTURE and isinstance(value, dict):
                self.problems.unknown(self.file.place(name), name, [*STRUCTURE, "env"], "table")
            elif name not in STRUCTURE:
                self.problems.unknown(self.file.place(name), name, [*BY_NAME, *STRUCTURE], "option")

    def _checked(self, option: Option, given: Given) -> Any:
        base = given.file.folder if given.file else self.origin.folder
        try:
            return option.kind.located(_parsed(option, given), base)
        except ValueError as error:
            self.problems.wrong(given.place, given.key, given.value, str(error) or f"must be {option.kind.allowed}")
            return None


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
