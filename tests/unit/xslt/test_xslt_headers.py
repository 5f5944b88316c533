"""Every row of the header rules: what a transformed response says of itself, and what is left alone."""

from __future__ import annotations

import zlib
from email.utils import formatdate
from typing import Any

import pytest
from any_zstd import zstd_compressed

from wsgikit.middleware.xslt import XSLT

SOURCE_TIME = "Mon, 05 Jan 2026 00:00:00 GMT"
RESULT_TIME = "Mon, 05 Jan 2026 00:00:01 GMT"


def is_page(seen: Any) -> bool:
    assert seen.error is None
    return bool(seen.body.startswith(b"<html>") and (seen.get("Content-Type") or "").startswith("text/html"))


# When ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media", "transformed"),
    [
        ("text/xml", True),
        ("application/xml", True),
        ("Application/XML; charset=utf-8", True),
        ("application/atom+xml", True),
        ("application/vnd.example.thing+xml", True),
        ("image/svg+xml", False),
        ("application/xhtml+xml", False),
        ("text/html", False),
        ("application/json", False),
        ("text/plain", False),
        ("", False),
    ],
)
def test_media_types(app_class: Any, ask: Any, media: str, transformed: bool) -> None:
    app = app_class(media=media)
    seen = ask(app)
    assert is_page(seen) is transformed
    if not transformed:
        assert (seen.body, seen.get("Content-Type"), seen.get("Vary")) == (app.body, media or None, None)


def test_other_types_when_they_are_named(app_class: Any, ask: Any) -> None:
    assert is_page(ask(app_class(media="image/svg+xml"), {"types": ["image/svg+xml"]}))
    assert not is_page(ask(app_class(media="text/xml"), {"types": ["image/*"]}))
    assert is_page(ask(app_class(media="image/svg+xml"), {"types": ["image/*"]}))


@pytest.mark.parametrize(
    "status", ["201 Created", "301 Moved Permanently", "404 Not Found", "500 Oops", "206 Partial Content"]
)
def test_other_statuses_pass(app_class: Any, ask: Any, status: str) -> None:
    app = app_class()
    app.status = status
    seen = ask(app)
    assert (seen.status, seen.body, seen.get("Content-Type")) == (status, app.body, "application/xml")


def test_statuses_are_an_option(app_class: Any, ask: Any) -> None:
    app = app_class()
    app.status = "404 Not Found"
    seen = ask(app, {"statuses": [200, 404]})
    assert seen.status == "404 Not Found"
    assert is_page(seen)
    app.status = "203 Non-Authoritative Information"
    assert is_page(ask(app))


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_responses_without_body_pass(app_class: Any, ask: Any, status: str) -> None:
    app = app_class(b"", ETag='"1"')
    app.status = status
    seen = ask(app)
    assert (seen.status, seen.body, seen.get("ETag")) == (status, b"", '"1"')


@pytest.mark.parametrize(
    "fields",
    [
        {"Cache_Control": "public, No-Transform"},
        {"Content_Range": "bytes 0-3/10"},
        {"Content_Encoding": "aes128gcm"},
        {"Content_Encoding": "gzip, compress"},
        {"X_XSLT": "off"},
        {"X_XSLT": "Off"},
    ],
)
def test_what_must_not_be_changed_is_not(app_class: Any, ask: Any, fields: dict[str, str]) -> None:
    app = app_class(**fields)
    seen = ask(app)
    assert (seen.body, seen.get("Content-Type")) == (app.body, "application/xml")
    assert seen.get("X-XSLT") is None
    kept = {name.replace("_", "-"): value for name, value in fields.items() if name != "X_XSLT"}
    assert {name: seen.get(name) for name in kept} == kept


def test_opting_out_is_an_option(app_class: Any, ask: Any) -> None:
    seen = ask(app_class(X_Theme="off"), {"opt_out": "X-Theme"})
    assert not is_page(seen)
    assert is_page(ask(app_class(X_XSLT="on")))
    seen = ask(app_class(X_XSLT="off"), {"opt_out": ""})
    assert is_page(seen)
    assert seen.get("X-XSLT") == "off"


