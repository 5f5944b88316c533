"""What comes back to the client: status, fields, URLs."""

from __future__ import annotations

import pytest
from wsgi_call import environ_of

from wsgikit.client import Origin
from wsgikit.middleware.forward_response import Urls, early_fields, response_fields, status_text
from wsgikit.middleware.forward_settings import forward_settings
from wsgikit.wire.http11 import DEFAULT_LIMITS, parse_response_head

ORIGIN = Origin.parse("http://10.0.0.1:8000")


def head(data: bytes):
    found = parse_response_head(data, 0, DEFAULT_LIMITS)
    assert found is not None
    return found


def fields(data: bytes, **options: object) -> list[tuple[str, str]]:
    environ = environ_of(b"/")
    return response_fields(head(data), environ, ORIGIN, forward_settings(**{"via": "", **options}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"HTTP/1.1 200 OK", "200 OK"),
        (b"HTTP/1.1 404 ", "404 Not Found"),
        (b"HTTP/1.1 404", "404 Not Found"),
        (b"HTTP/1.1 299 ", "299 Unknown"),
        (b"HTTP/1.1 200 Sch\xf6n ", "200 Schön"),
        (b"HTTP/1.1 999 x", "999 x"),
    ],
)
def test_statuses(line: bytes, expected: str) -> None:
    assert status_text(head(line + b"\r\n\r\n")) == expected


def test_fields_keep_order_case_and_bytes() -> None:
    assert fields(b"HTTP/1.1 200 OK\r\nx-B: 1\r\nA: \xe9\r\nX-b: 2\r\nServer: up\r\nStatus: 500\r\n\r\n") == [
        ("x-B", "1"), ("A", "é"), ("X-b", "2"), ("Server", "up"),
    ]  # fmt: skip


def test_one_content_length_and_none_with_204() -> None:
    twice = b"HTTP/1.1 %b\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n"
    assert fields(twice % b"200 OK") == [("Content-Length", "5")]
    assert fields(twice % b"304 Not Modified") == [("Content-Length", "5")]
    assert fields(twice % b"204 No Content") == []
    assert fields(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") == []


def test_urls_of_the_endpoint_become_the_clients() -> None:
    inner = f"{ORIGIN.url}/x".encode()
    answer = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nRefresh: 1;url=%b\r\nSet-Cookie: a=1; Domain=%b\r\n\r\n"
    found = dict(fields(answer % (inner, inner, ORIGIN.host.encode())))
    assert found == {
        "Location": "http://shop.example/x", "Refresh": "1;url=http://shop.example/x", "Set-Cookie": "a=1",
    }  # fmt: skip


def test_via_and_edits() -> None:
    answer = b"HTTP/1.0 200 OK\r\nVia: 1.1 x\r\nServer: up\r\n\r\n"
    edits = {"remove": ["server"], "set": {"X-Frame-Options": "DENY"}}
    assert fields(answer, via="edge", response=edits) == [
        ("Via", "1.1 x"), ("Via", "1.0 edge"), ("X-Frame-Options", "DENY"),
    ]  # fmt: skip


def test_early_hints_lose_what_frames() -> None:
    given = [(b"Link", b"</a>"), (b"Content-Length", b"1"), (b"Connection", b"x"), (b"Location", b"/"), (b"X", b"1")]
    assert early_fields(given) == [("Link", "</a>"), ("X", "1")]


def urls(script: str = "", base: str = "", *, client: str = "https", up: str = "http", **options: object) -> Urls:
    environ = environ_of(b"/")
    environ.update({"SCRIPT_NAME": script, "wsgi.url_scheme": client})
    origin = Origin.parse(f"{up}://10.0.0.1:8000{base}")
    return Urls(environ, origin, forward_settings(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "plain", "mounted"),
    [
        # the endpoint's own name becomes the client's
        ("http://10.0.0.1:8000/x?y#z", "https://shop.example/x?y#z", "https://shop.example/api/x?y#z"),
        ("HTTP://10.0.0.1:8000", "https://shop.example/", "https://shop.example/api"),
        ("//10.0.0.1:8000/x", "//shop.example/x", "//shop.example/api/x"),
        # the Host that was sent, with the scheme the upstream knows, or with the client's own
        ("http://shop.example/x", "https://shop.example/x", "https://shop.example/api/x"),
        ("http://SHOP.example:80/x", "https://shop.example/x", "https://shop.example/api/x"),
        ("https://shop.example/x", "https://shop.example/x", "https://shop.example/api/x"),
        ("http://shop.example:8000/x", "https://shop.example/x", "https://shop.example/api/x"),
        ("http://shop.example:8001/x", "http://shop.example:8001/x", "http://shop.example:8001/x"),
        # paths
        ("/x?a=/b", "/x?a=/b", "/api/x?a=/b"),
        ("/", "/", "/api/"),
        ("x", "x", "x"),
        ("../x", "../x", "../x"),
        ("?page=2", "?page=2", "?page=2"),
        ("", "", ""),
        # somebody else's
        ("http://10.0.0.1:8001/x", "http://10.0.0.1:8001/x", "http://10.0.0.1:8001/x"),
        ("http://evil.example/shop.example/", "http://evil.example/shop.example/", "http://evil.example/shop.example/"),
        ("https://10.0.0.1:8000/x", "https://10.0.0.1:8000/x", "https://10.0.0.1:8000/x"),
        ("mailto:a@b", "mailto:a@b", "mailto:a@b"),
    ],
)
def test_locations(given: str, plain: str, mounted: str) -> None:
    assert urls().location(given) == plain
    assert urls("/api").location(given) == mounted


def test_a_redirect_to_https_is_not_led_back() -> None:
    assert urls(client="http").location("https://shop.example/x") == "https://shop.example/x"


def test_host_policies_decide_what_is_ours() -> None:
    other = urls(host="inner.example")
    assert other.location("http://inner.example/x") == "https://shop.example/x"
    upstream = urls(host="upstream")
    assert upstream.location("http://10.0.0.1:8000/x") == "https://shop.example/x"
    assert upstream.location("http://shop.example/x") == "http://shop.example/x"


def test_a_base_path_is_taken_off() -> None:
    based = urls(base="/base")
    assert based.location("/base/x") == "/x"
    assert based.location("/base") == "/"
    assert based.location("/basement") == "/basement"
    assert based.location("http://10.0.0.1:8000/base/x") == "https://shop.example/x"
    # what is left must not begin another host's name
    assert based.location("/base//evil.example/") == "/.//evil.example/"
    assert urls("/api", "/base").location("/base/x") == "/api/x"
    assert urls("/api", whole_path=True).location("/api/x") == "/api/x"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a=1; Path=/; HttpOnly", "a=1; Path=/api; HttpOnly"),  # "/api/" would not be for a request of /api
        ("a=1; path=/x", "a=1; path=/api/x"),
        ("a=1;Path=/x;Secure", "a=1; Path=/api/x;Secure"),
        ("a=1; Path=x", "a=1; Path=x"),
        ("a=1", "a=1"),
        ("a=path=/x; b", "a=path=/x; b"),
        ("a=1; Domain=10.0.0.1; Path=/", "a=1; Path=/api"),
        ("a=1; domain=.10.0.0.1", "a=1"),
        ("a=1; Domain=shop.example", "a=1; Domain=shop.example"),
    ],
)
def test_cookies(given: str, expected: str) -> None:
    assert urls("/api").cookie(given) == expected


