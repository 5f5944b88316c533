"""start_response, write() and the order in which bytes leave, over a transport that only remembers."""

from __future__ import annotations

import gc
import io
import sys
import tempfile
import weakref
from typing import Any

import pytest

from wsgikit.errors import Disconnected
from wsgikit.wsgi.exchange import Exchange, Lines
from wsgikit.wsgi.file_wrapper import FileWrapper
from wsgikit.wsgi.respond import respond


class Wire:
    """Remembers each send by itself."""

    def __init__(self) -> None:
        self.sends: list[bytes] = []
        self.files: list[tuple[int, int]] = []
        self.aborted = False
        self.gone = False

    def send(self, data: bytes) -> None:
        if self.gone:
            raise Disconnected("gone")
        self.sends.append(data)

    def send_parts(self, parts) -> None:
        self.send(b"".join(parts))

    def send_file(self, file, offset: int, count: int) -> None:
        self.files.append((offset, count))

    def abort(self) -> None:
        self.aborted = True

    @property
    def data(self) -> bytes:
        return b"".join(self.sends)


def run(app, method: str = "GET", minor: int = 1) -> tuple[Wire, Exchange]:
    wire, lines = Wire(), Lines("test")
    lines.renew(b"Date: now\r\n")
    exchange = Exchange(wire, lines, method, minor, persist=bool(minor))
    respond(app, {}, exchange, lambda: "GET /")
    return wire, exchange


def body(data: bytes) -> bytes:
    return data.partition(b"\r\n\r\n")[2]


def says(status: str, headers: list[tuple[str, str]], blocks: Any):
    def app(environ, start_response):
        start_response(status, headers)
        return blocks

    return app


def test_nothing_leaves_before_the_first_block_that_is_not_empty() -> None:
    wire, steps = Wire(), []

    def app(environ, start_response):
        start_response("500 Wrong", [("X-Old", "1")])
        yield b""
        steps.append(list(wire.sends))
        try:
            raise KeyError("later")
        except KeyError:
            start_response("200 OK", [("X-New", "1")], sys.exc_info())
        yield b""
        steps.append(list(wire.sends))
        yield b"x"

    lines = Lines("")
    respond(app, {}, Exchange(wire, lines, "GET", 1, True), lambda: "")
    assert steps == [[], []]
    assert wire.data.startswith(b"HTTP/1.1 200 OK\r\nX-New: 1\r\n")
    assert b"X-Old" not in wire.data


def test_a_list_has_its_length_and_a_generator_is_chunked() -> None:
    assert body(run(says("200 OK", [], [b"a", b"b"]))[0].data) == b"ab"
    assert b"Content-Length: 2" in run(says("200 OK", [], [b"a", b"b"]))[0].data
    wire, _ = run(says("200 OK", [], (block for block in (b"a", b"", b"b"))))
    assert b"Transfer-Encoding: chunked" in wire.data
    assert body(wire.data) == b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"


def test_http_1_0_is_never_chunked() -> None:
    wire, exchange = run(says("200 OK", [], iter([b"a", b"b"])), minor=0)
    assert body(wire.data) == b"ab"
    assert b"Transfer-Encoding" not in wire.data
    assert not exchange.persist


def test_a_large_list_is_not_joined() -> None:
    blocks = [b"a" * 40_000, b"b" * 40_000]
    wire, _ = run(says("200 OK", [], blocks))
    assert body(wire.data) == b"".join(blocks)
    assert b"Content-Length: 80000" in wire.data


@pytest.mark.parametrize("blocks", [[b"abcdef"], [b"abc", b"def"], iter([b"abc", b"def"])], ids=["one", "two", "iter"])
def test_what_goes_past_content_length_is_cut(blocks) -> None:
    wire, exchange = run(says("200 OK", [("Content-Length", "4")], blocks))
    assert body(wire.data) == b"abcd"
    assert exchange.persist