@pytest.mark.parametrize("method", ["POST", "PUT", "BREW"])
def test_other_methods_are_transformed_without_conditions(app_class: Any, ask: Any, method: str) -> None:
    app = app_class(ETag='"1"')
    seen = ask(app, method=method, HTTP_IF_NONE_MATCH="*")
    assert is_page(seen)
    assert app.last["HTTP_IF_NONE_MATCH"] == "*"


# The head ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["list", "one block", "blocks", "file", "declared"])
def test_the_head_of_a_result(app_class: Any, ask: Any, shape: str) -> None:
    app = app_class(
        ETag='"1"',
        Last_Modified=SOURCE_TIME,
        Content_MD5="x",
        Digest="sha-256=x",
        Repr_Digest="sha-256=:x:",
        Content_Digest="sha-256=:x:",
        Signature="sig1=:x:",
        Signature_Input="sig1=()",
        Accept_Ranges="bytes",
        Cache_Control="max-age=60",
        Content_Language="de",
    )
    app.blocks = {"list": None, "one block": 1, "blocks": 3, "file": None, "declared": 3}[shape]
    app.file = shape == "file"
    if shape in ("file", "declared"):
        app.fields["Content_Length"] = str(len(app.body))
    seen = ask(app)
    assert is_page(seen)
    assert {name.lower() for name, _ in seen.headers} - {"content-length"} == {
        "etag", "last-modified", "accept-ranges", "cache-control", "content-language", "content-type", "vary",
    }  # fmt: skip
    assert (seen.get("ETag") or "")[:6] == 'W/"1-s'
    assert seen.get("Last-Modified") == RESULT_TIME
    assert seen.get("Accept-Ranges") == "none"
    assert seen.get("Vary") == "Accept"
    assert seen.get("Content-Length") == (None if shape in ("blocks", "declared", "one block") else str(len(seen.body)))
    assert seen.starts == 1


def test_vary_names_a_field_once(app_class: Any, ask: Any) -> None:
    params = {"p": {"header": "accept"}, "q": {"header": "X-Who"}, "r": {"environ": "HTTP_X_WHO"}}
    assert ask(app_class(), {"params": params}).get("Vary") == "Accept, X-Who"
    assert ask(app_class(Vary="x-who"), {"params": params}).get("Vary") == "x-who, Accept"


def test_set_cookie_and_others_stay(app_class: Any, ask: Any) -> None:
    seen = ask(app_class(Set_Cookie="a=b", Link="</x>; rel=preload", Vary="Cookie"))
    found = (seen.get("Set-Cookie"), seen.get("Link"), seen.get("Vary"))
    assert found == (
        "a=b",
        "</x>; rel=preload",
        "Cookie, Accept",
    )


def test_charset_is_that_of_the_output(app_class: Any, ask: Any, bench: Any) -> None:
    sheet = bench.sheet('<xsl:output method="html" encoding="ISO-8859-1"/>', "latin.xsl")
    seen = ask(app_class("<a>\u00e9</a>".encode()), {"stylesheet": sheet})
    assert (seen.get("Content-Type"), seen.body.strip()) == ("text/html; charset=iso-8859-1", b"\xe9")


def test_charset_of_the_source_is_heard(app_class: Any, ask: Any) -> None:
    seen = ask(app_class(b"<a>\xe9</a>", 'text/xml; CharSet="iso-8859-1"'))
    assert "\u00e9" in seen.body.decode() or b"&eacute;" in seen.body


def test_a_type_that_only_the_result_tells(app_class: Any, ask: Any, bench: Any) -> None:
    sheet = bench.sheet('<xsl:template match="/"><xsl:copy-of select="/*/*"/></xsl:template>', "auto.xsl")
    for body, media in ((b"<a><html/></a>", "text/html"), (b"<a><b/></a>", "application/xml")):
        for blocks in (None, 3):
            app = app_class(body)
            app.blocks = blocks
            seen = ask(app, {"stylesheet": sheet, "negotiate": False})
            assert seen.get("Content-Type") == f"{media}; charset=utf-8"


