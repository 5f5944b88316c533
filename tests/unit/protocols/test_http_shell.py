"""The HTTP shell against a link on paper: what it says when, and what it never says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from paper_link import PaperLink

from wsgikit.protocols import Action

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
EXPECTING = POST + b"Expect: 100-continue\r\n\r\n"


def reading(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


def hinting(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    environ["wsgi.early_hints"]([("Link", "</a>")])
    start_response("200 OK", [])
    return [b"late"]


@pytest.mark.parametrize(("app", "body", "request_"), [
    (reading, "stream", EXPECTING),
    (hinting, "spool", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
])  # fmt: skip
def test_nothing_follows_the_504_of_a_request_that_was_given_up(app: Any, body: str, request_: bytes) -> None:
    """The deadline strikes at the moment in which the app asks for something that sends."""
    link = PaperLink(app, strikes=1, later=b"12345", body=body)
    link.protocol.service.record = (accesses := []).append
    assert link.take(request_) == Action.LINGER  # and no reset, which would take the 504 from the client
    assert [access.status for access in accesses] == ["504 Gateway Timeout"]
    assert link.sent.startswith(b"HTTP/1.1 504 ")
    assert link.sent.count(b"HTTP/1.1") == 1
    assert not link.aborted


def test_an_app_that_swallows_what_a_given_up_request_raises_sends_nothing() -> None:
    def stubborn(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        write = start_response("200 OK", [])
        for _ in range(3):
            try:
                write(b"more")
            except BaseException:
                pass
        return [b"and more"]

    link = PaperLink(stubborn, strikes=1)
    assert link.take(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == Action.LINGER
    assert link.sent.count(b"HTTP/1.1") == 1
    assert b"more" not in link.sent


def test_a_slow_close_takes_nothing_from_a_response_that_is_out() -> None:
    closed = []

    class Body:
        def __iter__(self) -> Any:
            return iter([b"whole"])

        def close(self) -> None:
            link.protocol.exchange.deadline = 0.0
            link.protocol.give_up()
            closed.append(True)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
        start_response("200 OK", [("Content-Length", "5")])
        return Body()

    link = PaperLink(app)
    assert link.take(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == Action.READ
    assert link.sent.endswith(b"\r\n\r\nwhole")
    assert closed
    assert not link.aborted


def test_the_clock_of_a_streamed_body_runs_only_while_somebody_reads() -> None:
    def late(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        time.sleep(0.05)
        data = environ["wsgi.input"].read(2)
        time.sleep(0.05)
        data += environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [data]

    link = PaperLink(late, later=b"345", body="stream")
    link.take(POST + b"\r\n12")
    assert link.sent.endswith(b"12345")
    assert [received for received, _ in link.asked] == [2]
    assert link.asked[0][1] < 0.04  # seconds that count against the client


@pytest.mark.parametrize("body", ["spool", "stream"])
def test_what_follows_a_body_goes_to_who_takes_the_socket_over(body: str) -> None:
    taken = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        environ["wsgi.input"].read()
        taken.append(environ["wsgikit.takeover"]("101 Switching Protocols", [("Upgrade", "x")]))
        return []

    link = PaperLink(app, body=body)
    assert link.take(POST + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n12345already here") == Action.TAKEN
    assert taken == [("the socket", b"already here")]


def test_a_socket_with_an_unread_body_in_it_is_not_given_away() -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        environ["wsgikit.takeover"]("101 Switching Protocols", [("Upgrade", "x")])
        return []

    link = PaperLink(app, body="stream")
    assert link.take(POST + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n123") == Action.LINGER
    assert link.sent.startswith(b"HTTP/1.1 500 ")


def test_a_disk_that_is_full_at_the_last_byte_is_507(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a buffered file has taken is on the disk only once it is flushed."""
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: open("/dev/full", "w+b"))  # noqa: SIM115
    link = PaperLink(reading, body_memory=2)
    assert link.take(POST + b"\r\n123") == Action.READ
    assert link.take(b"45") == Action.LINGER
    assert link.sent.startswith(b"HTTP/1.1 507 ")
    link.protocol.close()


@pytest.mark.parametrize("request_", [
    b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 1\r\n\r\nx",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
])  # fmt: skip
def test_connect_never_reaches_an_app_that_cannot_take_the_socket_over(request_: bytes) -> None:
    link = PaperLink(reading)
    link.protocol.service.takeover = False
    assert link.take(request_) == Action.LINGER
    assert link.sent.startswith(b"HTTP/1.1 501 ")


def test_options_for_the_server_has_no_use_for_a_body() -> None:
    link = PaperLink(reading)
    assert link.take(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nGET / HTT") == Action.LINGER
    assert link.sent.startswith(b"HTTP/1.1 204 ")
    assert b"Connection: close\r\n" in link.sent


def test_start_response_after_the_head_fails_whatever_exc_info_holds() -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        yield b"begun"
        start_response("500 Oh", [], (None, None, None))

    link = PaperLink(app)
    assert link.take(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == Action.CLOSE
    assert link.aborted


def test_a_client_that_learns_from_the_response_that_we_close_may_have_sent_more() -> None:
    link = PaperLink(reading)
    link.protocol.service.stopping = True
    assert link.take(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == Action.LINGER
    link = PaperLink(reading)
    assert link.take(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == Action.CLOSE
