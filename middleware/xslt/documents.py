"""Documents to be transformed, as lxml trees, read so that a hostile one can do nothing.

Owns the parsers for sources and what they refuse: DTD, entities, network, too many nodes, too deep. Needs lxml;
imported on first use.
"""

from __future__ import annotations

import re
import threading
from typing import Any

from lxml import etree

from wsgikit.errors import ConfigError
from wsgikit.middleware.xslt.engine import Source
from wsgikit.middleware.xslt.failures import Place, Refused, SourceError, TooLarge
from wsgikit.middleware.xslt.policy import Limits, Policy
from wsgikit.middleware.xslt.preamble import preamble
from wsgikit.middleware.xslt.sheet_parser import knows_encoding

__all__ = ["HTML_BUILDERS", "check_html_builder", "parse_source"]

HTML_BUILDERS = ("libxml2", "html5lib")
_ASCII_LIKE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[^\0]")
# All up to the first start tag, without a DOCTYPE. Possessive: it never goes back, however long the comments are.
_NO_DOCTYPE = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s++|<\?(?:[^?]++|\?(?!>))*+\?>|<!--(?:[^-]++|-(?!->))*+-->)*+<[A-Za-z_:\x80-\xff]"
)
_CHARSET = re.compile(r"[A-Za-z][A-Za-z0-9._:+-]{0,39}")
# RFC 7303 3.2: a byte order mark goes before everything else that is said
_MARKS = (b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")
_COUNT = etree.XPath("count(//node()) + count(//@*)")
# After so many bytes a thread's table of names is begun anew (lxml keeps every name it has seen as long as a thread
# lives, so that documents with ever new names would fill the memory); 64 MiB of source hold at most about as much.
_NAMES_KEPT = 64 << 20
# kept by each thread: one for each charset that documents have
_PARSERS = 10
_OWN = threading.local()


def check_html_builder(name: str) -> str:
    """The name. ConfigError: there is no such tree builder, or its library is missing."""
    if name not in HTML_BUILDERS:
        raise ConfigError(f"html = {name!r}: allowed are {', '.join(map(repr, HTML_BUILDERS))}")
    if name == "html5lib":
        try:
            import html5lib  # noqa: F401
        except ImportError:
            raise ConfigError("html = 'html5lib' needs a library: pip install html5lib") from None
    return name


def parse_source(source: Source, policy: Policy, html: str = "libxml2") -> Any:
    """An lxml ElementTree. SourceError (line and column), Refused, TooLarge."""
    limits = policy.limits
    if len(source.data) > limits.source:
        raise TooLarge("max_input", f"the source is larger than {limits.source} bytes (max_input)", Place(source.name))
    if source.kind == "json":
        raise SourceError("this engine has no JSON; engine = 'saxon' has", Place(source.name))
    _count_names(len(source.data))
    tree = _html(source, html) if source.kind == "html" else _xml(source, policy)
    _check_size(tree, source, html, limits)
    return tree


def _xml(source: Source, policy: Policy) -> Any:
    charset = "" if source.data.startswith(_MARKS) else source.charset
    place = Place(source.name)
    seen = _check_doctype(source, policy, charset)
    parser = _parser(_known(charset), "internal" if policy.dtd == "internal" else False)
    try:
        tree = etree.fromstring(source.data, parser, base_url="wsgikit-source:/").getroottree()
    except etree.XMLSyntaxError as error:
        raise _source_error(error, source.name) from None
    except (ValueError, OSError) as error:
        raise SourceError(f"cannot be read: {error}", place) from None
    if not seen:
        if tree.docinfo.internalDTD is not None:
            # written so that the check before did not see it, e.g. in UTF-7
            raise Refused("doctype", "the DOCTYPE is in an encoding that hides it", place)
        return tree  # without a DOCTYPE an entity that is not XML's own is an error already (XML 1.0, 4.1)
    entity = next(tree.getroot().iter(etree.Entity), None)
    if entity is not None:
        raise Refused("entity", f"the entity {entity.text} is not resolved", Place(source.name, entity.sourceline or 0))
    for entry in parser.error_log:
        # in an attribute libxml2 leaves it out, with no more than a warning
        if entry.type_name == "WAR_UNDECLARED_ENTITY":
            raise Refused("entity", f"not resolved: {entry.message}", Place(source.name, entry.line))
    return tree


def _parser(charset: str | None, entities: str | bool) -> Any:
    """A parser of this thread's own; making one takes longer than reading the head of a document."""
    kept: dict[Any, Any] = _OWN.__dict__.setdefault("parsers", {})
    parser = kept.get((charset, entities))
    if parser is None:
        if len(kept) >= _PARSERS:
            kept.clear()
        parser = kept[charset, entities] = etree.XMLParser(
            encoding=charset, resolve_entities=entities, no_network=True, load_dtd=False, huge_tree=False
        )
        parser.resolvers.add(_Nothing())
    return parser


def _check_doctype(source: Source, policy: Policy, charset: str) -> bool:
    """Whether there is a DOCTYPE. Refused: it has what the policy does not permit; before libxml2 has seen it."""
    if _NO_DOCTYPE.match(source.data):
        return False
    begins = preamble(source.data, charset)
    if begins.doctype and policy.dtd == "refuse":
        raise Refused("doctype", "a document with a DOCTYPE is refused (dtd = 'refuse')", Place(source.name))
    if begins.declarations and policy.dtd != "internal":
        text = "a DOCTYPE with declarations is refused; dtd = 'internal' permits it"
        raise Refused("doctype", text, Place(source.name))
    return begins.doctype


class _Nothing(etree.Resolver):  # type: ignore[misc]
    """Whatever a document refers to, it does not get."""

    def resolve(self, system_url: Any, public_id: Any, context: Any) -> Any:
        raise Refused("entity", f"the document refers to {system_url!r}, which is never read")


def _known(charset: str) -> str | None:
    """A charset that libxml2 knows; others count as not said."""
    return charset if _CHARSET.fullmatch(charset) and knows_encoding(charset) else None


def _source_error(error: Any, name: str) -> SourceError | TooLarge:
    line, column = error.position
    text = str(error.msg)
    text = re.sub(r", line \d+, column \d+.*\Z", "", text)
    place = Place(name, line, column)
    if "xcessive depth" in text:
        return TooLarge("max_depth", "elements are nested deeper than 256 (max_depth)", place)
    if "amplification" in text.lower():
        return TooLarge("max_nodes", "entities make it too large", place)
    return SourceError(f"is not well-formed: {text}", place)


def _html(source: Source, builder: str) -> Any:
    if builder == "html5lib":
        import html5lib

        return html5lib.parse(
            source.data, treebuilder="lxml", namespaceHTMLElements=False, transport_encoding=_known(source.charset)
        )
    parser = etree.HTMLParser(encoding=_known(source.charset), no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(source.data, parser, base_url="wsgikit-source:/")
    except etree.XMLSyntaxError as error:
        raise _source_error(error, source.name) from None
    if root is None:
        raise SourceError("is empty", Place(source.name))
    return root.getroottree()


def _check_size(tree: Any, source: Source, builder: str, limits: Limits) -> None:
    if _most_nodes(tree, source, builder, limits) > limits.nodes and (nodes := int(_COUNT(tree))) > limits.nodes:
        raise TooLarge("max_nodes", f"{nodes} nodes, more than {limits.nodes} (max_nodes)", Place(source.name))
    if limits.depth < 256 or source.kind == "html":
        deeper = "boolean(" + "/*" * (limits.depth + 1) + ")"
        if tree.xpath(deeper):
            text = f"elements are nested deeper than {limits.depth} (max_depth)"
            raise TooLarge("max_depth", text, Place(source.name))


def _most_nodes(tree: Any, source: Source, builder: str, limits: Limits) -> float:
    """It cannot have more nodes and attributes than this: most documents are so far below the limit that nothing needs
    counting."""
    size = len(source.data)
    if source.kind == "html":
        # "<b a b c>": two bytes an attribute. html5lib opens elements again that were closed by others: no bound.
        return size + 10 if builder == "libxml2" else float("inf")
    if tree.docinfo.internalDTD is not None:
        return float("inf")  # entities
    # "<a/>x": five bytes for an element and a text; attributes, comments and instructions take five bytes at least
    most = size * 2 / 5 + 2
    if most > limits.nodes and _ASCII_LIKE.match(source.data):
        # between two tags stands one text at most, and each attribute has a "="; not where these are other bytes
        most = 2 * source.data.count(b"<") + source.data.count(b"=") + 2
    return most


def _count_names(size: int) -> None:
    """Begin this thread's table of names anew after enough bytes."""
    _OWN.bytes = getattr(_OWN, "bytes", 0) + size
    if _OWN.bytes > _NAMES_KEPT:
        _OWN.bytes = 0
        # a parser has the table as well, and a new one would be made of it
        _OWN.__dict__.pop("parsers", None)
        _forget_names()


def _forget_names() -> None:
    """Trees hold the table they were made with, so dropping lxml's own reference is safe; it makes a new one.

    lxml has no call for it. Where its internals differ from 6.1's, nothing is found and nothing happens.
    """
    import ctypes

    try:
        get = ctypes.pythonapi.PyThreadState_GetDict
    except AttributeError:  # not CPython
        return
    # a borrowed reference: py_object as result type would take it away from the thread
    get.restype = ctypes.c_void_p
    state = ctypes.cast(get(), ctypes.py_object).value
    if isinstance(state, dict):
        state.pop("_ParserDictionaryContext", None)
