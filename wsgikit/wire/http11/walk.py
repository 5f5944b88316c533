"""Reading a head line by line, to name its first wrong byte exactly. The slow way, and the one that defines verdicts.

Owns the order in which things are found wrong: strictly the order of the bytes. What is raised depends on the bytes up
to the first wrong one only, so that a head gets the same verdict whole and in pieces of any size. A walk that runs out
of bytes says None. Knows nothing of what fields mean.

Where the RFC leaves room, nothing is repaired: LF alone ends no line, CR alone is no space, folded lines and lines of
white space before the first field are refused (RFC 9112 2.2 and 5.2), and so are control characters in values
(RFC 9110 5.5). Bytes from 0x80 on are opaque.
"""

from __future__ import annotations

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.http11.grammar import TOKEN_RUN, VALUE_RUN
from wsgikit.wire.http11.limits import Limits

Fields = list[tuple[bytes, bytes]]

_CR, _LF, _SP, _HTAB, _COLON = b"\r\n \t:"


def excerpt(data: bytes | bytearray, position: int) -> str:
    """What stands at `position`, escaped and short, for an error's detail."""
    return repr(bytes(data[position : position + 16]))


class Walk:
    """A place in a buffer, and the limit on everything from `start` on. `code` is raised (431) when that is passed."""

    __slots__ = ("buffer", "code", "edge", "limits", "position", "size")

    def __init__(self, buffer: bytes | bytearray, limits: Limits, edge: int, code: str) -> None:
        self.buffer = buffer
        self.size = len(buffer)
        self.limits = limits
        self.edge = edge
        self.code = code
        self.position = 0

    def check_line(self, position: int, edge: int, code: str, status: int) -> None:
        """Raise if the bytes before `position` pass `edge` (the end of what a line may have) or the whole limit."""
        if edge < position and edge <= self.edge:
            raise LimitError(code, status, "longer than the limit")
        self.check_whole(position)

    def check_whole(self, position: int) -> None:
        if position > self.edge:
            raise LimitError(self.code, 431, "longer than the limit")

    def newline(self, position: int, otherwise: str, *, expected: bool = True) -> int | None:
        """The offset after the CRLF at `position`, None when it is not all there.

        Raises `otherwise` for another byte, and for the CRLF too when it is not `expected`. LF or CR alone have codes
        of their own wherever they stand.
        """
        buffer = self.buffer
        if position >= self.size:
            return None
        byte = buffer[position]
        if byte == _LF:
            raise ProtocolError("bare-lf", 400, "a line ends with LF alone")
        if byte == _CR:
            if position + 1 >= self.size:
                return None
            if buffer[position + 1] != _LF:
                raise ProtocolError("bare-cr", 400, f"at {excerpt(buffer, position)}")
        if byte != _CR or not expected:
            raise ProtocolError(otherwise, 400, f"at {excerpt(buffer, position)}")
        self.check_whole(position + 2)
        return position + 2

    def fields(self, position: int, found: Fields) -> int | None:
        """Read field lines into `found` up to the empty line; the offset after it, or None for more.

        `self.position` is then the offset after the last line that was read.
        """
        self.position = position
        while position < self.size:
            if self.buffer[position] == _CR:
                return self.newline(position, "bad-field-name")
            if len(found) >= self.limits.fields:
                raise LimitError("too-many-fields", 431, f"more than {self.limits.fields} field lines")
            following = self._field(position, found)
            if following is None:
                return None
            self.position = position = following
        return None

    def _field(self, position: int, found: Fields) -> int | None:
        buffer = self.buffer
        edge = position + self.limits.field
        colon = TOKEN_RUN.match(buffer, position).end()  # type: ignore[union-attr]  # an empty run matches too
        self.check_line(colon, edge, "field-too-long", 431)
        if colon == self.size:
            return None
        if buffer[colon] != _COLON or colon == position:
            code = self._name_error(position, colon, first=not found)
            return self.newline(colon, code, expected=False)
        end = VALUE_RUN.match(buffer, colon + 1).end()  # type: ignore[union-attr]
        self.check_line(end, edge, "field-too-long", 431)
        following = self.newline(end, "bad-field-value")
        if following is not None:
            # OWS is SP and HTAB only (RFC 9110 5.6.3); a bare strip() takes \x0b and \x0c too.
            found.append((bytes(buffer[position:colon]), bytes(buffer[colon + 1 : end]).strip(b" \t")))
        return following

    def _name_error(self, position: int, end: int, *, first: bool) -> str:
        byte = self.buffer[end]
        if byte in (_SP, _HTAB):
            if end > position:
                return "space-before-colon"
            # RFC 9112 2.2 for the first line, 5.2 for the others.
            return "space-before-first-field" if first else "obs-fold"
        return "missing-colon" if byte == _CR else "bad-field-name"
