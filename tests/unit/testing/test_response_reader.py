from __future__ import annotations

import pytest

from wsgikit.errors import Disconnected, LimitError, ProtocolError
from wsgikit.testing import Response, ResponseReader


def read(data: bytes, method: str = "GET", *, strict: bool = True) -> Response:
    reader = ResponseReader(method, strict=strict)
    reader.feed(data)
    return reader.response if reader.done and reader.response else reader.eof()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: 1\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_chunked_in_pieces(size: int) -> None:
    reader = ResponseReader()
    for start in range(0, len(CHUNKED), size):
        assert not reader.done
        reader.feed(CHUNKED[start : start + size])
    assert reader.response is not None
    assert reader.response.body == b"abcde"
    assert reader.response.chunks == [3, 2]
    assert reader.response.trailers == [(b"X", b"1")]
    assert reader.response.framing == "chunked"
    assert reader.rest == b""


def test_interim_responses_come_before_the_final_one() -> None:
    response = read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No\r\n\r\n")
    assert [interim.status for interim in response.interim] == [100, 103]
    assert (response.status, response.framing, response.body) == (204, "none", b"")


@pytest.mark.parametrize(
    ("method", "status", "framing"),
    [("HEAD", b"200 OK", "none"), ("GET", b"304 Not Modified", "none"), ("GET", b"200 OK", "length")],
)
def test_bodies_by_method_and_status(method: str, status: bytes, framing: str) -> None:
    reader = ResponseReader(method)
    reader.feed(b"HTTP/1.1 " + status + b"\r\nContent-Length: 3\r\n\r\nabc")
    assert reader.response is not None
    assert reader.response.framing == framing
    assert reader.response.length == 3
    assert reader.rest == (b"abc" if framing == "none" else b"")


def test_close_delimited_needs_the_end() -> None:
    reader = ResponseReader()
    assert not reader.feed(b"HTTP/1.0 200 OK\r\n\r\nabc")
    response = reader.eof()
    assert (response.body, response.complete, response.persistent) == (b"abc", True, False)


@pytest.mark.parametrize(
    "data",
    [b"", b"HTTP/1.1 200 OK\r\n", CHUNKED[:-2], b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"],
)
def test_an_early_end_is_noticed(data: bytes) -> None:
    reader = ResponseReader()
    reader.feed(data)
    with pytest.raises(Disconnected):
        reader.eof()
    assert reader.partial is None or not reader.partial.complete


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"HTTP/2 200 OK\r\n\r\n", "bad-status-line"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "bad-status-line"),
        (b"HTTP/1.1 200 O\x00K\r\n\r\n", "bad-status-line"),
        (b"HTTP/1.1 200\r\n\r\n", "status-line-without-space"),
        (b"HTTP/1.1 200 OK\nA: b\n\n", "bare-lf"),
        (b"HTTP/1.1 200 OK\r\nA b\r\n\r\n", "bad-field-name"),
        (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "bad-field-name"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "folded-field"),
        (b"HTTP/1.1 200 OK\r\nA: b\x0bc\r\n\r\n", "bad-field-value"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na", "bad-content-length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", "conflicting-content-length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", "repeated-content-length"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "content-length-with-transfer-encoding",
        ),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "transfer-encoding-in-1.0"),
        (b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", "framing-on-bodiless-status"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "bad-transfer-encoding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n", "bad-chunk-size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", "chunk-without-crlf"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n", "bare-lf"),
    ],
)
def test_every_defect_has_its_code(data: bytes, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        ResponseReader().feed(data)
    assert caught.value.code == code


def test_a_lenient_reader_records_and_goes_on() -> None:
    reader = ResponseReader(strict=False)
    assert reader.feed(b"HTTP/1.1 200\nContent-Length: 1\nBad: a\x01\n\nx")
    assert reader.response is not None
    assert reader.response.defects == ["bare-lf", "status-line-without-space", "bad-field-value"]
    assert reader.response.body == b"x"


def test_limits() -> None:
    with pytest.raises(LimitError, match="response-head-too-large"):
        ResponseReader().feed(b"x" * 300_000)
    with pytest.raises(LimitError, match="response-body-too-large"):
        ResponseReader(body_limit=3).feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabcdefghi")


@pytest.mark.parametrize(
    ("head", "persistent"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive", True),
    ],
)
def test_persistence(head: bytes, persistent: bool) -> None:
    assert read(head + b"\r\n\r\n").persistent is persistent


def test_fields_are_found_in_any_case() -> None:
    response = read(b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 0\r\n\r\n")
    assert response.get_all("SET-COOKIE") == [b"a", b"b"]
    assert response.get("set-cookie") == b"a"
    assert response.get("date") is None
