"""Changing request fields in an environ that a middleware has copied for the app.

Owns that all views of the fields agree: `HTTP_X_Y` and, under wsgikit's server, `wsgikit.raw_headers`, from which a
forwarding layer further in takes what it sends on. Must only be given a copy: the caller's environ is not ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

RAW = "wsgikit.raw_headers"


def environ_key(name: str) -> str:
    """`X-Request-ID` -> `HTTP_X_REQUEST_ID` (RFC 3875 4.1.18); the two of CGI have none before them."""
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


def drop_fields(environ: dict[str, Any], names: Iterable[str]) -> None:
    """Take fields away, as if the client had not sent them."""
    names = tuple(names)
    for name in names:
        environ.pop(environ_key(name), None)
    raw = environ.get(RAW)
    if raw:
        unwanted = {name.lower().encode("latin-1") for name in names}
        # X_Request_ID is X-Request-ID to many a program further in
        environ[RAW] = [field for field in raw if field[0].lower().replace(b"_", b"-") not in unwanted]


def set_field(environ: dict[str, Any], name: str, value: str) -> None:
    """Put one field, in place of all of that name."""
    if RAW in environ:
        drop_fields(environ, (name,))
        environ[RAW] = [*environ[RAW], (name.encode("latin-1"), value.encode("latin-1"))]
    environ[environ_key(name)] = value
