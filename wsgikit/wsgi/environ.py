"""Make the environ: from a template a connection, and a request head.

Owns the CGI side of PEP 3333: names, Latin-1 text, what is decoded and what stays raw. It must not know sockets or how
the head was parsed. Choices where the specifications leave room:

- A field whose name has an underscore is dropped: `X_User` and `X-User` would share one variable, and a client could
  write what a proxy in front means to set. `Proxy` is dropped because `HTTP_PROXY` configures CGI programs (httpoxy).
- Transfer-Encoding is not passed on: the coding has been removed from the body (RFC 9112 7.1.3), and an app that relays
  the field beside CONTENT_LENGTH would send a message with two framings.
- Percent escapes in the path are decoded once; what is not an escape stays as it is. REQUEST_URI keeps the original.
"""

from __future__ import annotations

import re
from typing import Any

from wsgikit.version import __version__
from wsgikit.wire.http11 import Head
from wsgikit.wsgi.file_wrapper import FileWrapper

SOFTWARE = f"wsgikit/{__version__}"

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_OCTETS = {b"%02x" % n: bytes([n]) for n in range(256)}
_LEARNED = 1024  # distinct spellings of field names kept; clients use some dozens
_variables: dict[bytes, str] = {}
_DROPPED = {"HTTP_TRANSFER_ENCODING", "HTTP_PROXY"}
_UNPREFIXED = {"HTTP_CONTENT_TYPE": "CONTENT_TYPE", "HTTP_CONTENT_LENGTH": "CONTENT_LENGTH"}


def template(
    *, scheme: str, name: str, port: str, errors: Any, multithread: bool, multiprocess: bool
) -> dict[str, Any]:
    """What every request of one listener shares. `name` and `port` are used where the client sends no Host."""
    return {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": SOFTWARE,
        "SERVER_NAME": name,
        "SERVER_PORT": port,
        "SCRIPT_NAME": "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": errors,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileWrapper,
    }


def build(base: dict[str, Any], head: Head) -> dict[str, Any]:
    """The environ of one request: a fresh dict from `base` (the connection's template) and the request head."""
    environ = base.copy()
    path, query = head.path, head.query
    text = str(path, "latin-1")
    environ["REQUEST_METHOD"] = head.method
    environ["PATH_INFO"] = text if "%" not in text else str(_ESCAPE.sub(_octet, path), "latin-1")
    environ["QUERY_STRING"] = question = str(query, "latin-1")
    target = head.target
    if head.authority is None:
        environ["REQUEST_URI"] = str(target, "latin-1")
    else:  # absolute form: the origin form of it, as other servers give it
        environ["REQUEST_URI"] = f"{text}?{question}" if b"?" in target else text
    environ["SERVER_PROTOCOL"] = "HTTP/1.1" if head.minor else "HTTP/1.0"
    environ["wsgikit.raw_target"] = target
    environ["wsgikit.raw_headers"] = head.fields[:]
    fields = head.memo
    if fields is None:
        fields = head.memo = _variables_of(head)
    environ.update(fields)
    if head.authority is not None and head.host is not None:
        environ["HTTP_HOST"] = str(head.host, "latin-1")  # the target's authority wins over Host (RFC 9112 3.2.2)
    return environ


def _variables_of(head: Head) -> dict[str, str]:
    """The variables that come from the fields."""
    known = _variables
    found: dict[str, str] = {}
    for name, value in head.fields:
        variable = known.get(name)
        if variable is None:
            variable = _learn(name)
        if variable:
            if variable in found:
                _join(found, variable, value)
            else:
                found[variable] = str(value, "latin-1")
    return found


def _octet(match: re.Match[bytes]) -> bytes:
    return _OCTETS[match[1].lower()]


def _learn(name: bytes) -> str:
    """The variable for a field name; "" for a field that apps do not get."""
    variable = "HTTP_" + str(name, "latin-1").upper().replace("-", "_")
    if b"_" in name or variable in _DROPPED:
        variable = ""
    variable = _UNPREFIXED.get(variable, variable)
    if len(_variables) < _LEARNED:
        _variables[name] = variable
    return variable


def _join(found: dict[str, str], variable: str, value: bytes) -> None:
    """Add a repeated field to its variable (RFC 3875 4.1.18; RFC 9110 5.3, and 6265 5.4 for cookies)."""
    if variable == "CONTENT_LENGTH":
        return  # the head parser saw to it that all values are one
    separator = "; " if variable == "HTTP_COOKIE" else ", "
    found[variable] += separator + str(value, "latin-1")
