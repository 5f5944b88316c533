"""Response heads of CGI programs: what they may leave out, how they end lines, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.cgi import parse_cgi_response, status_line
from wsgikit.wire.http11 import Limits

LIMITS = Limits(head=2000, fields=10)


def parsed(text: bytes):
    found = parse_cgi_response(text, LIMITS)
    assert found is not None
    return found


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_head_at_every_cut(end) -> None:
    lines = (b"Content-Type: text/plain", b"Status: 404 Not Here", b"X-Empty:", b"")
    wire = end.join(lines) + end
    for cut in range(len(wire)):
        assert parse_cgi_response(wire[:cut], LIMITS) is None
        assert parse_cgi_response(wire, LIMITS, cut) is not None
    head, local = parsed(wire + b"body\n\n")
    assert (head.status, head.reason, head.end, local) == (404, b"Not Here", len(wire), b"")
    assert head.fields == [(b"Content-Type", b"text/plain"), (b"X-Empty", b"")]


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        (b"Content-Type: a\n\n", 200, b"OK"),
        (b"Status: 204\n\n", 204, b""),
        (b"Status: 500 \n\n", 500, b""),
        (b"HTTP/1.1 418 I'm a teapot\nX: y\n\n", 418, b"I'm a teapot"),
        (b"HTTP/1.0 200\r\n\r\n", 200, b""),
        (b"Location: https://shop.example/\n\n", 302, b"Found"),
        (b"Status: 301 Moved\nLocation: /there\n\n", 301, b"Moved"),
    ],
)
def test_statuses(text, status, reason) -> None:
    head, local = parsed(text)
    assert (head.status, head.reason, local) == (status, reason, b"")


def test_a_local_redirect_is_told_apart() -> None:
    assert parsed(b"Location: /there?a=b\n\n").local == b"/there?a=b"
    with pytest.raises(ProtocolError, match="Location"):
        parse_cgi_response(b"Location: //evil.example/\n\n", LIMITS)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"\n", "empty-head"),
        (b"\r\nContent-Type: a\n\n", "empty-head"),
        (b"no colon\n\n", "bad-cgi-field"),
        (b"A : b\n\n", "bad-cgi-field"),
        (b"A: b\n folded: c\n\n", "bad-cgi-field"),
        (b"A: b\rC: d\n\n", "bad-cgi-field"),
        (b"A: \0\n\n", "bad-cgi-field"),
        (b"Location: nowhere\n\n", "bad-cgi-field"),
        (b"Status: ok\n\n", "bad-cgi-status"),
        (b"Status: 20\n\n", "bad-cgi-status"),
        (b"Status: 100 Continue\n\n", "bad-cgi-status"),
        (b"Status: 200\nStatus: 404\n\n", "bad-cgi-status"),
        (b"HTTP/1.1 200 OK\nStatus: 404\n\n", "bad-cgi-status"),
        (b"Content-Length: +5\n\n", "bad-content-length"),
        (b"Content-Length: 5\nContent-Length: 6\n\n", "bad-content-length"),
        (b"Content-Length: 5\nTransfer-Encoding: chunked\n\n", "transfer-encoding-in-cgi"),
        (b"A: b\n" * 11 + b"\n", "too-many-fields"),
        (b"A: " + b"b" * 2000 + b"\n\n", "head-too-long"),
        (b"A: " + b"b" * 2000, "head-too-long"),
    ],
)
def test_refused(text, code) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_cgi_response(text, LIMITS)
    assert caught.value.code == code
    assert caught.value.status == 502
    assert isinstance(caught.value, LimitError) == code.startswith(("too-", "head-"))


def test_a_length_is_kept() -> None:
    assert parsed(b"Content-Length: 5\nContent-Length: 5\n\n").head.content_length == 5


@given(st.lists(st.sampled_from([b"A: b", b"Status: 200 OK", b"\n", b"\r\n", b":", b"\r", b"HTTP/1.1 200", b"x"])))
def test_any_mixture_is_a_head_or_an_error(parts) -> None:
    text = b"".join(parts)
    found, status = None, 502
    try:
        found = parse_cgi_response(text, LIMITS)
    except ProtocolError as error:
        status = error.status
    assert status == 502
    assert found is None or found.head.end <= len(text)


def test_http_s_status_line_becomes_a_field() -> None:
    assert status_line(b"HTTP/1.1 404 Not Found\r\n") == b"Status: 404 Not Found\r\n"
