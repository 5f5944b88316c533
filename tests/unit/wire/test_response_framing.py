"""How responses are framed, how their heads are written, and what becomes of the connection: each as a table."""

from __future__ import annotations

import itertools

import pytest

from wsgikit.wire.http11 import (
    DEFAULT_LIMITS,
    LAST_CHUNK,
    ChunkedDecoder,
    Framing,
    Step,
    after_response,
    choose_framing,
    chunk,
    chunk_start,
    connection_field,
    format_head,
    parse_response_head,
)
from wsgikit.wire.http11.framing import _plans
from wsgikit.wire.http11.grammar import NAME_TEXT, STATUS_TEXT, VALUE_TEXT
from wsgikit.wire.http11.persistence import CONDITIONS, RULES

NONE, LENGTH, CHUNKED, CLOSE = Framing
CODED = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("method", "status", "minor", "given", "derived", "expected"),
    [
        ("GET", 200, 1, 5, None, (LENGTH, 5, b"Content-Length: 5\r\n")),
        ("GET", 200, 0, 5, 7, (LENGTH, 5, b"Content-Length: 5\r\n")),
        ("GET", 200, 1, 0, None, (LENGTH, 0, b"Content-Length: 0\r\n")),
        ("GET", 200, 1, None, 7, (LENGTH, 7, b"Content-Length: 7\r\n")),
        ("GET", 200, 1, None, 0, (LENGTH, 0, b"Content-Length: 0\r\n")),
        ("GET", 200, 1, None, None, (CHUNKED, None, CODED)),
        ("GET", 200, 0, None, None, (CLOSE, None, b"")),
        ("HEAD", 200, 1, 5, None, (NONE, None, b"Content-Length: 5\r\n")),
        ("HEAD", 200, 1, None, 7, (NONE, None, b"")),
        ("HEAD", 200, 0, None, None, (NONE, None, b"")),
        ("GET", 304, 1, 5, 7, (NONE, None, b"Content-Length: 5\r\n")),
        ("GET", 204, 1, 5, 7, (NONE, None, b"")),
        ("HEAD", 204, 1, 5, 7, (NONE, None, b"")),
        ("GET", 103, 1, None, None, (NONE, None, b"")),
        ("GET", 101, 1, 5, None, (NONE, None, b"")),
        ("GET", 205, 1, 5, 7, (LENGTH, 0, b"Content-Length: 0\r\n")),
        ("GET", 205, 0, None, None, (LENGTH, 0, b"Content-Length: 0\r\n")),
        ("CONNECT", 200, 1, 5, None, (NONE, None, b"")),
        ("CONNECT", 501, 1, None, 7, (LENGTH, 7, b"Content-Length: 7\r\n")),
    ],
)
def test_framing(method, status, minor, given, derived, expected) -> None:
    assert choose_framing(method, status, minor, given, derived) == expected


def test_no_plan_has_a_length_and_a_coding() -> None:
    cases = itertools.product(("GET", "HEAD", "CONNECT"), (101, 200, 204, 205, 304, 404), (0, 1), (None, 5), (None, 7))
    for case in cases:
        plan = choose_framing(*case)
        assert (plan.framing is CHUNKED) == (plan.field == CODED)
        assert plan.framing is not CHUNKED or (case[2] == 1 and case[3] is None)


def test_thousands_of_lengths_are_not_kept() -> None:
    for length in range(5000):
        assert choose_framing("GET", 200, 1, length).length == length
    assert choose_framing("GET", 200, 1, None, 4999).field == b"Content-Length: 4999\r\n"
    assert len(_plans) <= 1024


def test_chunks_are_read_back() -> None:
    wire = chunk_start(3) + b"abc\r\n" + chunk(b"d" * 300) + chunk(b"") + LAST_CHUNK
    decoder = ChunkedDecoder(DEFAULT_LIMITS)
    assert (decoder.feed(wire), decoder.done, decoder.rest) == (b"abc" + b"d" * 300, True, b"")