def test_last_modified_is_the_newest_of_all(app_class: Any, ask: Any, bench: Any) -> None:
    import os

    sheet = bench.sheet('<xsl:output method="html"/>', "new.xsl")
    os.utime(sheet, (1_780_000_000, 1_780_000_000))
    seen = ask(app_class(Last_Modified=SOURCE_TIME), {"stylesheet": sheet})
    assert seen.get("Last-Modified") == formatdate(1_780_000_001, usegmt=True)
    assert ask(app_class(), {"stylesheet": sheet}).get("Last-Modified") is None
    # a request's own values have no time
    options = {"stylesheet": sheet, "params": {"p": {"header": "X-Who"}}}
    assert ask(app_class(Last_Modified=SOURCE_TIME), options).get("Last-Modified") is None


def test_no_last_modified_in_the_future(app_class: Any, ask: Any) -> None:
    import time

    assert ask(app_class(Last_Modified=formatdate(time.time() + 3600, usegmt=True))).get("Last-Modified") is None


# ETag and 304 --------------------------------------------------------------------------------------------------------


def tag(seen: Any) -> str:
    found = seen.get("ETag")
    assert isinstance(found, str)
    return found


def test_the_tag_follows_source_stylesheet_and_parameters(app_class: Any, ask: Any, bench: Any) -> None:
    app = app_class(ETag='"1"')
    first = tag(ask(app))
    assert tag(ask(app)) == first
    app.fields["ETag"] = '"2"'
    assert tag(ask(app)) != first
    app.fields["ETag"] = '"1"'
    assert tag(ask(app, {"params": {"p": "x"}})) != first
    bench.sheet('<xsl:output method="html"/>')
    assert tag(ask(app)) != first


def test_without_a_tag_the_content_stands_for_it(app_class: Any, ask: Any) -> None:
    app = app_class()
    first = ask(app)
    assert (tag(first)[:3], first.code) == ('W/"', 200)
    again = ask(app, HTTP_IF_NONE_MATCH=tag(first))
    assert (again.code, again.body, again.get("Content-Type")) == (304, b"", None)
    app.body = b"<page>other</page>"
    assert ask(app, HTTP_IF_NONE_MATCH=tag(first)).code == 200


@pytest.mark.parametrize("blocks", [None, 3])
def test_an_app_that_ignores_conditions_is_not_read(app_class: Any, ask: Any, blocks: Any) -> None:
    app = app_class(ETag='"1"', Last_Modified=SOURCE_TIME, Set_Cookie="a=b")
    app.blocks = blocks
    first = ask(app)
    app.read = 0
    again = ask(app, HTTP_IF_NONE_MATCH=f'"x", {tag(first)}')
    assert (again.code, again.body) == (304, b"")
    assert app.read <= (1 if blocks is None else 0)
    assert (tag(again), again.get("Vary"), again.get("Last-Modified")) == (tag(first), "Accept", RESULT_TIME)
    assert again.get("Content-Type") is None
    assert again.get("Set-Cookie") == "a=b"
    assert app.closed == (0 if blocks is None else 2)


@pytest.mark.parametrize("weak", ["", "W/"])
def test_an_app_that_answers_304_itself_is_asked_with_its_own_tag(app_class: Any, ask: Any, weak: str) -> None:
    app = app_class(ETag=f'{weak}"1"', Last_Modified=SOURCE_TIME)
    app.honours = True
    first = ask(app)
    app.read = 0
    again = ask(app, HTTP_IF_NONE_MATCH=tag(first), HTTP_IF_MODIFIED_SINCE=RESULT_TIME)
    assert (again.code, tag(again), again.get("Vary"), app.read) == (304, tag(first), "Accept", 0)
    assert app.last["HTTP_IF_NONE_MATCH"] == f'{weak}"1"'
    assert "HTTP_IF_MODIFIED_SINCE" not in app.last
    app.fields["ETag"] = '"2"'
    assert ask(app, HTTP_IF_NONE_MATCH=tag(first)).code == 200


def test_a_changed_stylesheet_makes_the_old_tag_useless(app_class: Any, page_sheet: str, bench: Any, ask: Any) -> None:
    app = app_class(ETag='"1"')
    app.honours = True
    layer = XSLT(app, stylesheet=page_sheet, check=0)
    first = ask(layer)
    bench.sheet('<xsl:output method="html"/><xsl:template match="/"><html>new</html></xsl:template>')
    again = ask(layer, HTTP_IF_NONE_MATCH=tag(first))
    assert (again.code, b"new" in again.body) == (200, True)
    assert "HTTP_IF_NONE_MATCH" not in app.last


