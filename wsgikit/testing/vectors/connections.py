"""H48-H59: persistence, pipelining, unread bodies, expectations, upgrades, slow and half-closed clients."""

from __future__ import annotations

from wsgikit.testing.vectors.build import (
    HOST,
    accept,
    chunked,
    get,
    message,
    post,
    refuse,
    refused,
    reply,
    variations,
    vector,
)
from wsgikit.testing.vectors.model import SMUGGLED, App, Call, Outcome, Reply, Vector

_NEXT = message(b"GET /next HTTP/1.1", HOST)
_CALLS = (Call(), Call(path="/next"))
_POST = Call(method="POST", body=b"hello")
_LARGE = b"a" * 262_144
# An app that leaves its input alone.
_IGNORES = App(reads=False)


def _closed(*calls: Call) -> Outcome:
    """Answered, and the connection ends with `Connection: close` in the last response."""
    said = Reply(statuses=frozenset((200,)), fields=("connection",))
    return Outcome(replies=(*(reply(200) for _ in calls[1:]), said), calls=calls, persists=False)


def _persistence() -> list[Vector]:
    kept = Reply(statuses=frozenset((200,)), fields=("connection",))
    source = "RFC 9112 9.3"
    closing = (
        ("plain", b"close"),
        ("capitals", b"CLOSE"),
        ("list", b"x-a, close"),
        ("list-first", b"Close ,keep-alive"),
    )
    return [
        vector("H48-two", "two requests", get() + _NEXT, accept(*_CALLS), level="SHOULD", source=source),
        vector("H48-get-and-post", "a body between two requests",
               get() + post(b"Content-Length: 5", body=b"hello") + _NEXT, accept(Call(), _POST, Call(path="/next")),
               level="SHOULD", source=source),
        vector("H48-keep-alive", "keep-alive said in 1.1", get(b"Connection: keep-alive") + _NEXT, accept(*_CALLS),
               level="SHOULD", source=source),
        *(
            vector(f"H49-{slug}", "close, and a pipelined request", get(b"Connection: " + value) + SMUGGLED,
                   _closed(Call()), accept(Call(), persists=False), level="MUST", source="RFC 9112 9.6",
                   note="what follows is not processed")
            for slug, value in closing
        ),
        vector("H49-two-lines", "close in the second of two lines",
               get(b"Connection: keep-alive", b"Connection: close") + SMUGGLED, _closed(Call()),
               accept(Call(), persists=False), level="MUST", source="RFC 9112 9.6"),
        vector("H50-plain", "HTTP/1.0", message(b"GET / HTTP/1.0", HOST), accept(Call(), persists=False), level="MUST",
               source=source),
        vector("H50-keep-alive", "HTTP/1.0 with keep-alive",
               message(b"GET / HTTP/1.0", HOST, b"Connection: keep-alive"),
               Outcome(replies=(kept,), calls=(Call(),), persists=True), accept(Call(), persists=False), level="MAY",
               source=source, note="only if the server says keep-alive too"),
        vector("H50-close", "HTTP/1.0 with close and a second request",
               message(b"GET / HTTP/1.0", HOST, b"Connection: close") + SMUGGLED, accept(Call(), persists=False),
               level="MUST", source=source),
        vector("H51-then-invalid", "two valid requests and an invalid one", get() + _NEXT + message(b"G@T / HTTP/1.1"),
               refuse("bad-method", after=_CALLS), refused(calls=_CALLS), level="SHOULD", source="RFC 9112 9.3.2",
               note="answered in order"),
        vector("H51-ten", "ten requests", get() * 9 + _NEXT, accept(*(Call(),) * 9, Call(path="/next")), level="MUST",
               source="RFC 9112 9.3.2"),
        vector("H51-invalid-first", "an invalid request and a valid one", message(b"G@T / HTTP/1.1", HOST) + SMUGGLED,
               refuse("bad-method"), refused(), level="SHOULD", source="RFC 9112 9.3.2"),
    ]  # fmt: skip


