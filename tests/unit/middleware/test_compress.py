"""Compression: what is compressed, as what, block by block, and with which headers."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from any_zstd import zstd_decompressor
from wsgi_gateway import drive, make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware.codings import CODINGS, choose, encoder, present
from wsgikit.middleware.compress import Compress

TEXT = b"The quick brown fox jumps over the lazy dog. " * 40


def app_of(
    *blocks: bytes, status: str = "200 OK", media: str = "text/plain", declared: bool = False, **fields: str
) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        headers = [("Content-Type", media), *((name.replace("_", "-"), value) for name, value in fields.items())]
        if declared:
            headers.append(("Content-Length", str(sum(map(len, blocks)))))
        start_response(status, headers)
        return iter(blocks)

    return app


def listed(*blocks: bytes, **options: Any) -> Any:
    inner = app_of(*blocks, **options)
    return lambda environ, start: list(inner(environ, start))


def ask(app: Any, accept: str | None = "gzip", method: str = "GET", **extra: str) -> Any:
    environ = make_environ(method, **extra)
    if accept is not None:
        environ["HTTP_ACCEPT_ENCODING"] = accept
    return drive(app, environ)


def decode(coding: str | None, data: bytes) -> bytes:
    if coding == "gzip":
        return zlib.decompress(data, 31)
    if coding == "br":
        import brotli

        return bytes(brotli.decompress(data))
    if coding == "zstd":
        return bytes(zstd_decompressor().decompress(data))
    return data


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("*", "zstd"),
        ("*;q=0.5, zstd;q=0, br;q=0", "gzip"),
        ("gzip;q=0", ""),
        ("", ""),
        ("identity", ""),
        ("gzip;q=0.1, identity", ""),
        ("gzip, identity;q=0.5", "gzip"),
        ("deflate", ""),
        ("nonsense;;;q=", ""),
    ],
)
def test_the_client_chooses(accept: str, coding: str) -> None:
    assert choose(accept, ("zstd", "br", "gzip")) == coding


@pytest.mark.parametrize("coding", list(CODINGS))
def test_each_coding_decodes_whole_and_after_each_flush(coding: str) -> None:
    if not present(coding):
        pytest.skip(f"{CODINGS[coding].install} is not installed")
    for level in (CODINGS[coding].levels[0], CODINGS[coding].default):
        stream = encoder(coding, level)
        data = stream.feed(TEXT) + stream.flush() + stream.feed(b"more") + stream.finish()
        assert decode(coding, data) == TEXT + b"more"
        seen = ask(Compress(listed(TEXT)), coding)
        assert (seen.get("Content-Encoding"), decode(coding, seen.body)) == (coding, TEXT)


def test_a_whole_body_is_one_piece_with_a_true_length() -> None:
    for app in (listed(TEXT), listed(TEXT, declared=True), app_of(TEXT, declared=True), listed(TEXT[:9], TEXT[9:])):
        seen = ask(Compress(app))
        assert seen.get("Content-Length") == str(len(seen.body))
        assert decode("gzip", seen.body) == TEXT
        assert len(seen.body) < len(TEXT) / 5


@pytest.mark.parametrize("coding", list(CODINGS))
def test_server_sent_events_arrive_one_by_one(coding: str) -> None:
    if not present(coding):
        pytest.skip(f"{CODINGS[coding].install} is not installed")
    asked: list[int] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        for number in range(3):
            asked.append(number)
            yield b"data: %d\n\n" % number

    iterator = iter(Compress(app)({**make_environ(), "HTTP_ACCEPT_ENCODING": coding}, lambda *a: bytes))
    if coding == "gzip":
        stream: Any = zlib.decompressobj(31)
        read = stream.decompress
    elif coding == "br":
        read = __import__("brotli").Decompressor().process
    else:
        read = zstd_decompressor().decompress
    for number in range(3):
        assert read(next(iterator)) == b"data: %d\n\n" % number
        assert asked == list(range(number + 1))


def test_without_flush_blocks_are_gathered() -> None:
    seen = ask(Compress(app_of(*[b"word "] * 1000), flush=False))
    assert len(seen.body) < 60
    assert decode("gzip", seen.body) == b"word " * 1000
    assert len(seen.blocks) >= 1000


@pytest.mark.parametrize(
    "app",
    [
        app_of(TEXT, media="image/png"),
        app_of(TEXT, media=""),
        app_of(TEXT, Content_Encoding="br"),
        app_of(TEXT, Cache_Control="public, No-Transform"),
        app_of(TEXT, status="206 Partial Content", Content_Range="bytes 0-1/9"),
        app_of(TEXT, Content_Range="bytes 0-1/9"),
        app_of(b"short", declared=True),
        listed(b"short"),
        app_of(status="204 No Content"),
        app_of(status="304 Not Modified", ETag='"a"'),
    ],
)
def test_what_is_left_alone(app: Any) -> None:
    bare, seen = ask(app), ask(Compress(app))
    assert seen.body == bare.body
    assert [f for f in seen.headers if f[0] not in ("Vary", "Content-Length")] == [
        f for f in bare.headers if f[0] != "Content-Length"
    ]


def test_vary_tells_caches_also_when_this_client_takes_no_coding() -> None:
    assert ask(Compress(app_of(TEXT)), None).get("Vary") == "Accept-Encoding"
    assert ask(Compress(app_of(TEXT, Vary="Cookie"))).get("Vary") == "Cookie, Accept-Encoding"
    assert ask(Compress(app_of(TEXT, Vary="accept-encoding"))).get("Vary") == "accept-encoding"
    assert ask(Compress(app_of(TEXT, Vary="*"))).get("Vary") == "*"
    assert ask(Compress(app_of(TEXT, media="image/png"))).get("Vary") is None


def test_a_strong_etag_becomes_weak_and_comes_back_weak_in_a_304() -> None:
    assert ask(Compress(app_of(TEXT, ETag='"a"'))).get("ETag") == 'W/"a"'
    assert ask(Compress(app_of(TEXT, ETag='W/"a"'))).get("ETag") == 'W/"a"'
    assert ask(Compress(app_of(TEXT, ETag='"a"')), None).get("ETag") == '"a"'
    assert ask(Compress(listed(b"short", ETag='"a"'))).get("ETag") == '"a"'
    not_modified = app_of(status="304 Not Modified", ETag='"a"')
    assert ask(Compress(not_modified), HTTP_IF_NONE_MATCH='"b", W/"a"').get("ETag") == 'W/"a"'
    assert ask(Compress(not_modified), HTTP_IF_NONE_MATCH='"a"').get("ETag") == '"a"'


def test_head_has_the_headers_of_get_and_no_body() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "5000")])
        return []

    seen = ask(Compress(app), method="HEAD")
    assert (seen.body, seen.get("Content-Encoding"), seen.get("Content-Length")) == (b"", "gzip", None)


def test_equal_bodies_give_equal_bytes() -> None:
    assert ask(Compress(listed(TEXT))).body == ask(Compress(listed(TEXT))).body


def test_types_may_be_named() -> None:
    compress = Compress(app_of(TEXT, media="Application/X-Own; a=b"), types=["application/x-own"])
    assert ask(compress).get("Content-Encoding") == "gzip"
    compress = Compress(app_of(TEXT, media="model/obj"), types=["model/*"])
    assert ask(compress).get("Content-Encoding") == "gzip"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 12}, "level = 12: a whole number from 1 to 9"),
        ({"level": True}, "level = True"),
        ({"codings": ["deflate"]}, "codings has 'deflate' in it: allowed are zstd, br, gzip"),
        ({"codings": "gzip"}, "write ['gzip']"),
        ({"min_size": "5 parsecs"}, "min_size = '5 parsecs'"),
        ({"remembered": 0}, "remembered = 0"),
    ],
)
def test_wrong_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Compress(app_of(), **options)
    assert message in str(caught.value)


def test_a_missing_library_is_named_when_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "brotli", None)
    assert "br" not in Compress(app_of()).codings
    with pytest.raises(ConfigError, match="pip install brotli"):
        Compress(app_of(), codings=["br"])
