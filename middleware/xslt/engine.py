"""What an engine is to the rest of the package, and which there are.

Owns the two protocols, the values that pass through them, and the choice by name. Must not know HTTP. Engines import
their library when they are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple, Protocol

from wsgikit.errors import ConfigError
from wsgikit.middleware.xslt.policy import Policy
from wsgikit.middleware.xslt.space import Dependency, Space

if TYPE_CHECKING:
    from wsgikit.middleware.xslt.bundle import Bundle
    from wsgikit.middleware.xslt.output import Output

__all__ = ["ENGINES", "Engine", "Parameter", "Result", "Source", "Stylesheet", "make_engine"]

ENGINES = ("lxml", "saxon")


class Source(NamedTuple):
    """What is transformed. kind: "xml", "html" or "json". `charset`: what the message said about its encoding, which
    goes before what the document says of itself (RFC 7303 3.2). `name`: for messages."""

    data: bytes
    kind: str = "xml"
    charset: str = ""
    name: str = ""


class Parameter(NamedTuple):
    """One value for xsl:param: a text, never XPath, unless the person who configures it has asked for XPath."""

    value: str
    xpath: bool = False


class Result(NamedTuple):
    """`messages`: the texts of xsl:message in their order. `documents`: what document() has read."""

    body: bytes
    content_type: str
    messages: tuple[str, ...] = ()
    documents: tuple[Dependency, ...] = ()


Parameters = Mapping[str, Parameter]


class Stylesheet(Protocol):
    """A compiled stylesheet; any number of threads may use it at once."""

    bundle: Bundle
    space: Space

    @property
    def output(self) -> Output: ...

    def prepare(self) -> None:
        """Compile now what could wait until the first use. SheetError, Refused."""

    def apply(self, source: Source, parameters: Parameters) -> Result:
        """Transform. SourceError, TransformError, Terminated, Refused, TooLarge, Deadline; with `messages`."""


class Engine(Protocol):
    """Compiles and runs stylesheets under one policy."""

    name: str
    # what it cannot do, as sentences for the log at start
    limits: tuple[str, ...]

    def compile(self, uri: str, space: Space) -> Stylesheet:
        """SheetError, Refused, TooLarge."""

    def from_bundle(self, bundle: Bundle, space: Space) -> Stylesheet:
        """Compile what was read before; `space` is for document() at run time. SheetError."""

    def apply(self, chain: Sequence[Stylesheet], source: Source, parameters: Parameters) -> Result:
        """The result of the first is the source of the second, and so on; all get the same parameters."""


def make_engine(name: str, policy: Policy, *, copies: int = 16, html: str = "libxml2") -> Engine:
    """An engine by name. ConfigError: unknown, or its library is missing.

    copies: how many threads can use one stylesheet at once; html: what builds trees of HTML, "libxml2" or "html5lib".
    """
    if name in ENGINES and not find_spec("lxml"):
        raise ConfigError("XSLT needs lxml: pip install lxml")
    if name == "lxml":
        from wsgikit.middleware.xslt.lxml_engine import LxmlEngine

        return LxmlEngine(policy, copies=copies, html=html)
    if name == "saxon":
        from wsgikit.middleware.xslt.saxon_engine import SaxonEngine

        return SaxonEngine(policy, copies=copies, html=html)
    raise ConfigError(f"engine = {name!r}: allowed are {', '.join(map(repr, ENGINES))}")