def test_the_app_is_not_asked_for_more_than_its_length() -> None:
    asked = []

    def blocks():
        for number in range(5):
            asked.append(number)
            yield b"ab"

    run(says("200 OK", [("Content-Length", "4")], blocks()))
    assert asked == [0, 1]


@pytest.mark.parametrize("blocks", [[b"ab"], iter([b"ab"]), []], ids=["list", "iter", "none"])
def test_a_short_body_is_aborted(blocks, caplog: pytest.LogCaptureFixture) -> None:
    wire, exchange = run(says("200 OK", [("Content-Length", "4")], blocks))
    assert wire.aborted
    assert exchange.dead
    assert "of its Content-Length 4" in caplog.text


@pytest.mark.parametrize(("method", "status", "length"), [
    ("HEAD", "200 OK", True), ("GET", "204 No Content", False), ("GET", "304 Not Modified", True),
])  # fmt: skip
def test_no_body_where_none_may_be_and_close_all_the_same(method: str, status: str, length: bool) -> None:
    closed = []

    class Body:
        def __iter__(self):
            return iter([b"1234"])

        def close(self) -> None:
            closed.append(1)

    wire, _ = run(says(status, [("Content-Length", "4")], Body()), method=method)
    assert body(wire.data) == b""
    assert (b"Content-Length: 4" in wire.data) is length
    assert closed == [1]


def test_205_has_no_content() -> None:
    wire, _ = run(says("205 Reset Content", [("Content-Length", "4")], [b"1234"]))
    assert b"Content-Length: 0\r\n" in wire.data
    assert body(wire.data) == b""


def test_write_comes_before_the_iterable_and_is_sent_at_once() -> None:
    wire, seen = Wire(), []

    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"")
        seen.append(len(wire.sends))
        write(b"one")
        seen.append(len(wire.sends))
        return [b"two"]

    respond(app, {}, Exchange(wire, Lines(""), "GET", 1, True), lambda: "")
    assert seen == [0, 1]
    assert body(wire.data) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


def test_write_past_the_length_raises_in_the_app() -> None:
    raised = []

    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Length", "3")])
        try:
            write(b"12345")
        except ValueError as error:
            raised.append(str(error))
        return []

    wire, _ = run(app)
    assert body(wire.data) == b"123"
    assert "Content-Length 3" in raised[0]


BAD = [
    ("200", []), ("200OK", []), ("20 OK", []), ("2000 OK", []), ("\u0662\u0660\u0660 OK", []),
    ("200 OK\r\nX: y", []), ("200 \x07", []),
    ("100 Continue", []), (b"200 OK", []), ("200 OK", ()), ("200 OK", [["X", "y"]]), ("200 OK", [("X", 1)]),
    ("200 OK", [("X", b"y")]), ("200 OK", [(b"X", "y")]), ("200 OK", [("X Y", "z")]), ("200 OK", [("X:", "z")]),
    ("200 OK", [("X", "a\r\nSet-Cookie: b")]), ("200 OK", [("X", "a\nb")]), ("200 OK", [("X", "a\x00")]),
    ("200 OK", [("X", "\u20ac")]), ("200 OK", [("Connection", "close")]),
    ("200 OK", [("transfer-ENCODING", "chunked")]),
    ("200 OK", [("Status", "404")]), ("200 OK", [("Content-Length", "+1")]), ("200 OK", [("Content-Length", "1_0")]),
    ("200 OK", [("Content-Length", "1"), ("content-length", "2")]), ("200 OK", [("X", "y", "z")]),
    ("200 OK", [("", "")]),
]  # fmt: skip


@pytest.mark.parametrize(("status", "headers"), BAD, ids=lambda value: ascii(value)[:40])
def test_wrong_heads_raise_in_start_response_while_the_app_can_react(status, headers) -> None:
    raised = []

    def app(environ, start_response):
        try:
            start_response(status, headers)
        except (TypeError, ValueError) as error:
            raised.append(error)
            start_response("400 Mended", [], sys.exc_info())
        return [b"mended"]

    wire, _ = run(app)
    assert raised
    assert wire.data.startswith(b"HTTP/1.1 400 Mended\r\n")


