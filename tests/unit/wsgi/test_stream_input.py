"""`wsgi.input` of a streamed body reads exactly as a file of the same bytes would, however they arrive."""

from __future__ import annotations

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from wsgikit.wsgi.stream_input import StreamInput

CALLS = st.one_of(
    st.tuples(st.just("read"), st.sampled_from([(), (-1,), (None,), (0,), (1,), (3,), (100,)])),
    st.tuples(st.just("readline"), st.sampled_from([(), (-1,), (None,), (0,), (1,), (3,), (100,)])),
    st.tuples(st.just("readlines"), st.sampled_from([(), (-1,), (0,), (1,), (5,)])),
)


def over(blocks: list[bytes]) -> StreamInput:
    left = iter(blocks)
    return StreamInput(lambda: next(left, b""))


@given(
    st.lists(st.binary(min_size=1, max_size=8).map(lambda b: b.replace(b"\x00", b"\n")), max_size=8), st.lists(CALLS)
)
def test_every_method_agrees_with_a_file(blocks: list[bytes], calls: list[tuple[str, tuple[int, ...]]]) -> None:
    stream, file = over(blocks), BytesIO(b"".join(blocks))
    for method, arguments in calls:
        assert getattr(stream, method)(*arguments) == getattr(file, method)(*arguments)
    assert list(stream) == list(file)
    assert stream.read() == b""
    assert stream.readline() == b""


def test_read1_gives_what_has_arrived() -> None:
    stream = over([b"abc", b"defgh"])
    assert stream.read1() == b"abc"
    assert stream.read1(2) == b"de"
    assert stream.read1(0) == b""
    assert stream.read1(100) == b"fgh"
    assert stream.read1() == b""


def test_the_end_is_asked_for_once() -> None:
    asked = []
    stream = StreamInput(lambda: asked.append(1) or b"")
    assert [stream.read(), stream.read(5), stream.readline(), stream.read1()] == [b""] * 4
    assert len(asked) == 1
