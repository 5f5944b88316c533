"""The environment of a CGI program (RFC 3875 4.1): what it is told of the request, and nothing of ours.

Owns what passes. The process's own environment stays here, but for what the operator names.
"""

from __future__ import annotations

import os
from typing import Any

from wsgikit.version import __version__

__all__ = ["variables"]

_TOLD = (
    "AUTH_TYPE", "CONTENT_TYPE", "HTTPS", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_PORT", "REMOTE_USER", "REQUEST_METHOD",
    "REQUEST_URI", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL",
)  # fmt: skip
# httpoxy: programs take HTTP_PROXY for the proxy they are to use (CVE-2016-5385)
_NEVER = frozenset(("HTTP_PROXY", "HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"))
_SECRETS = frozenset(("HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION"))


def variables(
    environ: dict[str, Any], found: dict[str, str], *, length: int | None, secrets: bool
) -> dict[bytes, bytes]:
    """Variables of a request. `found`: those of the script (SCRIPT_NAME, PATH_INFO, ...), as texts of the environ.

    `length`: of the body; `secrets`: pass the Authorization field (RFC 3875 4.1.18 and 9.2 advise against it).
    """
    told = {name: environ[name] for name in _TOLD if isinstance(environ.get(name), str)}
    told |= {
        name: value
        for name, value in environ.items()
        if name.startswith("HTTP_") and name not in _NEVER and (secrets or name not in _SECRETS)
    }
    told |= found
    told["GATEWAY_INTERFACE"] = "CGI/1.1"
    told["SERVER_SOFTWARE"] = f"wsgikit/{__version__}"
    told["REDIRECT_STATUS"] = "200"  # php-cgi refuses to work without it
    if environ.get("wsgi.url_scheme") == "https":
        told["HTTPS"] = "on"
    if length is not None:
        told["CONTENT_LENGTH"] = str(length)
    return {name.encode("latin-1"): value.encode("latin-1") for name, value in told.items()}


def text(path: str) -> str:
    """A file's name as a text of the environ (PEP 3333, "Unicode Issues")."""
    return os.fsencode(path).decode("latin-1")
