"""Request heads: what a Head holds, each refusal with its code and status, each limit, and what is refused early."""

from __future__ import annotations

import sys
import time

import pytest
from message_reader import MessageReader

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.http11 import Head, Limits, parse_head
from wsgikit.wire.http11.head import parse_slowly

LIMITS = Limits()
BROWSER = b"".join(
    line + b"\r\n"
    for line in (
        b"GET /shop/item?id=12345&ref=home HTTP/1.1",
        b"Host: shop.example.com",
        b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        b"Accept-Language: en-US,en;q=0.5",
        b"Accept-Encoding: gzip, deflate, br, zstd",
        b"Referer: https://shop.example.com/",
        b"Connection: keep-alive",
        b"Cookie: sessionid=abcdefghijklmnopqrstuvwxyz0123456789; csrftoken=ABCDEFGHIJKLMNOP",
        b"Upgrade-Insecure-Requests: 1",
        b"Sec-Fetch-Dest: document",
        b"Sec-Fetch-Mode: navigate",
        b"Sec-Fetch-Site: same-origin",
        b"",
    )
)


def head(line: bytes = b"GET / HTTP/1.1", *fields: bytes, host: bytes | None = b"Host: a") -> bytes:
    lines = (line, *([host] if host is not None else []), *fields, b"", b"")
    return b"\r\n".join(lines)


def parsed(data: bytes, limits: Limits = LIMITS) -> Head:
    result = parse_head(data, 0, limits)
    assert result is not None
    return result


def refusal(data: bytes, limits: Limits = LIMITS) -> tuple[str, int]:
    with pytest.raises(ProtocolError) as caught:
        parse_head(data, 0, limits)
    assert caught.value.detail.isascii()
    assert caught.value.detail.isprintable()
    return caught.value.code, caught.value.status


def verdict(data: bytes) -> tuple[str, int] | None:
    """The refusal, None when the head is not complete."""
    return None if waits(data) else refusal(data)


def waits(data: bytes) -> bool:
    try:
        return parse_head(data, 0, LIMITS) is None
    except ProtocolError:
        return False


def test_a_browsers_head() -> None:
    result = parsed(BROWSER)
    assert (result.method, result.target) == ("GET", b"/shop/item?id=12345&ref=home")
    assert (result.path, result.query, result.authority) == (b"/shop/item", b"id=12345&ref=home", None)
    assert (result.minor, result.host, result.end) == (1, b"shop.example.com", len(BROWSER))
    assert (result.content_length, result.chunked, result.expect_continue, result.upgrade) == (None,) + (False,) * 3
    assert result.keep_alive is True
    assert len(result.fields) == 12
    assert result.fields[-1] == (b"Sec-Fetch-Site", b"same-origin")
    assert repr(result) == "<Head GET b'/shop/item?id=12345&ref=home' HTTP/1.1, 12 fields>"


@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("parse", [parse_head, parse_slowly])
def test_any_buffer_at_any_start_gives_bytes(kind, parse) -> None:
    buffer = kind(b"leftover" + BROWSER + b"the body")
    result = parse(buffer, 8, LIMITS)
    assert result.end == 8 + len(BROWSER)
    values = [result.target, result.path, result.query, result.host, *(part for pair in result.fields for part in pair)]
    assert {type(value) for value in values} == {bytes}


def test_a_bytearray_can_shrink_after_parsing() -> None:
    buffer = bytearray(BROWSER)
    result = parse_head(buffer, 0, LIMITS)
    del buffer[: result.end]
    assert (buffer, result.fields[0]) == (b"", (b"Host", b"shop.example.com"))


def test_registered_methods_are_one_object() -> None:
    assert parsed(head(b"PATCH /a HTTP/1.1")).method is parsed(head(b"PATCH /b HTTP/1.1", b"X:  slow")).method


