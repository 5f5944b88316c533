"""Bind addresses as text: what an operator may write after --bind, and what it means. Opens nothing.

`SCHEMES` is the list of schemes: every wire of `wsgikit.wire.registry`, and https, which is http over TLS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wsgikit.errors import ConfigError
from wsgikit.wire.registry import WIRES


@dataclass(frozen=True, slots=True)
class Scheme:
    """A wire protocol, and whether it runs over TLS: yes, no, or as the listener's settings say."""

    protocol: str
    tls: bool | None = False


DEFAULT_SCHEME = Scheme("http", None)
SCHEMES: dict[str, Scheme] = {"https": Scheme("http", True), **{name: Scheme(name) for name in WIRES}}

ALLOWED = "host:port, [::1]:port, :port, port, unix:/path, unix:@name, fd://N, or one of them with a scheme"

_SCHEME = r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9]*)://)?"
_MIXED = r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9]*)\+)?"
_UNIX = re.compile(_MIXED + r"unix:(?://)?(?P<path>.+)", re.DOTALL)
_FD = re.compile(_MIXED + r"fd:(?://)?(?P<fd>[0-9]{1,9})")
_TCP = re.compile(
    _SCHEME + r"(?:(?:\[(?P<v6>[0-9A-Fa-f:.%A-Za-z0-9_-]+)\]|(?P<host>[^\s:/\[\]@]*)):)?(?P<port>[0-9]{1,5})/?"
)
_ANY_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")

# sun_path is 108 bytes on Linux and 104 on the BSDs, with a NUL at the end of a file name.
_UNIX_PATH_MAX = 107


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed bind address. `kind` is "tcp", "unix" or "fd" and says which of the other fields count.

    An abstract Unix name has a path that begins with "@".
    """

    text: str
    kind: str
    scheme: Scheme
    host: str = ""
    port: int = 0
    path: str = ""
    fd: int = -1

    @property
    def place(self) -> tuple[str, str, int, str, int]:
        """What two addresses have in common when one socket can serve both: all but the scheme."""
        return (self.kind, self.host, self.port, self.path, self.fd)


def parse_address(text: str) -> Address:
    """The address a bind text means. ConfigError: not one of the allowed forms, or an unknown scheme."""
    if match := _UNIX.fullmatch(text):
        return _unix(text, _scheme(text, match["scheme"]), match["path"])
    if match := _FD.fullmatch(text):
        return Address(text, "fd", _scheme(text, match["scheme"]), fd=int(match["fd"]))
    if match := _TCP.fullmatch(text):
        return _tcp(text, match)
    if match := _ANY_SCHEME.match(text):
        _scheme(text, match[1])
    if text.count(":") > 1 and "[" not in text:
        raise ConfigError(f"bind {text!r}: an IPv6 address stands in brackets, as in [::1]:8000")
    raise ConfigError(f"bind {text!r}: allowed are {ALLOWED}")


def _scheme(text: str, name: str | None) -> Scheme:
    if name is None:
        return DEFAULT_SCHEME
    found = SCHEMES.get(name.lower())
    if found is None:
        from difflib import get_close_matches

        # nginx's and lighttpd's word is nearer to "scgi" in letters than to what it means
        near = ["fastcgi"] if name.lower() == "fcgi" else get_close_matches(name.lower(), SCHEMES, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(f"bind {text!r}: unknown scheme {name!r}{hint}; known are {', '.join(sorted(SCHEMES))}")
    return found


def _tcp(text: str, match: re.Match[str]) -> Address:
    scheme, port = _scheme(text, match["scheme"]), int(match["port"])
    if port > 65535:
        raise ConfigError(f"bind {text!r}: a port is at most 65535")
    # ":8000" and "8000" are all IPv4 interfaces, as in Gunicorn.
    return Address(text, "tcp", scheme, host=match["v6"] or match["host"] or "0.0.0.0", port=port)


def _unix(text: str, scheme: Scheme, path: str) -> Address:
    if "\0" in path:
        raise ConfigError(f"bind {text!r}: a path has no NUL byte")
    length = len(path.encode())
    if length > _UNIX_PATH_MAX:
        raise ConfigError(
            f"bind {text!r}: the path is {length} bytes long, a Unix socket has room for {_UNIX_PATH_MAX}"
        )
    return Address(text, "unix", scheme, path=path)
