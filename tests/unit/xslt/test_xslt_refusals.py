"""Attacks, each with its file in `attacks/`: refused; where an unguarded engine falls for it, that is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from wsgikit.errors import ConfigError
from wsgikit.middleware.xslt.failures import Refused, SheetError, SourceError, TooLarge, TransformError
from wsgikit.middleware.xslt.policy import policy_from
from wsgikit.middleware.xslt.scan import XSL
from wsgikit.middleware.xslt.space import Folders, file_uri

SECRETS = (b"the secret", b"root:")


def unguarded(path: str, source: bytes = b"<page/>") -> Any:
    """What lxml does when it is used as its tutorial shows."""
    return etree.XSLT(etree.parse(path))(etree.fromstring(source))


def refused(bench: Any, name: str, source: bytes = b"<page/>", *allow: str, **options: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        bench.run(bench.put(name), source, *allow, **options)
    return caught.value


# Documents -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["xxe.xml", "laughs.xml", "laughs-attribute.xml"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-be", "utf-8-sig"])
def test_a_document_with_declarations_is_refused_in_every_encoding(bench: Any, name: str, encoding: str) -> None:
    error = refused(bench, "identity.xsl", bench.text(name).encode(encoding))
    assert (error.reason, error.place.file) == ("doctype", "page.xml")


def test_a_doctype_that_hides_in_utf_7_is_found_after_all(bench: Any) -> None:
    hidden = bench.text("xxe.xml").replace("<!DOCTYPE", "+ADwAIQ-DOCTYPE").replace("<", "+ADw-")
    source = '<?xml version="1.0" encoding="UTF-7"?>' + hidden
    with pytest.raises((Refused, SourceError)):
        bench.run(bench.put("identity.xsl"), source)


def test_a_doctype_that_hides_in_a_comment_of_ascii_is_found_after_all(bench: Any) -> None:
    """In UTF-7 the comment is over before the DOCTYPE; in ASCII it goes on to the root element."""

    def utf_7(text: str) -> str:
        from base64 import b64encode

        return f"+{b64encode(text.encode('utf-16-be')).decode().rstrip('=')}-"

    doctype = '<!DOCTYPE page [<!ENTITY x "y">]>'
    source = f'<?xml version="1.0" encoding="UTF-7"?><!--{utf_7("-->" + doctype + "<!--")}--><page>&x;</page>'
    assert refused(bench, "identity.xsl", source.encode()).reason == "doctype"
    assert refused(bench, "identity.xsl", source.replace("&x;", "").encode()).reason == "doctype"


@pytest.mark.parametrize(
    "head",
    ["", "\ufeff", "<?a b?c ??>", "<!-- - a <!DOCTYPE x> -->", "\n\t ", '<?xml version="1.0"?>\n<!--a-->\n<?b?>'],
)
def test_what_may_stand_before_the_root_element(bench: Any, head: str) -> None:
    sheet = bench.put("identity.xsl")
    assert b"<p>" in bench.run(sheet, f"{head}<p>x</p>").body
    declared = f'{head}<!DOCTYPE p [<!ENTITY x "y">]><p>&x;</p>'
    assert refused(bench, "identity.xsl", declared.encode()).reason == "doctype"


def test_internal_entities_can_be_permitted_and_stay_bounded(bench: Any) -> None:
    sheet = bench.put("identity.xsl")
    small = '<!DOCTYPE page [<!ENTITY me "wsgikit">]><page>&me;</page>'
    assert b"<page>wsgikit</page>" in bench.run(sheet, small, dtd="internal").body
    with pytest.raises((TooLarge, SourceError)):
        bench.run(sheet, bench.text("laughs.xml"), dtd="internal")
    with pytest.raises((TooLarge, SourceError)):
        bench.run(sheet, bench.text("laughs-attribute.xml"), dtd="internal")


@pytest.mark.parametrize("dtd", ["refuse", "unread", "internal"])
def test_external_entities_are_never_read(bench: Any, network: Callable[[], bool], dtd: str) -> None:
    for name in ("xxe.xml", "xxe-parameter.xml"):
        try:
            body = bench.run(bench.put("identity.xsl"), bench.text(name), dtd=dtd).body
        except (Refused, SourceError):
            continue
        assert not any(secret in body for secret in SECRETS)
    assert not network()


def test_a_dtd_is_never_fetched(bench: Any, network: Callable[[], bool]) -> None:
    source = bench.text("dtd-network.xml")
    assert b"text" in bench.run(bench.put("identity.xsl"), source).body
    assert not network()
    with pytest.raises(Refused, match="DOCTYPE"):
        bench.run(bench.put("identity.xsl"), source, dtd="refuse")


@pytest.mark.parametrize("doctype", ["", '<!DOCTYPE page PUBLIC "-//example//DTD page//EN" "page.dtd">'])
def test_an_entity_nobody_declared_is_told_with_its_line(bench: Any, doctype: str) -> None:
    source = doctype + "<page>\n\n" + bench.text("undeclared.xml") + "</page>"
    with pytest.raises((Refused, SourceError), match="nbsp") as caught:
        bench.run(bench.put("identity.xsl"), source)
    assert caught.value.place.line == 3


def test_an_entity_nobody_declared_is_not_lost_in_an_attribute(bench: Any) -> None:
    sheet = bench.put("identity.xsl")
    named = '<!DOCTYPE page SYSTEM "page.dtd">\n<page title="a&nbsp;b"/>'
    with pytest.raises(Refused, match="nbsp") as caught:
        bench.run(sheet, named)
    assert caught.value.place.line == 2
    assert b"a&lt;b" in bench.run(sheet, named.replace("nbsp", "lt")).body


def test_xinclude_is_only_an_element(bench: Any) -> None:
    body = bench.run(bench.put("identity.xsl"), bench.text("xinclude.xml")).body
    assert b"xi:include" in body
    assert b"root:" not in body


@pytest.mark.parametrize(
    ("limits", "source", "limit"),
    [
        ({"largest": 100}, b"<page>" + b"x" * 100 + b"</page>", "max_input"),
        ({"nodes": 100}, b"<page>" + b"<a/>" * 100 + b"</page>", "max_nodes"),
        ({"nodes": 100}, f"<page>{'<a/>' * 100}</page>".encode("utf-16"), "max_nodes"),
        ({"nodes": 100}, b"<page " + b" ".join(b'a%d="1"' % n for n in range(100)) + b"/>", "max_nodes"),
        ({"depth": 10}, b"<a>" * 11 + b"</a>" * 11, "max_depth"),
        ({}, b"<a>" * 257 + b"</a>" * 257, "max_depth"),
    ],
)  # fmt: skip
def test_limits_of_documents(bench: Any, limits: Any, source: bytes, limit: str) -> None:
    with pytest.raises(TooLarge) as caught:
        bench.run(bench.put("identity.xsl"), source, **limits)
    assert caught.value.limit == limit
    assert f"({limit})" in caught.value.text, "the option to turn"


def test_attributes_of_html_without_a_value_count_as_well(bench: Any) -> None:
    source = b"<p " + b" ".join(b"a%d" % number for number in range(200)) + b">x"
    with pytest.raises(TooLarge) as caught:
        bench.run(bench.put("identity.xsl"), source, nodes=100, kind="html")
    assert caught.value.limit == "max_nodes"
    assert bench.run(bench.put("identity.xsl"), source, nodes=300, kind="html").body


def test_entities_count_as_what_they_stand_for(bench: Any) -> None:
    source = '<!DOCTYPE p [<!ENTITY x "<a/><a/><a/><a/><a/><a/><a/><a/>">]><p>' + "&x;" * 200 + "</p>"
    with pytest.raises(TooLarge) as caught:
        bench.run(bench.put("identity.xsl"), source, nodes=1000, dtd="internal")
    assert caught.value.limit == "max_nodes"


def test_just_below_the_limits_is_let_through(bench: Any) -> None:
    sheet = bench.put("identity.xsl")
    assert bench.run(sheet, b"<p>" + b"<a/>" * 98 + b"</p>", nodes=100).body.count(b"<a/>") == 98
    assert bench.run(sheet, b"<a>" * 10 + b"</a>" * 10, depth=10).body
    source = b"<p><![CDATA[" + b"<" * 300 + b"]]></p>"
    assert bench.run(sheet, source, nodes=100, largest=len(source)).body.count(b"&lt;") == 300


# What a stylesheet reads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["document-absolute.xsl", "document-parent.xsl", "document-escaped.xsl"])
def test_document_outside_of_the_roots_is_refused(bench: Any, name: str) -> None:
    assert refused(bench, name).reason == "outside"


def test_the_secret_is_there_to_be_had(bench: Any) -> None:
    """The attacks above work where nobody refuses."""
    for name in ("document-parent.xsl", "document-escaped.xsl"):
        assert b"the secret" in bytes(unguarded(bench.put(name)))
        assert b"the secret" in bench.run(bench.put(name), roots=[bench.outside]).body


def test_a_link_in_the_root_leads_nowhere_else(bench: Any) -> None:
    (bench.root / "link.xml").symlink_to(bench.outside / "secret.xml")
    assert b"the secret" in bytes(unguarded(bench.put("document-link.xsl")))
    assert refused(bench, "document-link.xsl").reason == "outside"


@pytest.mark.parametrize(
    "href",
    ["file:///etc/passwd", "/etc/passwd", "../secret.xml", "FILE:/etc/passwd", "file://localhost/etc/passwd",
     "http://127.0.0.1:1/x", "ftp://127.0.0.1:1/x", "//127.0.0.1:1/x", "data:text/xml,<a/>", "wsgikit:/etc/passwd",
     "wsgikit://etc/passwd", "file:etc", "x.xml?y", "\\\\host\\share", "jar:file:/x!/y"],
)  # fmt: skip
def test_a_document_cannot_choose_files_for_its_stylesheet(bench: Any, href: str) -> None:
    source = etree.tostring(etree.Element("page", href=href))
    with pytest.raises((Refused, SheetError, TransformError)) as caught:
        bench.run(bench.put("document-chosen.xsl"), source)
    assert not any(secret.decode() in caught.value.whole for secret in SECRETS)


def test_relative_to_the_source_there_is_nothing(bench: Any) -> None:
    bench.put("secret.xml", "<secret>the secret</secret>")
    assert refused(bench, "document-of-source.xsl").reason == "outside"


def test_no_stylesheet_reaches_the_network(bench: Any, network: Callable[[], bool]) -> None:
    for name in ("document-network.xsl", "import-network.xsl"):
        assert refused(bench, name).reason == "network"
    assert not network()


def test_a_document_read_by_document_is_not_trusted_either(bench: Any) -> None:
    bench.put("xxe.xml")
    with pytest.raises((Refused, SheetError, TransformError)):
        bench.run(bench.put("document-xxe.xsl"))


@pytest.mark.parametrize("name", ["import-outside.xsl", "include-parent.xsl", "import-base.xsl"])
def test_import_outside_of_the_roots_is_refused(bench: Any, name: str) -> None:
    path = bench.put(name)
    assert b"<other/>" in bytes(
        etree.XSLT(etree.parse(path), access_control=etree.XSLTAccessControl.DENY_ALL)(etree.XML("<a/>"))
    )
    error = refused(bench, name)
    assert (error.reason, error.place.file) == ("outside", path)
    assert error.place.line == 1


def test_a_stylesheet_that_imports_itself_is_an_error(bench: Any) -> None:
    with pytest.raises(SheetError):
        bench.run(bench.put("import-cycle.xsl"))


def test_an_entity_of_a_stylesheet_comes_from_the_roots_or_not_at_all(bench: Any) -> None:
    assert refused(bench, "entity.xsl").reason == "doctype"
    assert refused(bench, "entity.xsl", b"<page/>", "entities").reason == "outside"
    inside = bench.text("entity.xsl").replace("file:///" + bench.words["OUTSIDE"] + "/", "")
    bench.put("secret.xml", "inside the root")
    assert b"inside the root" in bench.run(bench.put("own.xsl", inside), b"<page/>", "entities").body


# What a stylesheet does ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["write-exsl.xsl", "write-xsl.xsl", "write-xalan.xsl", "write-saxon.xsl"])
def test_no_stylesheet_writes_a_file(bench: Any, name: str) -> None:
    target = bench.root / "written.xml"
    unguarded(bench.put(name))
    assert target.exists(), "the attack does not work even unguarded"
    target.unlink()
    assert refused(bench, name).reason == "write"
    assert not target.exists()


@pytest.mark.parametrize("name", ["dynamic.xsl", "dynamic-attribute.xsl", "dynamic-saxon.xsl", "import-innocent.xsl"])
def test_xpath_made_at_run_time_is_refused_in_every_file(bench: Any, name: str) -> None:
    bench.put("dynamic.xsl")
    error = refused(bench, name)
    assert error.reason == "dynamic"
    assert error.place.line in (1, 2)
    bench.run(bench.put(name), b"<page code='1'/>", "dynamic")


def test_what_the_scan_would_miss_meets_a_second_wall(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from wsgikit.middleware.xslt import scan

    monkeypatch.setattr(scan, "_CALL", scan.re.compile("nothing is found by this"))
    assert refused(bench, "dynamic.xsl", b"<page code='1 + 1'/>").reason == "dynamic"
    assert refused(bench, "dynamic-saxon.xsl").reason == "dynamic"


def test_regular_expressions_are_refused(bench: Any) -> None:
    assert refused(bench, "regexp.xsl").reason == "regexp"
    harmless = bench.text("regexp.xsl").replace("a!'", "a'").replace("(a+)+$", "a+$")
    assert b"true" in bench.run(bench.put("harmless.xsl", harmless), b"<page/>", "regexp").body


def test_functions_that_a_program_registered_are_refused(bench: Any) -> None:
    functions = etree.FunctionNamespace("urn:a-program-has-registered")
    functions["secret"] = lambda context: "the secret"
    try:
        assert b"the secret" in bytes(unguarded(bench.put("extension.xsl")))
        assert refused(bench, "extension.xsl").reason == "extensions"
        assert b"the secret" in bench.run(bench.put("extension.xsl"), b"<page/>", "extensions").body
    finally:
        del functions["secret"]


@pytest.mark.parametrize(
    ("prefix", "call"),
    [
        ("p\u00b7", "p\u00b7:secret()"),
        ("pe\u0301", "pe\u0301:secret()"),
        ("p", "3e--p:secret()"),
        ("p", "..-p:secret ()"),
    ],
)
def test_a_call_is_seen_whatever_its_prefix_looks_like(bench: Any, prefix: str, call: str) -> None:
    functions = etree.FunctionNamespace("urn:a-program-has-registered")
    functions["secret"] = lambda context: "the secret"
    head = f'<xsl:stylesheet version="1.0" xmlns:xsl="{XSL}" xmlns:{prefix}="urn:a-program-has-registered">'
    path = bench.sheet(f'<xsl:template match="/"><o><xsl:value-of select="{call}"/></o></xsl:template>', head=head)
    try:
        assert etree.XSLT(etree.parse(path))(etree.XML("<a/>")) is not None, "the engine takes it for a call"
        with pytest.raises(Refused) as caught:
            bench.run(path)
        assert caught.value.reason == "extensions"
    finally:
        del functions["secret"]


def test_recursion_without_end_ends(bench: Any) -> None:
    with pytest.raises(TransformError, match="recursion"):
        bench.run(bench.put("recursion.xsl"))


def test_a_result_that_is_too_large_is_not_sent(bench: Any) -> None:
    with pytest.raises(TooLarge) as caught:
        bench.run(bench.put("flood.xsl"), output=1 << 20)
    assert caught.value.limit == "max_output"
    assert len(bench.run(bench.put("flood.xsl"), output=1 << 23).body) == 16 * (2**18 - 1)


@pytest.mark.parametrize(
    "value",
    ["x", "'", '"', "it's \"both\"", "'] | //secret | //*['", "document('file:///etc/passwd')", "{1+1}", "&lt;", "<b/>",
     "\u00e9\u4e2d\U0001f600", ""],
)  # fmt: skip
def test_a_parameter_is_a_text_whatever_is_in_it(bench: Any, value: str) -> None:
    sheet = bench.sheet('<xsl:param name="p"/><xsl:template match="/"><xsl:value-of select="$p"/></xsl:template>'
                        '<xsl:output method="text" encoding="utf-8"/>')  # fmt: skip
    assert bench.run(sheet, parameters={"p": value}).body.decode() == value


def test_files_of_a_stylesheet_are_counted(bench: Any) -> None:
    for number in range(5):
        bench.sheet(f'<xsl:import href="{number + 1}.xsl"/>', f"{number}.xsl")
    path = bench.sheet("", "5.xsl")
    assert bench.run(str(Path(path).with_name("0.xsl")), files=6).body is not None
    with pytest.raises(TooLarge) as caught:
        bench.run(str(Path(path).with_name("0.xsl")), files=5)
    assert caught.value.limit == "files"
    with pytest.raises(TooLarge) as caught:
        bench.run(str(Path(path).with_name("0.xsl")), sheets=200)
    assert caught.value.limit == "max_sheets"


def test_only_regular_files_are_read(bench: Any) -> None:
    import os

    os.mkfifo(bench.root / "pipe.xsl")
    (bench.root / "folder.xsl").mkdir()
    for name in ("pipe.xsl", "folder.xsl", "none.xsl"):
        with pytest.raises(SheetError, match="cannot be read"):
            bench.run(str(bench.root / name))


def test_a_host_of_one_letter_is_no_folder(bench: Any) -> None:
    bench.sheet('<xsl:template match="/"><found/></xsl:template>', "common.xsl")
    path = bench.sheet(f'<xsl:import href="http://x{bench.root}/common.xsl"/>')
    with pytest.raises(Refused) as caught:
        bench.run(path)
    assert caught.value.reason == "network"
    path = bench.sheet('<xsl:import href="http://x/common.xsl"/>')
    assert b"<found/>" in bench.run(path, uris={"http://x/": str(bench.root)}).body


def test_uris_can_stand_for_folders_in_the_roots(bench: Any) -> None:
    bench.sheet('<xsl:template match="/"><found/></xsl:template>', "common.xsl")
    path = bench.sheet('<xsl:import href="http://styles.example/1.0/common.xsl"/>')
    uris = {"http://styles.example/1.0/": str(bench.root)}
    assert b"<found/>" in bench.run(path, uris=uris).body
    bench.put("data.xml", "<data/>")
    reading = "<xsl:template match='/'><xsl:copy-of select=\"document('http://styles.example/1.0/data.xml')\"/></xsl:template>"
    assert b"<data/>" in bench.run(bench.sheet(reading, "reading.xsl"), uris=uris).body
    with pytest.raises(Refused, match=r"other\.example"):
        bench.run(bench.sheet(reading.replace("styles.", "other."), "reading.xsl"), uris=uris)
    outside = bench.sheet('<xsl:import href="http://styles.example/1.0/../other.xsl"/>')
    with pytest.raises(Refused):
        bench.run(outside, uris=uris)


def test_wrong_options_are_named() -> None:
    for options, text in (
        ({"allow": ["everything"]}, "allow"),
        ({"roots": ["/no/such"]}, "roots"),
        ({"dtd": "x"}, "dtd"),
    ):
        with pytest.raises(ConfigError, match=text):
            policy_from([], **options)  # type: ignore[arg-type]


def test_the_first_thing_refused_is_told_with_all_files_to_watch(bench: Any) -> None:
    bench.put("dynamic.xsl")
    path = bench.put("import-innocent.xsl")
    engine = bench.engine()
    with pytest.raises(Refused) as caught:
        engine.compile(file_uri(path), Folders(engine.policy))
    names = {dependency.uri.rpartition("/")[2] for dependency in caught.value.dependencies}  # type: ignore[attr-defined]
    assert names >= {"dynamic.xsl", "import-innocent.xsl"}
