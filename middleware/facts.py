"""What middleware notes about a request for the logs.

Owns the one environ key for the access log, `wsgikit.log`: a dict of texts that wsgikit's server (or `AccessLog`) puts
there, and whose entries the log format can name. Where it is missing nothing is noted.
"""

from __future__ import annotations

from typing import Any

KEY = "wsgikit.log"


def note(environ: dict[str, Any], name: str, value: str) -> None:
    """Say something about this request to the access log."""
    facts = environ.get(KEY)
    if facts is not None:
        facts[name] = value


def line_of(environ: dict[str, Any]) -> str:
    """Method and whole path of a request, as lines of the error log begin. ASCII, so that nothing forges a line."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return f"{environ.get('REQUEST_METHOD', '')} {ascii(path)[1:-1]}"