def test_fields_keep_order_case_repeats_and_underscores() -> None:
    result = parsed(head(b"GET / HTTP/1.1", b"b-C: 1", b"X_Y: 2", b"B-c:3", b"empty:", b"spaced:\t 4 \t"))
    assert result.fields[1:] == [(b"b-C", b"1"), (b"X_Y", b"2"), (b"B-c", b"3"), (b"empty", b""), (b"spaced", b"4")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET /a/../b%2f?x?y HTTP/1.1", (b"/a/../b%2f", b"x?y", None, b"a")),
        (b"GET //evil/x HTTP/1.1", (b"//evil/x", b"", None, b"a")),
        (b"GET /? HTTP/1.1", (b"/", b"", None, b"a")),
        (b"GET /[]^`{|} HTTP/1.1", (b"/[]^`{|}", b"", None, b"a")),
        (b"OPTIONS * HTTP/1.1", (b"*", b"", None, b"a")),
        (b"GET http://b:80/x?y HTTP/1.1", (b"/x", b"y", b"b:80", b"b:80")),
        (b"GET https://b HTTP/1.1", (b"/", b"", b"b", b"b")),
        (b"GET http://b?q HTTP/1.1", (b"/", b"q", b"b", b"b")),
        (b"OPTIONS http://b HTTP/1.1", (b"*", b"", b"b", b"b")),
        (b"OPTIONS http://b? HTTP/1.1", (b"/", b"", b"b", b"b")),
        (b"OPTIONS http://b/ HTTP/1.1", (b"/", b"", b"b", b"b")),
        (b"CONNECT b:443 HTTP/1.1", (b"", b"", b"b:443", b"b:443")),
        (b"CONNECT [::1]:443 HTTP/1.1", (b"", b"", b"[::1]:443", b"[::1]:443")),
    ],
)
def test_forms_of_a_target(line: bytes, expected: tuple[bytes, bytes, bytes | None, bytes]) -> None:
    result = parsed(head(line))
    assert (result.path, result.query, result.authority, result.host) == expected
    assert result.target == line.split(b" ")[1]


@pytest.mark.parametrize(
    ("start", "code", "status"),
    [
        (b"\x16", "tls-handshake", 400),
        (b"\x80", "bad-method", 400),
        (b" ", "bad-method", 400),
        (b"GET\x00", "bad-method", 400),
        (b"GET\n", "bare-lf", 400),
        (b"GET\rX", "bare-cr", 400),
        (b"GET\r\n", "bad-method", 400),
        (b"SSH-2.0-OpenSSH_9\r\n", "bad-method", 400),
        (b"\n", "bare-lf", 400),
        (b"\rG", "bare-cr", 400),
        (b"\r\n\r\n\r\n", "too-many-empty-lines", 400),
        (b"\r\n\r\n\x00\r\nQUIT\n", "bad-method", 400),  # the signature of the PROXY protocol, version 2
        (b"PROXY TCP4 1.2.3.4 ", "bad-target", 400),
        (b"GET  ", "bad-target", 400),
        (b"GET /\n", "bare-lf", 400),
        (b"GET /\r\n", "missing-version", 400),
        (b"GET \r\n", "bad-target", 400),
        (b"GET /\x7f", "bad-target", 400),
        (b"GET x ", "bad-target", 400),
        (b"GET / X", "bad-version", 400),
        (b"GET / HTTP/1.1X", "bad-request-line", 400),
        (b"GET / HTTP/1\n", "bare-lf", 400),
        (b"GET / HTTP/2.0", "unsupported-version", 505),
        (b"GET / HTTP/0.9", "bad-version", 400),
        (b"PRI * HTTP/2.0", "http2-preface", 400),
        (b"PRI * HTTP/1.1\r", "bad-target", 400),
        (b"GET / HTTP/1.1\r\n ", "space-before-first-field", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n ", "obs-fold", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n\rX", "bare-cr", 400),
        (b"GET / HTTP/1.1\r\nA\n", "bare-lf", 400),
        (b"GET / HTTP/1.1\r\nA\rX", "bare-cr", 400),
        (b"GET / HTTP/1.1\r\n:", "bad-field-name", 400),
        (b"GET / HTTP/1.1\r\nA: b\n", "bare-lf", 400),
        (b"GET / HTTP/1.1\r\nA: b\x00", "bad-field-value", 400),
    ],
)
def test_what_can_never_become_valid_is_refused_at_once(start: bytes, code: str, status: int) -> None:
    assert refusal(start) == (code, status)
    early = [verdict(start[:cut]) for cut in range(len(start))]
    assert set(early) <= {None, (code, status)}


