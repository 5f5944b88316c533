"""Sticky sessions: a cookie that brings a client back to its endpoint.

    sticky = { secret = "${STICKY_SECRET}", cookie = "endpoint", max_age = "1h" }

The value is an HMAC-SHA256 of the endpoint's URL under the secret: nobody learns the address from it, and nobody can
make one for another endpoint. There is nothing to parse: a value that is none of ours counts as none.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import choice, seconds, values_of
from wsgikit.middleware.balancer.hashing import cookie
from wsgikit.wire.http11.grammar import NAME_TEXT

_LEAST = 16  # characters; shorter secrets are guessed
_KEPT = 1000  # tokens; as many as an upstream may have endpoints


class Sticky:
    """Reads and writes the cookie. ConfigError names a key that is wrong."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        made = values_of(
            options,
            "sticky",
            secret=lambda: _secret(options.get("secret", "")),
            cookie=lambda: _name(options.get("cookie", "endpoint")),
            max_age=lambda: int(seconds(options.get("max_age", 0), "sticky.max_age")),
            same_site=lambda: choice(options.get("same_site", "Lax"), "sticky.same_site", ("Lax", "Strict", "None")),
        )
        self.name: str = made["cookie"]
        self._secret: bytes = made["secret"]
        self.token: Callable[[str], str] = lru_cache(maxsize=_KEPT)(self._token)
        """What stands for an endpoint. Asked for every endpoint at every request: reckoned once."""
        self._max_age: int = made["max_age"]
        self._same_site: str = made["same_site"]

    def _token(self, url: str) -> str:
        digest = hmac.new(self._secret, url.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest[:18]).decode("ascii")

    def wanted(self, environ: dict[str, Any]) -> str:
        """The token that the client has brought; "" for none."""
        return cookie(environ, self.name)

    def set_cookie(self, url: str, environ: dict[str, Any]) -> str:
        """The Set-Cookie (RFC 6265 4.1) that makes a client stick to an endpoint. For this app's paths, not scripts."""
        path = environ.get("SCRIPT_NAME", "").encode("latin-1").decode("ascii", "ignore") or "/"
        parts = [f"{self.name}={self.token(url)}", f"Path={path if ';' not in path else '/'}", "HttpOnly"]
        if self._max_age:
            parts.append(f"Max-Age={self._max_age}")
        parts.append(f"SameSite={self._same_site}")
        if environ.get("wsgi.url_scheme") == "https":
            parts.append("Secure")
        return "; ".join(parts)


def _secret(secret: object) -> bytes:
    if not isinstance(secret, str) or len(secret) < _LEAST:
        # not repeated in the message: it is a secret
        raise ConfigError(f"sticky: secret needs at least {_LEAST} characters, the same for all workers and machines")
    return secret.encode()


def _name(name: object) -> str:
    if not isinstance(name, str) or not NAME_TEXT.fullmatch(name):
        raise ConfigError(f"sticky: cookie = {name!r} is no name of a cookie")
    return name
