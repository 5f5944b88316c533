"""The lxml engine: results, their types, messages, errors with places, and what many threads get."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from wsgikit.errors import ConfigError
from wsgikit.middleware.xslt import documents
from wsgikit.middleware.xslt.engine import Parameter, Source, make_engine
from wsgikit.middleware.xslt.failures import (
    Place,
    Refused,
    SheetError,
    SourceError,
    Terminated,
    TransformError,
    XsltError,
)
from wsgikit.middleware.xslt.output import Output
from wsgikit.middleware.xslt.policy import Policy
from wsgikit.middleware.xslt.space import Folders, file_uri

COPY = '<xsl:template match="/"><xsl:copy-of select="node()"/></xsl:template>'


@pytest.mark.parametrize(
    ("output", "body", "expected"),
    [
        ("", "<html><p/></html>", "text/html; charset=utf-8"),
        ("", "<HTML/>", "text/html; charset=utf-8"),
        ("", "<page/>", "application/xml; charset=utf-8"),
        ("", "text alone", "application/xml; charset=utf-8"),
        ("", '<html xmlns="http://www.w3.org/1999/xhtml"/>', "application/xhtml+xml; charset=utf-8"),
        ('method="html"', "<page/>", "text/html; charset=utf-8"),
        ('method="xml"', "<html/>", "application/xml; charset=utf-8"),
        ('method="text"', "x", "text/plain; charset=utf-8"),
        ('method="html" encoding="ISO-8859-1"', "<p/>", "text/html; charset=iso-8859-1"),
        ('method="xml" media-type="image/svg+xml"', "<svg/>", "image/svg+xml; charset=utf-8"),
        ('method="text" media-type="application/json"', "{}", "application/json"),
        ('method="text" media-type="text/css"', "a", "text/css; charset=utf-8"),
        ('method="xml" media-type="application/pdf"', "<a/>", "application/pdf"),
        ('method="html" media-type="text/html; Charset=ISO-8859-2"', "<p/>", "text/html; charset=utf-8"),
        ('media-type="text/html;charset=utf-8; a=b" encoding="utf-16"', "<p/>", "text/html; a=b; charset=utf-16"),
        ('method="xml" encoding="x-unheard-of"', "<p/>", "application/xml; charset=utf-8"),
        ('method="html" encoding="IBM037"', "<p/>", "text/html; charset=utf-8"),
    ],
)
def test_content_type_comes_from_output_and_root(bench: Any, output: str, body: str, expected: str) -> None:
    sheet = bench.sheet(f'<xsl:output {output}/><xsl:template match="/">{body}</xsl:template>')
    assert bench.run(sheet).content_type == expected


def test_a_media_type_that_would_break_a_header_is_dropped(bench: Any) -> None:
    sheet = bench.sheet(f'<xsl:output media-type="text/html&#10;X-Evil: 1"/>{COPY}')
    assert bench.run(sheet).content_type == "application/xml; charset=utf-8"


def test_output_is_merged_by_import_precedence(bench: Any) -> None:
    bench.sheet('<xsl:output method="text" encoding="utf-16" media-type="a/low"/>', "low.xsl")
    bench.sheet('<xsl:output media-type="a/middle"/>', "middle.xsl")
    bench.sheet('<xsl:output method="xml"/>', "included.xsl")
    sheet = bench.sheet(
        '<xsl:import href="low.xsl"/><xsl:import href="middle.xsl"/><xsl:include href="included.xsl"/>'
        f'<xsl:output encoding="iso-8859-1"/>{COPY}'
    )
    result = bench.run(sheet, "<a>\u00e9</a>")
    assert result.content_type == "a/middle"
    assert b"\xe9" in result.body
    engine = bench.engine()
    assert engine.compile(file_uri(sheet), Folders(engine.policy)).output == Output("xml", "a/middle", "iso-8859-1")


def test_imports_are_found_by_relative_paths_with_odd_names(bench: Any) -> None:
    folder = bench.root / "a b" / "\u00fcber"
    folder.mkdir(parents=True)
    (folder / "in & out.xsl").write_text(
        bench.text("identity.xsl").replace("<out>", "<found>").replace("</out>", "</found>")
    )
    for href in ("a%20b/%C3%BCber/in%20%26%20out.xsl", "./a%20b/../a%20b/%c3%bcber/in%20&amp;%20out.xsl"):
        assert b"<found>" in bench.run(bench.sheet(f'<xsl:import href="{href}"/>')).body


def test_parameters_have_namespaces_and_xpath_only_when_asked(bench: Any) -> None:
    sheet = bench.sheet(
        '<xsl:output method="text"/><xsl:param name="a"/><xsl:param name="n:b" xmlns:n="urn:n"/>'
        '<xsl:param name="c" select="\'default\'"/>'
        '<xsl:template match="/" xmlns:n="urn:n"><xsl:value-of select="concat($a, \' \', $n:b, \' \', $c)"/>'
        "</xsl:template>"
    )
    parameters = {"a": "count(//*)", "{urn:n}b": Parameter("count(//*)", xpath=True), "unknown": "x"}
    assert bench.run(sheet, "<a><b/><c/></a>", parameters=parameters).body == b"count(//*) 3 default"


def test_messages_come_in_order_with_their_text(bench: Any) -> None:
    sheet = bench.sheet(
        '<xsl:template match="/"><xsl:message>one</xsl:message><a><xsl:message>two\nlines\u00e9</xsl:message></a>'
        "<xsl:message>error</xsl:message></xsl:template>"
    )
    assert bench.run(sheet).messages == ("one", "two\nlines\u00e9", "error")


@pytest.mark.parametrize("text", ["404 Not found", "runtime", "410", ""])
def test_a_terminating_message_is_told_from_a_failure(bench: Any, text: str) -> None:
    sheet = bench.sheet(
        '<xsl:template match="/"><xsl:message>before</xsl:message>'
        f'<xsl:message terminate="yes">{text}</xsl:message></xsl:template>'
    )
    with pytest.raises(Terminated) as caught:
        bench.run(sheet)
    assert str(caught.value) == (text or "before")
    assert "before" in caught.value.messages  # type: ignore[attr-defined]


def test_messages_after_an_error_do_not_hide_it(bench: Any) -> None:
    """libxslt goes on after some errors, and the log ends with what the stylesheet says then."""
    path = bench.sheet(
        "<xsl:template match='/'>\n<xsl:value-of select=\"document('http://a.example/x')\"/>"
        "<xsl:message>404 after</xsl:message></xsl:template>"
    )
    with pytest.raises(Refused, match=r"a\.example") as caught:
        bench.run(path)
    assert caught.value.place == Place(path, 2)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('<xsl:value-of select="f:unknown()" xmlns:f="urn:f"/>', "Unregistered function"),
        ('<xsl:value-of select="$nothing"/>', "nothing"),
        ('<xsl:element name="{1}"/>', "QName"),
        ("<xsl:copy-of select=\"document('none.xml')\"/>", "none.xml"),
    ],
)
def test_a_failing_run_names_file_and_line(bench: Any, body: str, text: str) -> None:
    path = bench.sheet(f'\n<xsl:template match="/"><out>\n\n{body}</out></xsl:template>')
    with pytest.raises((TransformError, SheetError)) as caught:
        bench.run(path)
    assert text in caught.value.whole
    if "none.xml" not in body:
        assert caught.value.place == Place(path, 4)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("<xsl:stylesheet", 1, 16),
        ("<a>\n<b></a>", 2, 8),
        ("", 0, 0),
        ("no XML", 1, 1),
        ('<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">\n'
         '<xsl:template match="//["/></xsl:stylesheet>', 2, 0),
        ('<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">\n\n'
         '<xsl:template match="/"><xsl:call-template name="none"/></xsl:template></xsl:stylesheet>', 3, 0),
        ("<page/>", 0, 0),
    ],
)  # fmt: skip
def test_a_broken_stylesheet_names_file_line_and_column(bench: Any, text: str, line: int, column: int) -> None:
    path = bench.put("main.xsl", text)
    with pytest.raises((SheetError, TransformError)) as caught:
        bench.run(path)
    place = caught.value.place
    assert place.file == path
    if line:
        assert place.line == line
    if column:
        assert abs(place.column - column) <= 2
    assert caught.value.whole.startswith(path)


def test_a_broken_import_is_named_itself(bench: Any) -> None:
    broken = bench.put("inner.xsl", "<a>\n<b></a>")
    with pytest.raises(SheetError) as caught:
        bench.run(bench.sheet('<xsl:import href="inner.xsl"/>'))
    assert caught.value.place[:2] == (broken, 2)


@pytest.mark.parametrize("data", [b"", b"<a>", b"<a></b>", b"<a>\xff</a>", b"<a>&lt</a>", b"text", b"<a/><b/>"])
def test_a_source_that_is_not_well_formed_says_where(bench: Any, data: bytes) -> None:
    with pytest.raises(SourceError, match=r"not well-formed|cannot be read") as caught:
        bench.run(bench.sheet(COPY), data)
    assert caught.value.place.file == "page.xml"


@pytest.mark.parametrize(
    ("data", "charset", "expected"),
    [
        ("<a>\u00e9</a>".encode(), "", "\u00e9"),
        ("<a>\u00e9</a>".encode("latin-1"), "iso-8859-1", "\u00e9"),
        ('<?xml version="1.0" encoding="utf-8"?><a>\u00e9</a>'.encode("latin-1"), "ISO-8859-1", "\u00e9"),
        ('<?xml version="1.0" encoding="iso-8859-1"?><a>\u00e9</a>'.encode("latin-1"), "", "\u00e9"),
        ("\ufeff<a>\u00e9</a>".encode(), "iso-8859-1", "\u00e9"),
        ("<a>\u00e9</a>".encode("utf-16"), "iso-8859-1", "\u00e9"),
    ],
)
def test_charset_of_the_message_goes_before_the_documents_own(
    bench: Any, data: bytes, charset: str, expected: str
) -> None:
    sheet = bench.sheet('<xsl:output method="text" encoding="utf-8"/>')
    assert bench.run(sheet, data, charset=charset).body.decode() == expected


@pytest.mark.parametrize("charset", ["no-such-charset", "\r\nx", "utf-8\0"])
def test_a_charset_nobody_knows_is_no_crash(bench: Any, charset: str) -> None:
    try:
        assert bench.run(bench.sheet(COPY), b"<a/>", charset=charset).body
    except SourceError:
        pass


@pytest.mark.parametrize("builder", ["libxml2", "html5lib"])
def test_html_is_read_as_browsers_read_it(bench: Any, builder: str) -> None:
    if builder == "html5lib":
        pytest.importorskip("html5lib", reason="pip install html5lib")
    sheet = bench.sheet(
        '<xsl:output method="html"/><xsl:template match="/html"><html><body><xsl:for-each select="body//p"><i>'
        "<xsl:value-of select='.'/></i></xsl:for-each></body></html></xsl:template>"
    )
    source = "<!DOCTYPE html><title>x</title><p>one<p>two &nbsp;&amp; caf\u00e9<br>"
    result = bench.run(sheet, source, kind="html", charset="utf-8", html=builder)
    assert result.content_type == "text/html; charset=utf-8"
    assert result.body.count(b"<i>") == 2
    assert "caf\u00e9".encode() in result.body or b"caf&eacute;" in result.body


def test_html_builders_are_checked(bench: Any) -> None:
    with pytest.raises(ConfigError, match="html"):
        bench.engine(html="beautiful")
    with pytest.raises(ConfigError, match="engine"):
        make_engine("msxml", Policy())


def test_a_chain_passes_each_result_on(bench: Any) -> None:
    engine = bench.engine()
    space = Folders(engine.policy)
    first = bench.sheet('<xsl:template match="a"><b><xsl:copy-of select="*"/></b></xsl:template>', "1.xsl")
    second = bench.sheet(
        '<xsl:output method="html"/><xsl:param name="p"/><xsl:template match="b"><html><xsl:value-of select="$p"/>'
        '<xsl:value-of select="count(*)"/></html></xsl:template>',
        "2.xsl",
    )
    chain = [engine.compile(file_uri(path), space) for path in (first, second)]
    result = engine.apply(chain, Source(b"<a><x/><y/></a>"), {"p": Parameter("has ")})
    assert (result.body.strip(), result.content_type) == (b"<html>has 2</html>", "text/html; charset=utf-8")
    with pytest.raises(XsltError):
        engine.apply([chain[0], chain[0], chain[0]], Source(b"<a>"), {})


@pytest.mark.parametrize("body", ["", "only text", "<xsl:comment>c</xsl:comment>"])
def test_a_chain_breaks_where_there_is_no_element(bench: Any, body: str) -> None:
    engine = bench.engine()
    sheet = engine.compile(
        file_uri(bench.sheet(f'<xsl:template match="/">{body}</xsl:template>')), Folders(engine.policy)
    )
    with pytest.raises(TransformError, match="nothing for the next stylesheet") as caught:
        engine.apply([sheet, sheet], Source(b"<a/>"), {})
    assert caught.value.place.file.endswith("main.xsl")


def test_what_document_must_not_read_is_told_with_the_stylesheet(bench: Any) -> None:
    bench.sheet(
        '<xsl:template name="t">\n\n<xsl:copy-of select="document(\'/etc/passwd\')"/></xsl:template>', "inner.xsl"
    )
    main = bench.sheet(
        '<xsl:import href="inner.xsl"/><xsl:template match="/"><xsl:call-template name="t"/></xsl:template>'
    )
    with pytest.raises(Refused) as caught:
        bench.run(main)
    assert caught.value.whole.startswith(f"{main}: /etc/passwd is outside of the roots")


def test_a_stylesheet_that_does_not_compile_says_why_without_a_line_too(bench: Any) -> None:
    loop = '<xsl:attribute-set name="a" use-attribute-sets="b"/><xsl:attribute-set name="b" use-attribute-sets="a"/>'
    with pytest.raises(SheetError, match="recursion"):
        bench.run(bench.sheet(f'{loop}<xsl:template match="/"><e xsl:use-attribute-sets="a"/></xsl:template>'))


def test_what_document_reads_is_recorded(bench: Any) -> None:
    bench.put("data.xml", "<data><!-- kept --><v>5</v></data>")
    sheet = bench.sheet('<xsl:template match="/"><o><xsl:copy-of select="document(\'data.xml\')"/></o></xsl:template>')
    result = bench.run(sheet)
    assert b"<!-- kept --><v>5</v>" in result.body
    assert [dependency.uri.rpartition("/")[2] for dependency in result.documents] == ["data.xml"]


def test_document_of_nothing_is_the_stylesheet(bench: Any) -> None:
    sheet = bench.sheet(
        '<d:data xmlns:d="urn:d">own</d:data><xsl:template match="/"><o><xsl:value-of '
        'select="document(\'\')//d:data" xmlns:d="urn:d"/></o></xsl:template>'
    )
    assert b">own</o>" in bench.run(sheet).body


def test_what_changes_with_time_is_volatile(bench: Any) -> None:
    engine = bench.engine()
    for call, volatile in (("d:date-time()", True), ("d:year()", True), ("d:year(@x)", False), ("m:random()", True)):
        path = bench.sheet(
            f'<xsl:template match="/" xmlns:d="http://exslt.org/dates-and-times" xmlns:m="http://exslt.org/math">'
            f'<o><xsl:value-of select="{call}"/></o></xsl:template>'
        )
        assert engine.compile(file_uri(path), Folders(engine.policy)).bundle.volatile is volatile
    for expands, volatile in (('expand-text="yes"', True), ("", False)):
        path = bench.sheet(
            f'<xsl:template match="/"><o {expands and "xsl:" + expands}>{{current-dateTime()}}</o></xsl:template>'
        )
        assert engine.compile(file_uri(path), Folders(engine.policy)).bundle.volatile is volatile


def test_the_fingerprint_follows_every_file(bench: Any) -> None:
    engine = bench.engine()
    bench.sheet("", "inner.xsl")
    path = bench.sheet('<xsl:import href="inner.xsl"/>')

    def fingerprint() -> str:
        return str(engine.compile(file_uri(path), Folders(engine.policy)).bundle.fingerprint)

    before = fingerprint()
    assert fingerprint() == before
    bench.sheet("<xsl:template match='x'/>", "inner.xsl")
    assert fingerprint() != before


# Threads -------------------------------------------------------------------------------------------------------------

NAMES = (
    '<xsl:param name="who"/><xsl:template match="/"><xsl:message>begin <xsl:value-of select="/*/@id"/></xsl:message>'
    '<out><xsl:for-each select="//*"><xsl:element name="{concat(\'n\', @k)}"/><xsl:copy/></xsl:for-each></out>'
    '<xsl:message>end <xsl:value-of select="concat(/*/@id, $who)"/></xsl:message></xsl:template>'
)


def test_sixteen_threads_share_a_stylesheet_and_keep_their_messages(bench: Any) -> None:
    """The same with one etree.XSLT for all ends in a segmentation fault (bench/xslt.py shows it in a process)."""
    engine = bench.engine()
    sheet = engine.compile(file_uri(bench.sheet(NAMES)), Folders(engine.policy))
    mixed: list[Any] = []

    def work(number: int) -> None:
        for turn in range(25):
            name = f"{number}.{turn}"
            source = (
                f'<r id="{name}">'
                + "".join(f'<a{number}x{turn}y{j} k="{number}q{turn}q{j}"/>' for j in range(40))
                + "</r>"
            )
            result = sheet.apply(Source(source.encode()), {"who": Parameter(str(number))})
            if result.messages != (f"begin {name}", f"end {name}{number}") or result.body.count(b"<n") != 41:
                mixed.append(result.messages)

    _together(16, work)
    assert mixed == []
    assert 1 <= len(sheet._idle) <= 16


def test_no_more_copies_than_allowed(bench: Any) -> None:
    engine = bench.engine(copies=2)
    sheet = engine.compile(file_uri(bench.sheet(NAMES)), Folders(engine.policy))
    _together(8, lambda number: [sheet.apply(Source(b"<r id='1'/>"), {}) for _ in range(10)])
    assert len(sheet._idle) <= 2


def test_a_failing_run_gives_its_copy_back(bench: Any) -> None:
    engine = bench.engine(copies=1)
    sheet = engine.compile(file_uri(bench.put("recursion.xsl")), Folders(engine.policy))
    for _ in range(3):
        with pytest.raises(TransformError):
            sheet.apply(Source(b"<a/>"), {})


def test_names_are_forgotten_and_trees_live_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_NAMES_KEPT", 1000)
    source = Source(b"<root>" + b"".join(b"<name%d a%d='1'/>" % (n, n) for n in range(100)) + b"</root>")

    def work(number: int) -> None:
        trees = [documents.parse_source(source, Policy()) for _ in range(20)]
        for tree in trees:
            assert [e.tag for e in tree.getroot()] == [f"name{n}" for n in range(100)]

    _together(4, work)


def test_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    monkeypatch.setattr(documents, "_NAMES_KEPT", 8 << 20)
    grown: list[int] = []

    def work(number: int) -> None:
        for turn in range(600):
            names = "".join(f"<{'n' * 180}{turn}z{n}/>" for n in range(1000))
            documents.parse_source(Source(f"<r>{names}</r>".encode()), Policy())
            if turn == 100:
                grown.append(resident())
        grown.append(resident())

    _together(1, work)
    assert grown[1] - grown[0] < 30 << 20


@pytest.mark.parametrize(
    ("body", "fixed"),
    [
        ('<a b="{.}"><xsl:value-of select="name()"/></a>', True),
        ('<xsl:element name="a"><xsl:attribute name="b">c</xsl:attribute></xsl:element>', True),
        ('<xsl:for-each select="*"><xsl:sort/><xsl:number/></xsl:for-each>', True),
        ("<xsl:copy/>", False),
        ('<xsl:copy-of select="."/>', False),
        ('<xsl:element name="{name()}"/>', False),
        ('<xsl:element name="a" namespace="{.}"/>', False),
        ('<xsl:attribute name="{name()}"/>', False),
        ('<xsl:processing-instruction name="{name()}"/>', False),
        ("<xsl:value-of select=\"document('x.xml')\"/>", False),
        ('<xsl:value-of select="e:node-set(.)" xmlns:e="http://exslt.org/common"/>', False),
        ('<e:x xsl:extension-element-prefixes="e" xmlns:e="urn:e"/>', False),
        ("<xsl:unknown/>", False),
    ],
)
def test_whether_a_document_can_bring_names_into_a_result(body: str, fixed: bool) -> None:
    from lxml import etree

    from wsgikit.middleware.xslt.scan import XSL, scan

    text = f'<xsl:stylesheet version="1.0" xmlns:xsl="{XSL}"><xsl:template match="/">{body}</xsl:template>'
    assert scan(etree.ElementTree(etree.fromstring(text + "</xsl:stylesheet>")), "x").fixed_names is fixed


def test_a_file_that_is_imported_can_bring_names_as_well(bench: Any) -> None:
    copying = bench.sheet('<xsl:template match="*"><xsl:copy/></xsl:template>', "copying.xsl")
    importing = bench.sheet('<xsl:import href="copying.xsl"/><xsl:template match="/"><a/></xsl:template>')
    own = bench.sheet('<xsl:template match="/"><a/></xsl:template>', "own.xsl")
    engine = bench.engine()
    for path, fixed in ((copying, False), (importing, False), (own, True)):
        assert engine.compile(file_uri(path), Folders(engine.policy)).bundle.fixed_names is fixed


@pytest.mark.parametrize(
    "body",
    [
        '<a b="{.}"><xsl:value-of select="name()"/><xsl:comment><xsl:value-of select="."/></xsl:comment></a>',
        '<xsl:copy><xsl:copy-of select="@*"/></xsl:copy>',
    ],
)
def test_results_do_not_fill_the_memory(bench: Any, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Names of documents stay neither with a stylesheet that copies them nor with one that has names of its own."""

    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    monkeypatch.setattr(documents, "_NAMES_KEPT", 1 << 20)
    engine = bench.engine()
    path = bench.sheet(
        '<xsl:template match="/"><r><xsl:apply-templates select="*/*"/></r></xsl:template>'
        f'<xsl:template match="*">{body}</xsl:template>'
    )
    sheet = engine.compile(file_uri(path), Folders(engine.policy))
    before = 0
    for turn in range(500):
        names = "".join(f"<{'n' * 180}{turn}z{n}>{turn}t{n}</{'n' * 180}{turn}z{n}>" for n in range(400))
        assert sheet.apply(Source(f"<r>{names}</r>".encode()), {}).body
        if turn == 100:
            before = resident()
    assert resident() - before < 20 << 20


