"""SCGI and uwsgi for a server, over a connection that only remembers."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.errors import Disconnected
from wsgikit.protocols import Action
from wsgikit.protocols.scgi import ScgiProtocol
from wsgikit.protocols.service import Service
from wsgikit.protocols.uwsgi import UwsgiProtocol
from wsgikit.wire.http11 import Limits
from wsgikit.wire.scgi import format_scgi
from wsgikit.wire.uwsgi import format_uwsgi
from wsgikit.workers.settings import WorkerSettings
from wsgikit.wsgi.environ import template
from wsgikit.wsgi.error_stream import ErrorStream
from wsgikit.wsgi.exchange import Lines

USUAL = [
    (b"REQUEST_METHOD", b"POST"),
    (b"REQUEST_URI", b"/a"),
    (b"PATH_INFO", b"/a"),
    (b"SERVER_PROTOCOL", b"HTTP/1.1"),
    (b"REMOTE_ADDR", b"192.0.2.7"),
]


class Link:
    def __init__(self) -> None:
        self.remote = "10.0.0.1"
        self.sent = b""
        self.later: list[bytes] = []
        self.aborted = self.gone = False

    def send(self, data: bytes) -> None:
        if self.gone:
            raise Disconnected("gone")
        self.sent += data

    def send_parts(self, parts) -> None:
        self.send(b"".join(parts))

    def describe(self, environ: dict[str, Any]) -> None:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = self.remote, "1"
        environ["wsgikit.client_gone"] = False

    def receive(self, received: int, since: float) -> bytes:
        return self.later.pop(0) if self.later else b""

    def guard(self) -> None:
        return None

    def abort(self) -> None:
        self.aborted = True


def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Client", environ["REMOTE_ADDR"] + environ.get("REMOTE_PORT", ""))])
    return [environ["PATH_INFO"].encode() + b" " + body]


def make(kind, the_app=app, **settings: Any):
    link = Link()
    service = Service(
        app=the_app,
        settings=WorkerSettings(timeout=0.0, **settings),
        limits=Limits(head=2000, fields=10),
        template=template(
            scheme="http", name="here", port="1", errors=ErrorStream(), multithread=True, multiprocess=False
        ),
        lines=Lines(""),
    )
    return kind(service, link), link


def scgi(body: bytes = b"", *more: tuple[bytes, bytes]) -> bytes:
    return format_scgi([*USUAL, *more], len(body)) + body


def uwsgi(body: bytes = b"", *more: tuple[bytes, bytes], modifier1: int = 0) -> bytes:
    return format_uwsgi([*USUAL, (b"CONTENT_LENGTH", b"%d" % len(body)), *more], modifier1) + body


WIRES = [
    pytest.param(ScgiProtocol, scgi, b"Status: 200 OK\r\n", id="scgi"),
    pytest.param(UwsgiProtocol, uwsgi, b"HTTP/1.1 200 OK\r\n", id="uwsgi"),
]


@pytest.mark.parametrize(("kind", "wire", "first"), WIRES)
@given(cuts=st.lists(st.integers(1, 400), max_size=15), body=st.binary(max_size=60))
def test_a_request_at_every_cut(kind, wire, first, cuts, body) -> None:
    data = wire(body)
    protocol, link = make(kind)
    edges = [0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]
    actions = [protocol.receive(data[a:b]) for a, b in itertools.pairwise(edges) if a < b]
    assert actions == [Action.READ] * (len(actions) - 1) + [Action.RUN]
    assert protocol.run(0.0) == Action.CLOSE
    content = b"/a " + body
    head = first + b"X-Client: 192.0.2.7\r\nContent-Length: %d\r\n\r\n" % len(content)
    assert link.sent == head + content


@pytest.mark.parametrize(("kind", "wire", "first"), WIRES)
def test_a_body_that_is_streamed_or_left_unread(kind, wire, first) -> None:
    protocol, link = make(kind, body="stream")
    data = wire(b"0123456789")
    assert protocol.receive(data[:-6]) == Action.RUN
    link.later = [data[-6:-3], data[-3:]]
    assert protocol.run(0.0) == Action.CLOSE
    assert link.sent.endswith(b"/a 0123456789")

    def ignores(environ, start_response):
        start_response("204 No Content", [])
        return []

    protocol, link = make(kind, ignores, body="stream")
    assert protocol.receive(data[:-6]) == Action.RUN
    assert protocol.run(0.0) == Action.LINGER
    assert link.sent == first.replace(b"200 OK", b"204 No Content") + b"\r\n"


@pytest.mark.parametrize(("kind", "wire", "first"), WIRES)
def test_refusals_speak_the_wire_s_language(kind, wire, first) -> None:
    prefix = first.partition(b"200")[0]
    cases = [
        (wire(b"x" * 200), 413, b"body-too-large"),
        (wire(b"", (b"REQUEST_METHOD", b"")), 400, b"bad-method"),
        (wire(b"", (b"A", b"x" * 5000)), 431, b"variables-too-long"),
    ]
    for data, status, code in cases:
        protocol, link = make(kind, max_body=100)
        assert protocol.receive(data) == Action.LINGER
        assert link.sent.startswith(prefix + b"%d " % status)
        assert link.sent.endswith(code + b"\n")
    protocol, link = make(kind)
    protocol.receive(wire(b"12345")[:-1])
    assert protocol.eof() == Action.LINGER
    assert link.sent.endswith(b"incomplete-body\n")
    protocol, link = make(kind)
    protocol.receive(wire()[:5])
    assert not protocol.idle
    assert protocol.expire() == Action.LINGER
    assert link.sent.startswith(prefix + b"408 ")


@pytest.mark.parametrize(("kind", "wire", "first"), WIRES)
def test_an_idle_connection_closes_without_a_word(kind, wire, first) -> None:
    protocol, link = make(kind)
    assert protocol.idle
    assert protocol.eof() == protocol.expire() == protocol.advance() == Action.CLOSE
    assert link.sent == b""


@pytest.mark.parametrize(("kind", "wire", "first"), WIRES)
def test_a_response_that_breaks_off_is_reset_and_a_late_one_is_504(kind, wire, first) -> None:
    def breaks(environ, start_response):
        start_response("200 OK", [])
        yield b"some"
        raise ValueError("on purpose")

    protocol, link = make(kind, breaks)
    protocol.receive(wire())
    assert protocol.run(0.0) == Action.CLOSE
    assert link.aborted

    def slow(environ, start_response):
        late.give_up()
        start_response("200 OK", [])
        return [b"too late"]

    late, link = make(kind, slow)
    late.receive(wire())
    assert late.run(0.0) == Action.CLOSE
    assert link.sent.startswith(first.partition(b"200")[0] + b"504 ")
    assert b"too late" not in link.sent


def test_uwsgi_modifiers() -> None:
    protocol, link = make(UwsgiProtocol)
    assert protocol.receive(uwsgi(modifier1=5)) == Action.LINGER
    assert link.sent.startswith(b"HTTP/1.1 501 ")
    protocol, link = make(UwsgiProtocol)
    assert protocol.receive(bytes((100, 0, 0, 0))) == Action.LINGER
    assert link.sent == bytes((100, 0, 0, 1))
    protocol, link = make(UwsgiProtocol)
    more = ((b"SCRIPT_NAME", b"/m"), (b"PATH_INFO", b"/m/x"), (b"REQUEST_URI", b"/m/x"))
    assert protocol.receive(uwsgi(b"", *more, modifier1=30)) == Action.RUN
    protocol.run(0.0)
    assert link.sent.endswith(b"/x ")