def test_other_parameters_make_it_useless_too(app_class: Any, page_sheet: str, ask: Any) -> None:
    app = app_class(ETag='"1"')
    app.honours = True
    layer = XSLT(app, stylesheet=page_sheet, params={"p": {"query": "p"}, "who": {"header": "X-Who"}})
    first = ask(layer, QUERY_STRING="p=1")
    assert ask(layer, QUERY_STRING="p=1", HTTP_IF_NONE_MATCH=tag(first)).code == 304
    assert ask(layer, QUERY_STRING="p=2", HTTP_IF_NONE_MATCH=tag(first)).code == 200
    assert ask(layer, QUERY_STRING="p=1", HTTP_X_WHO="me", HTTP_IF_NONE_MATCH=tag(first)).code == 200


def test_a_worker_that_has_just_started_knows_the_tags_of_others(app_class: Any, page_sheet: str, ask: Any) -> None:
    app = app_class(ETag='"1"')
    app.honours = True
    first = ask(XSLT(app, stylesheet=page_sheet))
    assert ask(XSLT(app, stylesheet=page_sheet), HTTP_IF_NONE_MATCH=tag(first)).code == 304


def test_a_rule_by_root_element_answers_304_without_the_document(app_class: Any, page_sheet: str, ask: Any) -> None:
    app = app_class(ETag='"1"')
    app.blocks = 3
    layer = XSLT(app, rules=[{"root": "page", "stylesheet": page_sheet}])
    # a streamed body's head goes before the document is known; only our server surely takes a second one
    assert ask(layer).get("ETag") is None
    first = ask(layer, **{"wsgikit.on_close": True})
    assert first.get("Content-Length") == str(len(first.body))
    app.read = 0
    assert ask(layer, HTTP_IF_NONE_MATCH=tag(first)).code == 304
    assert app.read == 0


def test_the_document_from_before_is_not_taken_for_the_page(app_class: Any, page_sheet: str, ask: Any) -> None:
    """A browser that has the XML in its cache, from before or by fetch(), asks for the page with the XML's tag."""
    app = app_class(ETag='"1"', Last_Modified=SOURCE_TIME)
    app.honours = True
    layer = XSLT(app, stylesheet=page_sheet)
    for turn in range(2):  # once before anything is known of the URL
        seen = ask(layer, HTTP_IF_NONE_MATCH='"1"', HTTP_IF_MODIFIED_SINCE=SOURCE_TIME)
        assert (turn, seen.code, is_page(seen)) == (turn, 200, True)
        seen = ask(layer, HTTP_IF_MODIFIED_SINCE=SOURCE_TIME)
        assert (turn, seen.code, is_page(seen)) == (turn, 200, True)
    seen = ask(layer, HTTP_ACCEPT="application/xml", HTTP_IF_NONE_MATCH='"1"')
    assert (seen.code, tag(seen), seen.get("Vary")) == (304, '"1"', "Accept"), "RFC 9110 15.4.5: as with a 200"


def test_conditions_of_what_is_not_for_us_reach_the_app(app_class: Any, page_sheet: str, ask: Any) -> None:
    app = app_class(b"{}", "application/json", ETag='"1"', Last_Modified=SOURCE_TIME)
    app.honours = True
    layer = XSLT(app, stylesheet=page_sheet)
    assert ask(layer, path="/data", HTTP_ACCEPT="application/json", HTTP_IF_NONE_MATCH='"1"').code in (200, 304)
    ask(layer, path="/data")
    for accept in ("application/json", "text/html", "*/*"):
        seen = ask(
            layer, path="/data", HTTP_ACCEPT=accept, HTTP_IF_NONE_MATCH='"1"', HTTP_IF_MODIFIED_SINCE=SOURCE_TIME
        )
        assert (seen.code, tag(seen), seen.get("Vary")) == (304, '"1"', None)
        assert app.last["HTTP_IF_MODIFIED_SINCE"] == SOURCE_TIME
    assert ask(layer, path="/data", HTTP_IF_MODIFIED_SINCE=SOURCE_TIME).code == 304