def test_every_beginning_of_a_valid_head_waits() -> None:
    slow = head(b"UNKNOWN http://b/x HTTP/1.0", b"A:  spaced  ")
    for data in (BROWSER, slow, b"\r\n" + BROWSER):
        for cut in range(len(data)):
            assert parse_head(data[:cut], 0, LIMITS) is None


@pytest.mark.parametrize(
    ("limit", "code", "status", "fits", "too_large"),
    [
        ({"request_line": 20}, "request-line-too-long", 414, b"GET /2345 HTTP/1.1", b"GET /23456789 HTTP/1.1"),
        ({"request_line": 9}, "request-line-too-long", 414, None, b"GET / HTTP/1.1"),
        ({"request_line": 2}, "request-line-too-long", 414, None, b"GET / HTTP/1.1"),
        ({"method": 5}, "method-too-long", 501, b"ABCDE / HTTP/1.1", b"ABCDEF / HTTP/1.1"),
        ({"method": 5, "request_line": 3}, "request-line-too-long", 414, None, b"ABCDEFGH / HTTP/1.1"),
        ({"method": 2}, "method-too-long", 501, None, b"GET / HTTP/1.1"),
        ({"head": 10}, "head-too-long", 431, None, b"GET / HTTP/1.1"),
        ({"head": 27}, "head-too-long", 431, b"GET / HTTP/1.1", b"GET /2 HTTP/1.1"),
    ],
)
def test_limits_of_the_request_line(limit, code: str, status: int, fits: bytes | None, too_large: bytes) -> None:
    limits = Limits(**limit)
    if fits is not None:
        assert parsed(head(fits), limits).minor == 1
    assert refusal(head(too_large), limits) == (code, status)
    with pytest.raises(LimitError):
        parse_head(head(too_large), 0, limits)


@pytest.mark.parametrize(
    ("limit", "code", "fits", "too_large"),
    [
        ({"fields": 3}, "too-many-fields", [b"A: b"] * 2, [b"A: b"] * 3),
        ({"field": 10}, "field-too-long", [b"A: 4567890"], [b"A: 45678901"]),
        ({"field": 10}, "field-too-long", [b"A234567:90"], [b"A2345678901:"]),
        ({"head": 40}, "head-too-long", [b"A: 45678901"], [b"A: 456789012"]),
        ({"head": 40}, "head-too-long", [b"A: 45678901"], [b"A: 4567"] * 2),
    ],
)
@pytest.mark.parametrize("space", [b" ", b"\t"])
def test_limits_of_the_fields(limit, code: str, fits: list[bytes], too_large: list[bytes], space: bytes) -> None:
    # HTAB after a colon takes the slow way, where the limits must be the same to the byte.
    limits = Limits(**limit)
    fit, large = ([line.replace(b" ", space) for line in lines] for lines in (fits, too_large))
    assert parsed(head(b"GET / HTTP/1.1", *fit), limits).method == "GET"
    assert refusal(head(b"GET / HTTP/1.1", *large), limits) == (code, 431)


def test_limits_count_empty_lines() -> None:
    assert parsed(b"\r\n" * 5 + BROWSER, Limits(head_lines=5)).end == len(BROWSER) + 10
    assert refusal(b"\r\n" + BROWSER, Limits(head_lines=0)) == ("too-many-empty-lines", 400)
    assert refusal(b"\r\n" * 2 + head(), Limits(head=30)) == ("head-too-long", 431)