def _unread() -> list[Vector]:
    length = b"Content-Length: %d" % len(SMUGGLED)
    early = App(reads=False, status="413 Content Too Large", blocks=(b"too large",))
    cases = (
        ("length", post(length, body=SMUGGLED), SMUGGLED),
        ("chunked", chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)), SMUGGLED),
        ("large", post(b"Content-Length: %d" % len(_LARGE), body=_LARGE), _LARGE),
    )  # fmt: skip
    return [
        *(
            vector(f"H52-{slug}", f"a body that the app does not read: {slug}", raw,
                   accept(Call(method="POST", body=body), persists=None), level="MUST", source="RFC 9112 9.3",
                   note="drained, or the connection ends; its bytes are never a request", app=_IGNORES)
            for slug, raw, body in cases
        ),
        *(
            vector(f"H53-{slug}", "an early 4xx while the body is unread", raw,
                   Outcome(replies=(Reply(statuses=frozenset((413,)), body=b"too large"),),
                           calls=(Call(method="POST", body=_LARGE),)),
                   level="SHOULD", source="RFC 9112 9.6", note="the client gets the whole response", app=early)
            for slug, raw in (("length", cases[2][1]),
                              ("chunked", chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(_LARGE), _LARGE))))
        ),
    ]  # fmt: skip


def _expectations() -> list[Vector]:
    source = "RFC 9110 10.1.1"
    wait = b"Expect: 100-continue"
    length = b"Content-Length: 5"
    asked = Outcome(replies=(reply(200),), calls=(_POST,), persists=True, interim=(100,))
    old = message(b"POST / HTTP/1.0", HOST, wait, length)
    return [
        vector("H54-length", "the body comes after 100", post(wait, length), asked,
               refused(silent=False), level="MUST", source=source, later=b"hello",
               note="100 or a final response at once; waiting for the body is forbidden"),
        vector("H54-chunked", "a chunked body comes after 100", post(wait, b"Transfer-Encoding: chunked"), asked,
               accept(_POST, persists=None), refused(silent=False), level="MUST", source=source,
               later=b"5\r\nhello\r\n0\r\n\r\n"),
        vector("H54-capitals", "the expectation does not depend on case", post(b"Expect: 100-Continue", length), asked,
               accept(_POST, persists=None), refused(silent=False), level="MUST", source=source, later=b"hello"),
        vector("H55-sent", "the body is there already", post(wait, length, body=b"hello"), accept(_POST), level="MAY",
               source=source, note="100 may be left out"),
        vector("H55-http-1.0", "HTTP/1.0", old, accept(_POST, persists=False), level="MUST", source=source,
               later=b"hello", note="ignored: no interim response"),
        vector("H55-no-body", "nothing to wait for", get(wait), accept(Call()), level="MAY", source=source),
        *variations("H56", [("other", post(b"Expect: other", length, body=b"hello")),
                            ("list", post(b"Expect: 100-continue, other", length, body=b"hello"))],
                    "an expectation that nobody knows", refuse("unknown-expectation", 417), accept(_POST), refused(),
                    level="MAY", source=source),
    ]  # fmt: skip


def _upgrades() -> list[Vector]:
    source = "RFC 9110 7.8"
    upgrade = (b"Connection: Upgrade", b"Upgrade: unknown/1")
    settings = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
    return [
        vector("H57-unknown", "an upgrade that nobody knows", get(*upgrade), accept(Call()), level="MUST",
               source=source, note="no 101"),
        vector("H57-h2c", "an upgrade to HTTP/2", get(*settings), accept(Call()), level="MAY",
               source=source + ", RFC 9113 3.1", note="ignored"),
        vector("H57-http-1.0", "an upgrade in HTTP/1.0", message(b"GET / HTTP/1.0", HOST, *upgrade),
               accept(Call(), persists=False), level="MUST", source=source),
    ]  # fmt: skip


def _slow() -> list[Vector]:
    whole = get(b"X-A: b")
    cuts = (("method", 2), ("target", 5), ("version", 10), ("line", 16), ("name", 20), ("value", 30), ("last-cr", -2),
            ("last-lf", -1))  # fmt: skip
    return [
        *(
            vector(f"H58-{slug}", f"the head stops in: {slug.replace('-', ' ')}", whole[:cut],
                   accept(Call(environ={"HTTP_X_A": "b"})), level="MUST", source="robustness", later=whole[cut:],
                   note="no response before the head is there")
            for slug, cut in cuts
        ),
        vector("H59-get", "the client ends its side after the request", get(), accept(Call(), persists=False),
               level="MUST", source="robustness", eof=True, note="it still reads"),
        vector("H59-post", "the client ends its side after the body", post(b"Content-Length: 5", body=b"hello"),
               accept(_POST, persists=False), level="MUST", source="robustness", eof=True),
        vector("H59-two", "the client ends its side after two requests", get() + _NEXT,
               accept(*_CALLS, persists=False), level="MUST", source="robustness", eof=True),
    ]  # fmt: skip


def rows() -> list[Vector]:
    return [*_persistence(), *_unread(), *_expectations(), *_upgrades(), *_slow()]
