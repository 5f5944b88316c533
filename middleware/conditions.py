"""Predicates for `Use(..., when=...)`: path, method, host, header; combined with `&`, `|` and `~`.

    Use(RateLimit, rate="5/s", when=path("/api") & ~method("GET", "HEAD"))

Owns what a condition looks at: the environ as it arrives at this layer, so `path` is relative to where the stack is
mounted. Any callable that takes an environ and returns a bool is a condition, too. In `wsgikit.toml` a table does it:

    when = { path = ["/api", "/feed"], method = ["POST"] }      # all keys have to hold, one value of each
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import texts

Predicate: TypeAlias = Callable[[dict[str, Any]], bool]


class Condition:
    """A predicate with a name, for `describe()`, that can be combined."""

    __slots__ = ("_test", "_text")

    def __init__(self, test: Predicate, text: str) -> None:
        self._test = test
        self._text = text

    def __call__(self, environ: dict[str, Any]) -> bool:
        return self._test(environ)

    def __and__(self, other: Predicate) -> Condition:
        mine = self._test
        return Condition(lambda environ: mine(environ) and other(environ), f"({self} & {described(other)})")

    def __or__(self, other: Predicate) -> Condition:
        mine = self._test
        return Condition(lambda environ: mine(environ) or other(environ), f"({self} | {described(other)})")

    def __invert__(self) -> Condition:
        mine = self._test
        return Condition(lambda environ: not mine(environ), f"~{self}")

    def __repr__(self) -> str:
        return self._text


def path(*prefixes: str) -> Condition:
    """PATH_INFO is one of `prefixes` or below it, by whole segments: "/api" holds for /api and /api/x, not /apis."""
    for prefix in texts(prefixes, "path"):
        if not prefix.startswith("/"):
            raise ConfigError(f"path {prefix!r}: has to start with '/'")
    # PATH_INFO carries UTF-8 bytes as Latin-1 text (PEP 3333, "Unicode Issues")
    exact = tuple(prefix.rstrip("/").encode().decode("latin-1") for prefix in prefixes)
    below = tuple(prefix + "/" for prefix in exact)

    def test(environ: dict[str, Any]) -> bool:
        found: str = environ.get("PATH_INFO", "")
        return found in exact or found.startswith(below)

    return Condition(test, _call("path", prefixes))


def method(*methods: str) -> Condition:
    """REQUEST_METHOD is one of these (case counts, RFC 9110 9.1)."""
    wanted = frozenset(texts(methods, "method"))
    return Condition(lambda environ: environ.get("REQUEST_METHOD") in wanted, _call("method", methods))


def host(*names: str) -> Condition:
    """The Host field without its port is one of these; "*.example.com" stands for every name below."""
    wanted = tuple(name.lower().rstrip(".") for name in texts(names, "host"))
    exact = frozenset(name for name in wanted if not name.startswith("*."))
    suffixes = tuple(name[1:] for name in wanted if name.startswith("*."))

    def test(environ: dict[str, Any]) -> bool:
        found = without_port(environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")).lower().rstrip(".")
        return found in exact or (bool(suffixes) and found.endswith(suffixes))

    return Condition(test, _call("host", names))


def header(name: str, *values: str) -> Condition:
    """A request field is there, or has one of the values (whole value, case ignored)."""
    key = "HTTP_" + name.upper().replace("-", "_")
    key = key[5:] if key in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH") else key
    wanted = frozenset(value.lower() for value in texts(values, "header"))

    def test(environ: dict[str, Any]) -> bool:
        found = environ.get(key)
        return found is not None and (not wanted or found.lower() in wanted)

    return Condition(test, _call("header", (name, *values)))


def without_port(authority: str) -> str:
    """Host of `host:port`; an IPv6 address keeps its brackets."""
    if authority.startswith("["):
        return authority.partition("]")[0] + "]"
    return authority.partition(":")[0]


def described(predicate: Predicate) -> str:
    return repr(predicate) if isinstance(predicate, Condition) else getattr(predicate, "__name__", repr(predicate))


def from_table(table: Mapping[str, Any], place: str) -> Condition:
    """The condition that `when = {...}` means. ConfigError names the key."""
    makers = {"path": path, "method": method, "host": host}
    found: Condition | None = None
    for key, value in table.items():
        values = (value,) if isinstance(value, str) else texts(value, f"{place}when.{key}")
        if key in makers:
            condition = makers[key](*values)
        elif key.startswith("header."):
            condition = header(key.removeprefix("header."), *values)
        else:
            raise ConfigError(f"{place}when.{key}: allowed are path, method, host and 'header.NAME'")
        found = condition if found is None else found & condition
    if found is None:
        raise ConfigError(f"{place}when is empty: name a path, a method or a host")
    return found


def _call(name: str, values: tuple[str, ...]) -> str:
    return f"{name}({', '.join(map(repr, values))})"
