"""Every vector against the parser: the verdict that it expects, whole, cut at every offset, and byte by byte."""

from __future__ import annotations

import pytest
from message_reader import pieces_of, read

from wsgikit.testing.vectors import SMUGGLED, VECTORS, Vector, by_id, of_row

# Cuts of what is longer than this are samples: all at both ends and some between.
LONG = 1500
ENDS = 120
SAMPLES = 40

each_vector = pytest.mark.parametrize("vector", [pytest.param(vector, id=vector.id) for vector in VECTORS])


def cuts_of(data: bytes) -> list[int]:
    size = len(data)
    if size <= LONG:
        return list(range(size + 1))
    return sorted({*range(ENDS), *range(size - ENDS, size + 1), *range(0, size, size // SAMPLES)})


def stream_of(vector: Vector) -> bytes:
    return vector.raw + vector.later


def test_every_row_has_vectors() -> None:
    assert [row for row in (f"H{number:02}" for number in range(1, 65)) if not of_row(row)] == []


def test_ids_are_unique_and_found() -> None:
    assert all(by_id(vector.id) is vector for vector in VECTORS)


def test_no_outcome_calls_the_smuggled_path() -> None:
    paths = {call.path for vector in VECTORS for outcome in vector.outcomes for call in outcome.calls}
    assert "/smuggled" not in paths
    assert sum(SMUGGLED in vector.raw for vector in VECTORS) > 20


@each_vector
def test_verdict(vector: Vector) -> None:
    reader = read([stream_of(vector)], eof=vector.eof)
    expect = vector.expect
    assert (reader.error.code if reader.error else "") == expect.code
    if expect.code:
        assert reader.error.status in expect.replies[-1].statuses
    if vector.row == "H13" and not expect.code:
        assert reader.seen[0].head.path == b"*"  # the server answers for itself
        return
    if vector.row == "H14" and not expect.code:
        assert reader.seen[0].head.authority == b"h:443"  # the refusal is the server's, which has no tunnel
        return
    calls = [seen for seen in reader.seen if seen.complete]
    assert len(calls) == len(expect.calls)
    for seen, call in zip(calls, expect.calls, strict=True):
        head, environ = seen.head, seen.environ()
        assert call.method in (None, head.method)
        assert call.path is None or call.path.encode("latin-1") == head.path
        assert call.query is None or call.query.encode("latin-1") == head.query
        assert call.body == seen.body
        assert environ | call.environ == environ
        assert not [key for key in call.lacks if environ.get(key)]


@each_vector
def test_verdict_does_not_depend_on_where_the_bytes_are_cut(vector: Vector) -> None:
    stream = stream_of(vector)
    whole = read([stream], eof=vector.eof).verdict()
    for cut in cuts_of(stream):
        assert read(pieces_of(stream, cut), eof=vector.eof).verdict() == whole, cut


@each_vector
def test_verdict_is_the_same_byte_by_byte(vector: Vector) -> None:
    stream = stream_of(vector)
    if len(stream) > LONG:
        pieces = pieces_of(stream, *cuts_of(stream))
    else:
        pieces = [stream[at : at + 1] for at in range(len(stream))]
    assert read(pieces, eof=vector.eof).verdict() == read([stream], eof=vector.eof).verdict()


@pytest.mark.parametrize("vector", of_row("H58"), ids=lambda vector: vector.id)
def test_a_head_that_is_not_complete_waits(vector: Vector) -> None:
    reader = read([vector.raw])
    assert (reader.seen, reader.error) == ([], None)


@pytest.mark.parametrize("vector", of_row("H54"), ids=lambda vector: vector.id)
def test_a_client_that_waits_for_100_is_seen(vector: Vector) -> None:
    assert read([vector.raw]).seen[0].head.expect_continue


@pytest.mark.parametrize(
    ("identifier", "upgrade"), [("H57-unknown", True), ("H57-h2c", True), ("H57-http-1.0", False), ("H48-two", False)]
)
def test_upgrade_counts_in_http_1_1_only(identifier: str, upgrade: bool) -> None:
    assert read([by_id(identifier).raw]).seen[0].head.upgrade is upgrade


@pytest.mark.parametrize(
    "vector",
    [vector for row in ("H48", "H49", "H50", "H51", "H30") for vector in of_row(row)],
    ids=lambda vector: vector.id,
)
def test_what_the_client_wishes_for_the_connection(vector: Vector) -> None:
    assert read([vector.raw]).persists is vector.expect.persists
