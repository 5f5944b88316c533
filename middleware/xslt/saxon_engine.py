"""XSLT 3.0 by Saxon (`pip install saxonche`): maps, JSON, grouping, xsl:try.

Owns how Saxon is kept inside the same walls as the other engine. It has no resolvers for Python, so it may open nothing
at all (`allowedProtocols`): what a stylesheet imports is put into it as data: URIs, read and looked through before, and
sources come as texts that the other parser has read under all limits. document(), doc() and unparsed-text() of files
are refused therefore.

Saxon is a virtual machine of its own, with threads, which no fork survives: it is started in each process when a
stylesheet is first used there. At start of a server, stylesheets are tried in another process.
"""

from __future__ import annotations

import base64
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from lxml import etree

from wsgikit.errors import ConfigError
from wsgikit.middleware.xslt.bundle import Bundle, collect
from wsgikit.middleware.xslt.documents import check_html_builder, parse_source
from wsgikit.middleware.xslt.engine import Parameters, Result, Source, Stylesheet
from wsgikit.middleware.xslt.failures import (
    Place,
    Refused,
    SheetError,
    SourceError,
    Terminated,
    TooLarge,
    TransformError,
    XsltError,
)
from wsgikit.middleware.xslt.output import Output
from wsgikit.middleware.xslt.policy import Policy
from wsgikit.middleware.xslt.preamble import preamble
from wsgikit.middleware.xslt.scan import XSL
from wsgikit.middleware.xslt.space import Space, shown

__all__ = ["SaxonEngine", "SaxonStylesheet"]

_FEATURE = "http://saxon.sf.net/feature/"
_WHERE = re.compile(r"\bline (\d+) column (\d+)(?: of (\S+?))?:?(?:\s|\Z)")
_PROHIBITED = re.compile(r"has been prohibited|has been disallowed|is disabled when extension functions are disabled")


class SaxonEngine:
    """See the module. `copies`: how many threads can run one stylesheet at once."""

    name = "saxon"
    limits: tuple[str, ...] = (
        "document(), doc(), collection() and unparsed-text() of files are refused",
        "fn:matches(), fn:replace() and fn:tokenize() cannot be switched off: a pattern can take for ever",
        "results are in UTF-8, whatever xsl:output says",
        "no limit of time inside the process: a stylesheet that is not trusted needs isolate = true",
    )

    def __init__(self, policy: Policy, *, copies: int = 16, html: str = "libxml2") -> None:
        if not find_spec("saxonche"):
            raise ConfigError("engine = 'saxon' needs a library: pip install saxonche")
        self.policy = policy
        self.html = check_html_builder(html)
        self._copies = copies

    def compile(self, uri: str, space: Space) -> SaxonStylesheet:
        return self.from_bundle(collect(uri, space, self.policy), space)

    def from_bundle(self, bundle: Bundle, space: Space) -> SaxonStylesheet:
        """SheetError where Saxon runs in this process already; else it is compiled at its first use."""
        sheet = SaxonStylesheet(self, bundle, space, self._copies)
        if _machine_runs():
            sheet.prepare()
        return sheet

    def apply(self, chain: Sequence[Stylesheet], source: Source, parameters: Parameters) -> Result:
        machine = _machine(self.policy)
        value = machine.source(source, self.policy, self.html)
        messages: list[str] = []
        result, made_by = Result(b"", ""), ""
        try:
            for sheet in chain:
                if not isinstance(sheet, SaxonStylesheet):
                    raise TypeError(f"{sheet!r} is of another engine")
                if result.content_type:
                    value = machine.source(Source(result.body, name=made_by), self.policy, self.html)
                made_by = f"result of {shown(sheet.bundle.uri)}"
                with sheet.lent() as copy:
                    result = copy.run(value, parameters, messages)
        except XsltError as error:
            error.messages = tuple(messages)  # type: ignore[attr-defined]
            raise
        if len(result.body) > self.policy.limits.output:
            raise TooLarge("max_output", f"the result is larger than {self.policy.limits.output} bytes (max_output)")
        return result._replace(messages=tuple(messages))


class SaxonStylesheet:
    """A bundle, and in each process its executables, of which each run gets one for itself."""

    def __init__(self, engine: SaxonEngine, bundle: Bundle, space: Space, copies: int) -> None:
        self.engine = engine
        self.bundle = bundle
        self.space = space
        self._copies = copies
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._first: Any = None
        self._idle: list[_Copy] = []
        self._free = threading.BoundedSemaphore(self._copies)

    @property
    def output(self) -> Output:
        return self.bundle.output._replace(encoding="utf-8")

    def apply(self, source: Source, parameters: Parameters) -> Result:
        return self.engine.apply((self,), source, parameters)

    def prepare(self) -> None:
        """Compile now. SheetError."""
        with self.lent():
            pass

    @contextmanager
    def lent(self) -> Iterator[_Copy]:
        """An executable that nobody else has."""
        with self._lock:
            if self._pid != os.getpid():
                self._reset()
        with self._free:
            copy = self._idle.pop() if self._idle else self._copy()
            try:
                yield copy
            finally:
                self._idle.append(copy)

    def _copy(self) -> _Copy:
        with self._lock:
            if self._first is None:
                self._first = _machine(self.engine.policy).compiled(self.bundle)
            return _Copy(self, self._first.clone())


