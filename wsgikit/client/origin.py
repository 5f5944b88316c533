"""Where requests go: the URL of an upstream, taken apart.

Owns the grammar of endpoint URLs: `http://host:port/base`, `https://...`, `http+unix:/run/app.sock`, and the same for
the other wires (`fastcgi://host:port`, `scgi+unix:/run/app.sock`), which have no base. Must not know how a connection
is made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from wsgikit.errors import ConfigError
from wsgikit.wire.http11.grammar import TARGET_RUN
from wsgikit.wire.registry import WIRES

# RFC 3986 3.2 without userinfo: a password in a URL ends up in logs. The host's own grammar is the resolver's matter.
_SCHEMES = "|".join(WIRES)
_URL = re.compile(rf"(https|{_SCHEMES})://([^\s/:@?#\[\]]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{{1,5}}))?(/[^?#\s]*)?")
_UNIX = re.compile(rf"({_SCHEMES})\+unix:(/[^\0\s]+)")
_PORTS = {"https": 443, **{wire.name: wire.port for wire in WIRES.values()}}
_WRITTEN = "write it like 'http://10.0.0.1:8000', 'https://shop.example/base' or 'http+unix:/run/app.sock'"


@dataclass(frozen=True, slots=True)
class Origin:
    """One server: its scheme and address, and the path in front of every target.

    `host` has no brackets and is "" for a Unix socket, whose file is `path`. `base` is "" or begins with a slash and
    does not end with one. `authority` is what Host says (RFC 9110 7.2), `url` the whole again, in one spelling.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    base: str = ""
    authority: bytes = field(init=False, compare=False)
    url: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        name = f"[{self.host}]" if ":" in self.host else self.host
        shown = name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"
        # a Unix socket has no authority; HTTP/1.1 wants a Host all the same
        object.__setattr__(self, "authority", b"localhost" if self.path else shown.encode("ascii"))
        url = f"{self.scheme}+unix:{self.path}" if self.path else f"{self.scheme}://{shown}{self.base}"
        object.__setattr__(self, "url", url)

    @classmethod
    def parse(cls, url: str) -> Origin:
        """Read an endpoint URL. ConfigError: it is none."""
        unix = _UNIX.fullmatch(url)
        if unix:
            return cls(unix[1], "", _PORTS[unix[1]], path=unix[2])
        match = _URL.fullmatch(url)
        if match is None:
            raise ConfigError(f"{url!r} is no address of a server: {_WRITTEN}")
        scheme, host, port, base = match[1], match[2].strip("[]").lower(), match[3], match[4] or ""
        number = int(port) if port else _PORTS[scheme]
        if not 0 < number < 65536:
            what = "a port is 1 to 65535" if port else f"{scheme} has no port of its own: write one"
            raise ConfigError(f"{url!r}: {what}")
        if base.rstrip("/") and not scheme.startswith("http"):
            raise ConfigError(f"{url!r}: an address of {scheme} has no path; mounts and `gateway` options say it")
        if not TARGET_RUN.fullmatch(base.encode("utf-8")):
            raise ConfigError(f"{url!r}: write the path percent-encoded")
        return cls(scheme, _ascii(host, url), number, base=base.rstrip("/"))

    def __str__(self) -> str:
        return self.url


def _ascii(host: str, url: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ConfigError(f"{url!r}: the host is no name: {error}") from None
