"""Hosts: patterns as people write them, the host of a request, and a table from one to the other.

Owns: `shop.example`, `*.shop.example`, `shop.example:8080`, IDNA, case, trailing dot, `[::1]`. Knows nothing of paths.

Order of precedence in a table: exact name, then `*.suffix` with the longest suffix first, then any host; in each of
these the pattern with a port comes before the one without. `*.shop.example` stands for one label or more, never for
`shop.example` itself (as in nginx's `server_name`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from wsgikit.errors import ConfigError

T = TypeVar("T")

# RFC 3986 3.2.2; a host name is at most 253 bytes (RFC 1035 2.3.4), which also bounds the work of the IDNA codec.
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s/?#@\[\]:]*)(?::([0-9]{0,5}))?")
_LONGEST_NAME = 255
_NAME = re.compile(r"(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])")


def canonical(name: str) -> str:
    """The name in the one form that tables hold: lower case, A-labels, no trailing dot; "" when it is no host name."""
    name = name.lower().removesuffix(".")
    if not name.isascii():
        if len(name) > _LONGEST_NAME:
            return ""
        try:
            name = name.encode("idna").decode("ascii").lower()
        except UnicodeError:
            return ""
    return name


def parse_pattern(pattern: str) -> str:
    """Check a host pattern and return its canonical text: `name`, `name:port`, `.suffix` or `.suffix:port`; "" is any.

    Raises ConfigError for anything else, with the pattern in the message.
    """
    if pattern in ("", "*"):
        return ""
    text, dot = (pattern[1:], ".") if pattern.startswith("*.") else (pattern, "")
    match = _AUTHORITY.fullmatch(text.removeprefix("."))
    name = canonical(match[1]) if match else ""
    if match is None or not _NAME.fullmatch(name) or (pattern.startswith(".")):
        raise ConfigError(
            f"host {pattern!r}: not a host name; write 'shop.example', '*.shop.example', 'shop.example:8080' or '[::1]'"
        )
    return dot + name + (f":{match[2]}" if match[2] else "")


def display(canonical_pattern: str) -> str:
    """A canonical pattern as a person would write it."""
    return "*" + canonical_pattern if canonical_pattern[:1] == "." else canonical_pattern or "*"


def request_host(environ: Mapping[str, Any]) -> tuple[str, str]:
    """Canonical name and port of the request's Host field; ("", "") without one (HTTP/1.0) or when it is malformed.

    A missing port is the scheme's (RFC 9110 4.2).
    """
    field = environ.get("HTTP_HOST", "")
    match = _AUTHORITY.fullmatch(field) if field else None
    if match is None:
        return "", ""
    name = match[1]
    if not name.isascii():
        try:
            name = name.encode("latin-1").decode("utf-8")
        except UnicodeError:
            return "", ""
    return canonical(name), match[2] or ("443" if environ.get("wsgi.url_scheme") == "https" else "80")


class HostTable(Generic[T]):
    """Immutable: canonical pattern -> value, searched in the order of precedence above."""

    __slots__ = ("_any", "_by_host", "_suffixes", "only_any")

    def __init__(self, by_pattern: Mapping[str, T]) -> None:
        self._any = (by_pattern[""],) if "" in by_pattern else ()
        self._by_host = {key: value for key, value in by_pattern.items() if key}
        self._suffixes = any(key.startswith(".") for key in by_pattern)
        self.only_any = not self._by_host

    def candidates(self, host: tuple[str, str]) -> Iterable[T]:
        """Every value whose pattern matches, best first."""
        return self._any if self.only_any or not host[0] else self._named(*host)

    def _named(self, name: str, port: str) -> Iterator[T]:
        yield from self._exact(name, port)
        if self._suffixes:
            dot = name.find(".")
            while dot >= 0:
                yield from self._exact(name[dot:], port)
                dot = name.find(".", dot + 1)
        yield from self._any

    def _exact(self, key: str, port: str) -> Iterator[T]:
        for text in (f"{key}:{port}", key):
            if text in self._by_host:
                yield self._by_host[text]

    def __iter__(self) -> Iterator[T]:
        yield from self._by_host.values()
        yield from self._any
