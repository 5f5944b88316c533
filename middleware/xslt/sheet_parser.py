"""Stylesheet files as trees, without DTD, network or entities; and what the engine has that nobody wrote down.

Owns the parser for stylesheets. Needs lxml; imported on first use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from lxml import etree

from wsgikit.middleware.xslt.failures import Place, Refused, SheetError, XsltError
from wsgikit.middleware.xslt.policy import Policy
from wsgikit.middleware.xslt.preamble import preamble
from wsgikit.middleware.xslt.space import Loaded, shown

__all__ = ["Reader", "check_declarations", "engine_has", "knows_encoding", "parse_sheet", "sheet_options"]

Open = Callable[[str], Loaded]
_XSL = "{http://www.w3.org/1999/XSL/Transform}"


class Reader(etree.Resolver):  # type: ignore[misc]
    """Gives libxml2 what `open_uri` gives; never None, as libxml2 would then open the URI by itself.

    What was raised on the way is kept in `failed`: libxml2 sometimes says no more than that it could not read.
    """

    def __init__(self, open_uri: Open) -> None:
        self._open = open_uri
        self.failed: XsltError | None = None

    def resolve(self, system_url: Any, public_id: Any, context: Any) -> Any:
        try:
            loaded = self._open(str(system_url or ""))
        except XsltError as error:
            self.failed = error
            raise
        return self.resolve_string(loaded.data, context, base_url=loaded.uri)


def sheet_options(policy: Policy) -> dict[str, Any]:
    """Options of the parser for stylesheets; libxml2's own limits stay on (huge_tree)."""
    return {
        "resolve_entities": "entities" in policy.allow,
        "no_network": True,
        "load_dtd": False,
        "huge_tree": False,
    }


def check_declarations(loaded: Loaded, policy: Policy) -> None:
    """Refused: a file of the roots, stylesheet or read by document(), has a DTD with declarations."""
    if "entities" not in policy.allow and preamble(loaded.data).declarations:
        text = "a DTD with declarations is refused; allow = ['entities'] permits it"
        raise Refused("doctype", text, Place(shown(loaded.uri)))


def parse_sheet(loaded: Loaded, policy: Policy, open_uri: Open) -> Any:
    """A stylesheet as an lxml ElementTree. SheetError says line and column; Refused: a DTD."""
    place = Place(shown(loaded.uri))
    check_declarations(loaded, policy)
    reader = Reader(open_uri)
    parser = etree.XMLParser(**sheet_options(policy))
    parser.resolvers.add(reader)
    try:
        root = etree.fromstring(loaded.data, parser, base_url=loaded.uri)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise SheetError(f"is not XML: {error.msg}", Place(place.file, line, column)) from None
    except XsltError:
        raise
    except (etree.LxmlError, ValueError, OSError) as error:
        raise reader.failed or SheetError(f"cannot be read: {error}", place) from None
    return root.getroottree()


@lru_cache(maxsize=100)
def knows_encoding(name: str) -> bool:
    """Whether libxml2 can read and write it."""
    try:
        etree.XMLParser(encoding=name)
    except LookupError:
        return False
    return True


@lru_cache(maxsize=1000)
def engine_has(namespace: str, name: str) -> bool:
    """Whether libxslt or lxml would find a function, e.g. because a program registered one for all stylesheets."""
    try:
        asks = etree.Element(f"{_XSL}stylesheet", nsmap={"f": namespace}, version="1.0")
    except ValueError:
        return True  # no URI: not worth the risk of asking in another way
    template = etree.SubElement(asks, f"{_XSL}template", match="/")
    etree.SubElement(template, f"{_XSL}value-of", select=f"function-available('f:{name}')")
    transform = etree.XSLT(asks, regexp=True, access_control=etree.XSLTAccessControl.DENY_ALL)
    return "true" in str(transform(etree.Element("x")))
