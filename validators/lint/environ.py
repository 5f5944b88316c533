"""What the server put into environ, as far as one look at it can tell. Pure: an environ in, notes out.

Values that are objects (the streams, file_wrapper) are only looked at for their methods; nothing is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from wsgikit.validators.lint.notes import Note, shown
from wsgikit.validators.report.model import Verdict
from wsgikit.wire.http11.grammar import NAME_TEXT

# Keys that have a rule of their own saying that they must be there.
_OWN_RULE = {
    "wsgi.input": "S40",
    "wsgi.errors": "S40",
    "wsgi.multithread": "S41",
    "wsgi.multiprocess": "S42",
    "wsgi.run_once": "S43",
}
_REQUIRED = (
    "REQUEST_METHOD",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "wsgi.version",
    "wsgi.url_scheme",
    *_OWN_RULE,
)
# RFC 3875 4.1
_CGI = frozenset(
    {
        "AUTH_TYPE",
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "GATEWAY_INTERFACE",
        "PATH_INFO",
        "PATH_TRANSLATED",
        "QUERY_STRING",
        "REMOTE_ADDR",
        "REMOTE_HOST",
        "REMOTE_IDENT",
        "REMOTE_USER",
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
        "SERVER_SOFTWARE",
    }
)
_DIGITS = re.compile(r"[0-9]++")
_PROTOCOL = re.compile(r"HTTP/[0-9](?:\.[0-9])?")
_WIDE = re.compile(r"[^\x00-\xff]")
_NOT_IN_A_QUERY = re.compile(r"[\x00-\x20\x7f]")
_OWN_NAME = re.compile(r"[a-z0-9_]++(?:\.[a-z0-9_]++)++")
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*+")


def check_environ(environ: Any) -> Iterator[Note]:
    """Every rule of the S group that a look at environ can judge."""
    if type(environ) is not dict:
        yield Note("S04", f"environ is of type {type(environ).__name__}, not dict")
        if not isinstance(environ, Mapping):
            return
    for key in _REQUIRED:
        if key not in environ:
            yield Note(_OWN_RULE.get(key, "S06"), f"environ has no {key}")
    yield from _types(environ)
    yield from _request(environ)
    yield from _server(environ)
    yield from _wsgi(environ)
    yield from _streams(environ)


def _types(environ: Mapping[Any, Any]) -> Iterator[Note]:
    for key, value in environ.items():
        if type(key) is not str:
            yield Note("S45", f"the key {shown(key)} is no str")
        elif key in _CGI or key.startswith("HTTP_"):
            if type(value) is not str:
                yield Note("S37", f"{key} is {shown(value)}, of type {type(value).__name__}, not str")
            elif _WIDE.search(value):
                yield Note("S47", f"{key} is {shown(value)}, with a code point above U+00FF")
        elif _SHELL_NAME.fullmatch(key):
            yield from _system_variable(key, value)
        elif not _OWN_NAME.fullmatch(key):
            yield Note("S45", f"the key {shown(key)} is not lower case with dots and underscores")


def _system_variable(key: str, value: object) -> Iterator[Note]:
    if type(value) is not str:
        yield Note("S46", f"{key} is {shown(value)}, of type {type(value).__name__}, not str")
    elif _WIDE.search(value):
        yield Note("S47", f"{key} is {shown(value)}, with a code point above U+00FF")


def _text(environ: Mapping[Any, Any], key: str) -> str | None:
    """The value where it is a str; other types and absence are judged elsewhere."""
    value = environ.get(key)
    return value if isinstance(value, str) else None


def _request(environ: Mapping[Any, Any]) -> Iterator[Note]:
    method = _text(environ, "REQUEST_METHOD")
    if method is not None and not NAME_TEXT.fullmatch(method):
        yield Note("S21", f"REQUEST_METHOD is {shown(method)}")
    script, path = _text(environ, "SCRIPT_NAME"), _text(environ, "PATH_INFO")
    if script and (script == "/" or not script.startswith("/")):
        yield Note("S22", f"SCRIPT_NAME is {shown(script)}")
    if path and not path.startswith("/") and path != "*" and method != "CONNECT":
        yield Note("S23", f"PATH_INFO is {shown(path)}, which does not begin with a slash")
    yield from _query(_text(environ, "QUERY_STRING"))
    length = _text(environ, "CONTENT_LENGTH")
    if length and not _DIGITS.fullmatch(length):
        yield Note("S26", f"CONTENT_LENGTH is {shown(length)}")
    for key in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
        if key in environ:
            yield Note("S27", f"environ has {key}")


def _query(query: str | None) -> Iterator[Note]:
    if query and _NOT_IN_A_QUERY.search(query):
        yield Note("S24", f"QUERY_STRING is {shown(query)}, which has been decoded")
    elif query and query.startswith("?"):
        # "/x??a" really gives "?a", so this is a hint and no proof.
        yield Note("S24", f"QUERY_STRING is {shown(query)}; is the separator part of it?", Verdict.INFO)


def _server(environ: Mapping[Any, Any]) -> Iterator[Note]:
    name, port = _text(environ, "SERVER_NAME"), _text(environ, "SERVER_PORT")
    if name == "":
        yield Note("S28", "SERVER_NAME is empty")
    if port is not None and not _DIGITS.fullmatch(port):
        yield Note("S28", f"SERVER_PORT is {shown(port)}")
    protocol = _text(environ, "SERVER_PROTOCOL")
    if protocol is not None and not _PROTOCOL.fullmatch(protocol):
        yield Note("S29", f"SERVER_PROTOCOL is {shown(protocol)}, which is no HTTP version")
    if "REMOTE_ADDR" not in environ:
        yield Note("S33", "environ has no REMOTE_ADDR")
    if environ.get("wsgi.url_scheme") == "https" and environ.get("HTTPS") not in ("on", "1"):
        yield Note("S34", "the scheme is https and HTTPS is not on")
    for key in ("REMOTE_USER", "AUTH_TYPE"):
        if environ.get(key) == "":
            yield Note("S36", f"{key} is empty instead of absent")


def _wsgi(environ: Mapping[Any, Any]) -> Iterator[Note]:
    version = environ.get("wsgi.version", (1, 0))
    if type(version) is not tuple or version != (1, 0):
        yield Note("S38", f"wsgi.version is {shown(version)}, not (1, 0)")
    scheme = environ.get("wsgi.url_scheme", "http")
    if type(scheme) is not str or not scheme:
        yield Note("S39", f"wsgi.url_scheme is {shown(scheme)}")
    elif scheme not in ("http", "https"):
        yield Note("S39", f"wsgi.url_scheme is {shown(scheme)}, neither http nor https", Verdict.WARN)


def _streams(environ: Mapping[Any, Any]) -> Iterator[Note]:
    for key, names, rule in (
        ("wsgi.input", ("read", "readline", "readlines", "__iter__"), "S48"),
        ("wsgi.errors", ("write", "writelines", "flush"), "S49"),
    ):
        stream = environ.get(key)
        missing = [name for name in names if not callable(getattr(stream, name, None))]
        if key in environ and missing:
            yield Note(rule, f"{key} has no {', '.join(missing)}")
