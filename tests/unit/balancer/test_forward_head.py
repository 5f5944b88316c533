"""The head of an answer whose body does not come: sent alone where the server can, also through layers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scripted_upstream import Peer, ScriptedUpstream
from waiting import wait_for
from wsgi_call import environ_of

from wsgikit.middleware.compress import Compress
from wsgikit.middleware.error_pages import ErrorPages
from wsgikit.middleware.forward import Forward
from wsgikit.validators.lint import Lint
from wsgikit.wsgi.exchange import Exchange, Lines
from wsgikit.wsgi.respond import respond


class Wire:
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.data = b""
        self.aborted = False

    def send(self, data: bytes) -> None:
        self.data += data

    def send_parts(self, parts: list[bytes]) -> None:
        self.send(b"".join(parts))

    def abort(self) -> None:
        self.aborted = True

    def wait(self, mark: bytes) -> None:
        wait_for(lambda: mark in self.data, say=lambda: self.data)


class Silent:
    """An upstream whose head comes at once and whose body when `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.upstream = ScriptedUpstream(self._script)
        self.app = Forward(to=self.upstream.url)

    def _script(self, peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert self.go.wait(5)
        peer.send(b"9\r\ndata: 1\n\n\r\n0\r\n\r\n")


@pytest.fixture
def silent() -> Iterator[Silent]:
    made = Silent()
    with made.upstream:
        yield made
        made.go.set()
        made.app.to.close()


def serve(app: Any, **more: Any) -> tuple[Wire, threading.Thread]:
    """Run one request as the server does, in a thread."""
    wire = Wire()
    exchange = Exchange(wire, Lines("test"), "GET", 1, persist=True)  # type: ignore[arg-type]
    environ = environ_of(b"/events", **{"wsgikit.flush_head": exchange.flush_head, **more})
    thread = threading.Thread(target=respond, args=(app, environ, exchange, lambda: "GET /events"))
    thread.start()
    return wire, thread


LAYERS: dict[str, Callable[[Any], Any]] = {
    "none": lambda app: app,
    "Compress": Compress,  # holds the head until the first block, to tell the length
    "ErrorPages": lambda app: ErrorPages(app),
    "Lint": lambda app: Lint(app, on_violation="raise"),
}


@pytest.mark.parametrize("name", list(LAYERS))
def test_an_event_stream_opens_through_layers(silent: Silent, name: str) -> None:
    wire, thread = serve(LAYERS[name](silent.app), HTTP_ACCEPT_ENCODING="gzip")
    wire.wait(b"\r\n\r\n")
    head = wire.data
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.endswith(b"\r\n\r\n")
    silent.go.set()
    thread.join(5)
    assert wire.data.endswith(b"0\r\n\r\n")
    assert len(wire.data) > len(head) + 5
    assert not wire.aborted


def test_without_the_key_the_head_goes_with_the_first_byte(silent: Silent) -> None:
    calls: list[str] = []
    environ = environ_of(b"/events")
    body = iter(silent.app(environ, lambda status, headers, *_: calls.append(status)))
    threading.Timer(0.05, silent.go.set).start()
    assert next(body) == b"data: 1\n\n"
    assert calls == ["200 OK"]
    assert list(body) == []
