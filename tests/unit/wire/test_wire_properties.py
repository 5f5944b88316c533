"""What holds for every input: cuts change nothing, the two ways agree, and nothing crashes or hangs."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from message_reader import MessageReader, pieces_of, read

from wsgikit.errors import ProtocolError
from wsgikit.testing.vectors import VECTORS
from wsgikit.wire.http11 import (
    ChunkedDecoder,
    Limits,
    chunk,
    format_head,
    parse_head,
    parse_response_head,
    response_decoder,
    response_head,
)
from wsgikit.wire.http11 import head as request_head
from wsgikit.wire.http11.grammar import PLAIN_REQUEST, PLAIN_RESPONSE

pytestmark = pytest.mark.slow  # hundreds of examples each

LIMITS = Limits()
# Small enough for generated input to pass every one of them.
TIGHT = Limits(request_line=40, fields=4, field=30, head=120, chunk_line=20, trailer=40, head_lines=1, method=22)

TCHARS = "!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz"
tokens = st.text(TCHARS, min_size=1, max_size=12).map(str.encode)
ows = st.sampled_from([b"", b" ", b" ", b" ", b"\t", b"  ", b" \t "])
values = st.lists(st.sampled_from([b"a", b"b c", b'"q"', b",", b"\xe9", b"\xa0", b"x" * 30, b";=\\"]), max_size=4).map(
    b"".join
)
fields = st.tuples(tokens.filter(lambda name: name.lower() not in (b"host",)), ows, values, ows).map(
    lambda parts: b"%b:%b%b%b\r\n" % parts
)
targets = st.sampled_from([b"/", b"/a?b", b"/%2e?a=[b]", b"http://h:1/x?y", b"http://h", b"/" + b"z" * 60])
methods = st.sampled_from([b"GET", b"POST", b"PUT", b"OPTIONS", b"get", b"M-SEARCH", b"A"])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A valid request; framing fields and body belong together."""
    head = [
        draw(st.sampled_from([b"", b"\r\n"])),
        b"%b %b HTTP/1.1\r\nHost:%bh\r\n" % (draw(methods), draw(targets), draw(ows)),
    ]
    head += [line for line in draw(st.lists(fields, max_size=3)) if not line.lower().startswith(_MEANING)]
    content = draw(st.binary(max_size=40))
    kind = draw(st.sampled_from(["none", "length", "chunked"]))
    if kind == "none":
        return b"".join((*head, b"\r\n"))
    if kind == "length":
        return b"".join((*head, b"Content-Length: %d\r\n\r\n" % len(content), content))
    cut = draw(st.integers(0, len(content)))
    extension = draw(st.sampled_from([b"", b";a", b' ; a="b;"', b";a=b;c"]))
    chunks = b"".join(chunk(piece).replace(b"\r\n", extension + b"\r\n", 1) for piece in (content[:cut], content[cut:]))
    trailer = draw(st.sampled_from([b"", b"X-T: 1\r\n", b"Host: evil\r\n"]))
    return b"".join((*head, b"Transfer-Encoding: chunked\r\n\r\n", chunks, b"0", extension, b"\r\n", trailer, b"\r\n"))


_MEANING = (b"connection", b"content-length", b"transfer-encoding", b"expect")


