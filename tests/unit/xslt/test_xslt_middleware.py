"""The middleware: which stylesheet, document or page, failures, results that are kept, and what streams."""

from __future__ import annotations

import io
import logging
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from wsgi_gateway import FileWrapper, drive, make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware.xslt import XSLT
from wsgikit.middleware.xslt.negotiation import Negotiation

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def saying(bench: Any, word: str, name: str) -> str:
    return str(bench.sheet(f'<xsl:output method="html"/><xsl:template match="/"><i>{word}</i></xsl:template>', name))


def word(seen: Any) -> str:
    assert seen.error is None
    return str(seen.body.decode().partition("<i>")[2].partition("</i>")[0])


# Which stylesheet ----------------------------------------------------------------------------------------------------


def test_the_first_rule_that_fits_is_taken(bench: Any, app_class: Any, browse: Any) -> None:
    rules = [
        {"path": "/a/*.xml", "stylesheet": saying(bench, "path", "1.xsl")},
        {"path": "/a/**", "types": ["text/xml"], "stylesheet": saying(bench, "type", "2.xsl")},
        {"root": "{urn:n}page", "stylesheet": saying(bench, "namespace", "3.xsl")},
        {"root": ["other", "page"], "stylesheet": saying(bench, "root", "4.xsl")},
    ]
    app = app_class()
    layer = XSLT(app, rules=rules, stylesheet=saying(bench, "rest", "5.xsl"))
    for path, media, body, expected in (
        ("/a/x.xml", "application/xml", b"<page/>", "path"),
        ("/a/b/x.xml", "text/xml", b"<page/>", "type"),
        ("/a/b/x.xml", "application/xml", b"<page/>", "root"),
        ("/", "application/xml", b'<page xmlns="urn:n"/>', "namespace"),
        ("/", "application/xml", b'<n:page xmlns:n="urn:n"/>', "namespace"),
        ("/", "application/xml", b"<?x?><!-- c --><other/>", "root"),
        ("/", "application/xml", b"<none/>", "rest"),
        ("/", "application/xml", "<page/>".encode("utf-16"), "root"),
    ):
        app.media, app.body = media, body
        for blocks in (None, 2):
            app.blocks = blocks
            assert (path, word(browse(layer, path=path))) == (path, expected)


def test_a_document_that_no_rule_fits_passes(bench: Any, app_class: Any, browse: Any) -> None:
    sheet = saying(bench, "x", "1.xsl")
    app = app_class(b"<none/>", ETag='"1"', Content_MD5="m", Content_Length="7")
    for blocks in (None, 3):
        app.blocks = blocks
        seen = browse(XSLT(app, rules=[{"root": "page", "stylesheet": sheet}]))
        assert (seen.body, seen.get("ETag"), seen.get("Content-MD5")) == (app.body, '"1"', "m")
        assert (seen.get("Content-Type"), seen.get("Content-Length")) == ("application/xml", "7")
    layer = XSLT(app, rules=[{"path": "/only/*", "stylesheet": sheet}])
    seen = browse(layer, path="/x.xml")
    assert (seen.body, seen.get("Vary")) == (app.body, None)


def test_a_chain(bench: Any, app_class: Any, browse: Any) -> None:
    first = bench.sheet('<xsl:template match="/"><mid><xsl:value-of select="*"/></mid></xsl:template>', "1.xsl")
    second = bench.sheet(
        '<xsl:output method="html"/><xsl:template match="/mid"><i><xsl:value-of select="."/>!</i></xsl:template>',
        "2.xsl",
    )
    layer = XSLT(app_class(), stylesheet=[first, second])
    assert word(browse(layer)) == "text!"


def test_parameters(bench: Any, app_class: Any, browse: Any) -> None:
    names = ("text", "number", "header", "query", "environ", "default", "xpath", "none")
    declared = "".join(f'<xsl:param name="{name}" select="\'-\'"/>' for name in names)
    all_of_them = ", '|', ".join("$" + name for name in names)
    sheet = bench.sheet(
        f'<xsl:output method="html" encoding="utf-8"/>{declared}<xsl:template match="/"><i>'
        f'<xsl:value-of select="concat({all_of_them})"/></i></xsl:template>'
    )
    params = {
        "text": "it's",
        "number": 5,
        "header": {"header": "X-Who"},
        "query": {"query": "q"},
        "environ": {"environ": "REMOTE_USER"},
        "default": {"query": "absent", "default": "d"},
        "xpath": {"xpath": "count(//*)"},
        "none": {"header": "X-None"},
    }
    layer = XSLT(app_class(b"<a><b/></a>"), stylesheet=sheet, params=params)
    seen = browse(
        layer,
        QUERY_STRING="q=%C3%A9+1&q=2",
        HTTP_X_WHO="caf\u00e9".encode().decode("latin-1"),
        REMOTE_USER="document('/etc/passwd')",
    )
    assert word(seen) == "it's|5|caf\u00e9|\u00e9 1|document('/etc/passwd')|d|2|-"
    assert seen.get("Vary") == "Accept, X-Who, X-None"
    raw = "q=\u00e9".encode().decode("latin-1")
    assert word(browse(layer, QUERY_STRING=raw)).split("|")[3] == "\u00e9", "as other servers let it through"
    assert word(browse(layer, QUERY_STRING="q=%00%01x", HTTP_X_WHO="'\"]")).split("|")[2:4] == ["'\"]", "\ufffd\ufffdx"]


