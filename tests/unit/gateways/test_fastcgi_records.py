"""FastCGI records and pairs: both directions, cut at every place, wrong, cut short, and too large."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.cgi import VariableLimits
from wsgikit.wire.fastcgi import (
    FRAGMENT,
    Begin,
    End,
    Kind,
    ParamsDecoder,
    Record,
    RecordReader,
    Role,
    Verdict,
    format_begin,
    format_end,
    format_pairs,
    format_record,
    format_stream,
    format_unknown_type,
    parse_begin,
    parse_end,
    parse_pairs,
    record_start,
)

LIMITS = VariableLimits(size=100_000, count=50)
RECORDS = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=300)), min_size=1, max_size=6
)
PAIRS = st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=300)), max_size=8)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(RECORDS, st.lists(st.integers(0, 2500), max_size=20))
def test_records_are_the_same_however_they_arrive(records, cuts) -> None:
    wire = b"".join(format_record(*record) for record in records)
    reader, found = RecordReader(), []
    for piece in in_pieces(wire, cuts):
        found += reader.feed(piece)
    assert found == [Record(*record) for record in records]
    assert reader.pending == 0


def test_a_record_may_be_cut_at_every_byte() -> None:
    wire = format_record(Kind.STDIN, 7, b"hello") + format_record(Kind.PARAMS, 300, b"")
    for cut in range(len(wire) + 1):
        reader = RecordReader()
        assert reader.feed(wire[:cut]) + reader.feed(wire[cut:]) == [
            Record(Kind.STDIN, 7, b"hello"),
            Record(Kind.PARAMS, 300, b""),
        ]
    reader, found = RecordReader(), []
    for byte in wire:
        found += reader.feed(bytes((byte,)))
    assert len(found) == 2


def test_the_bytes_of_a_record_are_those_of_the_specification() -> None:
    assert format_record(5, 258, b"abc") == b"\x01\x05\x01\x02\x00\x03\x05\x00abc\0\0\0\0\0"
    assert format_begin(1, Role.RESPONDER, keep=True) == b"\x01\x01\x00\x01\x00\x08\0\0\0\x01\x01\0\0\0\0\0"
    assert format_end(1, Verdict.OVERLOADED, 3) == b"\x01\x03\x00\x01\x00\x08\0\0\0\0\0\x03\x02\0\0\0"
    assert format_unknown_type(200) == b"\x01\x0b\x00\x00\x00\x08\0\0\xc8\0\0\0\0\0\0\0"
    assert record_start(Kind.STDOUT, 1, 3) == b"\x01\x06\x00\x01\x00\x03\x05\x00"


def test_padding_of_others_is_skipped() -> None:
    odd = struct.pack(">BBHHBx", 1, Kind.STDIN, 1, 2, 255) + b"hi" + bytes(255)
    assert RecordReader().feed(odd + odd) == [Record(Kind.STDIN, 1, b"hi")] * 2


def test_the_largest_record_is_read_and_held_no_longer_than_needed() -> None:
    largest = struct.pack(">BBHHBx", 1, Kind.STDIN, 1, 65535, 255) + bytes(65535 + 255)
    reader = RecordReader()
    assert reader.feed(largest[:-1]) == []
    assert reader.pending == len(largest) - 1
    assert reader.feed(largest[-1:])[0].content == bytes(65535)
    assert reader.pending == 0


@pytest.mark.parametrize("version", [0, 2, 71])
def test_another_version_ends_it(version) -> None:
    with pytest.raises(ProtocolError, match="bad-fastcgi-version"):
        RecordReader().feed(bytes((version, 1, 0, 1, 0, 0, 0, 0)))


@given(st.binary(max_size=400))
def test_random_bytes_are_records_or_an_error(data) -> None:
    reader, code = RecordReader(), "bad-fastcgi-version"
    try:
        for record in reader.feed(data):
            assert len(record.content) < 65536
    except ProtocolError as error:
        code = error.code
    assert code == "bad-fastcgi-version"
    assert reader.pending <= len(data)


@given(st.binary(max_size=3 * FRAGMENT))
def test_a_stream_is_cut_into_records_and_ended(data) -> None:
    records = RecordReader().feed(format_stream(Kind.STDOUT, 9, data, end=True))
    assert b"".join(record.content for record in records) == data
    assert records[-1] == Record(Kind.STDOUT, 9, b"")
    assert all(record.content for record in records[:-1])


@given(PAIRS)
def test_pairs_come_back(pairs) -> None:
    assert parse_pairs(format_pairs(pairs), LIMITS) == pairs


@given(PAIRS, st.lists(st.integers(0, 4000), max_size=8))
def test_pairs_may_be_cut_between_records_anywhere(pairs, cuts) -> None:
    decoder = ParamsDecoder(LIMITS)
    for piece in in_pieces(format_pairs(pairs), cuts):
        decoder.feed(piece)
    assert decoder.end() == pairs


def test_lengths_of_one_and_of_four_bytes() -> None:
    assert format_pairs([(b"a" * 127, b"")])[:2] == b"\x7f\0"
    assert format_pairs([(b"a" * 128, b"")])[:5] == b"\x80\0\0\x80\0"
    assert parse_pairs(b"\x80\0\0\x01\x01ab", LIMITS) == [(b"a", b"b")]


def test_pairs_that_end_early_are_refused_at_every_cut() -> None:
    wire = format_pairs([(b"NAME", b"v" * 200)])
    for cut in range(1, len(wire)):
        with pytest.raises(ProtocolError, match="bad-params"):
            parse_pairs(wire[:cut], LIMITS)


@given(st.binary(max_size=200))
def test_random_pairs_are_pairs_or_an_error(data) -> None:
    pairs, code = [], "bad-params"
    try:
        pairs = parse_pairs(data, LIMITS)
    except ProtocolError as error:
        code = error.code
    assert code in ("bad-params", "too-many-variables")
    assert sum(len(name) + len(value) for name, value in pairs) <= len(data)


def test_too_many_pairs_and_too_many_bytes() -> None:
    assert len(parse_pairs(b"\0\0" * LIMITS.count, LIMITS)) == LIMITS.count
    with pytest.raises(LimitError, match="too-many-variables"):
        parse_pairs(b"\0\0" * (LIMITS.count + 1), LIMITS)
    decoder = ParamsDecoder(VariableLimits(size=10, count=5))
    decoder.feed(b"x" * 10)
    with pytest.raises(LimitError, match="variables-too-long"):
        decoder.feed(b"x")


def test_a_length_of_gigabytes_allocates_nothing() -> None:
    with pytest.raises(ProtocolError, match="bad-params"):
        parse_pairs(b"\xff\xff\xff\xff\xff\xff\xff\xff", LIMITS)


def test_fixed_bodies() -> None:
    assert parse_begin(b"\0\x03\x01\0\0\0\0\0") == Begin(Role.FILTER, keep=True)
    assert parse_begin(b"\0\x01\xfe\0\0\0\0\0") == Begin(Role.RESPONDER, keep=False)
    assert parse_end(b"\0\0\0\x02\x01\0\0\0") == End(2, Verdict.CANT_MULTIPLEX)
    for wrong in (b"", b"\0\x01\0\0\0\0\0", b"\0" * 9):
        with pytest.raises(ProtocolError):
            parse_begin(wrong)
        with pytest.raises(ProtocolError):
            parse_end(wrong)