def test_start_response_twice_raises_also_after_a_first_that_failed() -> None:
    raised = []

    def app(environ, start_response):
        for status in ("200OK", "200 OK"):
            try:
                start_response(status, [])
            except (ValueError, RuntimeError) as error:
                raised.append(type(error))
        return []

    wire, _ = run(app)
    assert raised == [ValueError, RuntimeError]
    assert wire.data.startswith(b"HTTP/1.1 500 ")


def test_exc_info_after_output_is_raised_again_with_its_traceback() -> None:
    seen = []

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"x"
        try:
            raise KeyError("mine")
        except KeyError as error:
            mine = error
            try:
                start_response("500 Late", [], sys.exc_info())
            except KeyError as raised:
                seen.append(raised is mine)
                raise

    wire, exchange = run(app)
    assert seen == [True]
    assert wire.aborted
    assert exchange.dead


def test_exc_info_is_not_kept() -> None:
    class Marker(Exception):
        pass

    refs = []

    def app(environ, start_response):
        try:
            raise Marker
        except Marker as error:
            refs.append(weakref.ref(error))
            start_response("500 Oops", [], sys.exc_info())
        return [b"x"]

    run(app)
    gc.collect()
    assert refs[0]() is None


def test_close_is_called_on_the_object_and_errors_in_it_are_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Body:
        def __iter__(self):
            return iter([b"x"])

        def close(self) -> None:
            raise RuntimeError("in close")

    wire, exchange = run(says("200 OK", [], Body()))
    assert body(wire.data) == b"1\r\nx\r\n0\r\n\r\n"
    assert not exchange.dead
    assert "in close" in caplog.text


@pytest.mark.parametrize("result", [None, 5, "text", b"bytes", ["text"], [5], [bytearray(b"x")]], ids=repr)
def test_what_is_no_body_is_a_500(result) -> None:
    wire, exchange = run(says("200 OK", [], result))
    assert wire.data.startswith(b"HTTP/1.1 500 ")
    assert exchange.persist


def test_a_client_that_is_gone_ends_the_iteration_and_close_runs() -> None:
    wire, steps = Wire(), []

    def blocks():
        try:
            for number in range(10):
                steps.append(number)
                wire.gone = number == 2
                yield b"x"
        finally:
            steps.append("closed")

    respond(says("200 OK", [], blocks()), {}, Exchange(wire, Lines(""), "GET", 1, True), lambda: "")
    assert steps == [0, 1, 2, "closed"]


def test_names_are_compared_without_case_and_nothing_is_doubled() -> None:
    wire, _ = run(says("200 OK", [("dAtE", "mine"), ("SERVER", "mine"), ("content-LENGTH", "2")], [b"ab"]))
    head = wire.data.partition(b"\r\n\r\n")[0].lower()
    assert [head.count(name) for name in (b"date:", b"server:", b"content-length:")] == [1, 1, 1]


def test_latin_1_goes_out_as_latin_1() -> None:
    wire, _ = run(says("200 D\xe9j\xe0", [("X", "\xff")], []))
    assert wire.data.startswith(b"HTTP/1.1 200 D\xe9j\xe0\r\nX: \xff\r\n")


def test_the_apps_list_is_not_needed_after_the_call() -> None:
    headers = [("X", "1")]

    def app(environ, start_response):
        start_response("200 OK", headers)
        headers.clear()
        return [b"x"]

    assert b"X: 1" in run(app)[0].data


def test_a_file_goes_by_the_platforms_way_from_where_it_stands() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.seek(4)
        wire, _ = run(says("200 OK", [], FileWrapper(file)))
        assert wire.files == [(4, 6)]
        assert b"Content-Length: 6" in wire.data


@pytest.mark.parametrize("length", [3, 100])
def test_a_file_ends_at_its_content_length_or_is_cut_off(length: int) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.seek(0)
        wire, exchange = run(says("200 OK", [("Content-Length", str(length))], FileWrapper(file)))
    assert wire.files == [(0, min(length, 10))]
    assert exchange.dead is (length == 100)