def test_rules_have_parameters_of_their_own(bench: Any, app_class: Any, browse: Any) -> None:
    sheet = bench.sheet(
        '<xsl:output method="html"/><xsl:param name="a"/><xsl:param name="b"/>'
        '<xsl:template match="/"><i><xsl:value-of select="concat($a, $b)"/></i></xsl:template>'
    )
    rules = [{"path": "/x", "stylesheet": sheet, "params": {"a": "2"}}]
    layer = XSLT(app_class(), rules=rules, stylesheet=sheet, params={"a": "1", "b": "c"})
    assert (word(browse(layer, path="/x")), word(browse(layer, path="/y"))) == ("2c", "1c")


def test_html_is_a_source_too(bench: Any, app_class: Any, browse: Any) -> None:
    theme = bench.sheet(
        '<xsl:output method="html"/><xsl:template match="/html"><html><i><xsl:value-of select="body/p[1]"/></i></html>'
        "</xsl:template>"
    )
    app = app_class(b"<!DOCTYPE html><title>t</title><p>one<p>two &nbsp;", "text/html; charset=utf-8")
    seen = browse(XSLT(app, stylesheet=theme, html="libxml2"), HTTP_ACCEPT="application/xml")
    assert (word(seen), seen.get("Vary"), seen.get("Content-Type")) == ("one", None, "text/html; charset=utf-8")
    assert b"<p>one" in browse(XSLT(app, stylesheet=theme)).body
    pytest.importorskip("html5lib", reason="pip install html5lib")
    assert word(browse(XSLT(app, stylesheet=theme, html="html5lib"))) == "one"


# The document's own instruction --------------------------------------------------------------------------------------

PI = '<?xml-stylesheet type="text/xsl" href="{}"?>'


class Site:
    """An app with several URLs, as a static folder has them."""

    def __init__(self, files: dict[str, tuple[str, str]]) -> None:
        self.files = files
        self.asked: list[dict[str, Any]] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.asked.append(environ)
        found = self.files.get(environ["PATH_INFO"])
        if found is None:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"not here"]
        start_response("200 OK", [("Content-Type", found[0])])
        return [found[1].encode()]


def site(bench: Any, href: str = "/style/page.xsl") -> Site:
    inner = Path(saying(bench, "inner", "s.xsl")).read_text()
    page = inner.replace("<xsl:output", '<xsl:import href="base.xsl"/><xsl:output').replace("inner", "page")
    return Site(
        {
            "/docs/a.xml": ("application/xml", PI.format(href) + "<a/>"),
            "/style/page.xsl": ("text/xsl", page),
            "/style/base.xsl": ("text/xsl", inner),
        }
    )


def test_an_instruction_is_followed_only_when_asked(bench: Any, browse: Any, page_sheet: str) -> None:
    app = site(bench)
    assert (
        b"<?xml-stylesheet"
        in browse(XSLT(app, rules=[{"path": "/x", "stylesheet": page_sheet}]), path="/docs/a.xml").body
    )
    seen = browse(XSLT(app, follow="app"), path="/docs/a.xml")
    assert word(seen) == "page"
    assert [environ["PATH_INFO"] for environ in app.asked[1:]] == ["/docs/a.xml", "/style/page.xsl", "/style/base.xsl"]


@pytest.mark.parametrize(
    "href",
    ["/style/page.xsl", "../style/page.xsl", "http://shop.example/style/page.xsl", "/style/%70age.xsl",
     "../../../style/./page.xsl"],
)  # fmt: skip
def test_hrefs_inside_the_app(bench: Any, browse: Any, href: str) -> None:
    assert word(browse(XSLT(site(bench, href), follow="app"), path="/docs/a.xml")) == "page"


@pytest.mark.parametrize(
    "href",
    ["http://evil.example/x.xsl", "//evil.example/x.xsl", "https://shop.example/style/page.xsl", "file:///etc/passwd",
     "ftp://shop.example/x", "data:text/xsl,x", "/missing.xsl", "#embedded", "http://shop.example:81/style/page.xsl"],
)  # fmt: skip
def test_hrefs_anywhere_else_are_refused(bench: Any, browse: Any, href: str) -> None:
    app = site(bench, href)
    seen = browse(XSLT(app, follow="app", debug=True), path="/docs/a.xml", HTTP_ACCEPT="text/html")
    assert seen.code == 500
    assert all(environ["PATH_INFO"].startswith(("/docs", "/missing")) for environ in app.asked)


def test_an_import_of_another_host_is_refused(bench: Any, browse: Any) -> None:
    app = site(bench)
    media, text = app.files["/style/page.xsl"]
    app.files["/style/page.xsl"] = (media, text.replace("base.xsl", "http://evil.example/x.xsl"))
    assert browse(XSLT(app, follow="app"), path="/docs/a.xml").code == 500


def test_the_internal_request_is_nobodys(bench: Any, browse: Any) -> None:
    app = site(bench)
    browse(
        XSLT(app, follow="app"), path="/docs/a.xml", HTTP_COOKIE="secret", HTTP_AUTHORIZATION="Basic x",
        HTTP_IF_NONE_MATCH='"x"', HTTP_RANGE="bytes=0-1", CONTENT_LENGTH="5", QUERY_STRING="a=b",
    )  # fmt: skip
    inside = app.asked[-1]
    assert (inside["REQUEST_METHOD"], inside["QUERY_STRING"], inside["wsgi.input"].read()) == ("GET", "", b"")
    assert {name for name in inside if name.startswith(("HTTP_", "CONTENT_"))} == {"HTTP_HOST"}


