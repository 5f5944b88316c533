"""Request heads (RFC 9112 3 and 5): bytes in, a `Head` out.

Owns the quick way (one pattern accepts the whole head, one call splits it) and what makes a head acceptable as a whole.
A head that the pattern does not take (incomplete, wrong, long, or only unusual) goes the slow way of `request_line` and
`walk`, which gives the same result or names what is wrong. Must not know sockets, time, or WSGI.
"""

from __future__ import annotations

from typing import Any

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.http11.grammar import PLAIN_REQUEST, PLAIN_REQUEST_LINE, PLAIN_SPLIT
from wsgikit.wire.http11.limits import Limits
from wsgikit.wire.http11.meaning import (
    check_host,
    content_length,
    expects_continue,
    index_fields,
    is_chunked,
    wants_persistence,
    wants_upgrade,
)
from wsgikit.wire.http11.request_line import METHODS, read_request_line
from wsgikit.wire.http11.walk import Fields, Walk

# Bytes after which an incomplete head is looked at again though no line has ended.
_LOOK = 1024

_plain = PLAIN_REQUEST.match
_line = PLAIN_REQUEST_LINE.match
_SECTION = 2048  # longest field section kept for comparison; a connection holds one
_split = PLAIN_SPLIT.findall


class Head:
    """A complete, valid request head.

    `method`           as sent (methods are case-sensitive, RFC 9110 9.1)
    `target`           the request target exactly as sent
    `path`             its path, not decoded; b"*" for the asterisk form, b"" for CONNECT
    `query`            what follows the first "?", not decoded; b"" for none
    `authority`        of an absolute-form or CONNECT target, else None
    `minor`            0 or 1: HTTP/1.2 and later are treated as 1.1 (RFC 9110 6.2)
    `fields`           (name, value) in the order and case sent, values without OWS. Nothing is dropped or joined: names
                       with "_" are in it, and who makes CGI names of them has to drop those, or X_Y aliases X-Y
    `host`             the effective host: `authority` if there is one (RFC 9112 3.2.2), else Host; b"" for an empty
                       Host, None without one (HTTP/1.0)
    `content_length`   the decimal number, or None
    `chunked`          the body is chunked
    `keep_alive`       the client lets the connection persist (RFC 9112 9.3)
    `expect_continue`  the client waits for 100 before it sends the body; False without a body and in HTTP/1.0
    `upgrade`          an Upgrade field listed in Connection, in 1.1 (RFC 9110 7.8)
    `end`              the offset in the buffer after the head
    `section`          the field lines as sent, when the next head may be read by comparison with them; else b""
    `memo`             a caller's own: what it has derived from `fields` alone. Given on to a head with the same fields
    """

    __slots__ = (
        "authority",
        "chunked",
        "content_length",
        "end",
        "expect_continue",
        "fields",
        "host",
        "keep_alive",
        "memo",
        "method",
        "minor",
        "path",
        "query",
        "section",
        "target",
        "upgrade",
    )

    method: str
    target: bytes
    path: bytes
    query: bytes
    authority: bytes | None
    minor: int
    fields: list[tuple[bytes, bytes]]
    host: bytes | None
    content_length: int | None
    chunked: bool
    keep_alive: bool
    expect_continue: bool
    upgrade: bool
    end: int
    section: bytes
    memo: Any

    def __repr__(self) -> str:
        return f"<Head {self.method} {self.target!r} HTTP/1.{self.minor}, {len(self.fields)} fields>"


