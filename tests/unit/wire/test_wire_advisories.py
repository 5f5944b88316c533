"""Each published weakness of a WSGI server that sits in the parser, by its name: what it took, and that we refuse it.

The weaknesses of sockets, threads and processes have their tests with the server.
"""

from __future__ import annotations

import time

import pytest
from message_reader import MessageReader, read

from wsgikit.errors import ProtocolError
from wsgikit.wire.http11 import ChunkedDecoder, Limits, format_head, parse_head
from wsgikit.wire.http11.grammar import NAME_TEXT, VALUE_TEXT

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"0\r\n\r\n"


def refused(data: bytes) -> tuple[str, int]:
    """The refusal of a stream of which not one message may reach an app, whole and byte by byte."""
    verdicts = set()
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        reader = read(pieces)
        assert [seen for seen in reader.seen if seen.complete] == []
        assert reader.error is not None
        assert not reader.persists
        verdicts.add((reader.error.code, reader.error.status))
    assert len(verdicts) == 1
    return verdicts.pop()


def one_call(data: bytes, **options: bool) -> MessageReader:
    reader = read([data], **options)
    assert [seen.head.target for seen in reader.seen] == [b"/"]
    return reader


def test_cve_2018_1000164_gunicorn_crlf_in_a_response_header() -> None:
    evil = "x\r\nSet-Cookie: evil=1"
    assert VALUE_TEXT.fullmatch(evil) is None
    assert NAME_TEXT.fullmatch(evil) is None
    with pytest.raises(ValueError, match="CR or LF"):
        format_head("200 OK", [("X-A", evil)])


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "repeated-transfer-encoding"),
        (b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "repeated-transfer-encoding"),
        (b"Transfer-Encoding: chunked, identity\r\n", "bad-transfer-encoding"),
        (b"Transfer-Encoding: identity, chunked\r\n", "unsupported-transfer-coding"),
    ],
)
def test_cve_2024_1135_gunicorn_several_transfer_encodings(fields: bytes, code: str) -> None:
    assert refused(POST + fields + b"\r\n" + LAST + SMUGGLED)[0] == code


@pytest.mark.parametrize(
    "value", [b"xchunked", b"chunkedx", b"chunked\x0b", b"gzip", b"\xff", b"chunked;x=y", b"[chunked]"]
)
def test_cve_2024_6827_gunicorn_invalid_transfer_encoding_never_falls_back_to_the_length(value: bytes) -> None:
    stream = b"Content-Length: 5\r\nTransfer-Encoding: " + value + b"\r\n\r\n" + LAST + SMUGGLED
    assert refused(POST + stream)[1] in (400, 501)
    assert refused(POST + stream.partition(b"\r\n")[2])[1] in (400, 501)


def test_gunicorn_26_length_as_a_list() -> None:
    assert refused(POST + b"Content-Length: 5, 5\r\n\r\nhello") == ("bad-content-length", 400)


@pytest.mark.parametrize("byte", [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])
def test_gunicorn_26_control_characters_in_values(byte: int) -> None:
    assert refused(GET + b"X-A: b%cc\r\n\r\n" % byte) == ("bad-field-value", 400)


@pytest.mark.parametrize("name", [b"X A", b"X\x00", b"X(", b"X\xe9", b""])
def test_gunicorn_26_forbidden_names_in_trailers(name: bytes) -> None:
    stream = POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + name + b": b\r\n\r\n" + SMUGGLED
    assert refused(stream)[0] in ("bad-field-name", "space-before-colon")


@pytest.mark.parametrize("line", [b"GET a:80", b"GET *", b"GET x/y", b"POST http:x", b"CONNECT /", b"CONNECT a"])
def test_gunicorn_26_targets_of_the_wrong_form(line: bytes) -> None:
    assert refused(line + b" HTTP/1.1\r\nHost: a\r\n\r\n") == ("bad-target", 400)


def test_gunicorn_3366_host_given_twice() -> None:
    assert refused(GET + b"Host: b\r\n\r\n") == ("repeated-host", 400)


