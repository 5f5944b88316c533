"""Stylesheets and documents that nobody here wrote, from Debian and PyPI packages, beside xsltproc.

    apt-get install xsltproc docbook-xsl yelp-xsl gtk-doc-tools evince-common gedit-common
    pip install --no-deps nikola                       # only for its feed stylesheets

The sitemap stylesheet (examples/feed) is our own: no registry had one. Three stylesheets write files as they come;
a few lines around them give what they would write as the result, as writing is refused.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from lxml import etree, html

from wsgikit.middleware.xslt.engine import Parameter, Source, make_engine
from wsgikit.middleware.xslt.policy import Limits, policy_from
from wsgikit.middleware.xslt.space import Folders, file_uri

pytestmark = pytest.mark.skipif(shutil.which("xsltproc") is None, reason="no xsltproc: apt-get install xsltproc")

DOCBOOK = Path("/usr/share/xml/docbook/stylesheet/docbook-xsl")
YELP = Path("/usr/share/yelp-xsl/xslt")
GTK_DOC = Path("/usr/share/gtk-doc/data")
HELP = Path("/usr/share/help")
EXAMPLE = Path(__file__).parents[3] / "examples" / "feed" / "site"
ATOM = (EXAMPLE / "feed.xml").read_bytes()
RSS = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>Notes</title><link>http://a.example/</link>
<description>All of them</description><item><title>One &amp; only</title><link>http://a.example/1</link>
<description>&lt;p&gt;text&lt;/p&gt;</description><pubDate>Mon, 05 Jan 2026 00:00:00 GMT</pubDate></item>
</channel></rss>"""
SCHEMA = b"""<schema xmlns="http://purl.oclc.org/dsdl/schematron"><ns prefix="a" uri="urn:a"/><pattern id="p">
<rule context="a:order"><assert test="a:item">an order has items</assert>
<report test="count(a:item) &gt; 2">a large order of <value-of select="count(a:item)"/></report></rule>
</pattern></schema>"""
# identifiers made by generate-id() are another in each run
_GENERATED = re.compile(r"\bid(?:[amp]|m|p)?\d{3,}")


def need(*paths: Path) -> None:
    for path in paths:
        if not path.exists():
            pytest.skip(f"no {path}: see the top of this file for the packages")


def canonical(data: bytes, kind: str) -> str:
    """What a result says, without what may differ: serialisation, white space at ends, generated identifiers."""
    if kind == "text":
        return data.decode()
    root = html.document_fromstring(data) if kind == "html" else etree.fromstring(data)
    for meta in root.iter("meta"):  # libxml2 writes the charset the short way since 2.15
        if (meta.get("http-equiv") or "").lower() == "content-type":
            charset = (meta.get("content") or "").partition("charset=")[2]
            meta.attrib.clear()
            meta.set("charset", charset)
    for element in root.iter():
        element.tail = " ".join((element.tail or "").split()) or None
        if isinstance(element.tag, str):
            element.text = " ".join((element.text or "").split()) or None
    names: dict[str, str] = {}
    text = etree.tostring(root, method="c14n").decode()
    return _GENERATED.sub(lambda match: names.setdefault(match[0], f"ID{len(names)}"), text)


def ours(sheet: Path, source: bytes, roots: list[Path], *, parameters: dict[str, str], uris: dict[str, str]) -> Any:
    limits = Limits(source=16 << 20, nodes=5_000_000, output=64 << 20)
    allow = ["dynamic", "entities"]
    policy = policy_from([], roots=[str(root) for root in roots], uris=uris, allow=allow, limits=limits)
    engine = make_engine("lxml", policy)
    values = {name: Parameter(value) for name, value in parameters.items()}
    return engine.compile(file_uri(str(sheet)), Folders(policy)).apply(Source(source), values)


def compare(
    sheet: Path,
    source: bytes,
    roots: list[Path],
    tmp_path: Path,
    kind: str = "html",
    *,
    parameters: dict[str, str] | None = None,
    uris: dict[str, str] | None = None,
) -> None:
    """Both, and what comes out has to be the same."""
    need(sheet, *roots)
    parameters = parameters or {}
    result = ours(sheet, source, roots, parameters=parameters, uris=uris or {})
    file = tmp_path / "source.xml"
    file.write_bytes(source)
    given = [word for name, value in parameters.items() for word in ("--stringparam", name, value)]
    command = ["xsltproc", "--nonet", *given, str(sheet), str(file)]
    theirs = subprocess.run(command, capture_output=True, timeout=120, check=True)
    assert len(result.body) > 100 or kind == "xml"
    assert canonical(result.body, kind) == canonical(theirs.stdout, kind)
    assert result.content_type.startswith({"html": "text/html", "xml": "application/"}.get(kind, "text/"))


def whole(path: Path) -> bytes:
    """A document with its entities in it: both sides get the same bytes, and no DTD."""
    need(path)
    parser = etree.XMLParser(resolve_entities=True, load_dtd=False, no_network=True)
    return bytes(etree.tostring(etree.parse(str(path), parser).getroot()))


def manual(language: str = "C") -> bytes:
    return whole(HELP / language / "gtk-doc-manual" / "index.docbook")


def languages() -> list[str]:
    return sorted(path.parts[-3] for path in HELP.glob("*/gtk-doc-manual/index.docbook")) or ["C"]


def pages() -> list[str]:
    return sorted(str(path.relative_to(HELP)) for path in HELP.glob("C/*/*.page")) or ["C/evince/index.page"]


def around(tmp_path: Path, imported: Path, template: str, content: str) -> Path:
    """A stylesheet that gives as the result what `imported` would write to a file."""
    path = tmp_path / "around.xsl"
    path.write_text(
        '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
        f'<xsl:import href="{imported}"/><xsl:template name="{template}">{content}</xsl:template></xsl:stylesheet>'
    )
    return path