def test_a_change_in_the_app_is_seen(bench: Any, browse: Any) -> None:
    app = site(bench)
    layer = XSLT(app, follow="app", check=0)
    first = browse(layer, path="/docs/a.xml")
    assert browse(layer, path="/docs/a.xml", HTTP_IF_NONE_MATCH=first.get("ETag")).code == 304
    media, text = app.files["/style/page.xsl"]
    app.files["/style/page.xsl"] = (media, text.replace("<i>page", "<i>new"))
    again = browse(layer, path="/docs/a.xml", HTTP_IF_NONE_MATCH=first.get("ETag"))
    assert (again.code, word(again)) == (200, "new")


def test_an_app_that_fails_over_a_stylesheet(bench: Any, browse: Any) -> None:
    app, fails = site(bench), True

    def failing(environ: Any, start_response: Any) -> Any:
        if fails and environ["PATH_INFO"] == "/style/page.xsl":
            raise ValueError("no disk")
        return app(environ, start_response)

    errors = io.StringIO()
    seen = browse(XSLT(failing, follow="app", on_error="pass"), path="/docs/a.xml", **{"wsgi.errors": errors})
    assert (seen.error, seen.body) == (None, app.files["/docs/a.xml"][1].encode())
    assert "ValueError: no disk" in errors.getvalue()
    layer = XSLT(failing, follow="app", check=0)
    fails = False
    assert word(browse(layer, path="/docs/a.xml")) == "page"
    fails = True
    assert word(browse(layer, path="/docs/a.xml")) == "page", "the last good one stays in use"


@pytest.mark.parametrize(("depth", "code"), [(1, 500), (2, 200)])
def test_requests_within_requests_have_an_end(bench: Any, browse: Any, depth: int, code: int) -> None:
    """A stylesheet that an inner layer makes out of another one: a request within a request."""
    copy = PI.format("/copy.xsl") + bench.text("identity.xsl").replace("<out>", "").replace("</out>", "")
    app = Site({"/made.xsl": ("text/xml", copy), "/copy.xsl": ("text/xsl", copy.partition("?>")[2])})
    inner = XSLT(app, follow="app", depth=depth)

    def outside(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/a.xml":
            return inner(environ, start_response)
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [PI.format("/made.xsl").encode(), b"<a/>"]

    seen = browse(XSLT(outside, follow="app", depth=depth), path="/a.xml", HTTP_ACCEPT="text/html")
    assert seen.code == code


def test_a_folder_stands_for_the_site(bench: Any, browse: Any) -> None:
    saying(bench, "folder", "page.xsl")
    app = Site(
        {
            "/d/a.xml": ("text/xml", PI.format("../page.xsl") + "<a/>"),
            "/b.xml": ("text/xml", PI.format("/../secret.xml") + "<a/>"),
        }
    )
    layer = XSLT(app, follow="folder", folder=str(bench.root))
    assert word(browse(layer, path="/d/a.xml")) == "folder"
    assert word(browse(layer, path="/d/a.xml", SCRIPT_NAME="/mnt")) == "folder"
    assert browse(layer, path="/b.xml").code == 500
    app.files["/b.xml"] = ("text/xml", PI.format("/page.xsl%00") + "<a/>")
    seen = browse(layer, path="/b.xml")
    assert (seen.error, seen.code) == (None, 500), "no such file, and no crash"
    app.files["/d/a.xml"] = ("text/xml", PI.format("/elsewhere.xsl") + "<a/>")
    assert browse(layer, path="/d/a.xml", SCRIPT_NAME="/mnt").code == 500


def test_a_stylesheet_of_the_document_gets_parameters_that_vary(bench: Any, browse: Any) -> None:
    saying(bench, "folder", "page.xsl")
    app = Site({"/a.xml": ("text/xml", PI.format("/page.xsl") + "<a/>")})
    layer = XSLT(app, follow="folder", folder=str(bench.root), params={"p": {"header": "X-Who"}})
    seen = browse(layer, path="/a.xml")
    assert seen.get("Vary") == "Accept, X-Who"
    assert browse(layer, path="/a.xml", HTTP_IF_NONE_MATCH=seen.get("ETag")).get("Vary") == "Accept, X-Who"


@pytest.mark.parametrize(
    ("instruction", "used"),
    [
        ('type="text/xsl" href="/s.xsl"', True),
        ("href='/s.xsl' type='application/xslt+xml'", True),
        ('type="text/xml" href="/s.xsl"', True),
        ('type="text/css" href="/s.xsl"', False),
        ('href="/s.xsl"', False),
        ('type="text/xsl" href="/s.xsl" alternate="yes"', False),
        ('type="text/xsl"', False),
        ('type="text/xsl" href="/s.xsl?a=1&amp;b=2"', True),
        ('type="text&#47;xsl" href="&#x2F;s.xsl"', True),
    ],
)
def test_which_instruction_counts(bench: Any, browse: Any, instruction: str, used: bool) -> None:
    sheet = (bench.root / saying(bench, "used", "s.xsl")).read_text()
    app = Site({"/a.xml": ("text/xml", f"<?xml-stylesheet {instruction}?><a/>"), "/s.xsl": ("text/xsl", sheet)})
    fallback = saying(bench, "rule", "rule.xsl")
    assert word(browse(XSLT(app, follow="app", stylesheet=fallback), path="/a.xml")) == ("used" if used else "rule")


# Document or page ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "source", "is_source"),
    [
        (BROWSER, "application/xml", False),
        (BROWSER, "application/rss+xml", False),
        ("", "application/xml", False),
        ("", "application/rss+xml", True),
        ("*/*", "application/xml", False),
        ("*/*", "application/atom+xml", True),
        ("application/xml", "application/xml", True),
        ("application/rss+xml, application/xml;q=0.9, */*;q=0.1", "application/rss+xml", True),
        ("application/atom+xml, text/html;q=0.8", "application/atom+xml", True),
        ("text/html;q=0.8, application/xml;q=0.9", "application/xml", True),
        ("text/html;q=0.9, application/xml;q=0.8", "application/xml", False),
        ("text/html, */*;q=0", "application/xml", False),
        ("text/*, application/xml;q=0.5", "text/xml", False),
        ("image/png", "application/xml", False),
        ("image/png", "application/rss+xml", False),
        ("TEXT/HTML;level=1, application/xml;q=0.2", "application/xml", False),
        ("application/xml;q=nonsense, text/html;q=2", "application/xml", False),
    ],
)
def test_accept_decides(
    app_class: Any, browse: Any, page_sheet: str, accept: str, source: str, is_source: bool
) -> None:
    app = app_class(media=source)
    seen = browse(XSLT(app, stylesheet=page_sheet), HTTP_ACCEPT=accept)
    assert (seen.body == app.body) is is_source
    assert seen.get("Vary") == "Accept"