@pytest.mark.parametrize(
    ("minor", "persists", "expected"),
    [(1, True, b""), (1, False, b"Connection: close\r\n"), (0, False, b"Connection: close\r\n"),
     (0, True, b"Connection: keep-alive\r\n")],
)  # fmt: skip
def test_the_connection_field(minor: int, persists: bool, expected: bytes) -> None:
    assert connection_field(minor, persists) == expected


def test_a_head_is_written_and_read_back() -> None:
    wire = format_head("200 OK", [("X-A", "caf\xe9"), ("X-A", ""), ("Content-Length", "5")], b"Date: now\r\n")
    assert wire == b"HTTP/1.1 200 OK\r\nX-A: caf\xe9\r\nX-A: \r\nContent-Length: 5\r\nDate: now\r\n\r\n"
    head = parse_response_head(wire, 0, DEFAULT_LIMITS)
    assert head is not None
    assert (head.status, head.reason, head.content_length, head.end) == (200, b"OK", 5, len(wire))


@pytest.mark.parametrize("status", ["200", "200 "])
def test_an_empty_reason_keeps_its_space(status: str) -> None:
    assert format_head(status, []) == b"HTTP/1.1 200 \r\n\r\n"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("200 OK\r\nX: y", []),
        ("200 OK", [("X", "y\r\nSet-Cookie: z")]),
        ("200 OK", [("X", "y\nSet-Cookie: z")]),
        ("200 OK", [("X", "y\rSet-Cookie: z")]),
        ("200 OK", [("X: y\r\nSet-Cookie", "z")]),
        ("200 OK", [("X", "\u2603")]),
    ],
)
def test_a_response_cannot_be_split(status: str, headers: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match=r"CR or LF|latin-1"):
        format_head(status, headers)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (STATUS_TEXT, ["200 OK", "200 ", "404", "599 caf\xe9\tx"],
         ["", "20 OK", "2000", "099 x", "200\tOK", "200 a\n", "200 \x7f", "\u0662\u0660\u0660 OK", "200 \u2603"]),
        (NAME_TEXT, ["X-A", "x_y", "!#$%&'*+.^`|~9"], ["", "X A", "X:", "X\n", "X\xe9", "\u212a", "(x)"]),
        (VALUE_TEXT, ["", "a", " a\tb ", "\xff"], ["a\r", "a\n", "\x00", "\x7f", "\x0b", "\u0100", "\u2028"]),
    ],
)  # fmt: skip
def test_the_grammar_of_what_an_app_gives(pattern, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not pattern.fullmatch(text)] == []
    assert [text for text in bad if pattern.fullmatch(text)] == []


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        ({}, Step.NEXT),
        ({"pending": True}, Step.NEXT),
        ({"framing": CHUNKED}, Step.NEXT),
        ({"framing": NONE}, Step.NEXT),
        ({"framing": CLOSE}, Step.CLOSE),
        ({"framing": CLOSE, "pending": True}, Step.LINGER),
        ({"keep_alive": False}, Step.CLOSE),
        ({"keep_alive": False, "pending": True}, Step.LINGER),
        ({"closing": True}, Step.CLOSE),
        ({"closing": True, "pending": True}, Step.LINGER),
        ({"body_read": False}, Step.LINGER),
        ({"body_read": False, "keep_alive": False}, Step.LINGER),
        ({"error": True}, Step.LINGER),
        ({"error": True, "keep_alive": False, "framing": CLOSE}, Step.LINGER),
        ({"broken": True, "error": True, "body_read": False}, Step.CLOSE),
    ],
)
def test_what_becomes_of_the_connection(facts, step: Step) -> None:
    settled = {"framing": LENGTH, "keep_alive": True, "body_read": True}
    assert after_response(**(settled | facts)).step is step


def test_every_rule_decides_something_and_says_why() -> None:
    decided = set()
    for framing, *values in itertools.product(Framing, *[(False, True)] * 6):
        names = [name for name in CONDITIONS if name != "delimited"]
        rule = after_response(framing, **dict(zip(names, values, strict=True)))
        decided.add(RULES.index(rule))
        assert "RFC 9112" in rule.reason
    assert decided == set(range(len(RULES)))