@pytest.mark.parametrize("end", [b"5\r\nhello", b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n", b"5\r\nhello\r\n0\r\n\r"])
def test_gunicorn_3382_a_truncated_last_chunk_is_no_end(end: bytes) -> None:
    reader = one_call(POST + b"Transfer-Encoding: chunked\r\n\r\n" + end, eof=True)
    assert not reader.seen[0].complete
    assert reader.error is not None
    assert reader.error.code == "incomplete-body"


def test_gunicorn_unlimited_chunk_lines_and_scans_of_the_whole_buffer() -> None:
    started = time.process_time()
    assert refused(POST + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"a" * 5000)[0] == "chunk-line-too-long"
    assert refused(POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 5000)[0] == "chunk-size-too-large"
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        GET + b"X-A: b\nX-B: c\r\n\r\n",
        GET + b"X-A: b\nContent-Length: 50\r\n\r\n" + SMUGGLED,
        GET + b"\n",
    ],
)
def test_cve_2019_16785_waitress_lf_alone_ends_no_line(data: bytes) -> None:
    assert refused(data) == ("bare-lf", 400)


@pytest.mark.parametrize(
    ("field", "verdict"),
    [
        (b"Transfer-Encoding: gzip, chunked", ("unsupported-transfer-coding", 501)),
        (b"Transfer-Encoding:\r\n chunked", ("obs-fold", 400)),
        (b"Transfer-Encoding: gzip,\r\n chunked", ("obs-fold", 400)),
    ],
)
def test_cve_2019_16786_waitress_lists_and_folds_in_transfer_encoding(field: bytes, verdict: tuple[str, int]) -> None:
    assert refused(POST + field + b"\r\n\r\n" + LAST + SMUGGLED) == verdict


@pytest.mark.parametrize("space", [b" ", b"\t", b"\x0b", b"\x0c", b"\x1c", b"\x85", b"\xa0", b"\r"])
def test_cve_2019_16789_waitress_white_space_beside_names_and_values(space: bytes) -> None:
    assert refused(POST + b"Content-Length" + space + b": 5\r\n\r\nhello")[1] == 400
    assert refused(POST + b"Transfer-Encoding" + space + b": chunked\r\n\r\n" + LAST)[1] == 400
    if space not in (b" ", b"\t"):
        assert refused(POST + b"Transfer-Encoding: " + space + b"chunked\r\n\r\n" + LAST)[1] == 400
        assert refused(POST + b"Content-Length: 5" + space + b"\r\n\r\nhello")[1] == 400


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", "repeated-content-length"),
        (b"Content-Length: 0\r\nContent-Length: 5\r\n", "repeated-content-length"),
        (b"Content-Length: x\r\n", "bad-content-length"),
        (b"Content-Length: \r\n", "bad-content-length"),
    ],
)
def test_cve_2019_16792_waitress_odd_lengths_are_never_zero(fields: bytes, code: str) -> None:
    assert refused(POST + fields + b"\r\n" + SMUGGLED) == (code, 400)


