"""Decoders of bodies: content, end, rest, trailers, errors and limits, however the bytes are cut."""

from __future__ import annotations

import time

import pytest

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.http11 import (
    ChunkedDecoder,
    CloseDecoder,
    LengthDecoder,
    Limits,
    parse_head,
    parse_response_head,
    request_decoder,
    response_decoder,
)

LIMITS = Limits()


def run(decoder, data: bytes, step: int | None = None) -> bytes:
    step = step or max(len(data), 1)
    return b"".join(decoder.feed(data[at : at + step]) for at in range(0, len(data), step))


def refusal(data: bytes, limits: Limits = LIMITS, *, status: int = 400) -> tuple[str, int]:
    verdicts = set()
    for step in (None, 1, 2, 3):
        with pytest.raises(ProtocolError) as caught:
            run(ChunkedDecoder(limits, status=status), data, step)
        verdicts.add((caught.value.code, caught.value.status))
    assert len(verdicts) == 1, verdicts
    return verdicts.pop()


@pytest.mark.parametrize("step", [None, 1, 3])
def test_a_length(step: int | None) -> None:
    decoder = LengthDecoder(5)
    assert run(decoder, b"hellomore", step) == b"hello"
    assert (decoder.done, decoder.rest, decoder.trailers) == (True, b"more", [])
    decoder.eof()


def test_a_length_of_nothing_is_done() -> None:
    decoder = LengthDecoder(0)
    assert (decoder.done, decoder.feed(b"x"), decoder.rest) == (True, b"", b"x")


@pytest.mark.parametrize("status", [400, 502])
@pytest.mark.parametrize("kind", [LengthDecoder, ChunkedDecoder])
def test_the_end_before_the_end_is_an_error(kind, status: int) -> None:
    decoder = LengthDecoder(5, status=status) if kind is LengthDecoder else ChunkedDecoder(LIMITS, status=status)
    decoder.feed(b"4\r\n")
    with pytest.raises(ProtocolError) as caught:
        decoder.eof()
    assert (caught.value.code, caught.value.status) == ("incomplete-body", status)


def test_the_end_of_the_connection_ends_a_body_without_length() -> None:
    decoder = CloseDecoder()
    assert (decoder.feed(b"any"), decoder.feed(b"thing"), decoder.done) == (b"any", b"thing", False)
    decoder.eof()
    assert (decoder.done, decoder.rest, decoder.trailers) == (True, b"", [])


@pytest.mark.parametrize("step", [None, 1, 2, 3, 7])
def test_chunks_with_extensions_and_trailers(step: int | None) -> None:
    decoder = ChunkedDecoder(LIMITS)
    wire = b'5;a=b\r\nhello\r\n1 ; c="\\"d;"\r\n!\r\n00A\r\n0123456789\r\n0;e\r\nX-A: 1\r\nX-A:2\r\n\r\nGET /'
    assert run(decoder, wire, step) == b"hello!0123456789"
    assert (decoder.done, decoder.rest) == (True, b"GET /")
    assert decoder.trailers == [(b"X-A", b"1"), (b"X-A", b"2")]
    decoder.eof()
    assert (decoder.feed(b"x"), decoder.rest) == (b"", b"GET /x")


@pytest.mark.parametrize("piece", [b"", b"0", b"0\r", b"0\r\n", b"0\r\n\r", b"1\r\na", b"1\r\na\r", b"1\r\na\r\n"])
def test_chunks_that_wait_for_more(piece: bytes) -> None:
    decoder = ChunkedDecoder(LIMITS)
    decoder.feed(piece)
    assert (decoder.done, decoder.feed(b"")) == (False, b"")
    with pytest.raises(ProtocolError, match="incomplete-body"):
        decoder.eof()


@pytest.mark.parametrize(
    ("wire", "code", "status"),
    [
        (b"x", "bad-chunk-size", 400),
        (b"\r\n", "bad-chunk-size", 400),
        (b"5x", "bad-chunk-size", 400),
        (b"\n", "bad-chunk-size", 400),
        (b"1" * 17, "chunk-size-too-large", 413),
        (b"5\n", "bare-lf", 400),
        (b"5;a\n", "bare-lf", 400),
        (b"5\rx", "bare-cr", 400),
        (b"5;a\rx", "bare-cr", 400),
        (b"5;\r\n", "bad-chunk-extension", 400),
        (b"5 \r\n", "bad-chunk-extension", 400),
        (b"5;a=\r\n", "bad-chunk-extension", 400),
        (b'5;a="b\r\n', "bad-chunk-extension", 400),
        (b"5;a b\r\n", "bad-chunk-extension", 400),
        (b"1\r\nab", "bad-chunk-end", 400),
        (b"1\r\na\rb", "bad-chunk-end", 400),
        (b"1\r\na\n", "bare-lf", 400),
        (b"0\r\n\n", "bare-lf", 400),
        (b"0\r\n\rx", "bare-cr", 400),
        (b"0\r\nA\r\n", "missing-colon", 400),
        (b"0\r\nA : b", "space-before-colon", 400),
        (b"0\r\n A: b", "space-before-first-field", 400),
        (b"0\r\nA: b\r\n c", "obs-fold", 400),
        (b"0\r\nA: \x00", "bad-field-value", 400),
    ],
)
def test_chunks_that_are_refused_at_once(wire: bytes, code: str, status: int) -> None:
    assert refusal(wire) == (code, status)
    assert refusal(wire, status=502) == (code, 502)


