"""Response heads as an upstream client reads them: what is accepted, and what is refused with 502."""

from __future__ import annotations

from functools import partial

import pytest

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.http11 import Limits, ResponseHead, ResponseHeads, parse_response_head
from wsgikit.wire.http11.response_head import parse_slowly

LIMITS = Limits()


def response(line: bytes = b"HTTP/1.1 200 OK", *fields: bytes) -> bytes:
    return b"\r\n".join((line, *fields, b"", b""))


def parsed(data: bytes, limits: Limits = LIMITS) -> ResponseHead:
    result = parse_response_head(data, 0, limits)
    assert result is not None
    heads = ResponseHeads(limits)
    for _ in range(2):  # what is remembered means the same
        again = heads.parse(data)
        assert again is not None
        assert facts(again) == facts(result)
    return result


def facts(head: ResponseHead) -> list[object]:
    return [getattr(head, name) for name in ResponseHead.__slots__ if name != "memo"]


def refusal(data: bytes, limits: Limits = LIMITS) -> str:
    """The code of the refusal, which is the same for every way in which the bytes may arrive."""
    refusals = set()
    heads = ResponseHeads(limits)
    for end in range(len(data) + 1):
        for parse in (partial(parse_response_head, start=0, limits=limits), heads.parse):
            try:
                refusals.add(parse(data[:end]))
            except ProtocolError as error:
                refusals.add((error.code, error.status))
    refusals.discard(None)
    ((code, status),) = refusals
    assert status == 502
    return code


def test_a_response() -> None:
    data = response(b"HTTP/1.1 404 Not Found", b"Content-Length: 5", b"X-A:b", b"X-A: \tc ")
    result = parse_response_head(b"before" + data + b"after", 6, LIMITS)
    assert result is not None
    assert (result.status, result.reason, result.minor, result.end) == (404, b"Not Found", 1, 6 + len(data))
    assert result.fields == [(b"Content-Length", b"5"), (b"X-A", b"b"), (b"X-A", b"c")]
    assert (result.content_length, result.chunked, result.keep_alive, result.interim) == (5, False, True, False)
    assert repr(result) == "<ResponseHead 404 HTTP/1.1, 3 fields>"


@pytest.mark.parametrize("parse", [parse_response_head, parse_slowly])
@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"HTTP/1.1 200 OK", (200, b"OK", 1)),
        (b"HTTP/1.1 200 ", (200, b"", 1)),
        (b"HTTP/1.1 200", (200, b"", 1)),
        (b"HTTP/1.0 500 Caf\xe9 \tau lait", (500, b"Caf\xe9 \tau lait", 0)),
        (b"HTTP/1.7 999 x", (999, b"x", 1)),
    ],
)
def test_status_lines(parse, kind, line: bytes, expected: tuple[int, bytes, int]) -> None:
    result = parse(kind(response(line, b"A: b")), 0, LIMITS)
    assert (result.status, result.reason, result.minor) == expected
    assert type(result.reason) is bytes


@pytest.mark.parametrize(("status", "interim"), [(100, True), (103, True), (101, False), (200, False)])
def test_interim_responses(status: int, interim: bool) -> None:
    assert parsed(response(b"HTTP/1.1 %d X" % status)).interim is interim


@pytest.mark.parametrize(
    ("line", "fields", "expected"),
    [
        (b"HTTP/1.1 200 OK", [], True),
        (b"HTTP/1.1 200 OK", [b"Connection: close"], False),
        (b"HTTP/1.1 200 OK", [b"Connection: a", b"Connection: Close"], False),
        (b"HTTP/1.0 200 OK", [], False),
        (b"HTTP/1.0 200 OK", [b"Connection: keep-alive"], False),
    ],
)
def test_persistence(line: bytes, fields: list[bytes], expected: bool) -> None:
    assert parsed(response(line, *fields)).keep_alive is expected


