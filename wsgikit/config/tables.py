"""From the TOML tables of a file to entries, with every mistake noted.

Owns reading `[[mount]]`, `[[mount.use]]`, `[[route]]`, `[upstream.NAME]`, `[group.NAME]` and `tls`, and `${VARIABLE}`
in the options of middleware and upstreams. What the keys are stands in `structure`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from wsgikit.config import structure as tables
from wsgikit.config.kinds import Text
from wsgikit.config.sources import Given
from wsgikit.config.structure import GroupEntry, Key, MountEntry, RouteEntry, UpstreamEntry, UseEntry
from wsgikit.config.table import BY_NAME, OPTIONS

if TYPE_CHECKING:
    from wsgikit.config.file import File
    from wsgikit.config.option import Option
    from wsgikit.config.problems import Problems
    from wsgikit.config.resolve import Config

Way = tuple[str | int, ...]

_VARIABLE = re.compile(r"\$(\$|\{([A-Za-z_][A-Za-z0-9_]*)\})")


class TableReader:
    """Reads the tables of one file. Mistakes go to `problems`; what is wrong is left out of the result."""

    def __init__(self, file: File, environ: Mapping[str, str], problems: Problems) -> None:
        self.file = file
        self.environ = environ
        self.problems = problems

    def mounts(self) -> tuple[MountEntry, ...]:
        """Read every `[[mount]]`."""
        found = (self._mount(raw, way) for raw, way in self._several("mount"))
        return tuple(mount for mount in found if mount is not None)

    def routes(self) -> tuple[RouteEntry, ...]:
        """Read every `[[route]]`."""
        found = []
        for raw, way in self._several("route"):
            values, rest = self.keys(raw, tables.ROUTE_KEYS, way)
            use = self._uses(rest.pop("use", []), (*way, "use"))
            self._no_more(rest, (*tables.ROUTE_KEYS, _USE), way)
            self._one_target(raw, way)
            if "rule" in values:
                found.append(RouteEntry(**values, use=use, file=self.file, way=way))
        return tuple(found)

    def upstreams(self) -> dict[str, UpstreamEntry]:
        """Read every `[upstream.NAME]`."""
        found = {}
        for name, raw in self.named("upstream").items():
            way, before = ("upstream", name), len(self.problems.found)
            options = self._expand(raw, way)
            sound = len(self.problems.found) == before
            found[name] = UpstreamEntry(name=name, options=options, sound=sound, file=self.file, way=way)
        return found

    def groups(self, check: Callable[[Option, Given], Any]) -> dict[str, GroupEntry]:
        """Read every `[group.NAME]`: options that may differ in a group of workers. `check` makes a value of each."""
        found = {}
        for name, raw in self.named("group").items():
            values: dict[str, Any] = {}
            for key, value in raw.items():
                option, way = BY_NAME.get(key), ("group", name, key)
                if option is None:
                    known = [option.name for option in OPTIONS if option.inner]
                    self.problems.unknown(self.file.place(*way), key, known, f"[group.{name}] key")
                elif not option.inner:
                    self.problems.add(self.file.place(*way), f"{key!r} holds for the whole server; put it at the top")
                else:
                    checked = check(option, Given(value, "file", key, file=self.file, way=way))
                    if checked is not None:
                        values[key] = checked
            found[name] = GroupEntry(name=name, values=values, file=self.file, way=("group", name))
        return found

    def certificates(self) -> list[dict[str, Any]]:
        """Read `tls`: a list of tables."""
        found = []
        for raw, way in self._several("tls"):
            values, rest = self.keys(raw, tables.TLS_KEYS, way)
            self._no_more(rest, tables.TLS_KEYS, way)
            found.append(self._expand(values, way))
        return found

    def named(self, name: str) -> dict[str, dict[str, Any]]:
        """Read a table of tables, such as `[group.NAME]`."""
        raw = self.file.top.get(name, {})
        if not isinstance(raw, dict):
            self.problems.wrong(self.file.place(name), name, raw, f"must be tables: [{name}.NAME]")
            return {}
        for key, value in raw.items():
            if not isinstance(value, dict):
                self.problems.wrong(self.file.place(name, key), key, value, f"must be a table: [{name}.{key}]")
        return {key: value for key, value in raw.items() if isinstance(value, dict)}

    def keys(self, raw: Mapping[str, Any], keys: Iterable[Key], way: Way) -> tuple[dict[str, Any], dict[str, Any]]:
        """Check a table's keys. Return the values, and what is left over."""
        values, rest = {}, dict(raw)
        for key in keys:
            if key.name in rest:
                value = rest.pop(key.name)
                try:
                    values[key.name] = key.kind.located(key.kind.from_toml(value), self.file.folder)
                except ValueError as error:
                    reason = str(error) or f"must be {key.kind.allowed}"
                    self.problems.wrong(self.file.place(*way, key.name), key.name, value, reason)
            elif key.required:
                self.problems.add(self.file.place(*way), f"{_header(way)} has no {key.name!r}: {key.help}")
        return values, rest

    def _several(self, name: str) -> list[tuple[dict[str, Any], Way]]:
        return self._tables(self.file.top.get(name, []), (name,))

    def _tables(self, raw: Any, way: Way) -> list[tuple[dict[str, Any], Way]]:
        if not isinstance(raw, list) or not all(isinstance(part, dict) for part in raw):
            self.problems.wrong(self.file.place(*way), str(way[-1]), raw, f"must be tables: {_header((*way, 0))}")
            return []
        return [(part, (*way, number)) for number, part in enumerate(raw)]

    def _mount(self, raw: dict[str, Any], way: Way) -> MountEntry | None:
        values, rest = self.keys(raw, tables.MOUNT_KEYS, way)
        use = self._uses(rest.pop("use", []), (*way, "use"))
        self._no_more(rest, (*tables.MOUNT_KEYS, _USE), way)
        self._one_target(raw, way)
        if not values.keys() >= raw.keys() & {"path", "host"}:
            return None  # its place is unknown, so nothing more can be said about it
        return MountEntry(**values, use=use, file=self.file, way=way)

    def _uses(self, raw: Any, way: Way) -> tuple[UseEntry, ...]:
        found = []
        for part, inner in self._tables(raw, way):
            before = len(self.problems.found)
            values, rest = self.keys(part, tables.USE_KEYS, inner)
            options = self._expand(rest, inner)
            sound = len(self.problems.found) == before
            if "middleware" in values:
                found.append(UseEntry(**values, options=options, sound=sound, file=self.file, way=inner))
        return tuple(found)

    def _one_target(self, raw: Mapping[str, Any], way: Way) -> None:
        if "app" in raw and "upstream" in raw:
            self.problems.add(self.file.place(*way), f"{_header(way)} has 'app' and 'upstream'; leave one of them out")
        elif not any(raw.get(name) for name in ("app", "upstream", "use")):
            text = "needs 'app' or 'upstream', or in 'use' a middleware that answers by itself, such as static"
            self.problems.add(self.file.place(*way), f"{_header(way)} {text}")

    def _no_more(self, rest: Mapping[str, Any], keys: Iterable[Key], way: Way) -> None:
        for name in rest:
            self.problems.unknown(self.file.place(*way, name), name, [key.name for key in keys], f"{_header(way)} key")

    def _expand(self, value: Any, way: Way) -> Any:
        """Put environment variables in place of `${NAME}`, in texts at any depth. `$$` stands for a dollar sign."""
        if isinstance(value, dict):
            return {key: self._expand(inner, (*way, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._expand(inner, (*way, number)) for number, inner in enumerate(value)]
        if not isinstance(value, str):
            return value
        return _VARIABLE.sub(lambda match: self._variable(match[2], way), value)

    def _variable(self, name: str | None, way: Way) -> str:
        if name is None:
            return "$"
        if name not in self.environ:
            key = next((part for part in reversed(way) if isinstance(part, str)), "")
            self.problems.add(self.file.place(*way), f"{key}: the environment has no variable {name!r}")
        return self.environ.get(name, "")


def check_references(config: Config, problems: Problems) -> None:
    """Note names in one table that another table must have, and hosts and paths that are taken."""
    forwarding: list[MountEntry | RouteEntry] = [*config.mounts, *config.routes]
    for entry in forwarding:
        if entry.upstream and entry.upstream not in config.upstreams:
            problems.unknown(entry.place("upstream"), entry.upstream, config.upstreams, "upstream")
    taken: dict[tuple[str, str], MountEntry] = {}
    for mount in config.mounts:
        if mount.group and mount.group not in config.groups:
            problems.unknown(mount.place("group"), mount.group, config.groups, "group")
        first = taken.setdefault((mount.host, mount.path), mount)
        if first is not mount:
            problems.add(mount.place("path"), f"{mount.url} is mounted twice, first at {first.place('path')}")


_USE = Key("use", Text(), "Middleware around the app, outermost first")


def _header(way: Way) -> str:
    """How the file writes the table that a way leads to."""
    name = ".".join(part for part in way if isinstance(part, str))
    return f"[[{name}]]" if isinstance(way[-1], int) else f"[{name}]"
