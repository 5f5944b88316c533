"""What middleware notes about a request for the access log.

Owns the one environ key for it, `wsgikit.log`: a dict of texts that wsgikit's server (or `AccessLog`) puts there, and
whose entries the log format can name. Where it is missing nothing is noted.
"""

from __future__ import annotations

from typing import Any

KEY = "wsgikit.log"


def note(environ: dict[str, Any], name: str, value: str) -> None:
    """Say something about this request to the access log."""
    facts = environ.get(KEY)
    if facts is not None:
        facts[name] = value