@given(st.lists(messages(), min_size=1, max_size=3), st.data())
def test_any_cuts_of_valid_messages_give_the_same(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(sent)
    whole = read([stream])
    assert whole.error is None
    assert [seen.complete for seen in whole.seen] == [True] * len(sent)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    assert read(pieces_of(stream, *cuts)).verdict() == whole.verdict()
    assert read([stream[at : at + 1] for at in range(len(stream))]).verdict() == whole.verdict()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A stream with some bytes replaced, removed or added, by preference where it hurts."""
    vector = draw(st.sampled_from([vector for vector in VECTORS if len(vector.raw) < 600]))
    stream = bytearray(draw(st.one_of(messages(), st.just(vector.raw))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(stream)))
        length = draw(st.integers(0, 2))
        new = draw(st.one_of(st.sampled_from([b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\x00", b",", b"0", b";"]),
                             st.binary(max_size=2)))  # fmt: skip
        stream[at : at + length] = new
    return bytes(stream)


@given(damaged(), st.sampled_from([LIMITS, TIGHT]), st.data())
@settings(max_examples=400)
def test_any_cuts_of_a_damaged_stream_give_the_same_verdict(stream: bytes, limits: Limits, data: st.DataObject) -> None:
    whole = read([stream], limits, eof=True).verdict()
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=4))
    assert read(pieces_of(stream, *cuts), limits, eof=True).verdict() == whole
    assert read([stream[at : at + 1] for at in range(len(stream))], limits, eof=True).verdict() == whole


@given(damaged(), st.sampled_from([LIMITS, TIGHT]), st.integers(1, 3))
@settings(max_examples=300)
def test_a_parser_that_is_told_what_it_has_seen_comes_to_the_same_verdict(
    stream: bytes, limits: Limits, step: int
) -> None:
    reader = MessageReader(limits, remember=True)
    for at in range(0, len(stream), step):
        reader.feed(stream[at : at + step])
    reader.looked = 0
    reader.feed(b"")
    reader.eof()
    assert reader.verdict() == read([stream], limits, eof=True).verdict()


def outcome(parse, data: bytes, limits: Limits) -> object:
    try:
        head = parse(data, 0, limits)
    except ProtocolError as error:
        return error.code, error.status
    return head and {name: getattr(head, name) for name in head.__slots__ if name != "section"}


@given(damaged(), st.sampled_from([b"GET / HTTP/1.1", b"GET  / HTTP/1.1", b"HEAD /a?b HTTP/1.1", b"PUT / HTTP/1.0"]))
@settings(max_examples=400)
def test_comparing_with_the_head_before_gives_what_reading_gives(data: bytes, line: bytes) -> None:
    """A second head that shares the fields of the first, or nearly, on the same connection."""
    for limits in (LIMITS, TIGHT):
        try:
            last = parse_head(data, 0, limits)
        except ProtocolError:
            continue
        if last is not None:
            fields = data[data.find(b"\n") + 1 :]
            for again in (line + b"\r\n" + fields, line + b"\r\n" + fields[:-1], line + b"\r\nX: 1\r\n" + fields, data):
                with_last = outcome(lambda *given, last=last: parse_head(*given, 0, last), again, limits)
                assert with_last == outcome(parse_head, again, limits)


@given(damaged(), st.sampled_from([LIMITS, TIGHT]))
@settings(max_examples=400)
def test_the_quick_and_the_slow_way_agree_on_requests(data: bytes, limits: Limits) -> None:
    assert outcome(parse_head, data, limits) == outcome(request_head.parse_slowly, data, limits)


@given(
    damaged(),
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 404 ", b"HTTP/1.1 204"]),
    st.sampled_from([LIMITS, TIGHT]),
)
@settings(max_examples=300)
def test_the_quick_and_the_slow_way_agree_on_responses(data: bytes, line: bytes, limits: Limits) -> None:
    response = line + b"\r\n" + data.partition(b"\r\n")[2]

    def slowly(buffer: bytes, start: int, limits: Limits) -> object:
        try:
            return response_head.parse_slowly(buffer, start, limits)
        except ProtocolError as error:
            raise ProtocolError(error.code, 502) from None

    assert outcome(parse_response_head, response, limits) == outcome(slowly, response, limits)


def test_plain_heads_take_the_quick_way() -> None:
    # Or the property above would compare the slow way with itself.
    lines = b"Host: a\r\nX-A: b c\r\nX-Empty:\r\nX-B:c\r\n\r\n"
    assert PLAIN_REQUEST.match(b"GET /a?b HTTP/1.1\r\n" + lines)
    assert PLAIN_REQUEST.match(b"VERSION-CONTROL / HTTP/1.0\r\n" + lines)
    assert PLAIN_RESPONSE.match(b"HTTP/1.1 200 OK\r\n" + lines)
    assert not PLAIN_REQUEST.match(b"GET / HTTP/1.1\r\nHost: a \r\n\r\n")


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=3))
@example(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [])
@example(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [4])
@settings(max_examples=500)
def test_random_bytes_never_crash_and_never_make_a_call(data: bytes, cuts: list[int]) -> None:
    reader = read(pieces_of(data, *[min(cut, len(data)) for cut in cuts]), eof=True)
    assert reader.seen == []


@given(st.binary(max_size=200), st.integers(1, 5))
@settings(max_examples=300)
def test_random_bytes_never_crash_a_decoder(data: bytes, step: int) -> None:
    decoder = ChunkedDecoder(TIGHT)
    content = 0
    status = None
    for at in range(0, len(data), step):
        try:
            content += len(decoder.feed(data[at : at + step]))
        except ProtocolError as error:
            status = error.status
            break
    assert status in (None, 400, 413, 431)
    assert content <= len(data)


@given(st.lists(st.binary(max_size=50), max_size=5), st.integers(1, 60))
def test_chunks_that_are_written_are_read(blocks: list[bytes], step: int) -> None:
    wire = b"".join(map(chunk, blocks)) + b"0\r\n\r\nnext"
    decoder = ChunkedDecoder(LIMITS)
    assert b"".join(decoder.feed(wire[at : at + step]) for at in range(0, len(wire), step)) == b"".join(blocks)
    assert (decoder.done, decoder.rest) == (True, b"next")


header_text = st.text(st.characters(max_codepoint=0xFF, blacklist_categories=("Cc",)), max_size=20)


@given(
    st.integers(200, 599),
    header_text,
    st.lists(st.tuples(st.text(TCHARS, min_size=1, max_size=8).map("X-{}".format), header_text), max_size=4),
)
def test_heads_that_are_written_are_read(status: int, reason: str, headers: list[tuple[str, str]]) -> None:
    wire = format_head(f"{status} {reason}", headers, b"Date: now\r\n")
    head = parse_response_head(wire, 0, LIMITS)
    assert head is not None
    assert (head.status, head.reason, head.end) == (status, reason.encode("latin-1"), len(wire))
    assert head.fields[:-1] == [(name.encode(), value.encode("latin-1").strip(b" \t")) for name, value in headers]
    assert head.fields[-1] == (b"Date", b"now")
    response_decoder("GET", head, LIMITS)
