"""XSLT among its neighbours: a static folder inside, compression outside, itself twice; each held to PEP 3333."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from wsgi_apps import BODIES, LEGAL, make
from wsgi_gateway import FileWrapper, drive, make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware import XSLT, Compress, Stack, Static, Use
from wsgikit.middleware.stack_options import from_tables
from wsgikit.validators import Lint
from wsgikit.validators.app.request import Request
from wsgikit.validators.report.model import Verdict
from wsgikit.validators.sandwich import MiddlewareSettings, check_middleware

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PAGE = (
    '<xsl:output method="html"/><xsl:template match="/"><html><body><i><xsl:value-of select="*"/></i></body></html>'
    "</xsl:template>"
)
THEME = (
    '<xsl:output method="html"/><xsl:template match="/html"><html class="theme"><xsl:copy-of select="//i"/></html>'
    "</xsl:template>"
)


@pytest.fixture
def site(bench: Any) -> Path:
    """A folder with documents, one of them large, beside the stylesheets."""
    root = Path(bench.outside) / "site"
    root.mkdir()
    (root / "a.xml").write_text("<page>text</page>")
    (root / "feed.atom").write_text('<feed xmlns="http://www.w3.org/2005/Atom">entry</feed>')
    (root / "large.xml").write_text("<page>" + "x" * 300_000 + "</page>")
    (root / "film.bin").write_bytes(bytes(1000))
    (root / "style.xsl").write_text(Path(bench.sheet(PAGE, "style.xsl")).read_text())
    (root / "own.xml").write_text('<?xml-stylesheet type="text/xsl" href="style.xsl"?><page>own</page>')
    bench.sheet(PAGE, "page.xsl")
    bench.sheet(THEME, "theme.xsl")
    return root


@pytest.fixture
def stacks(bench: Any, site: Path) -> dict[str, Callable[[Any], Any]]:
    """The compositions, each around an app."""
    page, theme = str(bench.root / "page.xsl"), str(bench.root / "theme.xsl")
    static = Use(Static, directory=str(site))
    return {
        "xslt + static": lambda app: Stack(app, [Use(XSLT, stylesheet=page), static]),
        "compress + xslt": lambda app: Stack(app, [Use(Compress), Use(XSLT, stylesheet=page)]),
        "two xslt": lambda app: Stack(app, [Use(XSLT, stylesheet=theme, html="libxml2"), Use(XSLT, stylesheet=page)]),
        "theme over html": lambda app: Stack(app, [Use(XSLT, stylesheet=theme, html="libxml2", on_error="pass")]),
        "all of them": lambda app: Stack(
            app,
            [Use(Compress), Use(XSLT, stylesheet=theme, html="libxml2"), Use(XSLT, stylesheet=page), static],
        ),
        "following + static": lambda app: Stack(app, [Use(XSLT, follow="app"), static]),
    }


NAMES = ["xslt + static", "compress + xslt", "two xslt", "theme over html", "all of them", "following + static"]


def nothing(environ: Any, start_response: Any) -> Any:
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"nothing here"]


def ask(app: Any, path: str = "/a.xml", method: str = "GET", **environ: Any) -> Any:
    return drive(app, make_environ(method, path, **{"HTTP_ACCEPT": BROWSER, **environ}))


# What comes out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", [{}, {"wsgikit.on_close": True}], ids=["foreign", "wsgikit"])
def test_a_static_folder(stacks: Any, site: Path, server: Any) -> None:
    stack = stacks["xslt + static"](nothing)
    assert stack.problems == ()
    for path, text in (("/a.xml", b"<i>text</i>"), ("/feed.atom", b"<i>entry</i>"), ("/large.xml", b"x" * 300_000)):
        seen = ask(stack, path, **server)
        assert (seen.error, text in seen.body) == (None, True)
        assert seen.get("Content-Length") == str(len(seen.body)), "a file is read at once"
        assert (seen.get("ETag") or "").startswith('W/"')
        assert ask(stack, path, HTTP_IF_NONE_MATCH=seen.get("ETag"), **server).code == 304
        assert ask(stack, path, HTTP_IF_MODIFIED_SINCE=seen.get("Last-Modified"), **server).code in (200, 304)
        head = ask(stack, path, "HEAD", **server)
        found = (head.body, head.get("ETag"), head.get("Content-Type"))
        assert found == (
            b"",
            seen.get("ETag"),
            "text/html; charset=utf-8",
        )
    part = ask(stack, "/a.xml", HTTP_RANGE="bytes=0-3", **server)
    assert (part.code, part.get("Accept-Ranges")) == (200, "none")
    film = ask(stack, "/film.bin", **server)
    assert isinstance(film.returned, FileWrapper)
    assert ask(stack, "/film.bin", HTTP_RANGE="bytes=0-3", **server).code == 206
    feed = ask(stack, "/feed.atom", HTTP_ACCEPT="application/atom+xml, */*;q=0.1", **server)
    assert (feed.body, feed.get("Accept-Ranges")) == ((site / "feed.atom").read_bytes(), "bytes")
    assert isinstance(feed.returned, FileWrapper)
    assert ask(stack, "/none.xml").code == 404


def test_a_static_folder_with_its_own_stylesheets(stacks: Any) -> None:
    stack = stacks["following + static"](nothing)
    assert b"<i>own</i>" in ask(stack, "/own.xml").body
    assert b"<i>" not in ask(stack, "/a.xml").body
    assert b"xsl:stylesheet" in ask(stack, "/style.xsl", HTTP_ACCEPT="*/*").body


def test_compressed_files_beside_documents(stacks: Any, site: Path) -> None:
    (site / "a.xml.gz").write_bytes(gzip.compress(b"<page>compressed</page>"))
    stack = stacks["xslt + static"](nothing)
    seen = ask(stack, "/a.xml", HTTP_ACCEPT_ENCODING="gzip")
    assert (b"<i>compressed</i>" in seen.body, seen.get("Content-Encoding")) == (True, None)


def test_compression_outside(stacks: Any) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/xml"), ("ETag", '"1"')])
        return [b"<page>" + b"text " * 200 + b"</page>"]

    stack = stacks["compress + xslt"](app)
    assert stack.problems == ()
    seen = ask(stack, HTTP_ACCEPT_ENCODING="gzip")
    assert (seen.get("Content-Encoding"), b"<i>text" in gzip.decompress(seen.body)) == ("gzip", True)
    assert seen.get("Vary") == "Accept, Accept-Encoding"
    assert ask(stack, HTTP_ACCEPT_ENCODING="gzip", HTTP_IF_NONE_MATCH=seen.get("ETag")).code == 304


def test_the_wrong_order_is_told_and_still_works(bench: Any, site: Path) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [b"<page>" + b"text " * 200 + b"</page>"]

    uses = [Use(XSLT, stylesheet=str(bench.root / "page.xsl")), Use(Compress)]
    with pytest.raises(ConfigError, match="Compress stands inside XSLT"):
        Stack(app, uses, order="raise")
    seen = ask(Stack(app, uses, order="ignore"), HTTP_ACCEPT_ENCODING="gzip")
    assert (b"<i>text" in seen.body, seen.get("Content-Encoding")) == (True, None)


def test_two_of_them(stacks: Any) -> None:
    asked: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        asked.append(environ.get("HTTP_IF_NONE_MATCH"))
        if asked[-1] and '"1"' in asked[-1]:
            start_response("304 Not Modified", [("ETag", '"1"')])
            return []
        start_response("200 OK", [("Content-Type", "text/xml"), ("ETag", '"1"')])
        return iter([b"<page>te", b"xt</page>"])

    stack = stacks["two xslt"](app)
    assert stack.problems == ()
    seen = ask(stack)
    assert seen.body.strip() == b'<html class="theme"><i>text</i></html>'
    again = ask(stack, HTTP_IF_NONE_MATCH=seen.get("ETag"))
    assert (again.code, again.get("ETag"), again.body) == (304, seen.get("ETag"), b"")
    assert '"1"' in asked[-1]
    # each sees that the XML is wanted
    assert ask(stack, HTTP_ACCEPT="application/xml").body == b"<page>text</page>"


def test_from_a_file() -> None:
    with pytest.raises(ConfigError, match=r"f.toml: use\[1\]: XSLT: needs 'stylesheet'"):
        from_tables([{"middleware": "xslt", "check": "5s"}], place="f.toml: ")[0](nothing)
    with pytest.raises(ConfigError, match="results"):
        from_tables([{"middleware": "xslt", "results": [1]}])
    with pytest.raises(ConfigError, match="did you mean 'stylesheet'"):
        from_tables([{"middleware": "xslt", "stylesheets": "x"}])


def test_rules_from_a_file(bench: Any, site: Path) -> None:
    import tomllib

    text = f"""
        middleware = "xslt"
        params = {{ who = {{ query = "who" }} }}
        rules = [{{ path = "/feeds/**", root = "{{urn:x}}feed", stylesheet = "{bench.root}/theme.xsl" }}]
        stylesheet = ["{bench.root}/page.xsl"]
        max_input = "5MiB"
        results = "64MiB"
    """
    (use,) = from_tables([tomllib.loads(text)])
    assert b"<i>text</i>" in ask(Stack(nothing, [use, Use(Static, directory=str(site))])).body


# What PEP 3333 says --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("accept", [BROWSER, "application/xml"])
def test_check_middleware_finds_nothing(stacks: Any, name: str, accept: str) -> None:
    headers = (("Accept-Encoding", "gzip"), ("Accept", accept))
    report = check_middleware(stacks[name], name, MiddlewareSettings(request=Request(headers=headers)))
    bad = (Verdict.FAIL, Verdict.WARN, Verdict.ERROR, Verdict.INCONCLUSIVE)
    assert (report.aborted, [found for found in report.findings if found.verdict in bad]) == ("", [])
    assert sum(found.verdict is Verdict.PASS for found in report.findings) > 15


@pytest.mark.parametrize("name", NAMES)
def test_both_sides_satisfy_the_validators(stacks: Any, name: str) -> None:
    for app_name in LEGAL:
        if app_name == "not_modified":  # wsgiref demands a Content-Type of a 304
            continue
        inner = Lint(make(app_name), on_violation="record")
        outer = Lint(stacks[name](inner), on_violation="record")
        seen = drive(outer, make_environ(HTTP_ACCEPT=BROWSER))
        assert (app_name, seen.error) == (app_name, None)
        assert (app_name, [*inner.findings, *outer.findings]) == (app_name, [])
        # changes the environ it is given, which our gateway does not take
        iterable = validator(stacks[name](validator(make(app_name))))(make_environ(HTTP_ACCEPT=BROWSER), _started)
        list(iterable)
        iterable.close()


def _started(status: str, headers: Any, exc_info: Any = None) -> Any:
    return bytes


DOCUMENT = [b"<page>", b"te", b"", b"xt", b"</page>"]


def documents(kind: str) -> Any:
    """Apps that answer with a document in different ways."""

    def app(environ: Any, start_response: Any) -> Any:
        blocks = [b"<page>broken"] if kind == "broken" else DOCUMENT
        headers = [("Content-Type", "text/xml"), ("ETag", '"1"')]
        if environ["REQUEST_METHOD"] == "HEAD":
            start_response("200 OK", headers)
            return []
        if kind == "write":
            write = start_response("200 OK", headers)
            for block in blocks:
                write(block)
            return []
        if kind == "file":
            start_response("200 OK", headers)
            return environ["wsgi.file_wrapper"](io.BytesIO(b"".join(blocks)), 3)
        if kind == "late":
            return late(start_response, headers, blocks)
        start_response("200 OK", headers)
        return list(blocks) if kind == "list" else iter(blocks)

    return app


def late(start_response: Any, headers: Any, blocks: Any) -> Any:
    start_response("200 OK", headers)
    yield from blocks


@pytest.mark.parametrize("name", ["compress + xslt", "two xslt", "all of them"])
@pytest.mark.parametrize("kind", ["list", "iter", "late", "write", "file", "broken"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_documents_in_every_shape(stacks: Any, name: str, kind: str, method: str) -> None:
    inner = Lint(documents(kind), on_violation="record")
    outer = Lint(stacks[name](inner), on_violation="record")
    seen = ask(outer, "/x.xml", method, HTTP_ACCEPT_ENCODING="gzip", **{"wsgikit.on_close": True})
    assert (seen.error, [*inner.findings, *outer.findings]) == (None, [])
    plain = gzip.decompress(seen.body) if seen.get("Content-Encoding") else seen.body
    if method == "GET":
        assert (b"<i>text</i>" in plain) is (kind != "broken")
        assert seen.code == (500 if kind == "broken" else 200)
        if seen.get("Content-Length"):
            assert seen.get("Content-Length") == str(len(seen.body))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "compress + xslt" and name != "all of them"])
def test_what_is_not_transformed_streams(stacks: Any, name: str) -> None:
    for app_name in ("eager_iterable", "lazy_iterable", "own_iterator"):
        app = make(app_name)
        iterator = iter(stacks[name](app)(make_environ(HTTP_ACCEPT=BROWSER), lambda *arguments: bytes))
        assert next(iterator) == b"first block, "
        assert app.nexts == 1
        assert b"".join(iterator) == BODIES[app_name].removeprefix(b"first block, ")


EARLY = ({"gunicorn.socket": None}, {"uwsgi.version": b"2"}, {"SERVER_SOFTWARE": "WSGIServer/0.2 CPython/3.11"})


@pytest.mark.parametrize("server", EARLY)
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("source", "status", "media"),
    [
        (b"<page>text</page>", "200", "application/xml; charset=utf-8"),
        (b"<page>", "500", "text/html; charset=utf-8"),
        (b"<page>" + b"x" * 100 + b"</page>", "200", "text/xml"),
    ],
)
def test_servers_that_send_the_head_with_an_empty_block(
    bench: Any, app_class: Any, server: Any, lazy: bool, source: bytes, status: str, media: str
) -> None:
    """As gunicorn, uWSGI and wsgiref do, whatever PEP 3333 says: what they have at the first block has to be right."""
    app = app_class(source, "text/xml")
    app.blocks = 5

    def late(environ: Any, start_response: Any) -> Any:
        yield from app(environ, start_response)
        app.closed += 1

    sheet = bench.sheet('<xsl:template match="/"><xsl:copy-of select="."/></xsl:template>')
    layer = XSLT(late if lazy else app, stylesheet=sheet, negotiate=False, max_input=100)
    heads: list[tuple[str, Any, Any]] = []
    sent: list[tuple[str, Any, Any]] = []
    body = b""
    environ = {**make_environ("GET", "/", HTTP_ACCEPT="text/html"), **server}
    result = layer(environ, lambda status, headers, exc_info=None: heads.append((status, list(headers), exc_info)))
    for block in result:
        sent = sent or heads[-1:]
        body += block
    if hasattr(result, "close"):
        result.close()
    assert (sent[0][0][:3], dict(sent[0][1])["Content-Type"], app.closed) == (status, media, 1)
    assert body == source if len(source) > 100 else body
    assert "uwsgi.version" not in server or sent[0][2] is None, "uWSGI would drop the body"
