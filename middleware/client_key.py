"""Who a client is, for limits that count by client.

Owns the keys "address", "user", "header:NAME" and "all". Must not know what is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import address
from wsgikit.middleware.request_fields import environ_key

Key: TypeAlias = str | Callable[[dict[str, Any]], str]


def client_key(key: Key, ipv6_prefix: int) -> Callable[[dict[str, Any]], str]:
    """The function that names a request's client. ConfigError: unknown kind of key."""
    if callable(key):
        return key

    def network(remote: str) -> str:
        found = address(remote)
        if found is None or found.version == 4:
            return str(found or remote)
        return f"{int(found) >> (128 - ipv6_prefix):x}/{ipv6_prefix}"

    def by_address(environ: dict[str, Any]) -> str:
        return "a" + network(environ.get("REMOTE_ADDR", ""))

    if key == "address":
        return by_address
    if key == "all":
        return lambda environ: "*"
    if key == "user" or (isinstance(key, str) and key.startswith("header:") and len(key) > len("header:")):
        name = "REMOTE_USER" if key == "user" else environ_key(key.removeprefix("header:"))

        def by_value(environ: dict[str, Any]) -> str:
            value = environ.get(name)
            return f"v{value}" if value else by_address(environ)

        return by_value
    raise ConfigError(f"key = {key!r}: allowed are 'address', 'user', 'header:NAME', 'all', or a function in Python")
