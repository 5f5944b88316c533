"""Conditional requests: what RFC 9110 13 says for a representation with these validators.

Owns the order of the four preconditions and If-Range. Must not know where a representation comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["evaluate", "range_still_valid", "timestamp"]


def timestamp(field: str) -> int | None:
    """Seconds since 1970 of an HTTP date, None when it is none (then the field counts as absent, RFC 9110 13.1.3)."""
    from werkzeug.http import parse_date

    found = parse_date(field)
    return None if found is None else int(found.timestamp())


def evaluate(environ: Mapping[str, Any], etag: str, modified: int | None) -> int:
    """200, 304 or 412 (RFC 9110 13.2.2). `etag` with its quotes, "" for none; `modified` in seconds."""
    reading = environ.get("REQUEST_METHOD") in ("GET", "HEAD")
    if "HTTP_IF_MATCH" in environ:
        if not _matches(environ["HTTP_IF_MATCH"], etag, strongly=True):
            return 412
    elif "HTTP_IF_UNMODIFIED_SINCE" in environ and modified is not None:
        since = timestamp(environ["HTTP_IF_UNMODIFIED_SINCE"])
        if since is not None and modified > since:
            return 412
    if "HTTP_IF_NONE_MATCH" in environ:
        if _matches(environ["HTTP_IF_NONE_MATCH"], etag, strongly=False):
            return 304 if reading else 412
    elif reading and "HTTP_IF_MODIFIED_SINCE" in environ and modified is not None:
        since = timestamp(environ["HTTP_IF_MODIFIED_SINCE"])
        if since is not None and modified <= since:
            return 304
    return 200


def range_still_valid(environ: Mapping[str, Any], etag: str, modified: int | None) -> bool:
    """Whether If-Range is absent or names this representation (RFC 9110 13.1.5); a weak ETag never does."""
    field = environ.get("HTTP_IF_RANGE")
    if field is None:
        return True
    if field.startswith(('"', "W/")):
        return bool(field == etag and etag.startswith('"'))
    return modified is not None and timestamp(field) == modified


def _matches(field: str, etag: str, *, strongly: bool) -> bool:
    from werkzeug.http import parse_etags

    tags = parse_etags(field)
    if tags.star_tag:
        return True
    weak, opaque = etag.startswith("W/"), etag.removeprefix("W/").strip('"')
    if not etag:
        return False
    if strongly:
        return not weak and tags.is_strong(opaque)
    return tags.contains_weak(opaque)
