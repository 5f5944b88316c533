"""A request for the in-process server and the environ it makes of it: full, or the least that PEP 3333 allows."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote_to_bytes

from wsgikit.validators.app.streams import BodyInput, ErrorLog

# Left out of the minimal environ: the PEP lets a server omit what is empty, and everything it does not list.
_OPTIONAL = ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH")


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request. `target` is origin form as on the wire ("/a%20b?x=1"); `headers` without Content-Length.

    `extra` is put into environ as it is. `label` names it in reports where method and target are not enough.
    """

    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    extra: Mapping[str, Any] = field(default_factory=dict)
    host: str = "localhost:8000"

    @property
    def label(self) -> str:
        """Method and target, for people."""
        return f"{self.method} {self.target}"

    def but(self, **changes: Any) -> Request:
        """The same request with other fields."""
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Streams:
    """The streams of one request; `input` may be made to fail, `errors` too."""

    input: BodyInput
    errors: ErrorLog


def full_environ(request: Request, streams: Streams) -> dict[str, Any]:
    """What a server that is generous with variables gives."""
    environ = _base(request, streams, "HTTP/1.1")
    environ |= {
        "HTTP_HOST": request.host,
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_HOST": "192.0.2.7",
        "REMOTE_PORT": "40000",
        "SERVER_SOFTWARE": "wsgikit-check",
        "REQUEST_URI": request.target,
        "wsgi.input_terminated": True,
    }
    return environ | _fields(request) | dict(request.extra)


def minimal_environ(request: Request, streams: Streams) -> dict[str, Any]:
    """The least a server may give: a 1.0 request without Host, empty variables left out."""
    environ = _base(request, streams, "HTTP/1.0") | _fields(request)
    for key in _OPTIONAL:
        if not environ.get(key):
            environ.pop(key, None)
    return environ | dict(request.extra)


def _base(request: Request, streams: Streams, protocol: str) -> dict[str, Any]:
    path, _, query = request.target.partition("?")
    name, _, port = request.host.partition(":")
    return {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": name,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": protocol,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": streams.input,
        "wsgi.errors": streams.errors,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def _fields(request: Request) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else sys.intern(f"HTTP_{key}")
        fields[key] = f"{fields[key]}, {value}" if key in fields else value
    if request.body:
        fields.setdefault("CONTENT_LENGTH", str(len(request.body)))
        fields.setdefault("CONTENT_TYPE", "application/octet-stream")
    return fields
