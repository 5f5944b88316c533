"""What a vector is: bytes that a client sends, what our strict server does with them, and what the RFCs let others do.

Everything here is data. Owns no socket and no parser: the parser's tests, the server's tests and `check server` each
carry a vector out in their own way and compare with `Outcome`.

How to carry one out:

1. Serve `vector.app`: an app that behaves as the `App` record says and keeps an account of its calls.
2. Send `raw`. If the vector has `later`, read what comes (the interim responses of `outcome.interim`; with none of them
   nothing may come, so wait a moment) and then send `later`. If `eof`, end the sending side after the last byte.
3. Compare final responses, calls and the fate of the connection with `expect` (our server) or with `allowed`.
4. Where `persists` is True, send FOLLOW_UP on the same connection: it must be answered, and called once. Where it is
   False, the server must end the connection. A FOLLOW_UP on a new connection must always be answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["MUST", "SHOULD", "MAY", "rec"]

FOLLOW_UP = b"GET /follow-up HTTP/1.1\r\nHost: example.com\r\n\r\n"
# What attacks try to get past a proxy. No vector may ever lead to a call for this path.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: example.com\r\n\r\n"

# For servers that refuse in another way than ours.
REFUSALS = frozenset(range(400, 600))


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The app that a vector needs.

    `reads`    it reads its input to the end before it answers
    `status`   the status it gives to start_response
    `blocks`   the blocks of its body; more than one is given by a generator
    `length`   it sends the right Content-Length
    """

    reads: bool = True
    status: str = "200 OK"
    blocks: tuple[bytes, ...] = (b"ok",)
    length: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the app.

    `method`, `path`, `query`  REQUEST_METHOD, PATH_INFO and QUERY_STRING; None: not judged
    `environ`                  other variables with the value they must have
    `lacks`                    variables that must be absent (CONTENT_LENGTH and CONTENT_TYPE may be empty instead)
    `body`                     the bytes the app reads
    `complete`                 False: the body did not come to its end; reading has to raise, or to give fewer bytes
                               than `body` has (which bytes is not judged)
    """

    method: str | None = "GET"
    path: str | None = "/"
    query: str | None = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    body: bytes = b""
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One final response on the wire.

    `statuses`  it has one of these
    `fields`    it has these fields (lower case)
    `lacks`     it has none of these fields
    `when`      (status, field): with that status it has that field
    `body`      its body after decoding; None: not judged
    `line`      its first line; None: not judged
    """

    statuses: frozenset[int]
    fields: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    when: tuple[tuple[int, str], ...] = ()
    body: bytes | None = None
    line: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One way in which a server may behave.

    `replies`   the final responses in order
    `calls`     the calls of the app in order, FOLLOW_UP not counted
    `persists`  the connection takes another request; None: it may or not (if it does, FOLLOW_UP must be answered)
    `silent`    the last reply may be missing: the server may close without one
    `interim`   statuses of the interim responses before `later` is sent
    `code`      our parser's error code ("" for none): the verdict is the same at every split
    """

    replies: tuple[Reply, ...]
    calls: tuple[Call, ...] = ()
    persists: bool | None = None
    silent: bool = False
    interim: tuple[int, ...] = ()
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One case. `id` is the row of the requirements and the variation: "H25-plus".

    `raw`      what the client sends
    `expect`   what our server does
    `allowed`  what the RFCs let a server do; `expect` is one of them (see `outcomes`)
    `level`    force of the requirement; "rec": the RFCs leave it open, `expect` is a recommendation
    `source`   where it stands
    `note`     why, when it is not plain from the source
    `later`    more bytes, sent when the server has reacted to `raw`, or has shown that it waits
    `eof`      the client ends its sending side after the last byte
    """

    id: str
    name: str
    raw: bytes
    expect: Outcome
    allowed: tuple[Outcome, ...]
    level: Level
    source: str
    note: str = ""
    later: bytes = b""
    eof: bool = False
    app: App = App()

    @property
    def row(self) -> str:
        """The row of the requirements: "H25"."""
        return self.id.partition("-")[0]

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """All that a server may do."""
        return (self.expect, *self.allowed)
