"""From options as people write them, in Python or in `[upstream.NAME]`, to the settings of each part.

Owns which option belongs to whom, and the errors about those that belong to nobody.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import lru_cache, partial
from os.path import join
from typing import Any

from wsgikit.client import ClientSettings, GatewaySettings, TlsSettings
from wsgikit.errors import ConfigError, Mistakes, all_of
from wsgikit.loader import nearest
from wsgikit.middleware.amounts import seconds, size, table_of, values_of, whole
from wsgikit.middleware.forward_settings import ForwardSettings, forward_settings
from wsgikit.wire.http11 import DEFAULT_LIMITS, Limits

_TIMES = (
    "connect_timeout", "tls_timeout", "first_byte_timeout", "idle_timeout", "total_timeout", "continue_timeout",
    "keep_alive",
)  # fmt: skip
_COUNTS = ("max_idle", "max_requests")
_TLS = tuple(field.name for field in fields(TlsSettings))
_FILES = ("ca", "cert", "key")
_LIMITS = ("fields", "field", "head", "chunk_line", "trailer")
_GATEWAY = tuple(field.name for field in fields(GatewaySettings))


@lru_cache(1)
def forward_names() -> tuple[str, ...]:
    """The options of forwarding."""
    return tuple(inspect.signature(forward_settings).parameters)


CLIENT_NAMES = (*_TIMES, *_COUNTS, "limits", "tls", "gateway")


def split(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of forwarding, and the others."""
    own = {name: value for name, value in options.items() if name in forward_names()}
    return own, {name: value for name, value in options.items() if name not in own}


def check_names(options: Iterable[str], known: Iterable[str]) -> None:
    """ConfigError for options that nobody knows."""
    names = tuple(known)
    mistakes = Mistakes()
    for name in options:
        if name not in names:
            mistakes.found.append(ConfigError(f"unknown option {name!r}{nearest(name, names)}", (name,)))
    mistakes.stop()


def forwarding(options: Mapping[str, Any]) -> ForwardSettings:
    """Settings of forwarding. ConfigError names the options."""
    # each by itself first: all together end at the first that is wrong
    all_of(**{name: partial(forward_settings, **{name: value}) for name, value in options.items()})
    return forward_settings(**options)


def client_settings(options: Mapping[str, Any]) -> ClientSettings:
    """Settings of the connections. ConfigError names the options."""
    makers = {name: partial(_checked, name, value) for name, value in options.items() if name in CLIENT_NAMES}
    return ClientSettings(**all_of(**makers))


def located(options: Mapping[str, Any], folder: str) -> Mapping[str, Any]:
    """The options with the files of `tls` starting at a folder, as far as they are files at all."""
    tls = options.get("tls")
    if not folder or not isinstance(tls, Mapping):
        return options
    return {**options, "tls": {name: in_folder(folder, name, value) for name, value in tls.items()}}


def in_folder(folder: str, name: str, value: Any) -> Any:
    """The value of an option `name`, which may be the name of a file, starting at a folder."""
    return join(folder, value) if name in _FILES and isinstance(value, str) and value else value


def _checked(name: str, value: Any) -> Any:
    if name in _COUNTS:
        return whole(value, name, 0)
    if name in _TABLES:
        return _TABLES[name](value)
    # a timeout of nothing would end everything before it begins; only the total may be off
    return seconds(value, name, least=0.0 if name in ("total_timeout", "keep_alive") else 0.001)


def _tls(value: Any) -> Any:
    if isinstance(value, TlsSettings) or hasattr(value, "wrap_socket"):  # a context, or what behaves like one
        return value
    mistakes = Mistakes()
    for name, inner in table_of(value, "tls", _TLS).items():
        if not isinstance(inner, bool if name == "verify" else str):
            what = "true or false" if name == "verify" else "a text"
            mistakes.found.append(ConfigError(f"tls.{name} = {inner!r}: {what}", (name,)))
    mistakes.stop()
    return TlsSettings(**value)


def _gateway(value: Any) -> Any:
    """Settings of upstreams that speak FastCGI, SCGI or uwsgi, by the types of their defaults."""
    if isinstance(value, GatewaySettings):
        return value
    known = GatewaySettings()
    mistakes = Mistakes()
    for name, inner in table_of(value, "gateway", _GATEWAY).items():
        wanted: Any = Mapping if name == "params" else type(getattr(known, name))
        texts_only = name != "params" or (isinstance(inner, Mapping) and _are_texts(inner))
        if not isinstance(inner, wanted) or (wanted is int and isinstance(inner, bool)) or not texts_only:
            what = {str: "a text", bool: "true or false", int: "a number"}.get(wanted, "a table of texts")
            mistakes.found.append(ConfigError(f"gateway.{name} = {inner!r}: {what}", (name,)))
    mistakes.stop()
    return GatewaySettings(**value)


def _limits(value: Any) -> Any:
    """Those of a response; the others of `Limits` are about requests."""
    if isinstance(value, Limits):
        return value
    return Limits(**values_of(value, "limits", **{name: partial(_limit, name, value) for name in _LIMITS}))


def _limit(name: str, table: Mapping[str, Any]) -> int:
    given = table.get(name, getattr(DEFAULT_LIMITS, name))
    return whole(given, "limits.fields", 1) if name == "fields" else size(given, f"limits.{name}", least=64)


_TABLES = {"limits": _limits, "tls": _tls, "gateway": _gateway}


def _are_texts(params: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) and isinstance(value, str) for key, value in params.items())