@pytest.mark.parametrize("fields", [[b"Content-Length: 5", b"content-length: 5"], [b"Content-Length: 5, 5"]])
def test_equal_lengths_are_one(fields: list[bytes]) -> None:
    assert parsed(response(b"HTTP/1.1 200 OK", *fields)).content_length == 5


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([b"Content-Length: 5", b"Content-Length: 6"], "bad-content-length"),
        ([b"Content-Length: 5", b"Content-Length: 05"], "bad-content-length"),
        ([b"Content-Length: +5"], "bad-content-length"),
        ([b"Content-Length:"], "bad-content-length"),
        ([b"Content-Length: 1000000000000000000"], "content-length-too-large"),
        ([b"Content-Length: 5", b"Transfer-Encoding: chunked"], "content-length-with-transfer-encoding"),
        ([b"Transfer-Encoding: gzip, chunked"], "unsupported-transfer-coding"),
        ([b"Transfer-Encoding: gzip"], "unsupported-transfer-coding"),
        ([b"Transfer-Encoding: chunked, gzip"], "bad-transfer-encoding"),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], "repeated-transfer-encoding"),
        ([b"A : b"], "space-before-colon"),
        ([b"A: b", b" folded"], "obs-fold"),
        ([b"A"], "missing-colon"),
        ([b"A: \x00"], "bad-field-value"),
        ([b"A: b\nSet-Cookie: c"], "bare-lf"),
        ([b"A: b\rSet-Cookie: c"], "bare-cr"),
    ],
)
def test_fields_that_two_readers_could_take_differently(fields: list[bytes], code: str) -> None:
    assert refusal(response(b"HTTP/1.1 200 OK", *fields)) == code


def test_chunked_in_http_1_0_is_refused() -> None:
    assert refusal(response(b"HTTP/1.0 200 OK", b"Transfer-Encoding: chunked")) == "transfer-encoding-in-http-1.0"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"HTTP/2.0 200 OK", "bad-status-line"),
        (b"HTTP/1.1 099 OK", "bad-status-line"),
        (b"HTTP/1.1 20 OK", "bad-status-line"),
        (b"HTTP/1.1 2000 OK", "bad-status-line"),
        (b"HTTP/1.1  200 OK", "bad-status-line"),
        (b"HTTP/1.1 +20 OK", "bad-status-line"),
        (b"HTTP/1.1\r\n", "bad-status-line"),
        (b"HTTP/1.1 200\tOK", "bad-status-line"),
        (b"HTTP/1.1 200 O\x00K", "bad-status-line"),
        (b"ICY 200 OK", "bad-status-line"),
        (b"<html>", "bad-status-line"),
        (b" HTTP/1.1 200 OK", "bad-status-line"),
        (b"\r\nHTTP/1.1 200 OK", "bad-status-line"),
        (b"HTTP/1.1 200 OK\nA: b", "bare-lf"),
        (b"HTTP/1.1 200 OK\rA: b", "bare-cr"),
    ],
)
def test_status_lines_that_are_none(line: bytes, code: str) -> None:
    assert refusal(response(line)) == code


@pytest.mark.parametrize(
    ("limit", "code", "fits", "too_large"),
    [
        ({"request_line": 20}, "status-line-too-long", response(b"HTTP/1.1 200 4567890"),
         response(b"HTTP/1.1 200 45678901")),
        ({"request_line": 5}, "status-line-too-long", None, response()),
        ({"fields": 1}, "too-many-fields", response(b"HTTP/1.1 200 OK", b"A: b"),
         response(b"HTTP/1.1 200 OK", b"A:", b"B:")),
        ({"field": 6}, "field-too-long", response(b"HTTP/1.1 200 OK", b"A: 456"),
         response(b"HTTP/1.1 200 OK", b"A: 4567")),
        ({"head": 19}, "head-too-long", response(), response(b"HTTP/1.1 200 OK!")),
        ({"head": 5}, "head-too-long", None, response()),
    ],
)  # fmt: skip
def test_limits(limit, code: str, fits: bytes | None, too_large: bytes) -> None:
    limits = Limits(**limit)
    if fits is not None:
        assert parsed(fits, limits).status == 200
    assert refusal(too_large, limits) == code
    with pytest.raises(LimitError):
        parse_response_head(too_large, 0, limits)


def test_every_beginning_waits() -> None:
    for data in (response(b"HTTP/1.1 200 OK", b"A: b"), response(b"HTTP/1.1 200", b"A:  b ")):
        assert all(parse_response_head(data[:end], 0, LIMITS) is None for end in range(len(data)))


def test_heads_are_remembered_while_they_are_short_and_few() -> None:
    heads = ResponseHeads(LIMITS)
    first = heads.parse(response(b"HTTP/1.1 200 OK", b"Content-Length: 5") + b"hello")
    assert first is not None
    assert heads.parse(response(b"HTTP/1.1 200 OK", b"Content-Length: 5") + b"other") is first
    assert heads.parse(response(b"HTTP/1.1 200 OK", b"Content-Length: 6")) is not first
    assert heads.parse(response(b"HTTP/1.1 200 OK")[:-1]) is None
    for data in (response(b"HTTP/1.1 103 Early"), response(b"HTTP/1.1 200 OK", b"X: " + 2000 * b"x")):
        assert heads.parse(data) is not heads.parse(data)
    for number in range(1000):
        heads.parse(response(b"HTTP/1.1 200 OK", b"X-Id: %d" % number))
    assert len(heads._known) <= 64
