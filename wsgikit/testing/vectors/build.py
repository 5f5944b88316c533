"""Short forms in which the rows are written. Owns no expectation of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from wsgikit.testing.vectors.model import REFUSALS, App, Call, Level, Outcome, Reply, Vector

HOST = b"Host: example.com"


def message(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    """A request with exactly these lines, each ended by CRLF."""
    return b"\r\n".join((line, *fields, b"", body))


def get(*fields: bytes, body: bytes = b"") -> bytes:
    """GET / with a Host and `fields`."""
    return message(b"GET / HTTP/1.1", HOST, *fields, body=body)


def post(*fields: bytes, body: bytes = b"") -> bytes:
    """POST / with a Host and `fields`."""
    return message(b"POST / HTTP/1.1", HOST, *fields, body=body)


def chunked(body: bytes) -> bytes:
    """POST / with a chunked `body`, which is given as it goes on the wire."""
    return post(b"Transfer-Encoding: chunked", body=body)


def reply(*statuses: int) -> Reply:
    """A final response with one of `statuses`."""
    return Reply(statuses=frozenset(statuses))


def accept(*calls: Call, persists: bool | None = True, status: int = 200) -> Outcome:
    """Each request reaches the app and is answered with what the app says."""
    return Outcome(replies=(reply(status),) * len(calls), calls=calls, persists=persists)


def refuse(code: str, status: int = 400, *, after: tuple[Call, ...] = (), silent: bool = False) -> Outcome:
    """Our server's refusal: `after` calls that were answered, one error response, the end of the connection."""
    replies = (*(reply(200) for _ in after), reply(status))
    return Outcome(replies=replies, calls=after, persists=False, code=code, silent=silent)


def refused(*statuses: int, persists: bool | None = None, silent: bool = True, calls: tuple[Call, ...] = ()) -> Outcome:
    """Another server's refusal; without `statuses` any 4xx or 5xx, or none at all."""
    last = Reply(statuses=frozenset(statuses) or REFUSALS)
    return Outcome(replies=(*(reply(200) for _ in calls), last), calls=calls, persists=persists, silent=silent)


def aborted(length: int) -> tuple[Outcome, ...]:
    """What other servers may do with a body that does not come to its end.

    The app may run when its input is streamed, but must not take the body for complete; `length` is how many bytes it
    would have if it were.
    """
    calls = (Call(method="POST", body=b"?" * length, complete=False),)
    answered = Outcome(replies=(reply(200),), calls=calls, persists=False, silent=True)
    return refused(), Outcome(replies=refused().replies, calls=calls, persists=False, silent=True), answered


def vector(
    identifier: str,
    name: str,
    raw: bytes,
    expect: Outcome,
    *allowed: Outcome,
    level: Level,
    source: str,
    note: str = "",
    later: bytes = b"",
    eof: bool = False,
    app: App | None = None,
) -> Vector:
    """A Vector; `allowed` are the outcomes besides `expect`.

    Where `expect` persists, closing is allowed: a server may end a connection after any response (RFC 9112 9.5).
    """
    others = (expect, *allowed) if expect.persists else allowed
    relaxed = tuple(dataclasses.replace(other, persists=other.persists and None) for other in others)
    return Vector(
        id=identifier, name=name, raw=raw, expect=expect, allowed=relaxed, level=level, source=source, note=note,
        later=later, eof=eof, app=app or App(),
    )  # fmt: skip


def variations(
    row: str,
    cases: Iterable[tuple[str, bytes]],
    name: str,
    expect: Outcome,
    *allowed: Outcome,
    level: Level,
    source: str,
    note: str = "",
) -> list[Vector]:
    """Vectors with different bytes and the same outcome."""
    return [
        vector(f"{row}-{slug}", f"{name}: {slug.replace('-', ' ')}", raw, expect, *allowed, level=level, source=source,
               note=note)
        for slug, raw in cases
    ]  # fmt: skip
