"""Options that are amounts: `"10MiB"`, `"30s"`, `"100/m"`, address ranges. The same texts as in `wsgikit.toml`.

Owns their grammar and the errors about them. Must not know which middleware asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

from wsgikit.errors import ConfigError, Mistakes, all_of
from wsgikit.loader import nearest

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    Address: TypeAlias = IPv4Address | IPv6Address
    Network: TypeAlias = IPv4Network | IPv6Network

Amount: TypeAlias = int | float | str

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)\Z")
_SIZES = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_TIMES = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def size(value: Amount, option: str, *, least: int = 0) -> int:
    """Bytes: a whole number, or a text such as "64KiB". ConfigError names the option."""
    amount = _quantity(value, _SIZES)
    if amount is None or amount < least or amount != int(amount):
        raise ConfigError(f"{option} = {value!r}: a number of bytes from {least}, or a size such as '64KiB', '10MiB'")
    return int(amount)


def seconds(value: Amount, option: str, *, least: float = 0.0) -> float:
    """Seconds: a number, or a text such as "500ms", "5m", "1h", "30d"."""
    amount = _quantity(value, _TIMES)
    if amount is None or not amount >= least:
        raise ConfigError(f"{option} = {value!r}: seconds from {least:g}, or a time such as '500ms', '30s', '5m', '1h'")
    return float(amount)


def rate(value: str, option: str) -> tuple[int, float]:
    """(how many, per how many seconds) from "100/m", "5/s", "1000/15m"."""
    count, slash, per = str(value).partition("/")
    amount = _quantity(per if per[:1].isdigit() else "1" + per, _TIMES) if slash and per else None
    if not re.fullmatch(r"[0-9]{1,9}", count) or int(count) < 1 or not amount:
        raise ConfigError(f"{option} = {value!r}: how many per time, such as '5/s', '100/m', '1000/15m'")
    return int(count), float(amount)


def whole(value: object, option: str, least: int, most: int | None = None) -> int:
    """A whole number within bounds."""
    if type(value) is not int or value < least or (most is not None and value > most):
        bounds = f"from {least}" if most is None else f"from {least} to {most}"
        raise ConfigError(f"{option} = {value!r}: a whole number {bounds}")
    return value


def choice(value: str, option: str, allowed: Iterable[str]) -> str:
    """One of a few words."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise ConfigError(f"{option} = {value!r}: allowed are {', '.join(map(repr, allowed))}")
    return value


def text_of(value: object, option: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ConfigError(f"{option} = {value!r}: a text")
    return value


def table_of(value: object, option: str, keys: Iterable[str] = ()) -> Mapping[str, Any]:
    """A table; with `keys`, one of these alone."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{option} = {value!r}: a table")
    known = tuple(keys)
    mistakes = Mistakes()
    for key in value:
        if not isinstance(key, str) or (known and key not in known):
            hint = nearest(str(key), known) or (f"; it has {', '.join(known)}" if known else "")
            mistakes.found.append(ConfigError(f"{option}: unknown key {key!r}{hint}", (str(key),)))
    mistakes.stop()
    return value


def values_of(value: object, option: str, **makers: Callable[[], Any]) -> dict[str, Any]:
    """What the makers make of a table's values. The table has their keys alone. ConfigError tells every mistake."""
    mistakes = Mistakes()
    with mistakes:
        table_of(value, option, makers)
    made = {}
    if isinstance(value, Mapping):
        with mistakes:
            made = all_of(**makers)
    mistakes.stop()
    return made


def texts(value: Iterable[str], option: str) -> tuple[str, ...]:
    """Several texts. A single one is the commonest slip, as Python would take it for its characters."""
    if isinstance(value, str):
        raise ConfigError(f"{option} = {value!r}: a list of texts; write [{value!r}]")
    if not isinstance(value, Iterable):
        raise ConfigError(f"{option} = {value!r}: a list of texts")
    found = tuple(value)
    for each in found:
        if not isinstance(each, str):
            raise ConfigError(f"{option} has {each!r} in it: a list of texts is needed")
    return found


def networks(value: Iterable[str], option: str) -> tuple[Network, ...]:
    """Addresses and ranges: "127.0.0.1", "10.0.0.0/8", "2001:db8::/32"."""
    from ipaddress import IPv4Network, IPv6Network, ip_network

    found: list[Network] = []
    for each in texts(value, option):
        try:
            network = ip_network(each)
        except ValueError as error:
            raise ConfigError(f"{option} has {each!r} in it: {error}; write it like '10.0.0.0/8'") from None
        mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
        # as `address` does with what is compared with it
        found.append(network if mapped is None else IPv4Network((mapped, max(network.prefixlen - 96, 0))))
    return tuple(found)


# ipaddress takes 5 us for an address; a process remembers this many (about 1 MB)
@lru_cache(4096)
def address(text: str) -> Address | None:
    """The address that REMOTE_ADDR names; IPv4 in IPv6 clothes (::ffff:192.0.2.1) as IPv4. None: none, or a socket."""
    from ipaddress import ip_address

    try:
        # a scope ("%eth0") tells interfaces apart, not clients
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def within(found: Address | None, ranges: Iterable[Network]) -> bool:
    """Whether an address is in one of the ranges."""
    return found is not None and any(found.version == network.version and found in network for network in ranges)


def _quantity(value: object, units: dict[str, int] | dict[str, float]) -> float | None:
    if type(value) is int or (type(value) is float and isfinite(value)):
        return value
    match = _QUANTITY.match(value) if isinstance(value, str) else None
    factor = units.get(match[2].lower()) if match else None
    if match is None or factor is None:
        return None
    return (float(match[1]) if "." in match[1] else int(match[1])) * factor