@pytest.mark.parametrize(
    "hostile",
    [
        GET + b"X-A: " + b"a\x00" * 32_000 + b"\r\n\r\n",
        GET + b"X-A:" + b" " * 64_000 + b"\x00\r\n\r\n",
        GET + b"X-A:" + b" \t" * 32_000,
        GET + b"X-A: " + b"a " * 32_000 + b"\r\r\n\r\n",
        GET + b"A: b\r\n" * 10_000 + b"\x00",
        GET + b"A:\r\n" * 16_000 + b" \r\n\r\n",
        GET + b"x" * 64_000,
        GET + b":" * 64_000 + b"\r\n\r\n",
        GET + b"Connection: " + b'"a,\\' * 16_000 + b"\r\n\r\n",
        GET + b"Transfer-Encoding: " + b"a;b=" * 16_000 + b"\r\n\r\n",
        GET + b"Transfer-Encoding: " + b"a;b=c" * 12_000 + b"\r\n\r\n",
        GET + b"Expect: " + b"," * 64_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + b"a%" * 32_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [" + b"1:" * 32_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [" + b"::" * 32_000 + b"]\r\n\r\n",
        b"GET http://" + b"a%" * 32_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /" + b"?" * 64_000 + b" HTTP/1.1\r\n\r\n",
        b"G" * 64_000,
        b"\r\n" * 32_000,
    ],
)
def test_cve_2020_5236_waitress_no_input_takes_more_than_linear_time(hostile: bytes) -> None:
    # With limits that let it all through to the patterns. A backtracking pattern takes seconds to hours here.
    wide = Limits(request_line=70_000, fields=70_000, field=70_000, head=70_000, head_lines=70_000, method=70_000)
    started = time.process_time()
    for limits in (Limits(), wide):
        MessageReader(limits).feed(hostile)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("value", [b"+10", b"-10", b"0x10", b"1_0", b"\xb2", b" 1 0"])
def test_cve_2022_24761_waitress_numbers_are_digits(value: bytes) -> None:
    assert refused(POST + b"Content-Length: " + value + b"\r\n\r\n0123456789") == ("bad-content-length", 400)
    stream = POST + b"Transfer-Encoding: chunked\r\n\r\n" + value.strip(b" ") + b"\r\n0123456789abcdef\r\n" + LAST
    assert refused(stream)[0] in ("bad-chunk-size", "bad-chunk-extension")


@pytest.mark.parametrize("extension", [b";", b";\x00", b";a[", b";a=[", b";a\rb", b";a\nb", b' ;a="'])
def test_cve_2022_24761_waitress_chunk_extensions_follow_their_grammar(extension: bytes) -> None:
    stream = POST + b"Transfer-Encoding: chunked\r\n\r\n5" + extension + b"\r\nhello\r\n" + LAST + SMUGGLED
    assert refused(stream)[0] in ("bad-chunk-extension", "bare-cr", "bare-lf")


def test_cve_2024_49768_waitress_nothing_after_an_error_is_parsed() -> None:
    for pieces in ([GET + b"\x00" + SMUGGLED], [GET + b"\x00", SMUGGLED], [GET, b"\x00", SMUGGLED, SMUGGLED]):
        reader = read(pieces)
        assert (reader.seen, reader.error and reader.error.code) == ([], "bad-field-name")


def test_cheroot_275_714_737_lengths_and_codings() -> None:
    assert refused(POST + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\nhello")[0] == "repeated-content-length"
    both = POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + LAST + SMUGGLED
    assert refused(both)[0] == "content-length-with-transfer-encoding"
    assert refused(POST + b"Content-Length : 5\r\n\r\nhello")[0] == "space-before-colon"
    negative = POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + SMUGGLED
    assert refused(negative)[0] == "bad-chunk-size"


@pytest.mark.parametrize("trailer", [SMUGGLED, b"X\r\n\r\n" + SMUGGLED, b"X-A: b\n\n" + SMUGGLED])
def test_cve_2023_41419_gevent_invalid_trailers_are_no_request(trailer: bytes) -> None:
    code = refused(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + trailer)[0]
    assert code in ("space-before-colon", "missing-colon", "bare-lf")


def test_gevent_a_coding_that_is_not_chunked_never_means_the_length() -> None:
    stream = POST + b"Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhello"
    assert refused(stream)[0] == "content-length-with-transfer-encoding"


def test_gevent_2075_an_expectation_does_not_move_the_framing() -> None:
    stream = POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" + GET + b"\r\n"
    reader = read([stream])
    assert [(seen.head.method, seen.body, seen.complete) for seen in reader.seen] == [
        ("POST", b"hello", True), ("GET", b"", True),
    ]  # fmt: skip


def test_werkzeug_2716_content_length_is_no_int_literal() -> None:
    assert refused(POST + b"Content-Length: 1_0\r\n\r\n") == ("bad-content-length", 400)


def test_cve_2015_0219_underscores_frame_nothing() -> None:
    reader = read([POST + b"Content_Length: 5\r\nTransfer_Encoding: chunked\r\nX_User: evil\r\n\r\n" + GET + b"\r\n"])
    assert [seen.head.method for seen in reader.seen] == ["POST", "GET"]
    assert "HTTP_X_USER" not in reader.seen[0].environ()
    assert (reader.seen[0].head.content_length, reader.seen[0].head.chunked) == (None, False)


def test_cpython_103204_http_server_lengths_are_digits() -> None:
    assert refused(POST + b"Content-Length: +5\r\n\r\nhello") == ("bad-content-length", 400)


def test_cpython_114782_http_server_lf_and_cr_alone() -> None:
    assert refused(GET + b"X-A: b\rX-B: c\r\n\r\n") == ("bare-cr", 400)
    assert refused(GET + b"X-A: b\nX-B: c\r\n\r\n") == ("bare-lf", 400)


def test_cve_2023_39326_go_extensions_that_cost_more_than_the_content() -> None:
    decoder = ChunkedDecoder(Limits())
    chunk = b"1;a=" + b"b" * 4000 + b"\r\nx\r\n"
    content = b"".join(decoder.feed(chunk) for _ in range(10))
    assert content == b"x" * 10
    with pytest.raises(ProtocolError, match="chunk-extensions-too-long"):
        decoder.feed(chunk * 10)


def test_the_parser_keeps_no_state_of_a_refused_head() -> None:
    limits = Limits()
    with pytest.raises(ProtocolError, match="bad-field-value"):
        parse_head(GET + b"X: \x00\r\n\r\n", 0, limits)
    assert parse_head(GET + b"\r\n", 0, limits) is not None
