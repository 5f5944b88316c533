"""lxml's error log of one run, told apart: messages of the stylesheet, and what went wrong where.

Owns the reading of libxslt's habits: an error comes as two entries, a place ("runtime error, element 'value-of'") and
then a text without a place; xsl:message as a text without a place. Must not know engines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from wsgikit.middleware.xslt.failures import NOWHERE, Place, Refused, SheetError, Terminated, TransformError, XsltError
from wsgikit.middleware.xslt.space import shown

__all__ = ["Log", "read_log"]

_HEAD = re.compile(r"(?:runtime|compilation) error(?:, element '[^']*')?\Z|error(?:, element '[^']*')?\Z")
_DENIED = re.compile(r"(?:refused|denied)\Z")
_NOISE = frozenset(("unknown error",))
# The engine says nothing else about many of its errors
_SAYS_NOTHING = frozenset(("XPath evaluation returned no result.",))


class Trouble(NamedTuple):
    text: str
    place: Place


class Log(NamedTuple):
    """`last_is_message`: the run ended with a message, so xsl:message has ended it."""

    messages: list[str]
    troubles: list[Trouble]
    last_is_message: bool

    def sheet_error(self, uri: str) -> SheetError:
        """Why a stylesheet did not compile: the first trouble, as the rest mostly follows from it."""
        trouble = self._first(uri)
        # a trouble without a line looks like a message, but nothing has run yet
        text = trouble.text or " ".join(self.messages) or "cannot be compiled"
        return SheetError(text, trouble.place)

    def run_error(self, uri: str, fallback: str) -> XsltError:
        """Why a run failed."""
        # libxslt goes on after many an error, and messages may follow it
        if self.last_is_message and not any(trouble.place.line for trouble in self.troubles):
            return Terminated(self.messages[-1], Place(shown(uri)))
        trouble = self._first(uri)
        text = trouble.text or fallback
        if _DENIED.search(text):
            return Refused("write" if "write" in text else "network", text, trouble.place)
        return TransformError(text, trouble.place)

    def _first(self, uri: str) -> Trouble:
        if not self.troubles:
            return Trouble("", Place(shown(uri)))
        first = self.troubles[0]
        place = next((trouble.place for trouble in self.troubles if trouble.place.line), Place(shown(uri)))
        text = first.text
        if text in _SAYS_NOTHING:
            text = next((other.text for other in self.troubles if other.text not in _SAYS_NOTHING), text)
        return Trouble(text, first.place if first.place.line else place)


def read_log(entries: Iterable[Any]) -> Log:
    """Tell the entries of an `error_log` apart."""
    messages: list[str] = []
    troubles: list[Trouble] = []
    place = NOWHERE
    headed = last_is_message = False
    for entry in entries:
        text = " ".join(str(entry.message).split()) if entry.domain_name != "XSLT" else str(entry.message).strip()
        # a stylesheet may say "runtime error", too, but its messages have no line
        if entry.domain_name == "XSLT" and entry.line > 0 and _HEAD.match(text):
            place = Place(shown(_file(entry.filename)), entry.line)
            headed = True
        elif entry.domain_name != "XSLT":
            troubles.append(Trouble(text, NOWHERE))
            last_is_message = False
        elif headed:
            troubles.append(Trouble(text, place))
            headed = last_is_message = False
        elif text in _NOISE:
            troubles.append(Trouble(text, place))
            last_is_message = False
        else:
            messages.append(text)
            last_is_message = True
    return Log(messages, troubles, last_is_message)


def _file(name: Any) -> str:
    return "" if name in (None, "<string>", "<xslt>") else str(name)
