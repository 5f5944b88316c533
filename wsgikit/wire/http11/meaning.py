"""What single fields mean for the message that holds them: host, length, coding, persistence, expectation.

Owns the strict reading of each of these values. Knows nothing of buffers and lines.

Where the RFC leaves room: Content-Length is one decimal number, so `5, 5` and two equal lines are refused (RFC 9110 8.6
lets them be collapsed); a second Transfer-Encoding line is refused; the two together are refused (RFC 9112 6.1 lets a
server take the coding and close); a transfer coding in HTTP/1.0 is refused; empty list elements are ignored, as
RFC 9110 5.6.1.2 demands, so `, chunked` is chunked; an empty Host is accepted (RFC 9112 3.3) and a comma in Host is
not; Connection with an element that is no token does not persist; Expect in HTTP/1.0 is ignored whatever it says.
"""

from __future__ import annotations

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.http11.grammar import DIGITS, HOST, LIST_ELEMENT, TOKEN, TRANSFER_CODING

# Below 2**63, so that a length fits every integer that an application's C code may put it in.
_LENGTH_DIGITS = 18

# Fields that must not come twice.
REQUEST_SINGLE = (b"host", b"content-length", b"transfer-encoding")
RESPONSE_SINGLE = (b"transfer-encoding",)
# Lists whose lines are read together (RFC 9110 5.3).
_LISTS = frozenset((b"connection", b"expect", b"content-length"))

_MAX_HOSTS = 256  # 16 KiB of names at most
_MAX_HOST = 64
# Hosts that have passed: a server sees few, and a look costs less than the pattern. Emptied when it is full.
_known_hosts: set[bytes] = set()


def index_fields(fields: list[tuple[bytes, bytes]], single: tuple[bytes, ...] = REQUEST_SINGLE) -> dict[bytes, bytes]:
    """Values by lower-case name for fields with repeated names. Raises for a repeated one that `single` names."""
    index: dict[bytes, bytes] = {}
    repeated: set[bytes] = set()
    for name, value in fields:
        key = name.lower()
        if key not in index:
            index[key] = value
            continue
        repeated.add(key)
        if key in _LISTS:
            index[key] += b", " + value
    for key in single:
        if key in repeated:
            raise ProtocolError(f"repeated-{key.decode()}", 400, "the field is given more than once")
    return index


def check_host(value: bytes) -> None:
    """Raise unless `value` is empty or `uri-host [":" port]` (RFC 9110 7.2)."""
    if not value or value in _known_hosts:
        return
    if not _is_host(value):
        raise ProtocolError("bad-host", 400, f"{value[:64]!r}")
    if len(value) <= _MAX_HOST:
        if len(_known_hosts) >= _MAX_HOSTS:
            _known_hosts.clear()
        _known_hosts.add(value)


def check_authority(value: bytes, *, port_needed: bool = False) -> None:
    """Raise unless `value` is a host with optional port (RFC 9112 3.2.2), for CONNECT with a port (3.2.3)."""
    if not _is_host(value, port_needed=port_needed):
        raise ProtocolError("bad-target", 400, f"authority {value[:64]!r}")


def _is_host(value: bytes, *, port_needed: bool = False) -> bool:
    match = HOST.fullmatch(value)
    if match is None:
        return False
    port = match[1]
    return not port_needed if not port else int(port) <= 65535


def content_length(value: bytes) -> int:
    """The number in a Content-Length (RFC 9110 8.6). Raises for anything but digits, and 413 past 18 digits."""
    if DIGITS.fullmatch(value) is None:
        raise ProtocolError("bad-content-length", 400, f"{value[:64]!r}")
    digits = value.lstrip(b"0")
    if len(digits) > _LENGTH_DIGITS:
        raise LimitError("content-length-too-large", 413, f"{len(digits)} digits")
    return int(digits or b"0")


def equal_lengths(value: bytes) -> int:
    """The number that all elements of a response's joined Content-Length agree on (RFC 9110 8.6)."""
    if value.isdigit() and len(value) <= _LENGTH_DIGITS:  # of bytes: ASCII digits alone
        return int(value)
    lengths = set(elements(value))
    if len(lengths) != 1:
        raise ProtocolError("bad-content-length", 400, f"{value[:64]!r}")
    return content_length(lengths.pop())


def is_chunked(index: dict[bytes, bytes], minor: int) -> bool:
    """True for a request whose Transfer-Encoding is exactly chunked; everything else is refused (RFC 9112 6.1)."""
    if not minor:
        raise ProtocolError("transfer-encoding-in-http-1.0", 400, "no such field in HTTP/1.0")
    if b"content-length" in index:
        raise ProtocolError("content-length-with-transfer-encoding", 400, "the two contradict each other")
    value = index[b"transfer-encoding"]
    if value == b"chunked":
        return True
    codings = [_coding(element) for element in elements(value)]
    if not codings or codings.count(b"chunked") > 1 or b"chunked" in codings[:-1]:
        raise ProtocolError("bad-transfer-encoding", 400, f"{value[:64]!r}")
    if codings != [b"chunked"]:
        raise ProtocolError("unsupported-transfer-coding", 501, f"{value[:64]!r}")
    return True


def _coding(element: bytes) -> bytes:
    match = TRANSFER_CODING.fullmatch(element)
    if match is None:
        raise ProtocolError("bad-transfer-encoding", 400, f"{element[:64]!r}")
    name: bytes = match[1].lower()
    if name == b"chunked" and match[2]:
        raise ProtocolError("bad-transfer-encoding", 400, "chunked has no parameters")
    return name


def elements(value: bytes) -> list[bytes]:
    """The elements of a list (RFC 9110 5.6.1), without OWS; empty ones are left out."""
    found = [element.strip(b" \t") for element in LIST_ELEMENT.findall(value)]
    return [element for element in found if element]


def wants_persistence(connection: bytes, minor: int) -> bool:
    """What version and Connection say (RFC 9112 9.3): close wins, 1.1 persists, 1.0 persists with keep-alive."""
    if connection in (b"keep-alive", b""):
        return minor == 1 or bool(connection)
    options = elements(connection.lower())
    if b"close" in options or any(TOKEN.fullmatch(option) is None for option in options):
        return False
    return minor == 1 or b"keep-alive" in options


def wants_upgrade(connection: bytes | None, minor: int) -> bool:
    """Upgrade counts in 1.1 and when Connection lists it (RFC 9110 7.8)."""
    return minor == 1 and connection is not None and b"upgrade" in elements(connection.lower())


def expects_continue(expect: bytes, minor: int) -> bool:
    """True for 100-continue, 417 for another expectation (RFC 9110 10.1.1)."""
    if not minor:
        return False
    expectations = elements(expect.lower())
    if any(expectation != b"100-continue" for expectation in expectations):
        raise ProtocolError("unknown-expectation", 417, f"{expect[:64]!r}")
    return bool(expectations)
