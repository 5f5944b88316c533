"""Mount points: where an app is mounted, as people write it, and the immutable table of them.

Owns: the syntax `host/path`, its checks, and the longest match by segments. Must not know environs' other keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.router.hosts import HostTable, display, parse_pattern

WSGIApp = Callable[..., Iterable[bytes]]

_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One app at one place.

    path   "/blog": the app gets /blog and everything below it; "/" is everything. "/blog/" is the same as "/blog".
           Text, not percent-encoded: "/büro"
    app    WSGI app
    host   "shop.example", "*.shop.example", with ":port" or without; "" is any host
    strip  move the path from PATH_INFO to SCRIPT_NAME, as apps expect it; False leaves both alone
    name   for logs; the place itself when empty
    """

    path: str
    app: WSGIApp
    host: str = field(default="", kw_only=True)
    strip: bool = field(default=True, kw_only=True)
    name: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        problem = _path_problem(self.path)
        if problem:
            raise ConfigError(f"mount {self.path!r}: {problem}")
        if not callable(self.app):
            raise ConfigError(f"mount {self.path!r}: app {self.app!r} cannot be called")
        object.__setattr__(self, "path", self.path.rstrip("/"))
        object.__setattr__(self, "host", parse_pattern(self.host))

    @property
    def place(self) -> str:
        """Host and path as one would write them: "/blog", "shop.example/"."""
        return (display(self.host) if self.host else "") + (self.path or "/")

    @property
    def key(self) -> tuple[str, str]:
        """Canonical host, and path as it stands in PATH_INFO (UTF-8 read as latin-1, PEP 3333)."""
        return self.host, self.path.encode("utf-8").decode("latin-1")


def split_place(place: str) -> tuple[str, str]:
    """Host and path of "/blog", "shop.example/blog", "*.shop.example/"; a place without a slash is a ConfigError."""
    host, slash, path = place.partition("/")
    if not slash:
        raise ConfigError(f"mount {place!r}: write '/path', 'host/' or 'host/path'")
    return host, "/" + path


def parse_mount(text: str) -> dict[str, str]:
    """`[host]/path=package.module:app`, as on the command line, to a row for Mount.from_table().

    The first "=" ends the place: no place holds one, and a factory's arguments may. Raises ConfigError.
    """
    place, equals, app = text.partition("=")
    if not equals or not app or "/" not in place:
        raise ConfigError(f"--mount {text!r}: write /path=package.module:app or host/path=package.module:app")
    host, path = split_place(place)
    problem = _path_problem(path)
    try:
        host = parse_pattern(host)
    except ConfigError as error:
        problem = str(error)
    if problem:
        raise ConfigError(f"--mount {text!r}: {problem}")
    return {"host": display(host) if host else "", "path": path.rstrip("/") or "/", "app": app}


def _path_problem(path: str) -> str:
    if not isinstance(path, str) or not path.startswith("/"):
        return "the path begins with a slash"
    if "//" in path or any(segment in (".", "..") for segment in path.split("/")):
        return "no request ever has this path; leave '//', '.' and '..' out"
    if "?" in path or "#" in path:
        return "a mount is a path, it has no query and no fragment"
    if _ESCAPE.search(path):
        return "write the path as text, not percent-encoded"
    return ""


class _Paths:
    """The mounts of one host: PATH_INFO's first segments to a mount point."""

    __slots__ = ("by_path", "depth")

    def __init__(self, by_path: Mapping[str, MountPoint]) -> None:
        self.by_path = dict(by_path)
        # Bounds the work for a path of a thousand slashes.
        self.depth = max(path.count("/") for path in self.by_path)

    def longest(self, info: str) -> MountPoint | None:
        depth = self.depth
        if depth and info[:1] == "/":
            segments = info.split("/", depth + 1)
            for count in range(min(len(segments), depth + 1), 1, -1):
                point = self.by_path.get("/".join(segments[:count]))
                if point is not None:
                    return point
        return self.by_path.get("")


class Points:
    """An immutable table of mount points. ConfigError when two are at one place."""

    __slots__ = ("_hosts", "by_key")

    def __init__(self, points: Iterable[MountPoint] = ()) -> None:
        self.by_key: dict[tuple[str, str], MountPoint] = {}
        by_host: dict[str, dict[str, MountPoint]] = {}
        for point in points:
            if point.key in self.by_key:
                raise ConfigError(f"mount {point.place!r}: there is an app already")
            self.by_key[point.key] = point
            host, path = point.key
            by_host.setdefault(host, {})[path] = point
        self._hosts = HostTable({host: _Paths(by_path) for host, by_path in by_host.items()})

    @property
    def by_host(self) -> bool:
        """Whether the Host field has to be read."""
        return not self._hosts.only_any

    def find(self, info: str, host: tuple[str, str]) -> MountPoint | None:
        """The mount for a PATH_INFO: nearest host, longest path in it; a host without one gives way to the next."""
        for paths in self._hosts.candidates(host):
            point = paths.longest(info)
            if point is not None:
                return point
        return None

    def changed(self, point: MountPoint | None, key: tuple[str, str]) -> Points:
        """A copy with another point, or none, at a key."""
        kept = {other: at for other, at in self.by_key.items() if other != key}
        return Points([*kept.values(), *([point] if point else [])])

    def __iter__(self) -> Any:
        return iter(self.by_key.values())
