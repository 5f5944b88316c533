"""From an environ back to a request: the bytes on the wire and a curl line. Pure.

What a server has changed on the way (case and order of header names, duplicates joined) does not come back.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from wsgikit.validators.report.model import Reproducer

# RFC 3986 pchar and the slash: what a path may hold without being encoded.
_SAFE = "/!$&'()*+,;=:@~"


def request_line(environ: Mapping[Any, Any]) -> str:
    """Method and path for people: "GET /x"."""
    return f"{_text(environ, 'REQUEST_METHOD') or '?'} {_target(environ)}"


def reproducer(environ: Mapping[Any, Any], body: bytes = b"") -> Reproducer:
    """The request that led to this environ, with the part of the body that was read."""
    return Reproducer(raw=_raw(environ, body), command=_curl(environ, body))


def _text(environ: Mapping[Any, Any], key: str) -> str:
    value = environ.get(key)
    return value if isinstance(value, str) else ""


def _latin(text: str) -> bytes:
    return text.encode("latin-1", "replace")


def _target(environ: Mapping[Any, Any]) -> str:
    path = _text(environ, "SCRIPT_NAME") + _text(environ, "PATH_INFO")
    encoded = quote(_latin(path), safe=_SAFE) or "/"
    query = _text(environ, "QUERY_STRING")
    return f"{encoded}?{query}" if query else encoded


def _host(environ: Mapping[Any, Any]) -> str:
    name, port = _text(environ, "SERVER_NAME") or "localhost", _text(environ, "SERVER_PORT")
    return _text(environ, "HTTP_HOST") or (f"{name}:{port}" if port not in ("", "80") else name)


def _fields(environ: Mapping[Any, Any], body: bytes) -> list[tuple[str, str]]:
    fields = [
        (key[5:].replace("_", "-").title(), value)
        for key, value in environ.items()
        if isinstance(key, str) and key.startswith("HTTP_") and key != "HTTP_HOST" and isinstance(value, str)
    ]
    if _text(environ, "CONTENT_TYPE"):
        fields.append(("Content-Type", environ["CONTENT_TYPE"]))
    length = _text(environ, "CONTENT_LENGTH") or (str(len(body)) if body else "")
    if length:
        fields.append(("Content-Length", length))
    return fields


def _raw(environ: Mapping[Any, Any], body: bytes) -> bytes:
    protocol = _text(environ, "SERVER_PROTOCOL") or "HTTP/1.1"
    lines = [f"{_text(environ, 'REQUEST_METHOD') or 'GET'} {_target(environ)} {protocol}", f"Host: {_host(environ)}"]
    lines += [f"{name}: {value}" for name, value in _fields(environ, body)]
    return _latin("\r\n".join(lines) + "\r\n\r\n") + body


def _curl(environ: Mapping[Any, Any], body: bytes) -> str:
    method = _text(environ, "REQUEST_METHOD") or "GET"
    words = ["curl", "-i", "--path-as-is"]
    if method == "HEAD":
        words.append("--head")
    elif method != "GET":
        words += ["-X", method]
    for name, value in _fields(environ, body):
        if name != "Content-Length":
            words += ["-H", f"{name}: {value}"]
    scheme = _text(environ, "wsgi.url_scheme") or "http"
    words.append(f"{scheme}://{_host(environ)}{_target(environ)}")
    if not body:
        return shlex.join(words)
    octal = "".join(f"\\{byte:03o}" for byte in body)
    return f"printf '{octal}' | {shlex.join([*words, '--data-binary', '@-'])}"
