"""What one may set about forwarding: which fields change on the way, and how the two sides see each other.

Owns the defaults and the checks. Must not know endpoints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import Amount, choice, networks, seconds, table_of, text_of, texts, whole
from wsgikit.wire.http11.grammar import NAME_TEXT, TOKEN, VALUE_TEXT

if TYPE_CHECKING:
    from wsgikit.middleware.amounts import Network

_DOMAIN = re.compile(r"[A-Za-z0-9.-]*")
FAMILIES = ("x-forwarded", "forwarded", "off")
# Framing and connection are decided by who sends the message, never by an option (RFC 9112 6, RFC 9110 7.6.1).
_OURS = frozenset(
    (
        "connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
        "upgrade",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HeaderEdits:
    """Changes of fields, in this order: `remove`, `set` (in place of all of that name), `add`. Names in lower case."""

    remove: frozenset[bytes] = frozenset()
    set: tuple[tuple[bytes, bytes], ...] = ()
    add: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def of(cls, table: Mapping[str, Any], option: str) -> HeaderEdits:
        """From `{ set = { Name = "value" }, add = { ... }, remove = ["Name"] }`. ConfigError names the key."""
        table_of(table, option, ("set", "add", "remove"))
        put = tuple(_pairs(table.get("set", {}), f"{option}.set"))
        add = tuple(_pairs(table.get("add", {}), f"{option}.add"))
        removed = texts(table.get("remove", ()), f"{option}.remove")
        names = [_name(name, f"{option}.remove").lower() for name in removed]
        return cls(frozenset((*names, *(name.lower() for name, _ in put))), put, add)

    def __bool__(self) -> bool:
        return bool(self.remove or self.set or self.add)

    def applied(self, fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """The fields after the changes."""
        if self.remove:
            fields = [field for field in fields if field[0].lower() not in self.remove]
        return [*fields, *self.set, *self.add]


def _pairs(table: Mapping[str, Any], option: str) -> Iterable[tuple[bytes, bytes]]:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{option} = {table!r}: a table of names and values")
    for name, value in table.items():
        for each in (value,) if isinstance(value, str) else texts(value, f"{option}.{name}"):
            if not VALUE_TEXT.fullmatch(each):
                raise ConfigError(f"{option}.{name} = {each!r}: control characters, or not Latin-1")
            yield _name(name, option), each.encode("latin-1")


def _name(name: str, option: str) -> bytes:
    if not NAME_TEXT.fullmatch(name):
        raise ConfigError(f"{option}: {name!r} is no field name")
    if name.lower() in _OURS:
        raise ConfigError(f"{option}: {name} belongs to the connection, or has an option of its own")
    return name.encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardSettings:
    """See the manual page of `wsgikit.middleware.forward` for what each means."""

    host: str = "preserve"
    forwarded: str = "x-forwarded"
    trusted: tuple[Network, ...] = ()
    trust_unix: bool = False
    via: bytes = b"wsgikit"
    whole_path: bool = False
    rewrite: bool = True
    cookie_domain: str = ""
    request: HeaderEdits | None = None
    response: HeaderEdits | None = None
    upgrade: bool = True
    upgrades: int = 100
    upgrade_idle: float = 300.0
    half_close: str = "leave"
    pause: bool = True


_DEFAULT_TRUSTED: tuple[str, ...] = ()


def forward_settings(
    *,
    host: str = "preserve",
    forwarded: str = "x-forwarded",
    trusted: Sequence[str] = _DEFAULT_TRUSTED,
    via: str = "wsgikit",
    whole_path: bool = False,
    rewrite: bool = True,
    cookie_domain: str = "",
    request: Mapping[str, Any] | None = None,
    response: Mapping[str, Any] | None = None,
    upgrade: bool = True,
    upgrades: int = 100,
    upgrade_idle: Amount = "5m",
    half_close: str = "leave",
    pause: bool = True,
) -> ForwardSettings:
    """Settings from options as people write them. ConfigError names the option."""
    names = texts(trusted, "trusted")
    if text_of(via, "via") and TOKEN.fullmatch(via.encode("utf-8")) is None:
        raise ConfigError(f"via = {via!r}: a name without spaces, or '' for no Via (RFC 9110 7.6.3)")
    plain = text_of(host, "host") and VALUE_TEXT.fullmatch(host) is not None and " " not in host
    if host not in ("preserve", "upstream") and not plain:
        raise ConfigError(f"host = {host!r}: 'preserve', 'upstream', or the host to send")
    return ForwardSettings(
        host=host,
        forwarded=choice(forwarded, "forwarded", FAMILIES),
        trusted=networks([name for name in names if name != "unix"], "trusted"),
        trust_unix="unix" in names,
        via=via.encode("ascii"),
        whole_path=_flag(whole_path, "whole_path"),
        rewrite=_flag(rewrite, "rewrite"),
        cookie_domain=_domain(cookie_domain),
        request=HeaderEdits.of({} if request is None else request, "request") or None,
        response=HeaderEdits.of({} if response is None else response, "response") or None,
        upgrade=_flag(upgrade, "upgrade"),
        upgrades=whole(upgrades, "upgrades", 0),
        upgrade_idle=seconds(upgrade_idle, "upgrade_idle"),
        half_close=choice(half_close, "half_close", ("leave", "stay")),
        pause=_flag(pause, "pause"),
    )


def _domain(value: object) -> str:
    if not _DOMAIN.fullmatch(text_of(value, "cookie_domain")):
        raise ConfigError(f"cookie_domain = {value!r}: a domain such as 'shop.example'")
    return str(value)


def _flag(value: object, option: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{option} = {value!r}: true or false")
    return value