def test_undecided_and_overrides(app_class: Any, browse: Any, page_sheet: str) -> None:
    app = app_class(media="application/rss+xml")

    def is_source(accept: str = "*/*", query: str = "", forced: bool = False, **options: Any) -> bool:
        seen = browse(XSLT(app, stylesheet=page_sheet, **options), HTTP_ACCEPT=accept, QUERY_STRING=query)
        assert seen.get("Vary") == ("Accept" if options.get("negotiate", True) and not forced else None)
        return bool(seen.body == app.body)

    assert not is_source(undecided="transform")
    assert is_source(undecided="source")
    assert not is_source("application/rss+xml", negotiate=False)
    assert is_source("text/html", query="a=1&format=xml", forced=True)
    assert not is_source("application/rss+xml", query="format=html", forced=True)
    assert not is_source(BROWSER, query="xformat=xml&format=xmlx", undecided="transform")
    app.media = "application/xml"
    assert is_source(undecided="source")
    assert is_source("text/html", query="as=xml&x=format=", forced=True, format_parameter="as")


def test_the_source_is_untouched(app_class: Any, browse: Any, page_sheet: str) -> None:
    app = app_class(ETag='"1"', Content_Encoding="gzip", Accept_Ranges="bytes", Content_Length="17")
    app.file = True
    seen = browse(XSLT(app, stylesheet=page_sheet), HTTP_ACCEPT="application/xml", **{"wsgikit.on_close": True})
    assert isinstance(seen.returned, FileWrapper)
    assert (seen.get("ETag"), seen.get("Content-Encoding"), seen.get("Accept-Ranges")) == ('"1"', "gzip", "bytes")


def test_xml_made_of_xml_is_not_negotiated_away(bench: Any, app_class: Any, browse: Any) -> None:
    sheet = bench.sheet('<xsl:output method="xml"/><xsl:template match="/"><i>made</i></xsl:template>')
    assert word(browse(XSLT(app_class(), stylesheet=sheet), HTTP_ACCEPT="application/xml")) == "made"


def test_a_media_type_with_a_charset_is_still_a_page(bench: Any, app_class: Any, browse: Any) -> None:
    sheet = bench.sheet(
        '<xsl:output media-type="text/html; charset=utf-8"/><xsl:template match="/"><p/></xsl:template>'
    )
    app = app_class()
    for _ in range(2):
        seen = browse(XSLT(app, stylesheet=sheet), HTTP_ACCEPT=BROWSER)
        assert (seen.get("Content-Type"), seen.body != app.body) == ("text/html; charset=utf-8", True)