class _Copy:
    def __init__(self, sheet: SaxonStylesheet, executable: Any) -> None:
        self._sheet = sheet
        self._executable = executable
        executable.set_save_xsl_message(True)
        executable.set_property("!encoding", "UTF-8")

    def run(self, value: Any, parameters: Parameters, messages: list[str]) -> Result:
        machine = _machine(self._sheet.engine.policy)
        executable = self._executable
        executable.clear_parameters()
        executable.clear_xsl_messages()
        uri = self._sheet.bundle.uri
        try:
            for name, (text, xpath) in parameters.items():
                executable.set_parameter(name, machine.xpath(text, value) if xpath else machine.text(text))
            executable.set_initial_match_selection(xdm_value=value)
            if machine.is_node(value):
                executable.set_global_context_item(xdm_item=value)
            text = executable.apply_templates_returning_string(xdm_value=value)
        except machine.error as error:
            messages += self._messages()
            raise _failure(error, uri, messages) from None
        messages += self._messages()
        body = (text or "").encode()
        output = self._sheet.output
        root = "" if output.decided else preamble(body).root
        return Result(body, output.content_type(root))

    def _messages(self) -> list[str]:
        found = self._executable.get_xsl_messages()
        return [str(message).strip() for message in found] if found is not None else []


class _Machine:
    """Saxon in this process."""

    def __init__(self, policy: Policy) -> None:
        import saxonche

        self._processor = saxonche.PySaxonProcessor(license=False)
        self.error: type[Exception] = saxonche.PySaxonApiError
        self._nodes = saxonche.PyXdmNode
        features = {
            "allowedProtocols": "data",
            "allow-external-functions": "false",
            "disableXslEvaluate": "false" if "dynamic" in policy.allow else "true",
        }
        for name, value in features.items():
            self._processor.set_configuration_property(_FEATURE + name, value)

    def compiled(self, bundle: Bundle) -> Any:
        text = _inlined(bundle, bundle.uri, ())
        try:
            return self._processor.new_xslt30_processor().compile_stylesheet(stylesheet_text=text, encoding="utf-8")
        except self.error as error:
            failure = _failure(error, bundle.uri, [])
            if isinstance(failure, Refused):
                raise failure from None
            raise SheetError(failure.text, failure.place) from None

    def source(self, source: Source, policy: Policy, html: str) -> Any:
        """A document or, from JSON, a map or array. SourceError."""
        if len(source.data) > policy.limits.source:
            raise TooLarge(
                "max_input", f"the source is larger than {policy.limits.source} bytes (max_input)", Place(source.name)
            )
        try:
            if source.kind == "json":
                return self._processor.parse_json(json_text=source.data.decode("utf-8-sig"))
            tree = parse_source(source, policy, html)
            return self._processor.parse_xml(xml_text=etree.tostring(tree, encoding="unicode"))
        except (self.error, UnicodeDecodeError) as error:
            text = " ".join(str(error).split())
            raise SourceError(f"cannot be read: {text}", Place(source.name)) from None

    def text(self, value: str) -> Any:
        return self._processor.make_string_value(value, encoding="utf-8")

    def xpath(self, expression: str, value: Any) -> Any:
        processor = self._processor.new_xpath_processor()
        processor.set_context(xdm_item=value)
        return processor.evaluate(expression)

    def is_node(self, value: Any) -> bool:
        return isinstance(value, self._nodes)


_MACHINES: dict[tuple[int, frozenset[str]], _Machine] = {}
_STARTING = threading.Lock()


def _machine_runs() -> bool:
    return any(pid == os.getpid() for pid, _ in _MACHINES)


def _machine(policy: Policy) -> _Machine:
    """This process's Saxon, one for each set of permissions (there are few)."""
    key = (os.getpid(), policy.allow)
    found = _MACHINES.get(key)
    if found is None:
        with _STARTING:
            found = _MACHINES.get(key)
            if found is None:
                found = _MACHINES[key] = _Machine(policy)
    return found


def _inlined(bundle: Bundle, uri: str, above: tuple[str, ...]) -> str:
    """A stylesheet file with what it imports inside it."""
    if uri in above:
        raise SheetError(f"imports itself by way of {' and '.join(map(shown, above))}", Place(shown(uri)))
    links = dict(bundle.links.get(uri, ()))
    data = bundle.files[uri]
    if not links:
        return str(etree.tostring(_tree(data, uri), encoding="unicode"))
    tree = _tree(data, uri)
    for element in tree.iter(f"{{{XSL}}}import", f"{{{XSL}}}include"):
        inner = _inlined(bundle, links[element.get("href", "")], (*above, uri))
        coded = base64.b64encode(inner.encode()).decode("ascii")
        element.set("href", f"data:application/xslt+xml;base64,{coded}")
    return str(etree.tostring(tree, encoding="unicode"))


def _tree(data: bytes, uri: str) -> Any:
    # the entities were resolved when it was looked through; here is nothing left to resolve them by
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    tree = etree.fromstring(data, parser, base_url=uri).getroottree()
    if next(tree.iter(etree.Entity), None) is not None:
        raise SheetError("this engine does not take entities in a stylesheet", Place(shown(uri)))
    return tree


def _failure(error: Exception, uri: str, messages: list[str]) -> XsltError:
    text = " ".join(str(error).split())
    where = _WHERE.search(text)
    place = Place(shown(uri), int(where[1]), int(where[2])) if where else Place(shown(uri))
    if "terminated by xsl:message" in text and messages:
        return Terminated(messages[-1], place)
    if _PROHIBITED.search(text):
        reason = "write" if "result-document" in text else "network" if "://" in text else "outside"
        return Refused(reason if "file:" not in text else "outside", text, place)
    return TransformError(text, place)
