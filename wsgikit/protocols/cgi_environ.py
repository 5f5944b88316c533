"""The environ of a request that came as CGI variables, from whatever server is in front.

Owns what is taken over, what is mended, and what never passes. Variables are Latin-1 text (PEP 3333, "Unicode Issues").
It must not know which wire they came over. Where servers differ:

- SCRIPT_NAME and PATH_INFO: see `wsgikit.wire.cgi.paths`.
- CONTENT_LENGTH and CONTENT_TYPE are left out when they are empty (nginx sends them with every request), and so are
  REMOTE_USER, AUTH_TYPE and REMOTE_IDENT: an app that only looks whether they are there would let everybody in.
- HTTPS is "on" or absent, whatever it was ("1", "https", "off"); REQUEST_SCHEME and UWSGI_SCHEME count as well.
- QUERY_STRING comes from REQUEST_URI when the server sends none.
- REMOTE_ADDR is "" when the server sends none: its own address would pass for a client's.
- SERVER_NAME loses the port that HAProxy leaves in it.
"""

from __future__ import annotations

import re
from typing import Any

from wsgikit.wire.cgi import Variables, split_path, unquote_path
from wsgikit.wire.http11 import Head

_ON = (b"on", b"1", b"true", b"yes", b"https")
_SCHEMES = (b"REQUEST_SCHEME", b"UWSGI_SCHEME")
_WITH_PORT = re.compile(r"(\[[0-9A-Fa-f:.]++\]|[^:]++):[0-9]++")
_LEARNED = 1024  # distinct names kept; a server sends some dozens
_names: dict[bytes, str] = {}
_ABSENT = ("CONTENT_LENGTH", "CONTENT_TYPE", "REMOTE_USER", "AUTH_TYPE", "REMOTE_IDENT")
# PEP 3333, environ Variables: never empty
_NEVER_EMPTY = ("SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL")


def build(base: dict[str, Any], head: Head, variables: Variables, paths: tuple[bytes, bytes]) -> dict[str, Any]:
    """A fresh environ from `base` (the listener's template) and a request as `wire.cgi.read_request` gives it.

    `paths`: SCRIPT_NAME and PATH_INFO, from `paths_of` or from whoever knows better.
    """
    environ = base.copy()
    names = _names
    for key, value in variables.items():
        environ[names.get(key) or _learn(key)] = str(value, "latin-1")
    environ["SCRIPT_NAME"] = str(paths[0], "latin-1")
    environ["PATH_INFO"] = str(paths[1], "latin-1")
    environ["REQUEST_METHOD"] = head.method
    environ["REQUEST_URI"] = str(head.target, "latin-1")
    environ.setdefault("QUERY_STRING", str(head.query, "latin-1"))
    environ.setdefault("REMOTE_ADDR", "")
    environ["wsgikit.raw_target"] = head.target
    environ["wsgikit.raw_headers"] = head.fields[:]
    environ["wsgikit.trailers"] = []
    _mend(environ, base, variables)
    return environ


def paths_of(head: Head, variables: Variables) -> tuple[bytes, bytes]:
    """SCRIPT_NAME and PATH_INFO, as the server in front means them."""
    return split_path(
        variables.get(b"SCRIPT_NAME"),
        variables.get(b"PATH_INFO"),
        unquote_path(head.path),
        variables.get(b"SERVER_SOFTWARE", b""),
    )


def _mend(environ: dict[str, Any], base: dict[str, Any], variables: Variables) -> None:
    for name in _ABSENT:
        if not environ.get(name, "x"):
            del environ[name]
    for name in _NEVER_EMPTY:
        if not environ.get(name):
            environ[name] = base.get(name, "HTTP/1.1")
    with_port = _WITH_PORT.fullmatch(environ["SERVER_NAME"])
    if with_port is not None:
        environ["SERVER_NAME"] = with_port[1]
    if is_https(variables):
        environ["wsgi.url_scheme"] = "https"
        environ["HTTPS"] = "on"
    else:
        environ["wsgi.url_scheme"] = "http"
        environ.pop("HTTPS", None)


def is_https(variables: Variables) -> bool:
    """Whether the client came by https."""
    if variables.get(b"HTTPS", b"").lower() in _ON:
        return True
    return any(variables.get(name, b"").lower() == b"https" for name in _SCHEMES)


def _learn(key: bytes) -> str:
    name = str(key, "latin-1")
    if len(_names) < _LEARNED:
        _names[key] = name
    return name
