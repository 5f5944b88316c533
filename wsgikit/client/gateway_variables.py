"""The variables of a request to an upstream that speaks FastCGI, SCGI or uwsgi (RFC 3875 4.1).

Owns which script a path names, and what of the client is told. Must not know the wire.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from wsgikit.client.request import Request
from wsgikit.client.settings import GatewaySettings
from wsgikit.version import __version__
from wsgikit.wire.cgi import quote_path, unquote_path

Variables = dict[bytes, bytes]

# Of our own environ: what a server says of its client, and the client cannot say itself.
_TOLD = (
    "REMOTE_ADDR", "REMOTE_PORT", "REMOTE_USER", "AUTH_TYPE", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "HTTPS",
)  # fmt: skip
# Framing and connection end here; Expect is answered by us; Proxy would become HTTP_PROXY (httpoxy).
_DROPPED = frozenset(
    b"""
    connection keep-alive proxy-connection te trailer transfer-encoding upgrade expect content-length proxy
    http2-settings
    """.split()  # ASCII source text, not wire data
)


class Refused(Exception):
    """The upstream cannot be asked this. `status` is the answer; it is no fault of the endpoint's."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def make_variables(request: Request, length: int | None, settings: GatewaySettings) -> Variables:
    """All variables of a request. `length`: of its body, None when it is not known. Raises Refused."""
    path, _, query = request.target.partition(b"?")
    variables: Variables = {
        b"GATEWAY_INTERFACE": b"CGI/1.1",
        b"SERVER_SOFTWARE": b"wsgikit/" + __version__.encode(),
        b"SERVER_PROTOCOL": b"HTTP/1.1",
        b"REQUEST_METHOD": request.method.encode("ascii"),
        b"REQUEST_URI": quote_path(request.mount) + request.target if request.mount else request.target,
        b"QUERY_STRING": query,
        b"REDIRECT_STATUS": b"200",  # php-cgi refuses to work without it
    }
    if length is not None:
        variables[b"CONTENT_LENGTH"] = b"%d" % length
    _add_fields(variables, request)
    _add_client(variables, request.environ or {})
    decoded = unquote_path(path)
    variables.update(_paths(request.mount, decoded, settings) if settings.root else _app(request.mount, decoded))
    for name, value in settings.params.items():
        variables[name.encode("utf-8")] = value.encode("utf-8")
    return variables


def _add_fields(variables: Variables, request: Request) -> None:
    for name, value in request.fields:
        lower = name.lower()
        if lower in _DROPPED or b"_" in name:
            continue
        key = b"CONTENT_TYPE" if lower == b"content-type" else b"HTTP_" + lower.upper().replace(b"-", b"_")
        if key in variables:
            value = variables[key] + (b"; " if lower == b"cookie" else b", ") + value
        variables[key] = value


def _add_client(variables: Variables, environ: Mapping[str, Any]) -> None:
    for name in _TOLD:
        value = environ.get(name)
        if isinstance(value, str) and value:
            variables[name.encode()] = value.encode("latin-1")
    scheme = environ.get("wsgi.url_scheme", "http")
    variables[b"REQUEST_SCHEME"] = scheme.encode("latin-1")
    if scheme == "https":
        variables[b"HTTPS"] = b"on"
    else:
        variables.pop(b"HTTPS", None)
    if b"SERVER_NAME" not in variables:
        host, _, port = variables.get(b"HTTP_HOST", b"localhost").partition(b":")
        variables[b"SERVER_NAME"] = host
        variables.setdefault(b"SERVER_PORT", port or b"80")


def _app(mount: bytes, path: bytes) -> Variables:
    """An upstream that is one app, mounted where we are."""
    return {b"SCRIPT_NAME": mount, b"PATH_INFO": path}


def _paths(mount: bytes, path: bytes, settings: GatewaySettings) -> Variables:
    """An upstream that runs scripts in files.

    Dots are resolved before a file is named, and a path that no file can have is nobody's: a NUL would end the name
    early for a program in C, and a script would be found where there is none.
    """
    if b"\0" in path:
        raise Refused(404)
    folder = path.endswith((b"/", b"/.", b"/.."))
    path = posixpath.normpath(b"/" + path.lstrip(b"/"))
    if folder and path != b"/":
        path += b"/"
    script, info = _split_script(path, settings)
    root = settings.root.rstrip("/").encode("utf-8")
    found = {
        b"DOCUMENT_ROOT": root or b"/",
        b"SCRIPT_FILENAME": root + script,
        b"SCRIPT_NAME": mount + script,
        b"DOCUMENT_URI": mount + script + info,
        b"PATH_INFO": info,
    }
    if info:
        found[b"PATH_TRANSLATED"] = root + info
    return found


def _split_script(path: bytes, settings: GatewaySettings) -> tuple[bytes, bytes]:
    suffix = settings.suffix.encode("utf-8")
    end = 0
    while suffix and end < len(path):
        slash = path.find(b"/", end + 1)
        end = len(path) if slash < 0 else slash
        if path[:end].endswith(suffix):
            return path[:end], path[end:]
    if path.endswith(b"/") and (path == b"/" or not settings.front):
        return path + settings.index.encode("utf-8"), b""
    if not settings.front:
        raise Refused(404)
    return b"/" + settings.front.lstrip("/").encode("utf-8"), b""
