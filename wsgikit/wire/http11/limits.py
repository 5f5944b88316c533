"""How large a message may be. Owns the numbers and their defaults; what is raised stands where each is checked."""

from __future__ import annotations

import dataclasses

# The longest method in PLAIN_REQUEST; below it the method limit must be looked at, so the quick way is closed.
_LONGEST_PLAIN_METHOD = 21


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one HTTP/1.1 message, in bytes without the line's CRLF unless another unit is given.

    Each has its own error code. The defaults of the first three are Apache's LimitRequestLine, LimitRequestFields and
    LimitRequestFieldSize, which clients and proxies are used to; RFC 9112 3 asks for a request line of 8000 at least.

    `request_line`   request line or status line ("request-line-too-long", 414)
    `fields`         number of field lines in a head or in trailers ("too-many-fields", 431)
    `field`          one field line ("field-too-long", 431)
    `head`           the head with all its CRLFs and the empty lines before it ("head-too-long", 431)
    `chunk_line`     one chunk-size line; the extensions of one body may have 16 times as much together
                     ("chunk-line-too-long" and "chunk-extensions-too-long", 400)
    `trailer`        the trailer section with its CRLFs ("trailer-too-long", 431)
    `head_lines`     number of empty lines that are skipped before a request line ("too-many-empty-lines", 400)
    `method`         the method ("method-too-long", 501); the longest registered one has 17 bytes
    """

    request_line: int = 8190
    fields: int = 100
    field: int = 8190
    head: int = 65536
    chunk_line: int = 4096
    trailer: int = 8192
    head_lines: int = 2
    method: int = 64
    # A head that is not longer than this cannot break a limit in bytes.
    quick: int = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        quick = min(self.request_line, self.field, self.head) if self.method >= _LONGEST_PLAIN_METHOD else 0
        object.__setattr__(self, "quick", quick)


DEFAULT_LIMITS = Limits()