def test_if_modified_since_alone(app_class: Any, page_sheet: str, ask: Any) -> None:
    for honours in (False, True):
        app = app_class(Last_Modified=SOURCE_TIME)
        app.honours = honours
        layer = XSLT(app, stylesheet=page_sheet)
        assert ask(layer).get("Last-Modified") == RESULT_TIME
        seen = ask(layer, HTTP_IF_MODIFIED_SINCE=RESULT_TIME)
        assert (honours, seen.code) == (honours, 304)
        assert ask(layer, HTTP_IF_MODIFIED_SINCE="Mon, 05 Jan 2026 00:00:00 GMT").code == 200
        assert ask(layer, HTTP_IF_MODIFIED_SINCE="rubbish").code == 200


def test_what_changes_with_time_has_a_tag_of_its_own_content(app_class: Any, bench: Any, ask: Any) -> None:
    sheet = bench.sheet(
        '<xsl:output method="html"/><xsl:template match="/"><html><xsl:value-of select="substring(m:random(), 1, 0)"'
        ' xmlns:m="http://exslt.org/math"/></html></xsl:template>'
    )
    app = app_class(ETag='"1"', Last_Modified=SOURCE_TIME)
    first = ask(app, {"stylesheet": sheet})
    assert first.get("Last-Modified") is None
    app.read = 0
    again = ask(app, {"stylesheet": sheet}, HTTP_IF_NONE_MATCH=tag(first))
    assert (again.code, app.read) == (304, 1)


def test_if_match_of_a_weak_tag_fails(app_class: Any, ask: Any) -> None:
    app = app_class(ETag='"1"')
    first = ask(app)
    assert ask(app, HTTP_IF_MATCH=tag(first)).code == 412
    assert ask(app, HTTP_IF_MATCH="*").code == 200


# HEAD, Range, codings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [None, 3])
def test_head_says_what_get_says(app_class: Any, ask: Any, blocks: Any) -> None:
    app = app_class(ETag='"1"', Last_Modified=SOURCE_TIME, Content_Length="17", Accept_Ranges="bytes", Content_MD5="x")
    app.blocks = blocks
    get = ask(app)
    by_headers, by_get = ask(app, method="HEAD"), ask(app, {"head": "get"}, method="HEAD")
    without = [line for line in get.headers if line[0] != "Content-Length"]
    assert sorted(line for line in by_headers.headers if line[0] != "Content-Length") == sorted(without)
    assert by_headers.get("Content-Length") is None
    assert (by_headers.body, by_get.body) == (b"", b"")
    assert app.last["REQUEST_METHOD"] == "GET"
    assert sorted(by_get.headers) == sorted(get.headers)
    assert ask(app, method="HEAD", HTTP_IF_NONE_MATCH=tag(get)).code == 304


@pytest.mark.parametrize("output", ["", '<xsl:output method="xml"/>'])
def test_head_says_no_type_that_the_result_may_not_have(bench: Any, app_class: Any, ask: Any, output: str) -> None:
    sheet = bench.sheet(f'{output}<xsl:template match="/"><xsl:copy-of select="*"/></xsl:template>')
    options = {"stylesheet": sheet, "negotiate": False}
    app = app_class(b"<page/>", ETag='"1"')
    assert ask(app, options).get("Content-Type") == "application/xml; charset=utf-8"
    assert ask(app, options, method="HEAD").get("Content-Type") is None
    assert ask(app, {**options, "head": "get"}, method="HEAD").get("Content-Type") == "application/xml; charset=utf-8"


def test_range_is_not_passed_on_for_documents(app_class: Any, ask: Any) -> None:
    app = app_class()
    for path in ("/page.xml", "/page", "/", "/feed.atom"):
        seen = ask(app, path=path, HTTP_RANGE="bytes=0-3", HTTP_IF_RANGE='"1"')
        assert (seen.code, is_page(seen)) == (200, True)
        assert not {"HTTP_RANGE", "HTTP_IF_RANGE"} & set(app.last)


def test_films_keep_their_ranges(app_class: Any, page_sheet: str, ask: Any) -> None:
    app = app_class(b"film", "video/mp4")
    layer = XSLT(app, stylesheet=page_sheet)
    ask(layer, path="/film.mp4", HTTP_RANGE="bytes=0-3")
    assert app.last["HTTP_RANGE"] == "bytes=0-3"
    ask(layer, path="/film")
    ask(layer, path="/film", HTTP_RANGE="bytes=0-3")
    assert app.last["HTTP_RANGE"] == "bytes=0-3"