def test_what_a_document_says_makes_no_lines_in_the_log(
    bench: Any, app_class: Any, browse: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sheet = bench.sheet(
        '<xsl:template match="/"><xsl:message terminate="yes"><xsl:value-of select="."/></xsl:message></xsl:template>'
    )
    browse(XSLT(app_class(b"<a>one\n[ERROR] two&#x85;three</a>"), stylesheet=sheet))
    assert [record.getMessage().partition("main.xsl: ")[2] for record in caplog.records] == ["one [ERROR] two three"]


def test_a_type_that_is_refused_by_name_is_not_accepted_by_a_star() -> None:
    negotiation = Negotiation(undecided="source")
    wish = negotiation.wish({"HTTP_ACCEPT": "application/xml;q=0, */*"})
    assert not wish.wants_source("application/xml", "text/html")
    assert negotiation.wish({"HTTP_ACCEPT": "application/xml, text/*;q=0.5"}).wants_source("text/xml", "text/html")


def test_leaning_is_only_told_when_it_is_sure() -> None:
    def leaning(accept: str, **options: Any) -> str:
        return Negotiation(**options).wish({"HTTP_ACCEPT": accept}).leaning({"text/html"})

    assert leaning(BROWSER) == "result"
    assert leaning("text/html") == "result"
    assert leaning("*/*") == ""
    assert leaning("application/rss+xml;q=0.9, text/html;q=0.5") == ""
    assert leaning("text/html;q=0") == "result"
    assert leaning("text/html;q=0, */*") == "source"
    assert leaning("x/y", enabled=False) == "result"


# Failures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [None, 3])
@pytest.mark.parametrize(("policy", "code"), [("500", 500), ("502", 502), ("pass", 200)])
def test_a_source_that_is_broken(
    app_class: Any, browse: Any, page_sheet: str, blocks: Any, policy: str, code: int
) -> None:
    app = app_class(b"<page>broken", ETag='"1"', Set_Cookie="a=b", Content_Length="12")
    app.blocks = blocks
    seen = browse(XSLT(app, stylesheet=page_sheet, on_error=policy))
    assert (seen.error, seen.code) == (None, code)
    assert seen.get("Set-Cookie") == "a=b"
    assert seen.get("Content-Length") == str(len(seen.body))
    if policy == "pass":
        assert (seen.body, seen.get("ETag"), seen.get("Content-Type")) == (app.body, '"1"', "application/xml")
    else:
        assert (seen.get("ETag"), seen.get("Cache-Control")) == (None, "no-store")
        assert seen.get("Content-Type") == "text/html; charset=utf-8"
        assert b"broken" not in seen.body
        assert b"1:13" not in seen.body
    assert app.closed == int(blocks is not None)


def test_the_log_and_in_debug_the_page_say_where(
    app_class: Any, browse: Any, page_sheet: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_class(b"<page>\n<b></page>")
    seen = browse(XSLT(app, stylesheet=page_sheet, debug=True), path="/a.xml", **{"wsgikit.request_id": "id-7"})
    assert b"/a.xml:2:11: is not well-formed" in seen.body
    assert b"id-7" in seen.body
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "wsgikit.xslt"
    assert "/a.xml:2:11: is not well-formed" in record.getMessage()
    assert record.getMessage().endswith("(request id id-7)")


def test_a_failing_stylesheet_says_its_file_and_line(
    bench: Any, app_class: Any, browse: Any, caplog: pytest.LogCaptureFixture
) -> None:
    path = bench.sheet('\n<xsl:template match="/"><a/>\n<xsl:value-of select="$x"/></xsl:template>')
    seen = browse(XSLT(app_class(), stylesheet=path, debug=True))
    assert seen.code == 500
    assert f"{path}:3" in caplog.text
    assert f"{path}:3".encode() in seen.body


@pytest.mark.parametrize("blocks", [None, 4])
@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        ("404 Not found", "404 Not found", b"Not found"),
        ("410", "410 Gone", b"Gone"),
        ("  503   Come back\n later ", "503 Come back later", b"Come back later"),
        ("451 \u00dcber", "451 Unavailable For Legal Reasons", "\u00dcber".encode()),
        ("499 x", "499 x", b"x"),
        ("\n404\n\nNo such page\n", "404 No such page", b"No such page"),
        ("200 OK", "500 Internal Server Error", b""),
        ("302 Elsewhere", "500 Internal Server Error", b""),
        ("404x", "500 Internal Server Error", b""),
        ("nothing of the kind", "500 Internal Server Error", b""),
    ],
)
def test_a_stylesheet_can_choose_a_status(
    bench: Any, app_class: Any, browse: Any, text: str, status: str, told: bytes, blocks: Any
) -> None:
    sheet = bench.sheet(
        f'<xsl:template match="/"><html/><xsl:message terminate="yes">{text}</xsl:message></xsl:template>'
    )
    app = app_class(ETag='"1"')
    app.blocks = blocks
    seen = browse(XSLT(app, stylesheet=sheet))
    assert seen.status == status
    assert told in seen.body
    assert (seen.get("ETag"), seen.get("Content-Length")) == (None, str(len(seen.body)))
    json = browse(XSLT(app, stylesheet=sheet), HTTP_ACCEPT="application/problem+json, text/html;q=0.5")
    assert json.get("Content-Type") == "application/problem+json"


