"""From CGI variables to a head, and where web servers put the path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.errors import ProtocolError
from wsgikit.wire.cgi import quote_path, read_request, split_path, unquote_path
from wsgikit.wire.http11.grammar import TARGET_RUN

USUAL = [
    (b"REQUEST_METHOD", b"POST"),
    (b"REQUEST_URI", b"/a%20b?x=1"),
    (b"SERVER_PROTOCOL", b"HTTP/1.1"),
    (b"CONTENT_LENGTH", b"5"),
    (b"CONTENT_TYPE", b"text/plain"),
    (b"HTTP_HOST", b"shop.example"),
    (b"HTTP_X_FORWARDED_FOR", b"192.0.2.1"),
]


def test_the_head_is_the_one_http_would_give() -> None:
    head, variables = read_request(USUAL)
    assert (head.method, head.target, head.path, head.query) == ("POST", b"/a%20b?x=1", b"/a%20b", b"x=1")
    assert (head.host, head.content_length, head.minor) == (b"shop.example", 5, 1)
    assert (head.chunked, head.expect_continue, head.upgrade, head.keep_alive) == (False,) * 4
    assert head.fields == [
        (b"Host", b"shop.example"),
        (b"X-Forwarded-For", b"192.0.2.1"),
        (b"Content-Type", b"text/plain"),
        (b"Content-Length", b"5"),
    ]
    assert variables == dict(USUAL)


def test_what_an_app_must_not_see_is_dropped() -> None:
    bad = [b"wsgi.input", b"HTTP_PROXY", b"HTTP_TRANSFER_ENCODING", b"HTTP_CONTENT_LENGTH", b"", b"1A", b"A B", b"\xc4"]
    head, variables = read_request([*USUAL, *((name, b"x") for name in bad)])
    assert variables == dict(USUAL)
    assert len(head.fields) == 4


def test_the_last_of_two_values_counts() -> None:
    head, variables = read_request(
        [*USUAL, (b"HTTP_HOST", b"other.example"), (b"PATH_INFO", b"/"), (b"PATH_INFO", b"/a")]
    )
    assert head.host == variables[b"HTTP_HOST"] == b"other.example"
    assert (b"Host", b"other.example") in head.fields
    assert variables[b"PATH_INFO"] == b"/a"


@pytest.mark.parametrize(
    ("pair", "code"),
    [
        ((b"REQUEST_METHOD", b""), "bad-method"),
        ((b"REQUEST_METHOD", b"GET /"), "bad-method"),
        ((b"REQUEST_METHOD", b"G" * 65), "bad-method"),
        ((b"CONTENT_LENGTH", b"6"), "repeated-content-length"),
        ((b"HTTP_X", b"a\r\nb: c"), "bad-variable"),
        ((b"HTTP_HOST", b"a\0"), "bad-variable"),
    ],
)
def test_refused(pair, code) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_request([*USUAL, pair])
    assert caught.value.code == code


@pytest.mark.parametrize("text", [b"-1", b"+1", b"1_0", b"0x1", b" 1", b"\xd9\xa1", b"1\n", b"9" * 19])
def test_lengths_that_are_none(text) -> None:
    with pytest.raises(ProtocolError):
        read_request([(b"REQUEST_METHOD", b"PUT"), (b"CONTENT_LENGTH", text)])


def test_an_empty_length_is_none_at_all() -> None:
    head, _ = read_request([(b"REQUEST_METHOD", b"GET"), (b"CONTENT_LENGTH", b"")])
    assert head.content_length is None
    assert head.fields == []


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        (b"/a%2Fb?q", b"/a%2Fb?q"),
        (b"/\xc3\xa4", b"/%C3%A4"),
        (b'/a b"<>\\', b"/a%20b%22%3C%3E%5C"),
        (b"http://shop.example/a?b", b"/a?b"),
        (b"https://shop.example", b"/"),
        (b"*", b"*"),
        (b"a", b"/a"),
    ],
)
def test_targets(uri, target) -> None:
    assert read_request([(b"REQUEST_METHOD", b"GET"), (b"REQUEST_URI", uri)])[0].target == target


@given(st.binary(max_size=30))
def test_every_target_can_be_sent_on(uri) -> None:
    assert TARGET_RUN.fullmatch(read_request([(b"REQUEST_METHOD", b"GET"), (b"REQUEST_URI", uri)])[0].target)


def test_without_request_uri_the_target_is_made() -> None:
    pairs = [
        (b"REQUEST_METHOD", b"GET"),
        (b"SCRIPT_NAME", b"/a"),
        (b"PATH_INFO", b"/\xc3\xa4?%"),
        (b"QUERY_STRING", b"q=1"),
    ]
    assert read_request(pairs)[0].target == b"/a/%C3%A4%3F%25?q=1"
    assert read_request(pairs[:1])[0].target == b"/"


@given(st.binary(max_size=60))
def test_quoting_comes_back(path) -> None:
    assert unquote_path(quote_path(path)) == path
    assert TARGET_RUN.fullmatch(quote_path(path))


@pytest.mark.parametrize(
    ("script", "info", "path", "server", "split"),
    [
        (b"/shop/cart", None, b"/shop/cart", b"nginx/1.22.1", (b"", b"/shop/cart")),
        (b"/new", None, b"/old", b"nginx/1.22.1", (b"", b"/new")),
        (None, None, b"/shop/cart", b"nginx/1.22.1", (b"", b"/shop/cart")),
        (None, b"/shop/cart", b"/shop/cart", b"nginx/1.22.1", (b"", b"/shop/cart")),
        (b"/shop", b"/cart", b"/shop/cart", b"nginx/1.22.1", (b"/shop", b"/cart")),
        (b"", b"/cart", b"/cart", b"Apache/2.4", (b"", b"/cart")),
        (b"/shop/cart", b"", b"/shop/cart", b"Apache/2.4", (b"", b"/shop/cart")),
        (b"/shop/cart", b"/cart", b"/shop/cart", b"Apache/2.4", (b"/shop", b"/cart")),
        (b"/cart", b"/cart", b"/cart/cart", b"Apache/2.4", (b"/cart", b"/cart")),
        (b"/cart", b"/cart", b"/cart", b"Apache/2.4", (b"", b"/cart")),
        (b"/shop", b"/cart", b"/shop/cart", b"lighttpd/1.4.69", (b"/shop", b"/cart")),
        (b"/shop", None, b"/shop", b"lighttpd/1.4.69", (b"/shop", b"")),
        (b"/", None, b"/", b"lighttpd/1.4.69", (b"", b"/")),
        (b"/", b"cart", b"/cart", b"lighttpd/1.4.69", (b"", b"/cart")),
        (b"/shop/", b"cart", b"/shop/cart", b"x", (b"/shop", b"/cart")),
        (b"/a%2Fb c", None, b"/a/b c", b"Apache/2.4", (b"", b"/a/b c")),
        (b"/a%2Fb", None, b"/a%2Fb", b"Apache/2.4", (b"", b"/a%2Fb")),
        (b"/shop", b"/a%2fb", b"/shop/a/b", b"Apache/2.4", (b"/shop", b"/a/b")),
    ],
)
def test_where_servers_put_the_path(script, info, path, server, split) -> None:
    assert split_path(script, info, path, server) == split
