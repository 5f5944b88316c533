"""Forward obeys PEP 3333 towards its server: under our Lint and under wsgiref's."""

from __future__ import annotations

import time
from wsgiref.validate import validator

import pytest
from scripted_upstream import Peer, ScriptedUpstream, answering, ok
from wsgi_call import call, environ_of, foreign

from wsgikit.middleware.balancer import Balancer
from wsgikit.validators import Lint


def slowly(peer: Peer) -> None:
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(3):
        time.sleep(0.01)
        peer.send(b"3\r\nabc\r\n")
    peer.send(b"0\r\n\r\n")


ANSWERS = {
    "whole": (answering(ok(b"hello", "Content-Type: text/plain")), 200, b"hello"),
    "slow": (slowly, 200, b"abcabcabc"),
    "empty": (answering(b"HTTP/1.1 204 No Content\r\n\r\n"), 204, b""),
    "no reason": (answering(b"HTTP/1.1 200\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"), 200, b""),
    "not modified": (answering(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"), 304, b""),
    "broken": (answering(b"rubbish\r\n\r\n"), 502, None),
}


@pytest.mark.parametrize("wrap", [lambda app: Lint(app, on_violation="raise"), validator])
@pytest.mark.parametrize("name", list(ANSWERS))
def test_no_rule_is_broken(name: str, wrap) -> None:
    script, status, body = ANSWERS[name]
    with ScriptedUpstream(script) as upstream:
        app = Balancer([upstream.url])
        try:
            environ = environ_of(b"/x?y")
            if wrap is validator:
                environ = foreign(environ)
            answer = call(wrap(app), environ)
        finally:
            app.close()
    assert answer.code == status
    assert body is None or answer.body == body


def test_head_under_lint() -> None:
    with ScriptedUpstream(answering(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\n")) as upstream:
        app = Balancer([upstream.url])
        answer = call(Lint(app, on_violation="raise"), environ_of(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"))
        app.close()
    assert (answer.code, answer.body, answer.get("Content-Length")) == (200, b"", "5")