def test_messages_go_to_the_log(bench: Any, app_class: Any, browse: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sheet = bench.sheet(
        '<xsl:template match="/"><xsl:message>one&#10;two</xsl:message><xsl:if test="/end">'
        '<xsl:message terminate="yes">404 no</xsl:message></xsl:if><a/></xsl:template>'
    )
    for options, level in (({}, logging.INFO), ({"messages": "warning"}, logging.WARNING), ({"messages": "off"}, None)):
        caplog.clear()
        browse(XSLT(app_class(), stylesheet=sheet, **options), **{"wsgikit.request_id": "id-7"})
        found = [(r.levelno, r.getMessage()) for r in caplog.records if r.name == "wsgikit.xslt" and "message" in r.msg]
        expected = [(level, "GET '/page.xml': message 'one\\ntwo' (request id id-7)")] if level else []
        assert found == expected
    caplog.clear()
    assert browse(XSLT(app_class(b"<end/>"), stylesheet=sheet)).code == 404
    assert [r.getMessage().count("404 no") for r in caplog.records if r.name == "wsgikit.xslt"].count(1) == 1


@pytest.mark.parametrize("shape", ["list", "blocks", "declared", "file", "big file"])
@pytest.mark.parametrize(("policy", "code"), [("pass", 200), ("413", 413), ("500", 500), ("502", 502)])
def test_a_source_that_is_too_large(
    app_class: Any, browse: Any, page_sheet: str, shape: str, policy: str, code: int
) -> None:
    app = app_class(b"<page>" + b"x" * 500 + b"</page>", ETag='"1"')
    app.blocks = {"list": None, "blocks": 20, "declared": 20, "file": None, "big file": None}[shape]
    app.file = "file" in shape
    if shape in ("declared", "file"):
        app.fields["Content_Length"] = str(len(app.body))
    seen = browse(XSLT(app, stylesheet=page_sheet, max_input=100, too_large=policy))
    assert (seen.error, seen.code) == (None, code)
    if policy == "pass":
        assert (seen.body, seen.get("ETag"), seen.get("Content-Type")) == (app.body, '"1"', "application/xml")
    else:
        assert b"xxx" not in seen.body
        assert seen.get("Content-Length") == str(len(seen.body))
        if shape == "blocks":
            assert app.read <= 5, "read on after the limit"
    assert app.closed == (1 if shape in ("blocks", "declared") else 0)


def test_what_passes_the_limit_streams_on(app_class: Any, page_sheet: str) -> None:
    app = app_class(b"<page>" + b"x" * 500 + b"</page>")
    app.blocks = 10
    given: list[Any] = []
    body = iter(
        XSLT(app, stylesheet=page_sheet, max_input=120)(
            make_environ(HTTP_ACCEPT="text/html"), lambda *a: given.append(a) or bytes
        )
    )
    sizes = []
    for number, block in enumerate(body, 1):
        sizes.append(len(block))
        assert app.read == number
    assert sizes[:2] == [0, 0]
    assert sizes[2] == 3 * sizes[3]
    assert [len(call) for call in given] == [2, 3], "the head was not taken back"


def test_nodes_and_depth_follow_the_same_policy(app_class: Any, browse: Any, page_sheet: str) -> None:
    app = app_class(b"<page>" + b"<a/>" * 50 + b"</page>")
    assert browse(XSLT(app, stylesheet=page_sheet, max_nodes=20, too_large="413")).code == 413
    assert browse(XSLT(app, stylesheet=page_sheet, max_nodes=20)).body == app.body
    app.body = b"<a>" * 20 + b"</a>" * 20
    assert browse(XSLT(app, stylesheet=page_sheet, max_depth=10, too_large="413")).code == 413


def test_a_result_that_is_too_large_is_an_error(bench: Any, app_class: Any, browse: Any) -> None:
    layer = XSLT(app_class(), stylesheet=bench.put("flood.xsl"), max_output="64KiB", too_large="413", on_error="502")
    assert browse(layer, HTTP_ACCEPT="*/*").code == 502


def test_attacks_in_documents_follow_on_error(bench: Any, app_class: Any, browse: Any, page_sheet: str) -> None:
    app = app_class(bench.text("xxe.xml").encode())
    assert browse(XSLT(app, stylesheet=page_sheet)).code == 500
    seen = browse(XSLT(app, stylesheet=page_sheet, on_error="pass"))
    assert seen.body == app.body


def test_a_stylesheet_broken_while_it_serves(bench: Any, app_class: Any, browse: Any, page_sheet: str) -> None:
    layer = XSLT(app_class(), stylesheet=page_sheet, check=0)
    bench.put("main.xsl", "<broken")
    assert b"text" in browse(layer).body


def test_apps_own_failures_are_the_apps(page_sheet: str, browse: Any) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/xml")])
        yield b"<page>"
        raise ValueError("in the middle")

    seen = browse(XSLT(app, stylesheet=page_sheet))
    assert type(seen.error) is ValueError
    assert not seen.aborted


def test_an_app_that_changes_its_mind(page_sheet: str, browse: Any) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "application/json")])
        yield b""
        try:
            raise ValueError
        except ValueError:
            start_response("200 OK", [("Content-Type", "text/xml"), ("ETag", '"1"')], sys.exc_info())
        yield b"<page>te"
        yield b"xt</page>"

    seen = browse(XSLT(app, stylesheet=page_sheet))
    assert (seen.error, b"text" in seen.body, seen.get("Content-Type")) == (None, True, "text/html; charset=utf-8")


def test_an_app_that_writes(page_sheet: str, browse: Any) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [("Content-Type", "text/xml")])
        write(b"<page>te")
        write(b"xt")
        return [b"</page>"]

    seen = browse(XSLT(app, stylesheet=page_sheet))
    assert (seen.error, b"text" in seen.body) == (None, True)


def test_an_app_that_gives_nothing(page_sheet: str, browse: Any) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/xml")])
        return iter(())

    seen = browse(XSLT(app, stylesheet=page_sheet))
    assert (seen.error, seen.code) == (None, 500)


@pytest.mark.parametrize("blocks", [None, 1])
def test_a_page_without_a_byte_gets_no_theme(app_class: Any, page_sheet: str, browse: Any, blocks: Any) -> None:
    app = app_class(b"", "text/html", ETag='"1"')
    app.blocks = blocks
    seen = browse(XSLT(app, stylesheet=page_sheet, html="libxml2"), method="POST")
    assert (seen.error, seen.code, seen.body, seen.get("ETag")) == (None, 200, b"", '"1"')


# Streaming, results, threads -----------------------------------------------------------------------------------------


def test_a_collected_body_gives_a_block_for_each(app_class: Any, page_sheet: str) -> None:
    app = app_class(b"<page>" + b"x" * 50 + b"</page>")
    app.blocks = 5
    heads: list[Any] = []
    iterator = iter(XSLT(app, stylesheet=page_sheet)(make_environ(HTTP_ACCEPT="text/html"), lambda *a: heads.append(a)))
    for number in range(1, 6):
        assert next(iterator) == b""
        assert (app.read, len(heads)) == (number, 1)
    assert b"xxx" in next(iterator)
    assert next(iterator, None) is None


def test_a_client_that_leaves_closes_the_app(app_class: Any, page_sheet: str) -> None:
    app = app_class()
    app.blocks = 5
    drive(XSLT(app, stylesheet=page_sheet), make_environ(HTTP_ACCEPT="text/html"), take=2)
    assert (app.read, app.closed) == (2, 1)


