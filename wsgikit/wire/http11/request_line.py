"""The request line (RFC 9112 3), read byte by byte, and the four forms of a target.

Owns which methods, versions and targets are refused and under which code. See `walk` for why the order of the bytes
decides.

Where the RFC leaves room: one SP between the parts and none at the end (RFC 9112 3 lets a server be lenient); a method
is any token and reaches the app as sent (RFC 9110 9.1 lets a server filter); HTTP/1.2 to 1.9 are 1.1; any other major
version is 505, a version before 1.0 and the HTTP/2 preface are 400; an http or https URI is the only absolute form;
user information in it is refused (RFC 9110 4.2.4).
"""

from __future__ import annotations

from typing import NamedTuple

from wsgikit.errors import ProtocolError
from wsgikit.wire.http11.grammar import ABSOLUTE_FORM, TARGET_RUN, TOKEN_RUN, VERSION_RUN
from wsgikit.wire.http11.meaning import check_authority
from wsgikit.wire.http11.walk import Walk

# RFC 9110 9.3, RFC 5789, WebDAV (RFC 4918, 3253): one string object each. CONNECT has a target of its own form and is
# not here, so that it goes the slow way.
_NAMES = (
    "GET HEAD POST PUT DELETE OPTIONS TRACE PATCH PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH "
    "CHECKOUT MERGE MKACTIVITY PURGE"
)
METHODS: dict[bytes, str] = {name.encode(): name for name in _NAMES.split()}

_CR, _SP = b"\r "
# The first byte of a TLS record that holds a handshake (RFC 8446 5.1).
_TLS_HANDSHAKE = 0x16
_VERSION = len(b"HTTP/1.1")


class Target(NamedTuple):
    """What a request target says, not decoded. `authority` is None in the origin and asterisk forms."""

    path: bytes
    query: bytes
    authority: bytes | None


class RequestLine(NamedTuple):
    """A valid request line; `end` is the offset after its CRLF."""

    method: str
    target: bytes
    parts: Target
    minor: int
    end: int


def read_request_line(walk: Walk, start: int) -> RequestLine | None:
    """The request line at `start`, after the empty lines that RFC 9112 2.2 tells a server to skip; None for more."""
    position = _skip_empty_lines(walk, start)
    if position is None:
        return None
    edge = position + walk.limits.request_line
    method_end = _method_end(walk, position, edge)
    if method_end is None:
        return None
    target_end = _target_end(walk, method_end + 1, edge)
    if target_end is None:
        return None
    raw_method = bytes(walk.buffer[position:method_end])
    method = METHODS.get(raw_method) or raw_method.decode("ascii")
    target = bytes(walk.buffer[method_end + 1 : target_end])
    parts = read_target(method, target)
    preface = method == "PRI" and target == b"*"
    minor = _minor_version(walk, target_end + 1, edge, preface=preface)
    if minor is None:
        return None
    if preface:
        raise ProtocolError("bad-target", 400, "the asterisk form is for OPTIONS")
    end = walk.newline(target_end + 1 + _VERSION, "bad-request-line")
    return None if end is None else RequestLine(method, target, parts, minor, end)


def _skip_empty_lines(walk: Walk, position: int) -> int | None:
    for _ in range(walk.limits.head_lines):
        if position >= walk.size or walk.buffer[position] != _CR:
            break
        following = walk.newline(position, "bad-request-line")
        if following is None:
            return None
        position = following
    if position >= walk.size:
        return None
    byte = walk.buffer[position]
    if byte == _TLS_HANDSHAKE:
        raise ProtocolError("tls-handshake", 400, "a TLS handshake on a listener without TLS")
    if byte == _CR:
        raise ProtocolError("too-many-empty-lines", 400, f"more than {walk.limits.head_lines} before a request line")
    return position


def _method_end(walk: Walk, position: int, edge: int) -> int | None:
    end = TOKEN_RUN.match(walk.buffer, position).end()  # type: ignore[union-attr]  # an empty run matches too
    if walk.limits.method <= walk.limits.request_line:
        walk.check_line(end, position + walk.limits.method, "method-too-long", 501)
    walk.check_line(end, edge, "request-line-too-long", 414)
    if end == walk.size:
        return None
    if walk.buffer[end] != _SP or end == position:
        return walk.newline(end, "bad-method", expected=False)
    return end


def _target_end(walk: Walk, position: int, edge: int) -> int | None:
    end = TARGET_RUN.match(walk.buffer, position).end()  # type: ignore[union-attr]
    walk.check_line(end, edge, "request-line-too-long", 414)
    if end == walk.size:
        return None
    byte = walk.buffer[end]
    if byte != _SP or end == position:
        # A line that ends here is HTTP/0.9.
        code = "missing-version" if byte == _CR and end > position else "bad-target"
        return walk.newline(end, code, expected=False)
    return end


def _minor_version(walk: Walk, position: int, edge: int, *, preface: bool) -> int | None:
    """The minor version at `position`, None for more. Each byte that is there must be right."""
    buffer = walk.buffer
    end = VERSION_RUN.match(buffer, position).end()  # type: ignore[union-attr]  # an empty run matches too
    walk.check_line(end, edge, "request-line-too-long", 414)
    if end - position < _VERSION:
        return walk.newline(end, "bad-version", expected=False)
    text = bytes(buffer[position:end])
    if preface and text[5:6] == b"2":
        raise ProtocolError("http2-preface", 400, "HTTP/2 with prior knowledge on an HTTP/1.1 listener")
    if text[5:6] != b"1":
        if text[5:6] == b"0":
            raise ProtocolError("bad-version", 400, "before HTTP/1.0")
        raise ProtocolError("unsupported-version", 505, repr(text))
    return 0 if text[7:8] == b"0" else 1


def read_target(method: str, target: bytes) -> Target:
    """The parts of a target that has a form the method may have (RFC 9112 3.2). Raises "bad-target" for another."""
    if method == "CONNECT":
        check_authority(target, port_needed=True)
        return Target(b"", b"", target)
    if target == b"*" and method not in ("OPTIONS", "PRI"):
        raise ProtocolError("bad-target", 400, "the asterisk form is for OPTIONS")
    if target[:1] == b"/" or target == b"*":
        path, _, query = target.partition(b"?")
        return Target(path, query, None)
    match = ABSOLUTE_FORM.fullmatch(target)
    if match is None:
        raise ProtocolError("bad-target", 400, "neither a path nor an http URI")
    authority, path, query = match.groups(b"")
    check_authority(authority)
    # RFC 9112 3.2.4: OPTIONS on a URI without path and query asks about the server as a whole.
    whole = method == "OPTIONS" and not path and b"?" not in target
    return Target(path or (b"*" if whole else b"/"), query, authority)
