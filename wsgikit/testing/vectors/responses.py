"""H60-H64: what a response must and must not have, whatever the app does."""

from __future__ import annotations

from wsgikit.testing.vectors.build import HOST, accept, get, message, refused, vector
from wsgikit.testing.vectors.model import App, Call, Outcome, Reply, Vector

_GENERATOR = App(blocks=(b"one", b"two"), length=False)


def _answer(
    status: int,
    *,
    persists: bool | None = True,
    method: str = "GET",
    fields: tuple[str, ...] = (),
    lacks: tuple[str, ...] = (),
    body: bytes | None = None,
    line: bytes | None = None,
) -> Outcome:
    reply = Reply(statuses=frozenset((status,)), fields=fields, lacks=lacks, body=body, line=line)
    return Outcome(replies=(reply,), calls=(Call(method=method),), persists=persists)


def _no_content() -> list[Vector]:
    head = message(b"HEAD / HTTP/1.1", HOST)
    both = ("transfer-encoding", "content-length")
    return [
        vector("H60-head", "HEAD, and an app that gives a body", head,
               _answer(200, method="HEAD", fields=("content-length",), body=b""),
               _answer(200, method="HEAD", body=b""), level="MUST", source="RFC 9110 8.6, 9.3.2",
               note="no content; Content-Length stays as it would be for GET"),
        vector("H60-head-generator", "HEAD, and an app that gives a body of unknown length", head,
               _answer(200, method="HEAD", lacks=("content-length",), body=b""), level="MUST",
               source="RFC 9110 8.6, 9.3.2", app=_GENERATOR),
        vector("H60-204", "204 with a body", get(), _answer(204, lacks=both, body=b""), level="MUST",
               source="RFC 9110 8.6, 15.3.5, RFC 9112 6.1", app=App(status="204 No Content", blocks=(b"hello",))),
        vector("H60-204-generator", "204 with a body of unknown length", get(), _answer(204, lacks=both, body=b""),
               level="MUST", source="RFC 9112 6.1",
               app=App(status="204 No Content", blocks=(b"one", b"two"), length=False)),
        vector("H60-304", "304 with a body", get(), _answer(304, body=b""), level="MUST",
               source="RFC 9110 15.4.5, RFC 9112 6.1", note="a coding may be named, as for HEAD",
               app=App(status="304 Not Modified", blocks=(b"hello",))),
        vector("H60-205", "205 with a body", get(), _answer(205, lacks=("transfer-encoding",), body=b""),
               _answer(205, body=b"", persists=None), level="MUST", source="RFC 9110 15.3.6",
               app=App(status="205 Reset Content", blocks=(b"hello",))),
    ]  # fmt: skip


def _fields() -> list[Vector]:
    old, old_kept = message(b"GET / HTTP/1.0", HOST), message(b"GET / HTTP/1.0", HOST, b"Connection: keep-alive")
    two = b"onetwo"
    return [
        *(
            vector(f"H61-{status[:3]}", f"Date in a {status[:3]}", get(), _answer(int(status[:3]), fields=("date",)),
                   level="MUST", source="RFC 9110 6.6.1", app=App(status=status))
            for status in ("200 OK", "302 Found", "404 Not Found")
        ),
        vector("H62-generator-1.0", "a body of unknown length for HTTP/1.0", old,
               _answer(200, persists=False, lacks=("transfer-encoding",), body=two), level="MUST",
               source="RFC 9112 6.1, 6.2", app=_GENERATOR, note="the end of the connection ends it"),
        vector("H62-generator-keep-alive", "the same with keep-alive", old_kept,
               _answer(200, persists=False, lacks=("transfer-encoding",), body=two),
               _answer(200, lacks=("transfer-encoding",), fields=("content-length",), body=two), level="MUST",
               source="RFC 9112 6.1, 6.2", app=_GENERATOR),
        vector("H62-generator-1.1", "a body of unknown length for HTTP/1.1", get(),
               _answer(200, fields=("transfer-encoding",), lacks=("content-length",), body=two),
               _answer(200, fields=("content-length",), lacks=("transfer-encoding",), body=two),
               _answer(200, persists=False, lacks=("content-length",), body=two), level="MUST",
               source="RFC 9112 6.2", app=_GENERATOR, note="never a length and a coding together"),
        vector("H62-length", "a body of known length", get(),
               _answer(200, fields=("content-length",), lacks=("transfer-encoding",), body=two), level="MUST",
               source="RFC 9112 6.2", app=App(blocks=(b"one", b"two"))),
        vector("H63-empty-reason", "a status with an empty reason", get(), _answer(200, line=b"HTTP/1.1 200 "),
               refused(500, silent=False, persists=None), level="MUST", source="RFC 9112 4",
               app=App(status="200 "), note="the SP after the code stays"),
        *(
            vector(f"H64-{method.decode().lower()}", f"Allow in a 405 to {method.decode()}",
                   message(method + b" / HTTP/1.1", HOST), accept(Call(method=method.decode())),
                   Outcome(replies=(Reply(statuses=frozenset(range(200, 600)), when=((405, "allow"),)),),
                           calls=()),
                   level="MUST", source="RFC 9110 15.5.6", note="if the server makes one of its own accord")
            for method in (b"TRACE", b"FOOBAR")
        ),
    ]  # fmt: skip


def rows() -> list[Vector]:
    return [*_no_content(), *_fields()]