def _together(count: int, work: Any) -> None:
    failed: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if failed:
        raise failed[0]


@pytest.mark.parametrize("version", ["1.0", "3.0"])
def test_an_instruction_that_is_not_known_fails_where_it_is_reached(bench: Any, version: str) -> None:
    """libxslt leaves it out and says nothing; the page would lack what it stands for."""
    path = bench.sheet(
        '<xsl:template match="/">\n<a><xsl:if test="/group"><xsl:for-each-group select="*" group-by="."/></xsl:if>'
        "<xsl:if test='/page'><xsl:sequence><xsl:fallback>instead</xsl:fallback></xsl:sequence></xsl:if></a>"
        "</xsl:template>",
        head=f'<xsl:stylesheet version="{version}" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">',
    )
    assert b"<a/>" in bench.run(path, "<other/>").body
    if version == "3.0":  # XSLT 1.0, section 2.5: only a stylesheet of a later version falls back
        assert b"<a>instead</a>" in bench.run(path, "<page/>").body
    with pytest.raises(TransformError, match="<xsl:for-each-group> is not in XSLT") as caught:
        bench.run(path, "<group/>")
    assert (caught.value.place.file, caught.value.place.line) == (path, 2)


def test_a_method_that_the_engine_has_not(bench: Any) -> None:
    for method in ("json", "adaptive", "x:y"):
        path = bench.sheet(f'<xsl:output method="{method}" xmlns:x="urn:x"/>')
        with pytest.raises(SheetError, match="this engine cannot write that; maybe engine = 'saxon'"):
            bench.run(path)


def test_without_lxml_the_library_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lxml", None)
    with pytest.raises(ConfigError, match="needs lxml: pip install lxml"):
        make_engine("lxml", Policy())
