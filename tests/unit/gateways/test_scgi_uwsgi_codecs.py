"""SCGI heads and uwsgi packets: both directions, cut at every place, wrong, cut short, and too large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.cgi import VariableLimits
from wsgikit.wire.scgi import format_scgi, parse_scgi
from wsgikit.wire.uwsgi import PING, Packet, format_uwsgi, parse_uwsgi

LIMITS = VariableLimits(size=4000, count=30)
TEXT = st.binary(max_size=40).map(lambda text: text.replace(b"\0", b""))
VARIABLES = st.lists(st.tuples(TEXT, TEXT), max_size=10).map(
    lambda pairs: [pair for pair in pairs if pair[0] not in (b"CONTENT_LENGTH", b"SCGI")]
)


def scgi(head: bytes) -> bytes:
    return b"%d:%b," % (len(head), head)


@given(VARIABLES, st.integers(0, 10**12), st.binary(max_size=20))
def test_scgi_comes_back_at_every_cut(variables, length, body) -> None:
    wire = format_scgi(variables, length) + body
    end = len(wire) - len(body)
    for cut in range(end):
        assert parse_scgi(wire[:cut], LIMITS) is None
    assert parse_scgi(bytearray(wire), LIMITS) == (
        [(b"CONTENT_LENGTH", b"%d" % length), (b"SCGI", b"1"), *variables],
        end,
    )


def test_scgi_as_its_text_shows_it() -> None:
    example = (
        b"70:CONTENT_LENGTH\x0027\x00SCGI\x001\x00REQUEST_METHOD\x00POST\x00REQUEST_URI\x00/deepthought\x00,"
        b"What is the answer to life?"
    )
    variables, end = parse_scgi(example, LIMITS) or ([], 0)
    assert dict(variables)[b"REQUEST_URI"] == b"/deepthought"
    assert example[end:] == b"What is the answer to life?"
    made = format_scgi([(b"REQUEST_METHOD", b"POST"), (b"REQUEST_URI", b"/deepthought")], 27)
    assert made == example[:end]


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (b"x", "bad-netstring"),
        (b"GET / HTTP/1.1\r\n", "bad-netstring"),
        (b"0:,", "bad-netstring"),
        (b"01:a,", "bad-netstring"),
        (b"+1:a,", "bad-netstring"),
        (b"\xd9\xa1:a,", "bad-netstring"),
        (b"1234567890:", "bad-netstring"),
        (b"9999:", "variables-too-long"),
        (b"3:a\0b;", "bad-netstring"),
        (scgi(b"CONTENT_LENGTH\x000\0SCGI\x001"), "bad-scgi-head"),
        (scgi(b"SCGI\x001\0CONTENT_LENGTH\x000\0"), "bad-scgi-head"),
        (scgi(b"CONTENT_LENGTH\x000\0SCGI\x002\0"), "bad-scgi-head"),
        (scgi(b"CONTENT_LENGTH\x000\0SCGI\0"), "bad-scgi-head"),
        (scgi(b"CONTENT_LENGTH\x000\0" + b"A\0B\0" * 40), "too-many-variables"),
    ],
)
def test_scgi_refused(wire, code) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_scgi(wire, LIMITS)
    assert caught.value.code == code


def test_scgi_is_not_made_of_what_would_split_it() -> None:
    with pytest.raises(ValueError, match="NUL"):
        format_scgi([(b"A", b"b\0SCGI")], 0)


@given(VARIABLES, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=20))
def test_uwsgi_comes_back_at_every_cut(variables, modifier1, modifier2, body) -> None:
    wire = format_uwsgi(variables, modifier1, modifier2) + body
    end = len(wire) - len(body)
    for cut in range(end):
        assert parse_uwsgi(wire[:cut], LIMITS) is None
    assert parse_uwsgi(bytearray(wire), LIMITS) == Packet(modifier1, modifier2, variables, end)


def test_uwsgi_bytes() -> None:
    assert format_uwsgi([(b"A", b"bc")]) == b"\0\x07\0\0\x01\0A\x02\0bc"
    assert parse_uwsgi(bytes((PING, 0, 0, 0)), LIMITS) == Packet(PING, 0, [], 4)


@pytest.mark.parametrize("data", [b"\x05", b"\x05\0A", b"\x01\0A", b"\x01\0A\x02", b"\x01\0A\x02\0b", b"\xff\xff"])
def test_uwsgi_variables_that_end_early(data) -> None:
    with pytest.raises(ProtocolError, match="bad-uwsgi-packet"):
        parse_uwsgi(bytes((0, len(data), 0, 0)) + data + b"BODY" * 5, LIMITS)


def test_uwsgi_limits_are_looked_at_before_the_packet_is_here() -> None:
    with pytest.raises(LimitError, match="variables-too-long"):
        parse_uwsgi(b"\0\xff\xff\0", LIMITS)
    with pytest.raises(LimitError, match="too-many-variables"):
        parse_uwsgi(format_uwsgi([(b"A", b"b")] * 31), LIMITS)
    with pytest.raises(ValueError, match="65535"):
        format_uwsgi([(b"A", b"b" * 65536)])
    with pytest.raises(ValueError, match="65535"):
        format_uwsgi([(b"A", b"b" * 40000)] * 2)


@given(st.binary(max_size=200))
def test_random_bytes_are_a_request_or_an_error(data) -> None:
    for parse in (parse_scgi, parse_uwsgi):
        status = 400
        try:
            parse(data, LIMITS)
        except ProtocolError as error:
            status = error.status
        assert status in (400, 431)
