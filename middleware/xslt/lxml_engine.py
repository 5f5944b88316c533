"""XSLT 1.0 with EXSLT by lxml (libxslt): the default engine.

Owns what makes lxml safe to use from many threads and for stylesheets that one did not write:

- A compiled stylesheet (`etree.XSLT`) is used by one thread at a time. lxml says that threads may share one, but its
  error log mixes the messages of concurrent runs, and the table of names that a stylesheet and all parsers of the
  thread that compiled it have in common is changed without a lock: a shared one ends in a segmentation fault within
  seconds of load. So each is compiled in a thread of its own, whose table nobody else has, and lent to one run; when
  all are out, another copy is compiled, up to `copies`.
- It is compiled from a `Bundle`, never from files, so nothing comes in that was not looked through; whatever asks for
  more gets an error. (`copy.copy()` of an etree.XSLT would load imports again without asking the resolver.)
- Parameters are texts: `XSLT.strparam`.

Needs lxml; imported on first use.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from lxml import etree

from wsgikit.middleware.xslt.bundle import Bundle, collect
from wsgikit.middleware.xslt.documents import check_html_builder, parse_source
from wsgikit.middleware.xslt.engine import Parameters, Result, Source, Stylesheet
from wsgikit.middleware.xslt.failures import Place, Refused, SheetError, TooLarge, TransformError, XsltError
from wsgikit.middleware.xslt.heap import keep_in_order
from wsgikit.middleware.xslt.lxml_log import read_log
from wsgikit.middleware.xslt.output import Output
from wsgikit.middleware.xslt.policy import Policy
from wsgikit.middleware.xslt.sheet_parser import Reader, check_declarations, sheet_options
from wsgikit.middleware.xslt.space import Dependency, Loaded, Space, shown
from wsgikit.middleware.xslt.turns import turns

__all__ = ["LxmlEngine", "LxmlStylesheet"]

# Everything but reading, which the resolver decides about: with it denied, document() would not even be asked for.
_NO_WRITING = {"write_file": False, "create_dir": False, "write_network": False}
_FILES = etree.XSLTAccessControl(read_file=True, read_network=False, **_NO_WRITING)
# where URIs stand for folders, they have to come as far as the resolver; it gives files of the roots or raises
_FILES_AND_URIS = etree.XSLTAccessControl(read_file=True, read_network=True, **_NO_WRITING)
_METHODS = frozenset(("", "xml", "html", "xhtml", "text"))
# A name that no stylesheet uses. With a parameter, libxslt keeps the names of a run in a table of that run; without
# any, those that a document brings would stay with the stylesheet for ever.
_ALWAYS = "{https://wsgikit.example/ns/run}run"
_NOTHING = etree.XSLT.strparam("")


class LxmlEngine:
    """See the module. `copies`: how many threads can run one stylesheet at once."""

    name = "lxml"
    limits: tuple[str, ...] = (
        "XSLT 1.0 with EXSLT; elements of later versions fail when they are reached",
        "no limit of time inside the process: a stylesheet that is not trusted needs isolate = true",
    )

    def __init__(self, policy: Policy, *, copies: int = 16, html: str = "libxml2") -> None:
        self.policy = policy
        self.html = check_html_builder(html)
        self._copies = copies
        keep_in_order()

    def compile(self, uri: str, space: Space) -> LxmlStylesheet:
        return self.from_bundle(collect(uri, space, self.policy), space)

    def from_bundle(self, bundle: Bundle, space: Space) -> LxmlStylesheet:
        """Compile what was read before. SheetError."""
        if bundle.output.method not in _METHODS:
            method = bundle.output.method
            text = f"<xsl:output method={method!r}>: this engine cannot write that; maybe engine = 'saxon'"
            raise SheetError(text, Place(shown(bundle.uri)))
        sheet = LxmlStylesheet(self, bundle, space, self._copies)
        sheet.prepare()
        return sheet

    def apply(self, chain: Sequence[Stylesheet], source: Source, parameters: Parameters) -> Result:
        mine = turns.begin()
        try:
            return self._applied(chain, source, parameters)
        finally:
            turns.end(mine)

    def _applied(self, chain: Sequence[Stylesheet], source: Source, parameters: Parameters) -> Result:
        tree = parse_source(source, self.policy, self.html)
        messages: list[str] = []
        documents: list[Dependency] = []
        try:
            for number, sheet in enumerate(chain, 1):
                if not isinstance(sheet, LxmlStylesheet):
                    raise TypeError(f"{sheet!r} is of another engine")
                copy = sheet.take()
                try:
                    tree = copy.run(tree, parameters, messages, documents)
                    if number == len(chain):
                        body = copy.written(tree)
                    elif tree.getroot() is None:
                        text = "the result has no element, so that there is nothing for the next stylesheet"
                        raise TransformError(text, Place(shown(sheet.bundle.uri)))
                finally:
                    sheet.give(copy)
        except XsltError as error:
            error.messages = tuple(messages)  # type: ignore[attr-defined]
            raise
        root = tree.getroot()
        name = root.tag if root is not None and isinstance(root.tag, str) else ""
        return Result(body, chain[-1].output.content_type(name), tuple(messages), tuple(documents))


class LxmlStylesheet:
    """A bundle and its compiled copies, of which each run gets one for itself."""

    def __init__(self, engine: LxmlEngine, bundle: Bundle, space: Space, copies: int) -> None:
        self.bundle = bundle
        self.space = space
        self.engine = engine
        self._copies = copies
        self._idle: list[_Copy] = []
        self._made = self._waiting = 0
        self._returned = threading.Condition()

    @property
    def output(self) -> Output:
        return self.bundle.output

    def apply(self, source: Source, parameters: Parameters) -> Result:
        return self.engine.apply((self,), source, parameters)

    def prepare(self) -> None:
        """Compile the first copy, so that mistakes are known."""
        self.give(self.take())

    def take(self) -> _Copy:
        """A copy that nobody else has; to be given back. The one that came back last is the first to go out: it is in
        the CPU's cache."""
        try:
            return self._idle.pop()
        except IndexError:
            pass
        with self._returned:
            self._waiting += 1
            try:
                while not self._idle and self._made >= self._copies:
                    self._returned.wait()
            finally:
                self._waiting -= 1
            if self._idle:
                return self._idle.pop()
            self._made += 1
        try:
            return _compiled_apart(self)
        except BaseException:
            with self._returned:
                self._made -= 1
                self._returned.notify()
            raise

    def give(self, copy: _Copy) -> None:
        """Bring it back."""
        self._idle.append(copy)
        if self._waiting:  # counted before it looks at `_idle`, so that nobody waits for what has just come
            with self._returned:
                self._returned.notify()