def test_limits_of_chunk_lines() -> None:
    limits = Limits(chunk_line=20)
    fits = b"1;a=" + b"b" * 16
    assert run(ChunkedDecoder(limits), fits + b"\r\nx\r\n", 1) == b"x"
    assert refusal(fits + b"b", limits) == ("chunk-line-too-long", 400)
    assert refusal(fits + b"b\r\n", limits) == ("chunk-line-too-long", 400)
    assert refusal(fits + b"\n", limits) == ("bare-lf", 400)
    assert refusal(fits + b"\rx", limits) == ("bare-cr", 400)
    with pytest.raises(LimitError):
        ChunkedDecoder(limits).feed(fits + b"b")


def test_extensions_of_one_body_are_limited_together() -> None:
    limits = Limits(chunk_line=20)
    chunk = b"1;a=" + b"b" * 13 + b"\r\nx\r\n"  # 16 bytes of extension; 16 * 20 are allowed
    assert run(ChunkedDecoder(limits), chunk * 20) == b"x" * 20
    assert refusal(chunk * 21, limits) == ("chunk-extensions-too-long", 400)


def test_limits_of_trailers() -> None:
    limits = Limits(trailer=30, fields=2, field=20)
    assert run(ChunkedDecoder(limits), b"0\r\n" + b"A: 3456789012\r\n" + b"A: 345678\r\n\r\n", 1) == b""
    assert refusal(b"0\r\n" + b"A: 3456789012\r\n" + b"A: 34567890123\r\n\r\n", limits) == ("trailer-too-long", 431)
    assert refusal(b"0\r\n" + b"A: 345678901234567890\r\n", limits) == ("field-too-long", 431)
    assert refusal(b"0\r\nA: b\r\nA: b\r\nA", limits) == ("too-many-fields", 431)


def test_trailers_that_frame_route_or_authenticate_are_dropped() -> None:
    forbidden = (b"Content-Length", b"transfer-encoding", b"HOST", b"Authorization", b"Cookie", b"X-Forwarded-For",
                 b"Content-Type", b"Expect", b"Trailer", b"If-Match", b"Connection")  # fmt: skip
    wire = b"".join(b"%b: evil\r\n" % name for name in forbidden)
    decoder = ChunkedDecoder(LIMITS)
    decoder.feed(b"0\r\n" + wire + b"X-Sum: 1\r\n\r\n")
    assert decoder.trailers == [(b"X-Sum", b"1")]


def test_a_large_chunk_is_passed_on_without_copies() -> None:
    decoder = ChunkedDecoder(LIMITS)
    decoder.feed(b"100000\r\n")
    piece = b"a" * 65536
    assert all(decoder.feed(piece) is piece for _ in range(15))
    assert decoder.feed(piece + b"\r\n0\r\n\r\n") == piece
    assert decoder.done


@pytest.mark.parametrize(
    ("wire", "step", "seconds"),
    [
        (
            b"1\r\na\r\n" * 200_000 + b"0\r\n\r\n",
            None,
            4.0,
        ),  # each chunk line taken by its offset, not cut off the front
        (b"8000\r\n" + b"a" * 32768 + b"\r\n0\r\n\r\n", 1, 2.0),
        (b"1;a=" + b"b" * 4000 + b"\r\nx\r\n0\r\n\r\n", 1, 2.0),
        (b"0\r\n" + b"A: b\r\n" * 99 + b"\r\n", 1, 2.0),
    ],
    ids=["tiny-chunks", "one-chunk-by-bytes", "extension-by-bytes", "trailers-by-bytes"],
)
def test_the_time_is_linear(wire: bytes, step: int | None, seconds: float) -> None:
    decoder = ChunkedDecoder(LIMITS)
    started = time.process_time()
    run(decoder, wire, step)
    assert decoder.done
    assert time.process_time() - started < seconds


def test_the_decoder_of_a_request_follows_its_framing() -> None:
    def decoder_for(*fields: bytes):
        return request_decoder(
            parse_head(b"\r\n".join((b"GET / HTTP/1.1", b"Host: a", *fields, b"", b"")), 0, LIMITS), LIMITS
        )

    assert decoder_for() is None
    assert decoder_for(b"Content-Length: 0") is None
    assert isinstance(decoder_for(b"Transfer-Encoding: chunked"), ChunkedDecoder)
    assert decoder_for(b"Content-Length: 7").remaining == 7


@pytest.mark.parametrize(
    ("method", "status", "fields", "kind"),
    [
        ("GET", 200, b"", CloseDecoder),
        ("GET", 200, b"Content-Length: 5\r\n", LengthDecoder),
        ("GET", 200, b"Content-Length: 0\r\n", None),
        ("GET", 200, b"Transfer-Encoding: chunked\r\n", ChunkedDecoder),
        ("HEAD", 200, b"Content-Length: 5\r\n", None),
        ("HEAD", 200, b"Transfer-Encoding: chunked\r\n", None),
        ("GET", 100, b"Content-Length: 5\r\n", None),
        ("GET", 101, b"", None),
        ("GET", 204, b"Transfer-Encoding: chunked\r\n", None),
        ("GET", 304, b"Content-Length: 5\r\n", None),
        ("CONNECT", 200, b"Content-Length: 5\r\n", None),
        ("CONNECT", 403, b"Content-Length: 5\r\n", LengthDecoder),
    ],
)
def test_the_decoder_of_a_response_follows_rfc_9112_6_3(method: str, status: int, fields: bytes, kind) -> None:
    head = parse_response_head(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, fields), 0, LIMITS)
    decoder = response_decoder(method, head, LIMITS)
    assert decoder is None if kind is None else type(decoder) is kind
    if kind in (LengthDecoder, ChunkedDecoder):
        assert decoder.status == 502