def test_over_a_limit_is_refused_before_the_end_comes() -> None:
    assert refusal(b"G" * 65) == ("method-too-long", 501)
    assert refusal(b"GET /" + b"a" * 8190) == ("request-line-too-long", 414)
    assert refusal(b"GET / HTTP/1.1\r\nA: " + b"b" * 8190) == ("field-too-long", 431)
    assert refusal(b"GET / HTTP/1.1\r\n" + b"A" * 8191) == ("field-too-long", 431)
    assert refusal(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100 + b"A") == ("too-many-fields", 431)
    assert refusal(b"GET / HTTP/1.1\r\n" + (b"A: " + b"b" * 8000 + b"\r\n") * 9) == ("head-too-long", 431)


def test_a_head_that_comes_byte_by_byte_is_not_read_again_for_each() -> None:
    # Each look at the 60 KB costs hundreds of microseconds; a client could make us take one for each byte.
    reader = MessageReader(remember=True)
    reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X-A: " + b"a" * 600 + b"\r\n") * 90 + b"X-A: ")
    started = time.process_time()
    for _ in range(5000):
        reader.feed(b"a")
    spent = time.process_time() - started
    assert (reader.seen, reader.error) == ([], None)
    reader.feed(b"\r\n")
    reader.feed(b"\r\n")
    assert reader.seen[0].complete
    assert spent < 0.5


def test_a_limit_is_noticed_though_no_line_ends() -> None:
    reader = MessageReader(remember=True)
    sent = next((size for size in range(1, 20_000) if reader.feed(b"G") or reader.error), 0)
    assert reader.error is not None
    assert (reader.error.code, sent) == ("method-too-long", 1024)


def test_a_long_head_within_its_limits_is_parsed() -> None:
    long = head(b"GET /" + b"a" * 8000 + b" HTTP/1.1", *(b"A: " + b"b" * 8000 for _ in range(6)))
    result = parsed(long)
    assert (len(result.fields), len(result.path), result.end) == (7, 8001, len(long))


@pytest.mark.parametrize(
    ("fields", "minor", "expected"),
    [
        ([], 1, True),
        ([], 0, False),
        ([b"Connection: keep-alive"], 1, True),
        ([b"Connection: Keep-Alive"], 0, True),
        ([b"Connection: keep-alive, close"], 0, False),
        ([b"Connection: close"], 1, False),
        ([b"Connection: Upgrade, CLOSE"], 1, False),
        ([b"Connection: x", b"Connection: close"], 1, False),
        ([b"Connection: x", b"Connection: keep-alive"], 0, True),
        ([b"Connection:"], 1, True),
        ([b"Connection:"], 0, False),
        ([b"Connection: ,"], 1, True),
        ([b"Connection: \xa0close"], 1, False),  # no token: nobody can say what another reader makes of it
        ([b"Proxy-Connection: keep-alive"], 0, False),
    ],
)
def test_persistence_by_version_and_connection(fields: list[bytes], minor: int, expected: bool) -> None:
    assert parsed(head(b"GET / HTTP/1.%d" % minor, *fields)).keep_alive is expected