class _Copy:
    """One compiled stylesheet and the resolver it reads by."""

    def __init__(self, sheet: LxmlStylesheet) -> None:
        self._sheet = sheet
        self._limit = sheet.engine.policy.limits
        self._running = False
        self.documents: list[Dependency] = []
        policy = sheet.engine.policy
        self._reader = Reader(self._open)
        parser = etree.XMLParser(**sheet_options(policy))
        parser.resolvers.add(self._reader)
        bundle = sheet.bundle
        try:
            tree = etree.fromstring(bundle.files[bundle.uri], parser, base_url=bundle.uri)
            self._transform = etree.XSLT(
                tree,
                extensions=_walls(policy),
                regexp="regexp" in policy.allow,
                access_control=_FILES_AND_URIS if policy.uris else _FILES,
            )
        except etree.XSLTParseError as error:
            raise self._reader.failed or read_log(error.error_log).sheet_error(bundle.uri) from None
        except etree.XMLSyntaxError as error:
            line, column = error.position
            raise SheetError(f"is not XML: {error.msg}", Place(shown(bundle.uri), line, column)) from None

    def _open(self, uri: str) -> Loaded:
        """What the engine may read: the bundle, and at run time what the roots hold (document())."""
        sheet = self._sheet
        normal = sheet.space.normal(uri)
        known = sheet.bundle.files.get(normal)
        if known is not None:
            return Loaded(normal, known, Dependency(normal, None, ""))
        if not self._running:
            raise Refused("outside", f"{shown(normal)} was not there when the stylesheet was looked through")
        loaded = sheet.space.open(normal)
        check_declarations(loaded, sheet.engine.policy)
        self.documents.append(loaded.dependency)
        return loaded

    def run(self, tree: Any, parameters: Parameters, messages: list[str], documents: list[Dependency]) -> Any:
        values: dict[str, Any] = {} if self._sheet.bundle.fixed_names else {_ALWAYS: _NOTHING}
        for name, (value, xpath) in parameters.items():
            values[name] = value if xpath else etree.XSLT.strparam(value)
        self._running, self._reader.failed, self.documents = True, None, documents
        try:
            result = self._transform(tree, **values)
        except XsltError as error:
            raise self._placed(error) from None
        except etree.LxmlError as error:
            log = read_log(self._transform.error_log)
            messages += log.messages
            raise self._unread() or log.run_error(self._sheet.bundle.uri, str(error)) from None
        finally:
            self._running = False
        log = read_log(self._transform.error_log)
        messages += log.messages
        unread = self._unread()
        if unread is not None:
            raise unread
        if log.troubles:
            self._check_unknown()
        return result

    def _unread(self) -> XsltError | None:
        """What was refused to document()."""
        return self._placed(self._reader.failed) if self._reader.failed is not None else None

    def _placed(self, error: XsltError) -> XsltError:
        """With the stylesheet that asked, where the error has no place; libxslt does not tell its line then."""
        if not error.place.file:
            error.place = Place(shown(self._sheet.bundle.uri))
        return error

    def _check_unknown(self) -> None:
        """libxslt leaves an instruction out that it does not know, and goes on, with an error that has no text."""
        for found in self._sheet.bundle.notes:
            if found.reason == "unsupported":
                text = f"an instruction that XSLT 1.0 does not have was reached: {found.text}; engine = 'saxon' has it"
                raise TransformError(text, found.place)

    def written(self, result: Any) -> bytes:
        """The result as xsl:output says. TooLarge."""
        body = bytes(result)
        if len(body) > self._limit.output:
            raise TooLarge("max_output", f"the result is larger than {self._limit.output} bytes (max_output)")
        return body


def _compiled_apart(sheet: LxmlStylesheet) -> _Copy:
    """Compile in a thread that does nothing else, so that the table of names belongs to this copy alone."""
    made: list[_Copy] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            made.append(_Copy(sheet))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work, name="wsgikit-xslt-compile", daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


def _walls(policy: Policy) -> dict[tuple[str, str], Any] | None:
    """Functions in place of those that a policy forbids: a second wall behind the scan, at the place of the call."""
    names = {
        "http://exslt.org/dynamic": ("evaluate", "map"),
        "http://icl.com/saxon": ("evaluate", "eval", "expression"),
        "http://exslt.org/crypto": ("md4", "md5", "sha1", "rc4_encrypt", "rc4_decrypt"),
    }
    walls = {}
    for namespace, functions in names.items():
        word = "extensions" if namespace.endswith("crypto") else "dynamic"
        if word not in policy.allow:
            walls.update({(namespace, function): _wall(word, function) for function in functions})
    return walls or None


def _wall(word: str, function: str) -> Any:
    def refuse(context: Any, *arguments: Any) -> Any:
        raise Refused(word, f"{function}() is refused; allow = [{word!r}] permits it")

    return refuse
