"""What can go wrong with a transformation, and where.

Owns the errors of this package and the place they name. Must not know engines, nor what becomes of an error: that is
`answers`.

    XsltError
        SheetError      a stylesheet cannot be read or compiled
        SourceError     what was to be transformed is not well-formed
        TransformError  the stylesheet failed while it ran
        Refused         the policy forbids it; `reason` is one word
        TooLarge        a limit was passed; `limit` names the option
        Deadline        it took too long and was stopped
        Terminated      <xsl:message terminate="yes">; the message is its text
"""

from __future__ import annotations

from typing import NamedTuple

from wsgikit.errors import WsgikitError

__all__ = [
    "Deadline",
    "Place",
    "Refused",
    "SheetError",
    "SourceError",
    "Terminated",
    "TooLarge",
    "TransformError",
    "XsltError",
]


class Place(NamedTuple):
    """Where: a file or URL, line and column from 1; 0 for what is not known."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        numbers = [str(number) for number in (self.line, self.column) if number > 0]
        return ":".join([self.file or "-", *numbers])


NOWHERE = Place()


class XsltError(WsgikitError):
    """Root of this package's errors. `str()` is the text alone, `place` says where."""

    def __init__(self, text: str, place: Place = NOWHERE) -> None:
        super().__init__(text)
        self.text = text
        self.place = place

    @property
    def whole(self) -> str:
        """Place and text, as compilers write it."""
        return f"{self.place}: {self.text}" if self.place != NOWHERE else self.text


class SheetError(XsltError):
    """A stylesheet cannot be read or compiled."""


class SourceError(XsltError):
    """The document is not well-formed, or not what an engine can read."""


class TransformError(XsltError):
    """The stylesheet failed while it ran."""


class Refused(XsltError):
    """The policy forbids what a stylesheet or a document asks for.

    `reason` is stable: "outside", "network", "dynamic", "extension", "regexp", "write", "doctype", "entity", "depth".
    """

    def __init__(self, reason: str, text: str, place: Place = NOWHERE) -> None:
        super().__init__(text, place)
        self.reason = reason


class TooLarge(XsltError):
    """A limit was passed. `limit` is the option that sets it."""

    def __init__(self, limit: str, text: str, place: Place = NOWHERE) -> None:
        super().__init__(text, place)
        self.limit = limit


class Deadline(XsltError):
    """A transformation did not end in time."""


class Terminated(XsltError):
    """The stylesheet ended itself by <xsl:message terminate="yes">."""