def test_results_are_kept_by_tag_and_by_content(app_class: Any, browse: Any, page_sheet: str) -> None:
    app = app_class(ETag='"1"')
    app.blocks = 4
    layer = XSLT(app, stylesheet=page_sheet, results="1MiB", check=0)
    facts: dict[str, str] = {}

    def ask(**environ: Any) -> tuple[str, bytes]:
        facts.clear()
        seen = browse(layer, **{"wsgikit.log": facts, **environ})
        assert seen.error is None
        return facts["xslt"], seen.body

    _, first = ask()
    assert facts == {"xslt": "made"}
    app.read = 0
    assert ask() == ("kept", first)
    assert app.read <= 1, "the source was read"
    seen = browse(layer)
    assert seen.get("Content-Length") == str(len(first))
    assert ask(path="/other.xml") == ("kept", first), "not the same URL, but the same content"
    app.body = b"<page>changed</page>"
    assert ask() == ("kept", first), "a strong tag is believed"
    app.fields["ETag"] = '"2"'
    assert ask()[0] == "made"
    app.fields["ETag"] = 'W/"2"'
    app.body = b"<page>weak</page>"
    assert b"weak" in ask()[1]
    app.body = b"<page>weaker</page>"
    assert b"weaker" in ask()[1]


@pytest.mark.parametrize("fields", [{"Cache_Control": "private"}, {"Cache_Control": "no-store"}, {"Set_Cookie": "a=b"}])
def test_personal_responses_are_kept_by_content_alone(
    app_class: Any, browse: Any, page_sheet: str, fields: dict[str, str]
) -> None:
    app = app_class(b"<page>mine</page>", ETag='"1"', **fields)
    layer = XSLT(app, stylesheet=page_sheet, results="1MiB")
    assert b"mine" in browse(layer).body
    app.body = b"<page>yours</page>"
    assert b"yours" in browse(layer).body


def test_a_kept_result_follows_stylesheet_and_parameters(
    bench: Any, app_class: Any, browse: Any, page_sheet: str
) -> None:
    app = app_class(ETag='"1"')
    layer = XSLT(app, stylesheet=page_sheet, results="1MiB", check=0, params={"p": {"query": "p"}})
    assert b"text1" in browse(layer, QUERY_STRING="p=1").body
    assert b"text2" in browse(layer, QUERY_STRING="p=2").body
    bench.sheet('<xsl:output method="html"/><xsl:template match="/">new</xsl:template>')
    assert b"new" in browse(layer, QUERY_STRING="p=1").body


def test_values_with_nearly_the_same_digest_have_results_of_their_own(
    app_class: Any, browse: Any, page_sheet: str
) -> None:
    """Two values, found by trying, whose digests of four bytes are the same: a client could fill another one's page."""
    layer = XSLT(app_class(ETag='"1"'), stylesheet=page_sheet, results="1MiB", params={"p": {"header": "X-P"}})
    assert b"textv17398" in browse(layer, HTTP_X_P="v17398").body
    assert b"textv33399" in browse(layer, HTTP_X_P="v33399").body


