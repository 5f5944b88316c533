"""The beginning of a document: DOCTYPE, processing instructions, root element. Read without building a tree.

Owns what can be known before the first start tag ends, at the cost of a few microseconds. Must not know what is made
of it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from xml.parsers import expat

__all__ = ["Preamble", "preamble", "pseudo_attributes"]

_PIECE = 1 << 16
_MARKS = (b"\xfe\xff", b"\xff\xfe")
_EBCDIC = bytes((0x4C, 0x6F, 0xA7, 0x94))  # "<?xm" (XML 1.0, appendix F.1)
_PSEUDO = re.compile(r"""([A-Za-z_][\w.-]*)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')""")
_PREDEFINED = {"lt": "<", "gt": ">", "quot": '"', "apos": "'", "amp": "&"}
_REFERENCE = re.compile(r"&(?:(lt|gt|quot|apos|amp)|#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6}));")


class Preamble(NamedTuple):
    """`root`: its name, `{namespace}local`; "" when there is none or it cannot be read. `declarations`: the DOCTYPE
    has an internal subset. `instructions`: target and text of the processing instructions before the root element."""

    root: str = ""
    doctype: bool = False
    declarations: bool = False
    instructions: tuple[tuple[str, str], ...] = ()


class _Stop(Exception):
    """The root element has begun."""


class _Reader:
    def __init__(self, charset: str) -> None:
        self.root = ""
        self.doctype = self.declarations = False
        self.instructions: list[tuple[str, str]] = []
        parser = expat.ParserCreate(charset or None, "}")
        parser.StartElementHandler = self._element
        parser.StartDoctypeDeclHandler = self._doctype
        parser.ProcessingInstructionHandler = self._instruction
        self.parser = parser

    def _element(self, name: str, attributes: Any) -> None:
        self.root = "{" + name if "}" in name else name
        raise _Stop

    def _doctype(self, name: str, system: str | None, public: str | None, declarations: int) -> None:
        self.doctype = True
        self.declarations = bool(declarations)

    def _instruction(self, target: str, text: str) -> None:
        self.instructions.append((target, text))


def preamble(data: bytes, charset: str = "") -> Preamble:
    """What a document begins with. Nothing is raised: a parser that reads all of it will say what is wrong.

    `charset` overrides what the document says of itself. Where expat does not know the encoding, a DOCTYPE counts as
    one with declarations, so that nobody gets past a check by an unusual encoding.
    """
    reader = _Reader(charset)
    try:
        for start in range(0, len(data), _PIECE):
            reader.parser.Parse(data[start : start + _PIECE], False)
    except _Stop:
        pass
    except (expat.ExpatError, ValueError, LookupError):
        # what was seen until then stands
        if not reader.doctype and _may_hide(data):
            return Preamble(doctype=True, declarations=True)
    return Preamble(reader.root, reader.doctype, reader.declarations, tuple(reader.instructions))


def _may_hide(data: bytes) -> bool:
    """Whether there may be a DOCTYPE that expat did not see: in ASCII, or in UTF-16, UTF-32 or EBCDIC."""
    return b"<!DOCTYPE" in data or b"\0" in data[:4] or data[:2] in _MARKS or data[:4] == _EBCDIC


def pseudo_attributes(text: str) -> dict[str, str]:
    """`href="a.xsl" type="text/xsl"` as a dict (W3C "Associating Style Sheets with XML documents", section 3)."""
    found = {}
    for name, double, single in _PSEUDO.findall(text):
        found[name] = _REFERENCE.sub(_character, double or single)
    return found


def _character(match: re.Match[str]) -> str:
    entity, decimal, hexadecimal = match.groups()
    number = int(decimal) if decimal else int(hexadecimal, 16) if hexadecimal else 0
    return _PREDEFINED.get(entity) or (chr(number) if number < 0xD800 or 0xE000 <= number < 0x110000 else "\ufffd")
