"""HTTP Basic authentication (RFC 7617).

    Use(BasicAuth, users={"ada": "scrypt:32768:8:1$..."}, realm="Staff")
    Use(BasicAuth, file="/etc/shop/passwords")

Options
    users     name -> password hash, as `werkzeug.security.generate_password_hash` makes it; or "plain:secret" for a
              password in clear
    file      a file with a line `name:hash` for each user; read again when it changes (looked at once a second), and
              then nothing is remembered of what stood in it
    check     a function (name, password) -> bool, or "package.module:function"; instead of the two above
    realm     what the browser shows ("Restricted")
    https     refuse over plain http, where the password could be read (false)
    hide      keep the Authorization field from the app (true)
    cached    how many right passwords each worker remembers (256), and for how long: `cache_time` ("5m"; "0": never).
              A good hash takes 50 ms to check; a browser sends the password with every request. Kept are keyed digests

Sets REMOTE_USER and AUTH_TYPE, and `user` for the access log. A wrong name takes as long as a wrong password. Put CORS
outside: preflight requests have no credentials. Guessing is slowed down by a RateLimit outside.

A new hash:  python -c "from werkzeug.security import generate_password_hash as h; print(h(input()))"

Streaming: bodies are not touched. Other servers: mod_wsgi needs `WSGIPassAuthorization On`.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import Amount, seconds, whole
from wsgikit.middleware.answer import answer
from wsgikit.middleware.facts import note
from wsgikit.middleware.passwords import PasswordFile, Passwords, Remembered
from wsgikit.middleware.request_fields import drop_fields

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["BasicAuth"]

# a longer one is an attack on the hash function, not a password
_LONGEST = 4096


class BasicAuth:
    """Asks for a name and a password. See the module for the options."""

    traits = frozenset({"authenticates"})
    secrets = frozenset({"users"})  # not for describe(), which goes into logs

    def __init__(
        self,
        app: WSGIApplication,
        *,
        users: Mapping[str, str] | None = None,
        file: str | None = None,
        check: Callable[[str, str], bool] | str | None = None,
        realm: str = "Restricted",
        https: bool = False,
        hide: bool = True,
        cached: int = 256,
        cache_time: Amount = "5m",
    ) -> None:
        if sum(source is not None for source in (users, file, check)) != 1:
            raise ConfigError("BasicAuth needs exactly one of users, file and check")
        if not realm.isascii() or not realm.isprintable() or set('"\\') & set(realm):
            raise ConfigError(f"realm = {realm!r}: printable ASCII without quotes and backslashes")
        self.app = app
        self.challenge = [("WWW-Authenticate", f'Basic realm="{realm}", charset="UTF-8"')]
        self.https = https
        self.hide = hide
        keep = seconds(cache_time, "cache_time")
        checker = _checker(users, file, check)
        self.check = Remembered(checker, whole(cached, "cached", 1), keep) if keep else checker

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self.https and environ.get("wsgi.url_scheme") != "https":
            return answer(environ, start_response, 403, "Passwords are taken over https alone.")
        credentials = _credentials(environ.get("HTTP_AUTHORIZATION", ""))
        if credentials is None or not self.check(*credentials):
            return answer(environ, start_response, 401, "A name and a password are needed.", self.challenge)
        # PEP 3333, "Unicode Issues": UTF-8 bytes travel as Latin-1 text
        user = credentials[0].encode().decode("latin-1")
        note(environ, "user", user)
        inner = {**environ, "REMOTE_USER": user, "AUTH_TYPE": "Basic"}
        if self.hide:
            drop_fields(inner, ("Authorization",))
        return self.app(inner, start_response)


def _checker(
    users: Mapping[str, str] | None, file: str | None, check: Callable[[str, str], bool] | str | None
) -> Callable[[str, str], bool]:
    if users is not None:
        return Passwords(users)
    if file is not None:
        return PasswordFile(os.path.abspath(file))
    if isinstance(check, str):
        from wsgikit.loader import load

        check = load(check)
    if check is None or not callable(check):
        raise ConfigError(f"check = {check!r}: a function, or 'package.module:function'")
    return check


def _credentials(field: str) -> tuple[str, str] | None:
    scheme, _, encoded = field.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > _LONGEST:
        return None
    try:
        text = binascii.a2b_base64(encoded.strip(" ").encode("latin-1"), strict_mode=True).decode()
    except (ValueError, UnicodeError):
        return None
    name, colon, password = text.partition(":")
    if not colon or not name or not text.isprintable():
        return None
    return name, password