def coded(coding: str, data: bytes) -> bytes:
    if coding in ("gzip", "x-gzip"):
        stream = zlib.compressobj(9, zlib.DEFLATED, 31)
        return stream.compress(data) + stream.flush()
    if coding == "deflate":
        return zlib.compress(data)
    if coding == "br":
        return bytes(pytest.importorskip("brotli", reason="pip install brotli").compress(data))
    return zstd_compressed(data)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "br", "zstd"])
def test_codings_are_undone(app_class: Any, ask: Any, coding: str) -> None:
    app = app_class(coded(coding, b"<page>text</page>"), Content_Encoding=coding, ETag='"1"')
    seen = ask(app)
    assert is_page(seen)
    assert b"text" in seen.body
    assert seen.get("Content-Encoding") is None
    for missing in (1, len(app.body) // 2):  # of one that lost a byte, only the coding can tell that it did
        app.body = coded(coding, b"<page>text</page>" + b" " * 100)[:-missing]
        assert ask(app).code == 500
    app.body = b"this is not it"
    assert ask(app).code == 500


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_coding_of_several_members(app_class: Any, ask: Any, coding: str) -> None:
    members = coded(coding, b"<page>te") + coded(coding, b"xt</page>")
    assert b"text" in ask(app_class(members, Content_Encoding=coding)).body


def test_two_codings(app_class: Any, ask: Any) -> None:
    twice = coded("gzip", coded("deflate", b"<page>text</page>"))
    assert b"text" in ask(app_class(twice, Content_Encoding="deflate, gzip")).body
    bare = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = bare.compress(b"<page>text</page>") + bare.flush()
    assert b"text" in ask(app_class(body, Content_Encoding="deflate")).body
    assert b"text" in ask(app_class(b"<page>text</page>", Content_Encoding="identity")).body


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_small_body_that_unfolds_is_stopped(app_class: Any, ask: Any, coding: str) -> None:
    import tracemalloc

    bomb = coded(coding, b"<page>" + b" " * (24 << 20) + b"</page>")
    app = app_class(bomb, Content_Encoding=coding)
    tracemalloc.start()
    try:
        seen = ask(app, {"too_large": "413"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen.code == 413
    assert peak < 12 << 20
    passed = ask(app)
    assert (passed.body, passed.get("Content-Encoding")) == (bomb, coding)


def test_the_ratio_has_a_limit_of_its_own(app_class: Any, ask: Any) -> None:
    app = app_class(coded("gzip", b"<page>" + b" " * (1 << 20) + b"</page>"), Content_Encoding="gzip")
    assert ask(app, {"too_large": "413", "max_ratio": 10}).code == 413
    assert ask(app, {"too_large": "413", "max_ratio": 2000}).code == 200


def test_the_app_is_not_offered_codings_that_nobody_can_undo(app_class: Any, ask: Any) -> None:
    app = app_class()
    ask(app, HTTP_ACCEPT_ENCODING="gzip, aes128gcm, deflate;q=0.5")
    assert app.last["HTTP_ACCEPT_ENCODING"] == "gzip, deflate;q=0.5"
    ask(app, HTTP_ACCEPT_ENCODING="aes128gcm")
    assert app.last["HTTP_ACCEPT_ENCODING"] == "identity"
    ask(app, HTTP_ACCEPT_ENCODING="gzip")
    assert app.last["HTTP_ACCEPT_ENCODING"] == "gzip"


def test_wsgikits_own_list_of_fields_says_the_same(app_class: Any, ask: Any) -> None:
    app = app_class(ETag='"1"')
    raw = [(b"Range", b"bytes=0-1"), (b"Accept-Encoding", b"foo"), (b"X", b"y")]
    ask(app, HTTP_RANGE="bytes=0-1", HTTP_ACCEPT_ENCODING="foo", **{"wsgikit.raw_headers": raw})
    assert app.last["wsgikit.raw_headers"] == [(b"X", b"y"), (b"Accept-Encoding", b"identity")]
    assert raw[0] == (b"Range", b"bytes=0-1")