def test_other_file_likes_are_read() -> None:
    class Duck:
        def __init__(self) -> None:
            self.left = [b"quack", b""]

        def read(self, size: int) -> bytes:
            return self.left.pop(0)

    for thing in (io.BytesIO(b"quack"), Duck()):
        wrapper = FileWrapper(thing, 3)
        assert hasattr(wrapper, "close") is hasattr(thing, "close")
        wire, _ = run(says("200 OK", [], wrapper))
        assert b"quack" in wire.data.replace(b"\r\n2\r\n", b"").replace(b"3\r\n", b"")
        assert wire.files == []


def flushing(headers: list[tuple[str, str]], blocks: list[bytes], before: bool = False):
    """An app that asks for its head to go, and what it was told."""
    wire, told, seen = Wire(), [], []

    def app(environ, start_response):
        if before:
            told.append(exchange.flush_head())
        start_response("200 OK", headers)
        told.append(exchange.flush_head())
        seen.append(wire.data)
        told.append(exchange.flush_head())
        yield from blocks

    lines = Lines("test")
    exchange = Exchange(wire, lines, "GET", 1, persist=True)
    respond(app, {}, exchange, lambda: "GET /")
    return wire, told, seen[0]


@pytest.mark.parametrize(
    ("headers", "blocks", "end"),
    [
        ([], [b"", b"one", b"two"], b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
        ([("Content-Length", "6")], [b"one", b"two"], b"onetwo"),
        ([], [], b"0\r\n\r\n"),
    ],
)
def test_a_head_may_go_alone(headers, blocks: list[bytes], end: bytes) -> None:
    wire, told, early = flushing(headers, blocks, before=True)
    assert told == [False, True, True]
    assert early.startswith(b"HTTP/1.1 200 OK\r\n")
    assert early.endswith(b"\r\n\r\n")
    assert wire.data == early + end
    assert not wire.aborted


def test_what_is_out_cannot_be_replaced() -> None:
    wire, caught = Wire(), []

    def app(environ, start_response):
        start_response("200 OK", [])
        exchange.flush_head()
        try:
            raise KeyError("too late")
        except KeyError:
            try:
                start_response("500 Wrong", [], sys.exc_info())
            except KeyError as error:
                caught.append(error)
                raise
        yield b"never"

    exchange = Exchange(wire, Lines("test"), "GET", 1, persist=True)
    respond(app, {}, exchange, lambda: "GET /")
    assert len(caught) == 1
    assert wire.data.count(b"HTTP/1.1") == 1
    assert wire.aborted  # no client may take this for whole


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_head_that_went_alone_and_no_body(method: str) -> None:
    wire = Wire()
    exchange = Exchange(wire, Lines("test"), method, 1, persist=True)

    def app(environ, start_response):
        start_response("204 No Content" if method == "GET" else "200 OK", [])
        assert exchange.flush_head()
        yield b"" if method == "GET" else b"left out"

    respond(app, {}, exchange, lambda: "")
    assert body(wire.data) == b""
    assert exchange.persist
    assert not wire.aborted


def test_a_head_that_was_seen_before_is_checked_as_strictly() -> None:
    headers = [("X-Seen", "before"), ("Content-Length", "2")]

    def answers(status: Any = "200 OK", given: Any = headers) -> bytes:
        def app(environ, start_response):
            start_response(status, given)
            return [b"ok"]

        return run(app)[0].data

    first = answers()
    assert answers() == answers(given=headers[:]) == first
    assert b"200 OK" in first
    assert b"500 Internal" in answers(given=tuple(headers))
    assert b"500 Internal" in answers(given=iter(headers))
    assert b"500 Internal" in answers(status=type("Text", (str,), {})("200 OK"))
    headers.append(("X-More", "later"))  # the app's list is the app's
    assert b"X-More: later" in answers()
    assert answers(given=headers[:-1]) == first
