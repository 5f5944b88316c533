"""A request as bytes: the head that the caller's fields make, checked, and how its body is framed.

Adds nothing and changes nothing. Owns what must hold so that one request is one request to every reader: a target
without spaces, names that are tokens, no CR, LF or NUL in a value, and one framing that fits the body (RFC 9112 6.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from wsgikit.wire.http11.grammar import DIGITS, TARGET_RUN, TOKEN

Fields = Sequence[tuple[bytes, bytes]]

_ORDINARY, _LENGTH, _CODING, _EXPECT, _UPGRADE = range(5)
_UNSET = -1
_ROLES = {
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"expect": _EXPECT,
    b"upgrade": _UPGRADE,
}
_LEARNED = 1024  # spellings of field names that have passed; there are some dozens
_names: dict[bytes, tuple[int, bytes]] = {}
# Field sections that have passed: clients send the same fields again and again.
_KEPT, _SHORT = 256, 2048
_sections: dict[tuple[tuple[bytes, bytes], ...], bytes] = {}
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))


@dataclass(slots=True, kw_only=True)
class Request:
    """What to send.

    method    a token, as it is
    target    the request target in the form it is to be sent (RFC 9112 3.2)
    fields    all field lines, Host and the framing of the body included
    body      bytes, or an iterable of blocks; None without a body
    trailers  gives the field lines after a chunked body; called once the body is through
    early     called with the fields of each 103 (RFC 8297) that comes before the response
    watch     a descriptor: if its peer leaves, the exchange ends with Disconnected; -1: none
    deadline  monotonic seconds at which everything must be over; 0: none
    environ   what our own server knows of the client, for wires that carry variables (REMOTE_ADDR, HTTPS, ...)
    mount     the path in front of `target` for the client, decoded: SCRIPT_NAME on such wires
    """

    method: str
    target: bytes
    fields: Fields
    body: bytes | Iterable[bytes] | None = None
    trailers: Callable[[], Fields] | None = None
    early: Callable[[list[tuple[bytes, bytes]]], object] | None = None
    watch: int = -1
    deadline: float = 0.0
    environ: Mapping[str, Any] | None = None
    mount: bytes = b""


# Bytes of a body that are left and worth moving: fewer are copied in the time that two more system calls take.
WORTH_MOVING = 32 * 1024


@runtime_checkable
class Movable(Protocol):
    """A body that can go from socket to socket. The blocks of the iterable are what was not moved."""

    def move(self, target: int, /) -> tuple[int, bytes] | None:
        """Give what comes next to the socket `target`: how many bytes there were, and those of them that it did not
        take, now or at all. None: take the next block instead."""


class Outgoing:
    """A request ready to send.

    `head` in bytes; `blocks`: the body, None without one; `length`: of the body, None for chunks; `expects`: 100
    (Continue) is to be waited for; `upgrades`: 101 is an answer to it.
    """

    __slots__ = ("blocks", "expects", "head", "length", "upgrades")

    def __init__(self, request: Request) -> None:
        """Raises ValueError for a request that is none."""
        self.length: int | None = _UNSET
        self.expects = self.upgrades = False
        method, target = request.method.encode("ascii"), request.target
        if request.method not in _METHODS and not TOKEN.fullmatch(method):
            raise ValueError(f"{request.method!r:.40} is no method")
        if not target or TARGET_RUN.fullmatch(target) is None:
            raise ValueError(f"{target!r:.80} is no request target (RFC 9112 3.2)")
        fields = (*request.fields,)
        section = _sections.get(fields) or self._section(fields, request)
        self.head = b"%b %b HTTP/1.1\r\n%b" % (method, target, section)
        self.blocks = self._body(request.body)

    def _section(self, fields: tuple[tuple[bytes, bytes], ...], request: Request) -> bytes:
        """The field lines and the empty line. What says nothing of a body is remembered."""
        lines = []
        ordinary = True
        for field in fields:
            role, start = _names.get(field[0]) or _learn(field[0])
            if role:
                ordinary = False
                self._note(role, field[1], request)
            lines.append(start + field[1])
        breaks = len(lines) + 1
        lines += (b"", b"")
        section = b"\r\n".join(lines)
        # Three scans in C instead of a pattern for each value: whatever splits the head shows here.
        if section.count(b"\r") != breaks or section.count(b"\n") != breaks or b"\0" in section:
            raise ValueError("CR, LF or NUL in the head of a request")
        if ordinary and len(section) <= _SHORT:
            if len(_sections) >= _KEPT:
                _sections.clear()
            _sections[fields] = section
        return section

    def _note(self, role: int, value: bytes, request: Request) -> None:
        if role == _LENGTH:
            if self.length != _UNSET or not DIGITS.fullmatch(value) or len(value) > 18:
                raise ValueError("Content-Length twice, beside Transfer-Encoding, or not digits (RFC 9112 6.3)")
            self.length = int(value)
        elif role == _CODING:
            if self.length != _UNSET or value.lower() != b"chunked":
                raise ValueError("Transfer-Encoding other than chunked, or beside Content-Length (RFC 9112 6.1)")
            self.length = None
        elif role == _EXPECT:
            self.expects = value.lower() == b"100-continue" and request.body is not None
        else:
            self.upgrades = True

    def _body(self, body: bytes | Iterable[bytes] | None) -> Iterator[bytes] | None:
        if self.length == _UNSET:
            self.length = 0
        if body is None:
            if self.length != 0:
                raise ValueError("the fields announce a body, and there is none (RFC 9112 6.3)")
            return None
        if isinstance(body, bytes):
            if self.length is not None and self.length != len(body):
                raise ValueError(f"Content-Length {self.length} for a body of {len(body)} bytes (RFC 9110 8.6)")
            return iter((body,))
        return iter(body)


def _learn(name: bytes) -> tuple[int, bytes]:
    """The role of a field, and how its line begins."""
    if TOKEN.fullmatch(name) is None:
        raise ValueError(f"{name!r:.80} is no field name (RFC 9110 5.6.2)")
    known = _ROLES.get(name.lower(), _ORDINARY), name + b": "
    if len(_names) < _LEARNED:
        _names[name] = known
    return known
