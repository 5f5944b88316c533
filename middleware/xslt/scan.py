"""What one stylesheet file asks for: other files, functions that a policy may refuse, its output.

Owns the reading of a stylesheet as a tree, before any engine sees it. Must not open files, nor decide: it reports.
Needs lxml; imported on first use.

An engine cannot be told to leave everything out: libxslt has `dyn:evaluate` always, and its access control does not
cover xsl:import. So each file is looked through for names of functions, in every attribute, as XPath can be in any of
them (an attribute that only looks like XPath is a false alarm, which `allow` silences).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from wsgikit.middleware.xslt.failures import Place
from wsgikit.middleware.xslt.space import shown

__all__ = ["FUNCTIONS", "NOTHING", "XSL", "Finding", "Scan", "scan"]

XSL = "http://www.w3.org/1999/XSL/Transform"
_EXSLT = "http://exslt.org/"
_SAXON6 = "http://icl.com/saxon"
# Functions that libxslt, libexslt and lxml have besides XPath's own, by what a policy calls them; "" is harmless.
FUNCTIONS: dict[str, str | dict[str, str]] = {
    _EXSLT + "common": "",
    _EXSLT + "math": "",
    _EXSLT + "sets": "",
    _EXSLT + "strings": "",
    _EXSLT + "dates-and-times": "",
    _EXSLT + "dynamic": "dynamic",
    _EXSLT + "regular-expressions": "regexp",
    _EXSLT + "crypto": "extensions",
    _SAXON6: {"expression": "dynamic", "eval": "dynamic", "evaluate": "dynamic", "line-number": "", "systemId": ""},
    "http://xml.apache.org/xalan": {"nodeset": "", "evaluate": "dynamic"},
    "http://www.jclark.com/xt": {"node-set": ""},
    "http://xmlsoft.org/XSLT/": {"node-set": ""},
}
# Elements that write files, in the namespaces of EXSLT, Saxon 6, Xalan, XT and XSLT 1.1
_WRITERS = (
    (XSL, "document"),
    (XSL, "result-document"),
    (_EXSLT + "common", "document"),
    (_SAXON6, "output"),
    ("org.apache.xalan.xslt.extensions.Redirect", "write"),
    ("http://xml.apache.org/xalan/redirect", "write"),
    ("http://www.jclark.com/xt", "document"),
)
_OF_1_0 = frozenset(
    re.findall(
        "[a-z-]+",
        "apply-imports apply-templates attribute attribute-set call-template choose comment copy copy-of decimal-format"
        " document element fallback for-each if import include key message namespace-alias number otherwise output"
        " param preserve-space processing-instruction sort strip-space stylesheet template text transform value-of"
        " variable when with-param",
    )
)
# What puts no names into a result but those that are written in the stylesheet
_OF_FIXED_NAMES = frozenset(
    re.findall(
        "[a-z-]+",
        "apply-imports apply-templates call-template choose comment decimal-format for-each if import include key"
        " message number otherwise output param preserve-space sort strip-space stylesheet template text transform"
        " value-of variable when with-param",
    )
)
# Not \w: a middle dot or a combining mark can be part of a name as well (XML 1.0, 2.3)
_NAME = r"[^\x00-@\[-^`{-\x7f][^\x00-,/:-@\[-^`{-\x7f]*"
_CALL = re.compile(rf"({_NAME}):({_NAME})\s*\(")
_BRINGS_NAMES = re.compile(rf":{_NAME}\s*\(|document\s*\(")
# what gives another result at another time: a result made with it must not be kept
_VOLATILE = re.compile(
    r"(?:current-(?:dateTime|date|time)|random-number-generator|:random|"
    r":(?:date-time|date|time|year|leap-year|month-[a-z-]+|week-[a-z-]+|day-[a-z-]+|hour-in-day|minute-in-hour|"
    r"second-in-minute|seconds))\s*\(\s*\)"
)


class Finding(NamedTuple):
    """Something to refuse or to tell. `reason`: a word of `policy.ALLOWED`, or "write", "unescaped", "unsupported",
    "encoding"."""

    reason: str
    text: str
    place: Place


class Scan(NamedTuple):
    """A stylesheet file. `imports`, `includes`: (URI as written, base URI, place). `outputs`: attributes of xsl:output.

    `unknown`: functions in namespaces that are not in `FUNCTIONS`, for the engine to say whether it has them.
    `fixed_names`: whatever the document is, elements and attributes of results have names that are written here."""

    imports: tuple[tuple[str, str, Place], ...]
    includes: tuple[tuple[str, str, Place], ...]
    outputs: tuple[dict[str, str], ...]
    findings: tuple[Finding, ...]
    unknown: tuple[tuple[str, str, Place], ...]
    volatile: bool
    version: str
    fixed_names: bool = False


# of a file that could not be read
NOTHING = Scan((), (), (), (), (), False, "")


def scan(tree: Any, uri: str) -> Scan:
    """Look through a parsed stylesheet (an lxml ElementTree)."""
    return _Scanner(tree, uri).scan()


class _Scanner:
    def __init__(self, tree: Any, uri: str) -> None:
        self._tree = tree
        self._root = tree.getroot()
        self._uri = uri
        self._findings: list[Finding] = []
        self._unknown: list[tuple[str, str, Place]] = []

    def scan(self) -> Scan:
        self._functions()
        self._elements()
        return Scan(
            self._files("import"),
            self._files("include"),
            tuple(dict(element.attrib) for element in self._root.iterchildren(f"{{{XSL}}}output")),
            tuple(self._findings),
            tuple(self._unknown),
            any(_VOLATILE.search(text) for text in (*self._texts("contains(., '(')"), *self._templates())),
            self._root.get("version") or self._root.get(f"{{{XSL}}}version") or "",
            self._has_fixed_names(),
        )

    def _has_fixed_names(self) -> bool:
        for element in self._tree.iter(f"{{{XSL}}}*"):
            name = element.tag[len(XSL) + 2 :]
            if name in ("attribute", "element") and "{" not in f"{element.get('name')}{element.get('namespace')}":
                continue
            if name not in _OF_FIXED_NAMES:
                return False
        # functions and elements of others, and documents that are loaded, are not looked into
        if self._tree.xpath("//@extension-element-prefixes | //@*[local-name() = 'extension-element-prefixes']"):
            return False
        return not any(_BRINGS_NAMES.search(text) for text in self._texts("contains(., '(')"))

    def _texts(self, condition: str) -> list[Any]:
        found: list[Any] = self._tree.xpath(f"//@*[{condition}]")
        return found

    def _templates(self) -> list[Any]:
        """Texts that have expressions in them (XSLT 3.0, 5.6.2, text value templates)."""
        if not self._tree.xpath("boolean(//@*[local-name() = 'expand-text'])"):
            return []
        found: list[Any] = self._tree.xpath("//text()[contains(., '{')]")
        return found

    def _place(self, element: Any) -> Place:
        return Place(shown(self._uri), element.sourceline or 0)

    def _files(self, name: str) -> tuple[tuple[str, str, Place], ...]:
        # anywhere: one that is in a wrong place is refused by the engine, but not by all of them
        elements = self._tree.iter(f"{{{XSL}}}{name}")
        return tuple((e.get("href") or "", e.base or self._uri, self._place(e)) for e in elements)

    def _functions(self) -> None:
        for text in self._texts("contains(., '(') and contains(., ':')"):
            element = text.getparent()
            for prefix, name in _CALL.findall(text):
                self._function(element, prefix, name)

    def _function(self, element: Any, written: str, name: str) -> None:
        for prefix, namespace in element.nsmap.items():
            # "3e--p:f()" is a subtraction for libxml2: what stands before a hyphen need not belong to the prefix
            if prefix and (written == prefix or written.endswith("-" + prefix)):
                self._function_of(element, namespace, prefix, name)

    def _function_of(self, element: Any, namespace: str, prefix: str, name: str) -> None:
        known = FUNCTIONS.get(namespace)
        word = known.get(name) if isinstance(known, dict) else known
        if word is None:
            self._unknown.append((namespace, name, self._place(element)))
        elif word:
            self._findings.append(Finding(word, f"{prefix}:{name}() of {namespace}", self._place(element)))

    def _elements(self) -> None:
        for namespace, name in _WRITERS:
            for element in self._tree.iter(f"{{{namespace}}}{name}"):
                self._findings.append(Finding("write", f"<{element.prefix}:{name}> writes files", self._place(element)))
        for element in self._tree.xpath("//*[@disable-output-escaping='yes']"):
            text = "disable-output-escaping: what an attacker can write there is not escaped"
            self._findings.append(Finding("unescaped", text, self._place(element)))
        for element in self._tree.iter(f"{{{XSL}}}*"):
            name = element.tag[len(XSL) + 2 :]
            if name == "evaluate":
                self._findings.append(Finding("dynamic", "<xsl:evaluate>", self._place(element)))
            if name not in _OF_1_0:
                self._findings.append(Finding("unsupported", f"<xsl:{name}> is not in XSLT 1.0", self._place(element)))
