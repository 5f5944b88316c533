"""What the head of a response says of its body, read once.

Owns the fields that the transformation goes by, looked up together: a response has some ten of them, and asking for
each anew would cost more than a small document. Must not know what becomes of the head: that is `heads`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from wsgikit.middleware.preconditions import timestamp

if TYPE_CHECKING:
    from wsgikit.wsgi.wrap_head import ResponseHead

    Headers = list[tuple[str, str]]

__all__ = ["OF_THE_SOURCE", "SourceHead"]

# of the source's bytes alone, or made anew for the result
OF_THE_SOURCE = frozenset(
    (
        "content-length",
        "content-encoding",
        "content-md5",
        "content-digest",
        "repr-digest",
        "digest",
        "signature",
        "signature-input",
        "accept-ranges",
        "content-type",
        "etag",
        "last-modified",
    )
)
# fields whose lines are one list (RFC 9110 5.3); of all others the first line counts
_LISTS = frozenset(("cache-control", "content-encoding", "vary"))
_CHARSET = re.compile(r""";[ \t]*charset[ \t]*=[ \t]*"?([A-Za-z0-9._:+-]{1,40})"?""", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]{1,18}")


class SourceHead:
    """`rest`: the fields that a result has as well, but for Vary, which is `vary`. `tag`, `media`, `charset`: "" for
    none; `codings`: the last applied last; `length`, `modified` (seconds since 1970): None for none."""

    __slots__ = (
        *("_found", "_headers", "_vary", "charset", "codings", "content_type", "length", "media", "modified", "rest"),
        *("status", "tag", "vary"),
    )

    def __init__(self, response: ResponseHead) -> None:
        self.status = response.status
        self._headers: Headers = list(response.headers)
        self.rest: Headers = []
        found: dict[str, str] = {}
        for line in self._headers:
            name = line[0].lower()
            if name not in found:
                found[name] = line[1]
            elif name in _LISTS:
                found[name] += ", " + line[1]
            if name not in OF_THE_SOURCE and name != "vary":
                self.rest.append(line)
        self._found = found
        get = found.get
        self.content_type = get("content-type", "")
        self.media, self.charset = _type(self.content_type)
        self.tag = get("etag", "")
        self.codings = _tokens(get("content-encoding", ""))
        length = get("content-length", "").strip(" \t")
        self.length = int(length) if _DIGITS.fullmatch(length) else None
        self.modified = _seconds(found["last-modified"]) if "last-modified" in found else None
        self.vary = self._vary = get("vary", "")

    @property
    def headers(self) -> Headers:
        """The source's own, with what it has come to vary on."""
        if self.vary == self._vary:
            return list(self._headers)
        return [*(line for line in self._headers if line[0].lower() != "vary"), ("Vary", self.vary)]

    @property
    def is_part(self) -> bool:
        return self.status[:3] == "206" or "content-range" in self._found

    @property
    def caching(self) -> tuple[str, ...]:
        """The members of Cache-Control."""
        return _tokens(self._found.get("cache-control", ""))

    @property
    def is_personal(self) -> bool:
        """Whether it may be for this client alone."""
        return "set-cookie" in self._found or "private" in self.caching or "no-store" in self.caching

    def vary_on(self, names: tuple[str, ...]) -> None:
        """Say that the response depends on these request fields (RFC 9110 12.5.5)."""
        if names:
            self.vary = _varied(self.vary, names)


@lru_cache(maxsize=500)
def _tokens(value: str) -> tuple[str, ...]:
    return tuple(token for part in value.split(",") if (token := part.strip(" \t").lower()))


@lru_cache(maxsize=500)
def _varied(value: str, names: tuple[str, ...]) -> str:
    present = _tokens(value)
    new = {name.lower(): name for name in reversed(names) if name.lower() not in present} if "*" not in present else {}
    return ", ".join([*([value] if value else []), *reversed(new.values())])


@lru_cache(maxsize=500)
def _type(field: str) -> tuple[str, str]:
    charset = _CHARSET.search(field)
    return field.partition(";")[0].strip(" \t").lower(), charset[1] if charset else ""


@lru_cache(maxsize=500)
def _seconds(field: str) -> int | None:
    """An HTTP date; the same for as long as a document lives."""
    return timestamp(field)
