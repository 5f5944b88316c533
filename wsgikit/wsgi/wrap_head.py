"""Status and header fields of a response, with the edits middleware needs.

Owns case-insensitive access to a WSGI header list and the rules of RFC 9110 about what a changed body does to its
fields. Must not know about bodies, start_response or the order of a response: that is `wrap`.
"""

from __future__ import annotations

import re

__all__ = ["ResponseHead"]

_DIGITS = re.compile(r"[0-9]{1,18}")
_OWS = " \t"
# What describes the bytes of one representation (RFC 9110 8.6, RFC 9530, RFC 1864, RFC 3230) and is wrong for others;
# the app's ranges are ranges of its bytes, too (RFC 9110 14.3).
_OF_THESE_BYTES = frozenset(
    ("content-length", "content-md5", "content-digest", "repr-digest", "digest", "accept-ranges")
)


class ResponseHead:
    """`status` ("404 Not Found") and `headers`, the list that will go to the server; names in any case."""

    status: str
    headers: list[tuple[str, str]]

    @property
    def code(self) -> int:
        """The status code, 0 when the status is not one."""
        digits = self.status[:3]
        return int(digits) if _DIGITS.fullmatch(digits) else 0

    def get(self, name: str, default: str = "") -> str:
        """The first value of a field."""
        wanted = name.lower()
        for field, value in self.headers:
            if field.lower() == wanted:
                return value
        return default

    def tokens(self, name: str) -> list[str]:
        """The members of a comma-separated field in all its lines, lower case (not for fields with quoted commas)."""
        wanted = name.lower()
        found: list[str] = []
        for field, value in self.headers:
            if field.lower() == wanted:
                found += [token for part in value.split(",") if (token := part.strip(_OWS).lower())]
        return found

    def set(self, name: str, value: str) -> None:
        """Replace every line of a field by one, last."""
        self.remove(name)
        self.headers.append((name, value))

    def add(self, name: str, value: str) -> None:
        """One more line."""
        self.headers.append((name, value))

    def default(self, name: str, value: str) -> None:
        """Add the field unless the app has sent it."""
        wanted = name.lower()
        if all(field.lower() != wanted for field, _ in self.headers):
            self.headers.append((name, value))

    def remove(self, *names: str) -> None:
        unwanted = {name.lower() for name in names}
        self.headers[:] = [line for line in self.headers if line[0].lower() not in unwanted]

    def vary_on(self, field: str) -> None:
        """Say that the response depends on a request field (RFC 9110 12.5.5)."""
        lines = [value for name, value in self.headers if name.lower() == "vary"]
        if not lines:
            self.headers.append(("Vary", field))
            return
        present = self.tokens("Vary")
        if field.lower() not in present and "*" not in present:
            self.set("Vary", ", ".join([*lines, field]))

    def weaken_etag(self) -> None:
        """A body with other bytes and the same meaning keeps its ETag, but weakly (RFC 9110 8.8.1)."""
        etag = self.get("ETag")
        if etag.startswith('"'):
            self.set("ETag", "W/" + etag)

    def body_changes(self) -> None:
        """Drop what is true of the app's bytes only. `wrap()` does this for every transform that changes a length."""
        self.headers[:] = [line for line in self.headers if line[0].lower() not in _OF_THESE_BYTES]
        self.weaken_etag()

    @property
    def media_type(self) -> str:
        """`type/subtype` of Content-Type without parameters, lower case; "" when there is none."""
        return self.get("Content-Type").partition(";")[0].strip(_OWS).lower()

    @property
    def content_length(self) -> int | None:
        """The declared length in bytes; None when there is none or it is not a number."""
        text = self.get("Content-Length").strip(_OWS)
        return int(text) if _DIGITS.fullmatch(text) else None

    @property
    def has_body(self) -> bool:
        """False for 1xx, 204 and 304 (RFC 9110 6.4.1). HEAD is not considered."""
        return self.status[:3] not in ("204", "304") and self.status[:1] != "1"

    @property
    def may_rewrite(self) -> bool:
        """Whether the body may be turned into another one: all of a representation, not encoded, not forbidden.

        False for 1xx, 204, 206, 304, and with Content-Range, a Content-Encoding, or `Cache-Control: no-transform`
        (RFC 9111 5.2.2.6).
        """
        if not self.has_body or self.status[:3] == "206":
            return False
        for name, value in self.headers:
            field = name.lower()
            if field == "content-range":
                return False
            if field == "content-encoding" and value.strip(_OWS).lower() not in ("", "identity"):
                return False
            if field == "cache-control" and "no-transform" in self.tokens("Cache-Control"):
                return False
        return True
