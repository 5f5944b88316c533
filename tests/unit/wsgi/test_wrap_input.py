"""Replacement inputs: every method, one position, no byte lost or doubled."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.wsgi.wrap_input import LimitedInput, ReplayInput

BODY = b"first line\nsecond\n\nlast without end"


def refuse() -> Exception:
    return OverflowError("too large")


def kinds(body: bytes) -> Iterator[Any]:
    yield LimitedInput(io.BytesIO(body), len(body), refuse)
    for stream in (ReplayInput(io.BytesIO(body), limit=len(body), memory=4), ReplayInput(io.BytesIO(body), limit=3)):
        with closing(stream):
            yield stream


CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 12)),
        st.tuples(st.just("readline"), st.integers(-1, 12)),
        st.tuples(st.just("readlines"), st.sampled_from([-1, 5])),
    ),
    max_size=8,
)


@given(CALLS, CALLS, st.sampled_from([BODY, b"", b"\n\n", b"x" * 30]))
def test_mixed_reads_give_what_a_file_would(first: Any, second: Any, body: bytes) -> None:
    for stream in kinds(body):
        plain = io.BytesIO(body)
        for method, size in first:
            assert getattr(stream, method)(size) == getattr(plain, method)(size)
        if isinstance(stream, ReplayInput):
            if stream.rewind():
                plain.seek(0)
            for method, size in second:
                assert getattr(stream, method)(size) == getattr(plain, method)(size)


def test_all_forms_of_call_are_there() -> None:
    for stream in kinds(BODY):
        assert stream.readline() == b"first line\n"
        assert list(stream)[:1] == [b"second\n"]
        assert (stream.read(), stream.read(5), stream.readline(), stream.readlines()) == (b"", b"", b"", [])
    for stream in kinds(BODY):
        assert stream.readlines() == io.BytesIO(BODY).readlines()


@pytest.mark.parametrize("method", ["read", "readline", "readlines"])
def test_a_body_past_the_limit_is_refused_however_it_is_read(method: str) -> None:
    stream = LimitedInput(io.BytesIO(b"x" * 11), 10, refuse)
    with pytest.raises(OverflowError):
        getattr(stream, method)()


def test_a_body_of_exactly_the_limit_is_not_refused_and_no_more_is_asked_for() -> None:
    asked: list[int] = []

    class Endless:
        def read(self, size: int) -> bytes:
            asked.append(size)
            return b"x" * min(size, 5)

    stream = LimitedInput(Endless(), 10, refuse)  # type: ignore[arg-type]
    assert stream.read(5) + stream.read(5) == b"x" * 10
    with pytest.raises(OverflowError):
        stream.read()
    assert max(asked) <= 6


def test_what_is_too_large_to_keep_can_still_be_read_once() -> None:
    with closing(ReplayInput(io.BytesIO(BODY), limit=12)) as stream:
        assert stream.read(11) == BODY[:11]
        assert stream.rewind()
        assert stream.read() == BODY
        assert not stream.rewind()