def parse_head(
    buffer: bytes | bytearray, start: int, limits: Limits, seen: int = 0, last: Head | None = None
) -> Head | None:
    """Parse the request head that starts at `start`; None when it is not complete.

    Raises ProtocolError or LimitError with the code and status to answer with. The verdict does not depend on how the
    bytes arrive: what is raised early is raised for the whole head too.

    `seen` is how many bytes were there from `start` when an earlier call said None. With it, bytes that end no line
    are looked at once a kilobyte only, so that a client that sends one byte at a time cannot make us read the whole
    head again for each. A refusal may come that much later, and is the same.

    `last` is the head before this one on the same connection. Most clients send the same fields each time: where the
    bytes are equal, so is all that they mean, and one comparison replaces reading them. The caller gives it up: it may
    come back as the new head.
    """
    if last is not None and last.section:
        match = _line(buffer, start)
        if match is not None and buffer.startswith(last.section, match.end()):
            method = METHODS.get(match[1])
            if method is not None and match.end() - start + len(last.section) <= limits.quick:
                return _again(match[2], method, match.end(), last)
    if seen and _ends_nothing(buffer, start, seen):
        return None
    match = _plain(buffer, start)
    if match is None or match.end() - start > limits.quick:
        return parse_slowly(buffer, start, limits)
    raw_method, target, minor = match.groups()
    method = METHODS.get(raw_method)
    if method is None:
        return parse_slowly(buffer, start, limits)
    end = match.end()
    fields: Fields = _split(buffer, match.end(3) + 2, end - 2)
    if len(fields) > limits.fields:
        raise LimitError("too-many-fields", 431, f"more than {limits.fields} field lines")
    head = Head()
    head.method = method
    head.target = target
    head.path, _, head.query = target.partition(b"?")
    head.authority = None
    head.minor = 1 if minor == b"1" else 0
    head.fields = fields
    head.end = end
    head.memo = None
    _understand(head)
    # A body changes what a second message with the same fields needs, and a long section is not worth keeping.
    fields_start = match.end(3) + 2
    plain = head.minor and head.content_length is None and not head.chunked and end - fields_start <= _SECTION
    head.section = bytes(buffer[fields_start:end]) if plain else b""
    return head


def _again(target: bytes, method: str, line_end: int, head: Head) -> Head:
    """The head before, made into this one: its field lines are the same, it was HTTP/1.1 and had no body."""
    head.method = method
    head.target = target
    head.path, _, head.query = target.partition(b"?")
    head.end = line_end + len(head.section)
    return head


def _ends_nothing(buffer: bytes | bytearray, start: int, seen: int) -> bool:
    """No line has ended since `seen`, and no kilobyte has filled."""
    return buffer.find(b"\n", start + seen) < 0 and (len(buffer) - start) // _LOOK == seen // _LOOK


def parse_slowly(buffer: bytes | bytearray, start: int, limits: Limits) -> Head | None:
    """As `parse_head`, line by line: any valid head, and the one way in which errors are found."""
    walk = Walk(buffer, limits, start + limits.head, "head-too-long")
    line = read_request_line(walk, start)
    if line is None:
        return None
    fields: Fields = []
    end = walk.fields(line.end, fields)
    if end is None:
        return None
    head = Head()
    head.method = line.method
    head.target = line.target
    head.path, head.query, head.authority = line.parts
    head.minor = line.minor
    head.fields = fields
    head.end = end
    head.section = b""
    head.memo = None
    _understand(head)
    return head


def _understand(head: Head) -> None:
    """Set what the fields say about the message. The checks stand in the order in which they are reported."""
    fields = head.fields
    index = {name.lower(): value for name, value in fields}
    if len(index) != len(fields):
        index = index_fields(fields)
    host = index.get(b"host")
    if host is None:
        if head.minor:
            raise ProtocolError("missing-host", 400, "an HTTP/1.1 request has no Host")
    else:
        check_host(host)
    head.host = host if head.authority is None else head.authority
    head.chunked = False
    head.content_length = None
    if b"transfer-encoding" in index:
        head.chunked = is_chunked(index, head.minor)
    elif b"content-length" in index:
        head.content_length = content_length(index[b"content-length"])
    connection = index.get(b"connection")
    head.keep_alive = head.minor == 1 if connection is None else wants_persistence(connection, head.minor)
    head.upgrade = b"upgrade" in index and wants_upgrade(connection, head.minor)
    head.expect_continue = (
        b"expect" in index
        and expects_continue(index[b"expect"], head.minor)
        and (head.chunked or bool(head.content_length))
    )