def test_a_file_whose_result_is_kept_is_closed_and_not_read(app_class: Any, browse: Any, page_sheet: str) -> None:
    class File(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            reads.append(size)
            return super().read(size)

    class Wrapper(FileWrapper):
        def __init__(self, file: Any, size: int) -> None:
            super().__init__(File(file.getvalue()), size)
            made.append(self)

    reads: list[int | None] = []
    made: list[Any] = []
    app = app_class(ETag='"1"')
    app.file = True
    layer = XSLT(app, stylesheet=page_sheet, results="1MiB")
    first = browse(layer, **{"wsgi.file_wrapper": Wrapper})
    assert reads
    reads.clear()
    again = browse(layer, **{"wsgi.file_wrapper": Wrapper})
    assert (again.body, again.get("Content-Length")) == (first.body, str(len(first.body)))
    assert not reads
    assert made[1].filelike.closed


@pytest.mark.parametrize("grown", [0, 100_000])
def test_a_file_is_read_as_far_as_its_content_length(
    app_class: Any, browse: Any, page_sheet: str, tmp_path: Path, grown: int
) -> None:
    from wsgikit.wsgi.file_wrapper import FileWrapper as Own

    body = b"<page>" + b"x" * 70_000 + b"</page>"
    path = tmp_path / "page.xml"
    path.write_bytes(body + b"y" * grown)
    opened: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
        opened.append(open(path, "rb", buffering=0))  # noqa: SIM115
        return environ["wsgi.file_wrapper"](opened[-1], 1000)

    seen = browse(XSLT(app, stylesheet=page_sheet), **{"wsgi.file_wrapper": Own})
    assert seen.body.count(b"x") == 70_000
    assert seen.get("Content-Length") == str(len(seen.body))
    assert opened[0].closed


def test_documents_that_are_read_are_part_of_the_key(bench: Any, app_class: Any, browse: Any) -> None:
    bench.put("data.xml", "<v>one</v>")
    sheet = bench.sheet(
        "<xsl:output method='html'/><xsl:template match='/'><i><xsl:value-of select=\"document('data.xml')\"/></i>"
        "</xsl:template>"
    )
    layer = XSLT(app_class(ETag='"1"'), stylesheet=sheet, results="1MiB", check=0)
    first = browse(layer)
    assert word(first) == "one"
    assert browse(layer, HTTP_IF_NONE_MATCH=first.get("ETag")).code == 304
    bench.put("data.xml", "<v>two!</v>")
    again = browse(layer, HTTP_IF_NONE_MATCH=first.get("ETag"))
    assert (again.code, word(again)) == (200, "two!")


def test_kept_results_have_a_limit() -> None:
    from wsgikit.middleware.xslt.results import Kept, Results

    results = Results(100_000)
    for number in range(100):
        results.put(("k", str(number)), Kept(b"x" * 9_000, "t"))
    assert 5 <= len(results._table) <= 11
    assert results.get(("k", "99")) is not None
    assert results.get(("k", "0")) is None
    results.put(("big",), Kept(b"x" * 30_000, "t"))
    assert results.get(("big",)) is None
    assert results._size <= 100_000


def test_sixteen_threads_through_one_layer(
    app_class: Any, browse: Any, bench: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sheet = bench.sheet(
        '<xsl:output method="html"/><xsl:template match="/"><xsl:message><xsl:value-of select="/*"/></xsl:message>'
        "<i><xsl:value-of select='/*'/></i></xsl:template>"
    )

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [f"<a>{environ['wsgikit.request_id']}</a>".encode()]

    layer = XSLT(app, stylesheet=sheet)
    wrong: list[str] = []

    def work(number: int) -> None:
        for turn in range(10):
            name = f"r{number}.{turn}"
            if word(browse(layer, **{"wsgikit.request_id": name})) != name:
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    lines = [record.getMessage() for record in caplog.records if "message" in record.msg]
    assert len(lines) == 160
    for line in lines:
        name = line.partition("request id ")[2].rstrip(")")
        assert f"message '{name}'" in line


def test_isolated(bench: Any, app_class: Any, browse: Any, page_sheet: str) -> None:
    app = app_class(ETag='"1"')
    layer = XSLT(app, stylesheet=[bench.put("identity.xsl"), page_sheet], isolate=True, processes=1)
    try:
        first = browse(layer)
        assert b"text" in first.body
        assert browse(layer, HTTP_IF_NONE_MATCH=first.get("ETag")).code == 304
        app.body = b"<page>"
        assert browse(layer).code == 500
    finally:
        layer.workshop.engine.close()  # type: ignore[attr-defined]
    many = app_class(b"<a>" + b"<b/>" * 400 + b"</a>")
    slow = XSLT(many, stylesheet=bench.put("endless.xsl"), isolate=True, deadline=0.5, processes=1)
    try:
        assert browse(slow, HTTP_ACCEPT="*/*").code == 500
    finally:
        slow.workshop.engine.close()  # type: ignore[attr-defined]


# Options -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"stylesheet": None}, "needs 'stylesheet'"),
        ({"stylesheet": []}, "stylesheet"),
        ({"stylesheet": "/no/such.xsl"}, "there is no stylesheet"),
        ({"rules": [{"path": "/x"}]}, "rules\\[1\\] needs 'stylesheet'"),
        ({"rules": [{"paht": "/x", "stylesheet": "x"}]}, "did you mean 'path'"),
        ({"rules": [{"path": "x", "stylesheet": "x"}]}, "rules\\[1\\].path"),
        ({"rules": ["x"]}, "a table"),
        ({"types": "text/xml"}, "a list of texts"),
        ({"types": ["xml"]}, "media type"),
        ({"statuses": [1]}, "statuses"),
        ({"params": {"a b": "x"}}, "params"),
        ({"params": {"a": {"qury": "x"}}}, "params.a"),
        ({"params": {"a": {"query": "x", "header": "y"}}}, "params.a"),
        ({"follow": "everything"}, "follow"),
        ({"follow": "folder"}, "folder"),
        ({"folder": "/tmp"}, "follow = 'folder'"),
        ({"undecided": "x"}, "undecided"),
        ({"head": "x"}, "head"),
        ({"on_error": "404"}, "on_error"),
        ({"too_large": "x"}, "too_large"),
        ({"messages": "loud"}, "messages"),
        ({"max_input": 0}, "max_input"),
        ({"max_depth": 1000}, "max_depth"),
        ({"engine": "xalan"}, "engine"),
        ({"html": "soup"}, "html"),
        ({"allow": ["all"]}, "allow"),
        ({"roots": ["/no/such"]}, "roots"),
        ({"types": ["application/json"]}, "saxon"),
        ({"copies": 0}, "copies"),
        ({"isolate": True, "deadline": "0s"}, "deadline"),
        ({"deadline": "2s"}, "deadline = '2s' is for isolate = true"),
        ({"params": {"a": {"xpath": "]["}}}, "params.a.xpath = '\\]\\['"),
        ({"rules": [{"root": "atom:feed", "stylesheet": "x"}]}, "rules\\[1\\].root has 'atom:feed' in it"),
    ],
)
def test_wrong_options_are_told_at_start(app_class: Any, page_sheet: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        XSLT(app_class(), **{"stylesheet": page_sheet, **options})


def test_a_stylesheet_that_cannot_be_used_stops_the_start(bench: Any, app_class: Any) -> None:
    for name in ("dynamic.xsl", "import-outside.xsl"):
        with pytest.raises(ConfigError, match=name):
            XSLT(app_class(), stylesheet=bench.put(name))
    with pytest.raises(ConfigError, match=r"broken.xsl:2:"):
        XSLT(app_class(), stylesheet=bench.put("broken.xsl", "<a>\n<b></a>"))


def test_what_the_engine_does_not_know_is_said_at_start(
    bench: Any, app_class: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sheet = bench.sheet('<xsl:template match="/"><xsl:for-each-group select="*"/></xsl:template>', head=NEW)
    XSLT(app_class(), stylesheet=sheet)
    assert "<xsl:for-each-group> is not in XSLT 1.0" in caplog.text


NEW = '<xsl:stylesheet version="3.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