def test_cookie_domain_of_ones_own() -> None:
    assert urls(cookie_domain="shop.example").cookie("a=1; Domain=inner; Path=/") == "a=1; Domain=shop.example; Path=/"
    assert urls(cookie_domain="shop.example").cookie("a=1") == "a=1"


def test_rewriting_can_be_off() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1:8000/x\r\nSet-Cookie: a=1; Domain=10.0.0.1\r\n\r\n"
    assert fields(answer, rewrite=False) == [
        ("Location", "http://10.0.0.1:8000/x"),
        ("Set-Cookie", "a=1; Domain=10.0.0.1"),
    ]
    assert fields(answer) == [("Location", "http://shop.example/x"), ("Set-Cookie", "a=1")]
    # a name in another case, and Content-Location
    both = (
        b"HTTP/1.1 201 Created\r\nLOCATION: http://10.0.0.1:8000/x\r\nContent-Location: http://10.0.0.1:8000/y\r\n\r\n"
    )
    assert fields(both) == [("LOCATION", "http://shop.example/x"), ("Content-Location", "http://shop.example/y")]


@pytest.mark.parametrize(
    ("given", "mounted"),
    [
        ("5; url=/x", "5; url=/api/x"),
        ("0;URL='http://10.0.0.1:8000/x?y'", "0;URL='https://shop.example/api/x?y'"),
        ('1.5 , url = "/x"', '1.5 , url = "/api/x"'),
        ("5; url=there", "5; url=there"),
        ("5; url=http://other.example/", "5; url=http://other.example/"),
        ("5", "5"),
        ("rubbish; url", "rubbish; url"),
    ],
)
def test_refresh_leads_where_the_client_finds_it(given: str, mounted: str) -> None:
    assert urls("/api").refresh(given) == mounted


def test_what_is_derived_from_a_head_once_is_right_for_every_request() -> None:
    """The head of a response may be the one of an earlier response, which others have dealt with."""
    settings = forward_settings(via="")
    plain = head(b"HTTP/1.1 200 OK\r\nX-A: b\r\nConnection: X-C\r\nX-C: d\r\n\r\n")
    given = response_fields(plain, environ_of(b"/"), ORIGIN, settings)
    given.append(("X-Layer", "mine"))
    assert response_fields(plain, environ_of(b"/"), ORIGIN, settings) == [("X-A", "b")]
    other = forward_settings(via="us")
    assert response_fields(plain, environ_of(b"/"), ORIGIN, other) == [("X-A", "b"), ("Via", "1.1 us")]

    moved = head(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n")
    for mount in ("/one", "/two"):
        environ = environ_of(b"/") | {"SCRIPT_NAME": mount}
        assert response_fields(moved, environ, ORIGIN, settings) == [("Location", f"{mount}/x")]