YELP_OUTPUT = (
    '<xsl:param name="node" select="."/><xsl:call-template name="html.page"><xsl:with-param name="node" '
    'select="$node"/></xsl:call-template>'
)


def test_docbook(tmp_path: Path) -> None:
    """As XHTML; as HTML in every language, and in other forms, in the long tests."""
    compare(DOCBOOK / "xhtml" / "docbook.xsl", manual(), [DOCBOOK], tmp_path, "xml")


@pytest.mark.soak
@pytest.mark.parametrize("name", ["xhtml5", "xhtml-1_1", "fo"])
def test_docbook_in_other_forms(tmp_path: Path, name: str) -> None:
    # xhtml5 would write a style sheet beside the page
    parameters = {"docbook.css.source": ""}
    compare(DOCBOOK / name / "docbook.xsl", manual(), [DOCBOOK], tmp_path, "xml", parameters=parameters)


@pytest.mark.soak
@pytest.mark.parametrize("language", languages())
def test_docbook_in_every_language(tmp_path: Path, language: str) -> None:
    compare(DOCBOOK / "html" / "docbook.xsl", manual(language), [DOCBOOK], tmp_path)


def test_gtk_doc_by_the_uris_it_names(tmp_path: Path) -> None:
    """It imports http://docbook.sourceforge.net/...: a catalog for xsltproc, `uris` for us."""
    content = '<xsl:param name="content"/><xsl:copy-of select="$content"/>'
    need(GTK_DOC, DOCBOOK)
    compare(
        around(tmp_path, GTK_DOC / "gtk-doc.xsl", "write.chunk", content),
        manual(),
        [GTK_DOC, DOCBOOK, tmp_path],
        tmp_path,
        parameters={"gtkdoc.bookname": "manual", "gtkdoc.version": "1.33"},
        uris={"http://docbook.sourceforge.net/release/xsl/current/": str(DOCBOOK)},
    )


def test_yelp_with_docbook(tmp_path: Path) -> None:
    sheet = around(tmp_path, YELP / "docbook" / "html" / "db2html.xsl", "html.output", YELP_OUTPUT)
    compare(sheet, manual(), [YELP, tmp_path], tmp_path)


@pytest.mark.parametrize("page", pages()[:2])
def test_yelp_with_mallard(tmp_path: Path, page: str) -> None:
    sheet = around(tmp_path, YELP / "mallard" / "html" / "mal2html.xsl", "html.output", YELP_OUTPUT)
    compare(sheet, whole(HELP / page), [YELP, tmp_path], tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("page", pages()[2:])
def test_yelp_with_every_page_of_mallard(tmp_path: Path, page: str) -> None:
    test_yelp_with_mallard(tmp_path, page)


def schematron() -> Path:
    import lxml.isoschematron

    return Path(lxml.isoschematron.__file__).parent / "resources" / "xsl" / "iso-schematron-xslt1"


@pytest.mark.parametrize(
    "name", ["iso_dsdl_include", "iso_abstract_expand", "iso_svrl_for_xslt1", "iso_schematron_message"]
)
def test_schematron(tmp_path: Path, name: str) -> None:
    compare(schematron() / f"{name}.xsl", SCHEMA, [schematron()], tmp_path, "xml")


def test_a_stylesheet_made_by_stylesheets(tmp_path: Path) -> None:
    """Schematron as it is used: three transformations make a stylesheet, which then judges a document."""
    data = SCHEMA
    for name in ("iso_dsdl_include", "iso_abstract_expand", "iso_svrl_for_xslt1"):
        data = ours(schematron() / f"{name}.xsl", data, [schematron()], parameters={}, uris={}).body
    made = tmp_path / "made.xsl"
    made.write_bytes(data)
    items = b"<item/>" * 3
    for body, said in ((b"", b"an order has items"), (items, b"a large order of 3"), (b"<item/>", b"")):
        source = b'<order xmlns="urn:a">' + body + b"</order>"
        compare(made, source, [tmp_path], tmp_path, "xml")
        assert said in ours(made, source, [tmp_path], parameters={}, uris={}).body


@pytest.mark.parametrize(("name", "source"), [("rss.xsl", RSS), ("atom.xsl", ATOM)])
def test_feeds_of_nikola(tmp_path: Path, name: str, source: bytes) -> None:
    found = find_spec("nikola")
    if found is None or found.origin is None:
        pytest.skip("no nikola: pip install --no-deps nikola")
    folder = Path(found.origin).parent / "data" / "themes" / "base" / "assets" / "xml"
    compare(folder / name, source, [folder], tmp_path, "xml")


@pytest.mark.parametrize("name", ["feed", "sitemap"])
def test_our_own_examples(tmp_path: Path, name: str) -> None:
    compare(EXAMPLE / f"{name}.xsl", (EXAMPLE / f"{name}.xml").read_bytes(), [EXAMPLE], tmp_path)


def test_what_the_default_policy_says_of_them(tmp_path: Path) -> None:
    """docbook-xsl has dyn:evaluate and entities in it: it needs to be allowed to, and says so."""
    from wsgikit.middleware.xslt.bundle import survey

    need(DOCBOOK)
    sheet = file_uri(str(DOCBOOK / "html" / "docbook.xsl"))
    for allow, refused in (([], {"doctype"}), (["entities"], {"dynamic"}), (["entities", "dynamic"], set())):
        policy = policy_from([], roots=[str(DOCBOOK)], allow=allow)
        files, problems = survey(sheet, Folders(policy), policy)
        assert len(files) > 50
        assert {getattr(problem, "reason", "") for problem in problems} == refused
