"""The Saxon engine: the same results and walls, and what XSLT 3.0 has more. Skipped without saxonche."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from wsgikit.errors import ConfigError
from wsgikit.middleware.xslt import XSLT
from wsgikit.middleware.xslt.engine import Parameter, Source
from wsgikit.middleware.xslt.failures import (
    Refused,
    SheetError,
    SourceError,
    Terminated,
    TooLarge,
    TransformError,
    XsltError,
)
from wsgikit.middleware.xslt.space import Folders, file_uri

pytest.importorskip("saxonche", reason="no saxonche: pip install saxonche")

HEAD = '<xsl:stylesheet version="3.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
EXAMPLE = Path(__file__).parents[3] / "examples" / "feed" / "site"


def saxon(bench: Any, path: str, source: Any = b"<page/>", *allow: str, **options: Any) -> Any:
    return bench.run(path, source, *allow, engine="saxon", **options)


def canonical(data: bytes) -> str:
    """The elements and texts of an HTML page, without what serialisers add."""
    from lxml import html

    root = html.document_fromstring(data)
    for element in root.xpath("//meta[@http-equiv]"):
        element.getparent().remove(element)
    for element in root.iter():
        element.tail = " ".join((element.tail or "").split()) or None
        if isinstance(element.tag, str):
            element.text = " ".join((element.text or "").split()) or None
    return etree.tostring(root, method="c14n").decode()


# The same corpus on both ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["feed", "sitemap"])
def test_the_examples_come_out_the_same(bench: Any, name: str) -> None:
    sheet, source = str(EXAMPLE / f"{name}.xsl"), (EXAMPLE / f"{name}.xml").read_bytes()
    results = [bench.run(sheet, source, engine=engine, roots=[EXAMPLE]) for engine in ("lxml", "saxon")]
    assert canonical(results[0].body) == canonical(results[1].body)
    assert results[0].content_type == results[1].content_type


def test_schematron_comes_out_the_same(bench: Any) -> None:
    import lxml.isoschematron

    folder = Path(lxml.isoschematron.__file__).parent / "resources" / "xsl" / "iso-schematron-xslt1"
    schema = b"""<schema xmlns="http://purl.oclc.org/dsdl/schematron"><pattern id="p"><rule context="a">
    <assert test="b">b is missing</assert></rule></pattern></schema>"""
    for name in ("iso_dsdl_include", "iso_abstract_expand"):
        bodies = [
            bench.run(str(folder / f"{name}.xsl"), schema, engine=engine, roots=[folder]).body
            for engine in ("lxml", "saxon")
        ]
        trees = [etree.tostring(etree.fromstring(body), method="c14n") for body in bodies]
        assert trees[0] == trees[1]


def test_parameters_messages_and_imports(bench: Any) -> None:
    bench.sheet('<xsl:template match="/"><o><xsl:value-of select="$p"/></o></xsl:template>', "deep.xsl", HEAD)
    bench.sheet('<xsl:import href="deep.xsl"/>', "middle.xsl", HEAD)
    path = bench.sheet(
        '<xsl:import href="middle.xsl"/><xsl:param name="p"/><xsl:param name="n:q" xmlns:n="urn:n"/>'
        '<xsl:template match="/"><xsl:message>one</xsl:message><xsl:message select="$n:q" xmlns:n="urn:n"/>'
        "<xsl:apply-imports/></xsl:template>",
        head=HEAD,
    )
    value = 'it\'s "{1+1}" \u00e9 | //secret'
    result = saxon(bench, path, parameters={"p": value, "{urn:n}q": Parameter("count(//*)", xpath=True)})
    assert etree.fromstring(result.body).text == value
    assert result.messages == ("one", "1")


def test_terminating_messages_and_failures(bench: Any) -> None:
    path = bench.sheet(
        '<xsl:template match="/"><xsl:message terminate="yes">404 Not found</xsl:message></xsl:template>', head=HEAD
    )
    with pytest.raises(Terminated, match="404 Not found"):
        saxon(bench, path)
    path = bench.sheet('\n<xsl:template match="/">\n<xsl:value-of select="1 +"/></xsl:template>', "bad.xsl", HEAD)
    with pytest.raises((SheetError, TransformError)) as caught:
        saxon(bench, path)
    assert caught.value.place[:2] == (path, 3)
    path = bench.sheet('<xsl:template match="/"><xsl:value-of select="error()"/></xsl:template>', "fail.xsl", HEAD)
    with pytest.raises(TransformError):
        saxon(bench, path)
    with pytest.raises(SourceError) as source:
        saxon(bench, bench.put("identity.xsl"), b"<a>\n<b></a>")
    assert source.value.place[:2] == ("page.xml", 2)


def test_a_chain_that_breaks_names_the_stylesheet_that_broke_it(bench: Any) -> None:
    engine = bench.engine(engine="saxon")
    path = bench.sheet('<xsl:template match="/">only text</xsl:template>', head=HEAD)
    sheet = engine.compile(file_uri(path), Folders(engine.policy))
    with pytest.raises(SourceError) as caught:
        engine.apply([sheet, sheet], Source(b"<page/>", name="page.xml"), {})
    assert caught.value.place.file == f"result of {path}"


def test_limits_are_the_same(bench: Any) -> None:
    with pytest.raises(TooLarge):
        saxon(bench, bench.put("identity.xsl"), b"<a>" + b"<b/>" * 100 + b"</a>", nodes=50)
    with pytest.raises(TooLarge):
        saxon(bench, bench.put("flood.xsl"), output=1 << 16)


# The same walls ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["xxe.xml", "laughs.xml", "laughs-attribute.xml"])
def test_hostile_documents(bench: Any, name: str) -> None:
    with pytest.raises(Refused) as caught:
        saxon(bench, bench.put("identity.xsl"), bench.text(name))
    assert caught.value.reason == "doctype"


@pytest.mark.parametrize(
    "name",
    ["document-absolute.xsl", "document-parent.xsl", "document-escaped.xsl", "import-outside.xsl",
     "include-parent.xsl", "import-base.xsl", "dynamic.xsl", "entity.xsl", "write-xsl.xsl"],
)  # fmt: skip
def test_hostile_stylesheets(bench: Any, name: str) -> None:
    with pytest.raises(XsltError):
        saxon(bench, bench.put(name))
    assert not (bench.root / "written.xml").exists()


@pytest.mark.parametrize(
    "expression",
    ["doc('file:SECRET')", "document('file:SECRET')", "unparsed-text('file:SECRET')",
     "unparsed-text-lines('file:SECRET')",
     "collection('file:FOLDER?select=*.xml')", "uri-collection('file:FOLDER')", "json-doc('file:SECRET')",
     "doc('http://127.0.0.1:PORT/x')",
     "parse-xml('&lt;!DOCTYPE a [&lt;!ENTITY x SYSTEM \"file:SECRET\">]>&lt;a>&amp;x;&lt;/a>')",
     "transform(map{'stylesheet-location': 'file:SECRET', 'source-node': .})?output"],
)  # fmt: skip
def test_functions_of_3_0_that_would_read(bench: Any, network: Any, expression: str) -> None:
    words = {"SECRET": f"{bench.outside}/secret.xml", "FOLDER": str(bench.outside), "PORT": bench.words["PORT"]}
    for word, value in words.items():
        expression = expression.replace(word, value)
    path = bench.sheet("<xsl:template match='/'><o><xsl:copy-of select='$x'/></o></xsl:template>", head=HEAD)
    escaped = expression.replace('"', "&quot;")
    text = Path(path).read_text().replace("select='$x'", f'select="{escaped}"')
    try:
        body = saxon(bench, bench.put("reads.xsl", text)).body
    except XsltError:
        body = b""
    assert b"the secret" not in body
    assert not network()


def test_writing_and_the_environment(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    target = bench.root / "written.xml"
    body = (
        f'<xsl:template match="/"><xsl:result-document href="file:{target}"><a/></xsl:result-document></xsl:template>'
    )
    with pytest.raises(XsltError):
        saxon(bench, bench.sheet(body, head=HEAD))
    assert not target.exists()
    body = '<xsl:template match="/"><o><xsl:value-of select="environment-variable(\'PATH\')"/></o></xsl:template>'
    assert os.environ["PATH"].encode() not in saxon(bench, bench.sheet(body, head=HEAD)).body


def test_xpath_made_at_run_time(bench: Any) -> None:
    path = bench.sheet(
        '<xsl:template match="/"><o><xsl:evaluate xpath="string(/*/@code)"/></o></xsl:template>', head=HEAD
    )
    with pytest.raises(Refused) as caught:
        saxon(bench, path, b"<page code='1 + 1'/>")
    assert caught.value.reason == "dynamic"
    assert b">2<" in saxon(bench, path, b"<page code='1 + 1'/>", "dynamic").body


# What 3.0 has more ---------------------------------------------------------------------------------------------------


def test_grouping_and_maps(bench: Any) -> None:
    path = bench.sheet(
        '<xsl:template match="/"><o><xsl:for-each-group select="//i" group-by="@k"><g k="{current-grouping-key()}">'
        "<xsl:value-of select=\"sum(current-group()) || map{'a': '!'}?a\"/></g></xsl:for-each-group></o>"
        "</xsl:template>",
        head=HEAD,
    )
    body = saxon(bench, path, b"<l><i k='x'>1</i><i k='y'>5</i><i k='x'>2</i></l>").body
    assert b'<g k="x">3!</g><g k="y">5!</g>' in body


def test_json_in_and_out(bench: Any, app_class: Any, browse: Any) -> None:
    path = bench.sheet(
        '<xsl:output method="json"/><xsl:template match="."><xsl:sequence '
        "select=\"map{'sum': sum(?items?*), 'name': upper-case(?name)}\"/></xsl:template>",
        head=HEAD,
    )
    result = saxon(bench, path, b'{"name": "\xc3\xa9a", "items": [1, 2, 3]}', kind="json")
    assert (json.loads(result.body), result.content_type) == ({"sum": 6, "name": "\u00c9A"}, "application/json")
    with pytest.raises(SourceError):
        saxon(bench, path, b"{broken", kind="json")
    app = app_class(b'{"name": "x", "items": [2]}', "application/json", ETag='"1"')
    layer = XSLT(app, stylesheet=path, engine="saxon", types=["application/json"])
    seen = browse(layer)
    assert (seen.error, json.loads(seen.body)) == (None, {"sum": 2, "name": "X"})
    assert (seen.get("ETag") or "").startswith('W/"1-s')


def test_results_are_in_utf_8_and_say_so(bench: Any) -> None:
    path = bench.sheet('<xsl:output method="html" encoding="iso-8859-1"/>', head=HEAD)
    result = saxon(bench, path, "<a>\u00e9</a>")
    assert (result.content_type, "\u00e9" in result.body.decode()) == ("text/html; charset=utf-8", True)


def test_eight_threads_share_a_stylesheet(bench: Any) -> None:
    path = bench.sheet(
        '<xsl:template match="/"><xsl:message select="string(/*)"/><o><xsl:value-of select="/*"/></o></xsl:template>',
        head=HEAD,
    )
    engine = bench.engine(engine="saxon")
    sheet = engine.compile(file_uri(path), Folders(engine.policy))
    wrong: list[Any] = []

    def work(number: int) -> None:
        for turn in range(10):
            name = f"{number}.{turn}"
            result = sheet.apply(Source(f"<a>{name}</a>".encode()), {})
            if result.messages != (name,) or f">{name}<".encode() not in result.body:
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_mistakes_stop_the_start_and_saxon_is_not_started_for_that(bench: Any, app_class: Any) -> None:
    """It would not survive the fork of a server; so stylesheets are tried in another process."""
    bad = bench.sheet('<xsl:template match="/"><xsl:value-of select="1 +"/></xsl:template>', "bad.xsl", HEAD)
    with pytest.raises(ConfigError, match=r"bad\.xsl"):
        XSLT(app_class(), stylesheet=bad, engine="saxon")
    good = bench.sheet('<xsl:template match="/"><i>made</i></xsl:template>', "good.xsl", HEAD)
    code = (
        "import os, sys\n"
        "from wsgikit.middleware.xslt import XSLT\n"
        "def app(environ, start):\n"
        "    start('200 OK', [('Content-Type', 'text/xml')])\n"
        "    return [b'<a/>']\n"
        f"layer = XSLT(app, stylesheet={good!r}, engine='saxon', negotiate=False)\n"
        "assert 'saxonche' not in sys.modules\n"
        "pids = []\n"
        "for _ in range(2):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        body = b''.join(layer({'REQUEST_METHOD': 'GET', 'PATH_INFO': '/'}, lambda *a: None))\n"
        "        os._exit(0 if b'made' in body else 1)\n"
        "    pids.append(pid)\n"
        "sys.exit(max(os.waitpid(pid, 0)[1] for pid in pids) != 0)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stderr) == (0, "")


def test_isolated(bench: Any, app_class: Any, browse: Any) -> None:
    path = bench.sheet('<xsl:template match="/"><i><xsl:value-of select="/*"/></i></xsl:template>', head=HEAD)
    layer = XSLT(app_class(), stylesheet=path, engine="saxon", isolate=True, memory=0, processes=1, negotiate=False)
    try:
        assert b"<i>text</i>" in browse(layer).body
    finally:
        layer.workshop.engine.close()  # type: ignore[attr-defined]
