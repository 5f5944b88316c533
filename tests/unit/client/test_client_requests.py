"""What is no request is not sent; what is no URL is not taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.client.origin import Origin
from wsgikit.client.request import Outgoing, Request
from wsgikit.errors import ConfigError
from wsgikit.wire.http11 import DEFAULT_LIMITS, parse_head

HOST = (b"Host", b"a")


def outgoing(method: str = "GET", target: bytes = b"/", *fields: tuple[bytes, bytes], body: object = None) -> Outgoing:
    return Outgoing(Request(method=method, target=target, fields=[HOST, *fields], body=body))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "target", "fields", "body"),
    [
        ("GET", b"/a b", [], None),
        ("GET", b"", [], None),
        ("GET", b"/\r\nX: 1", [], None),
        ("GET", b"/\xff", [], None),
        ("GET", b"/#fragment", [], None),
        ("GET /", b"/", [], None),
        ("", b"/", [], None),
        ("GET", b"/", [(b"X", b"a\r\nEvil: 1")], None),
        ("GET", b"/", [(b"X", b"a\nEvil: 1")], None),
        ("GET", b"/", [(b"X", b"a\rb")], None),
        ("GET", b"/", [(b"X", b"a\0b")], None),
        ("GET", b"/", [(b"X: a\r\nEvil", b"1")], None),
        ("GET", b"/", [(b"X ", b"1")], None),
        ("GET", b"/", [(b"", b"1")], None),
        ("POST", b"/", [(b"Content-Length", b"1")], None),
        ("POST", b"/", [(b"Transfer-Encoding", b"chunked")], None),
        ("POST", b"/", [(b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")], b"x"),
        ("POST", b"/", [(b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"1")], b"x"),
        ("POST", b"/", [(b"Content-Length", b"0"), (b"Transfer-Encoding", b"chunked")], b"x"),
        ("POST", b"/", [(b"Content-Length", b"0"), (b"content-length", b"0")], None),
        ("POST", b"/", [(b"Content-Length", b"1"), (b"Content-Length", b"1")], b"x"),
        ("POST", b"/", [(b"Transfer-Encoding", b"gzip, chunked")], b"x"),
        ("POST", b"/", [(b"Content-Length", b"+1")], b"x"),
        ("POST", b"/", [(b"Content-Length", b"1_0")], b"x" * 10),
        ("POST", b"/", [(b"Content-Length", b"\xb2")], b"xx"),
        ("POST", b"/", [(b"Content-Length", b"5")], b"four"),
        ("POST", b"/", [], b"no framing"),
    ],
)
def test_what_is_no_single_request_is_refused(method, target, fields, body) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
        outgoing(method, target, *fields, body=body)


def test_what_a_request_tells() -> None:
    plain = outgoing()
    assert (plain.blocks, plain.length, plain.expects, plain.upgrades) == (None, 0, False, False)
    assert plain.head == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    empty = outgoing("POST", b"/", (b"Content-Length", b"0"))
    assert (empty.blocks, empty.length) == (None, 0)
    chunked = outgoing("PURGE", b"/", (b"transfer-encoding", b"Chunked"), body=[b"x"])
    assert (chunked.length, list(chunked.blocks or ())) == (None, [b"x"])
    expecting = outgoing("PUT", b"*", (b"expect", b"100-Continue"), (b"Content-Length", b"4"), body=b"body")
    assert expecting.expects
    assert outgoing("GET", b"/", (b"Upgrade", b"websocket")).upgrades


values = st.binary(max_size=12)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=8), values), max_size=6))
def test_whatever_is_sent_is_read_as_it_was_given(fields: list[tuple[bytes, bytes]]) -> None:
    try:
        made = outgoing("GET", b"/", *fields)
    except ValueError:
        return
    try:
        head = parse_head(made.head, 0, DEFAULT_LIMITS)
    except Exception:
        return  # a strict server refuses it: nobody has read two requests
    assert head is not None
    assert head.end == len(made.head)
    assert head.fields[1:] == [(name, value.strip(b" \t")) for name, value in fields]


@pytest.mark.parametrize(
    ("url", "parts", "authority"),
    [
        ("http://10.0.0.1:8000", ("http", "10.0.0.1", 8000, "", ""), b"10.0.0.1:8000"),
        ("http://Shop.Example", ("http", "shop.example", 80, "", ""), b"shop.example"),
        ("https://shop.example/", ("https", "shop.example", 443, "", ""), b"shop.example"),
        ("https://shop.example:8443/a/b/", ("https", "shop.example", 8443, "", "/a/b"), b"shop.example:8443"),
        ("http://[2001:db8::1]:81/x", ("http", "2001:db8::1", 81, "", "/x"), b"[2001:db8::1]:81"),
        ("http+unix:/run/app.sock", ("http", "", 80, "/run/app.sock", ""), b"localhost"),
        ("http://bücher.example", ("http", "xn--bcher-kva.example", 80, "", ""), b"xn--bcher-kva.example"),
    ],
)
def test_urls_of_endpoints(url: str, parts: tuple[str, str, int, str, str], authority: bytes) -> None:
    origin = Origin.parse(url)
    assert (origin.scheme, origin.host, origin.port, origin.path, origin.base) == parts
    assert origin.authority == authority
    assert Origin.parse(origin.url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "", "10.0.0.1:8000", "ftp://a", "http://", "http://:80", "http://a:0", "http://a:65536", "http://a:x",
        "http://user:secret@a/", "http://a/?q", "http://a/#f", "http://a/b c", "http://a/ü", "http+unix:run/x",
        "http://a\n", "http+unix:", "https+unix:/x", "http://" + "ü" * 80,
    ],
)  # fmt: skip
def test_what_is_no_url_says_how_one_looks(url: str) -> None:
    with pytest.raises(ConfigError):
        Origin.parse(url)


def test_the_same_fields_again_are_judged_by_the_request_they_are_with() -> None:
    fields = [HOST, (b"X-Known", b"again")]
    heads = {outgoing("GET", target, *fields[1:]).head for target in (b"/a", b"/b")}
    assert heads == {b"GET /%b HTTP/1.1\r\nHost: a\r\nX-Known: again\r\n\r\n" % name for name in (b"a", b"b")}
    for method, target in (("GET", b"/ "), ("GET\r\n", b"/"), ("", b"/")):
        with pytest.raises(ValueError, match=r"target|method"):
            outgoing(method, target, *fields[1:])
    # what frames a body is looked at each time
    length = (b"Content-Length", b"1")
    assert outgoing("POST", b"/", length, body=b"x").length == 1
    for body in (b"xx", None):
        with pytest.raises(ValueError, match="body"):
            outgoing("POST", b"/", length, body=body)