@pytest.mark.parametrize(
    ("fields", "minor", "expected"),
    [
        ([b"Expect: 100-continue", b"Content-Length: 1"], 1, True),
        ([b"expect: 100-CONTINUE", b"Transfer-Encoding: chunked"], 1, True),
        ([b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 1"], 1, True),
        ([b"Expect: 100-continue", b"Content-Length: 0"], 1, False),
        ([b"Expect: 100-continue"], 1, False),
        ([b"Expect:", b"Content-Length: 1"], 1, False),
        ([b"Expect: 100-continue", b"Content-Length: 1"], 0, False),
        ([b"Expect: other", b"Content-Length: 1"], 0, False),
        ([b"Content-Length: 1"], 1, False),
    ],
)
def test_expectations(fields: list[bytes], minor: int, expected: bool) -> None:
    assert parsed(head(b"POST / HTTP/1.%d" % minor, *fields)).expect_continue is expected


@pytest.mark.parametrize(
    ("fields", "minor", "expected"),
    [
        ([b"Upgrade: x", b"Connection: a, upgrade"], 1, True),
        ([b"Upgrade: x", b"Connection: a"], 1, False),
        ([b"Upgrade: x"], 1, False),
        ([b"Connection: upgrade"], 1, False),
        ([b"Upgrade: x", b"Connection: upgrade"], 0, False),
    ],
)
def test_upgrades(fields: list[bytes], minor: int, expected: bool) -> None:
    assert parsed(head(b"GET / HTTP/1.%d" % minor, *fields)).upgrade is expected


@pytest.mark.parametrize(
    "host",
    [
        b"a", b"A.example-1.com.", b"a:0", b"a:65535", b"a:", b"my_app", b"a~b!$&'()*+;=", b"%41", b"127.0.0.1:8000",
        b"999.999.999.999", b"[::]", b"[::1]:80", b"[1:2:3:4:5:6:7:8]", b"[1::8]", b"[::ffff:1.2.3.4]",
        b"[2001:DB8::a]", b"[1:2:3:4:5:6:1.2.3.4]", b"[v1.a:b]", b"xn--bcher-kva.example",
    ],
)  # fmt: skip
def test_valid_hosts(host: bytes) -> None:
    assert parsed(head(host=b"Host: " + host)).host == host


@pytest.mark.parametrize(
    "host",
    [
        b"a b", b"a,b", b"u@a", b"a/p", b"a?q", b"a#f", b"a\\b", b'a"b', b"a<b", b"a|b", b"a^", b"a%", b"a%4", b"a%zz",
        b"a:b", b"a:65536", b"a:100000", b"a:-1", b"a:+1", b"a:1:2", b":80", b":", b"a:1 ,b", b"a\xe9", b"a\xa0",
        b"[", b"[]", b"[::1", b"::1", b"[a]", b"[1:2]", b"[1:2:3:4:5:6:7:8:9]", b"[1::2::3]", b"[::1.2.3.256]",
        b"[fe80::1%25eth0]", b"[::1]a", b"[v1.]", b"[::12345]",
    ],
)  # fmt: skip
def test_invalid_hosts(host: bytes) -> None:
    assert refusal(head(host=b"Host: " + host)) == ("bad-host", 400)


def test_hosts_that_were_checked_are_kept_in_a_bounded_set() -> None:
    meaning = sys.modules["wsgikit.wire.http11.meaning"]
    for number in range(1000):
        parsed(head(host=b"Host: h%d" % number))
        assert len(meaning._known_hosts) <= 256
    assert parsed(head(host=b"Host:")).host == b""
    long = b"a" * 65
    parsed(head(host=b"Host: " + long))
    assert long not in meaning._known_hosts


def test_the_length_is_a_number_of_any_writing() -> None:
    assert parsed(head(b"POST / HTTP/1.1", b"Content-Length: " + b"0" * 8000 + b"12")).content_length == 12
    assert parsed(head(b"POST / HTTP/1.1", b"Content-Length: 000")).content_length == 0
    assert parsed(head(b"POST / HTTP/1.1", b"Content-Length: " + b"9" * 18)).content_length == 10**18 - 1
    assert refusal(head(b"POST / HTTP/1.1", b"Content-Length: 1" + b"0" * 18)) == ("content-length-too-large", 413)
    assert refusal(head(b"POST / HTTP/1.1", b"Content-Length: " + b"9" * 8000)) == ("content-length-too-large", 413)


def test_what_is_wrong_in_the_bytes_comes_before_what_is_wrong_in_the_whole() -> None:
    assert refusal(head(b"GET / HTTP/1.1", b"A: \x00", host=None)) == ("bad-field-value", 400)
    assert refusal(head(b"GET / HTTP/1.1", b"Content-Length: x", host=None)) == ("missing-host", 400)
