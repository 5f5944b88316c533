"""The web server's side of FastCGI, by script: requests as bytes, and responses sorted out of records."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Self

from wsgikit.testing import Address, RawClient
from wsgikit.wire.fastcgi import (
    End,
    Kind,
    Record,
    RecordReader,
    Role,
    format_begin,
    format_pairs,
    format_record,
    format_stream,
    parse_end,
)

USUAL = {
    "REQUEST_METHOD": "GET",
    "REQUEST_URI": "/",
    "SCRIPT_NAME": "/",
    "QUERY_STRING": "",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_NAME": "shop.example",
    "SERVER_PORT": "80",
    "REMOTE_ADDR": "192.0.2.7",
    "HTTP_HOST": "shop.example",
}


def begin(number: int = 1, role: int = Role.RESPONDER, *, keep: bool = True) -> bytes:
    return format_begin(number, role, keep=keep)


def params(number: int = 1, **variables: str) -> bytes:
    """PARAMS of a usual request, with `variables` in place of some; "" takes one away."""
    chosen = {name: value for name, value in (USUAL | variables).items() if value or name == "QUERY_STRING"}
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in chosen.items()]
    return format_stream(Kind.PARAMS, number, format_pairs(pairs), end=True)


def stdin(number: int = 1, body: bytes = b"", *, end: bool = True) -> bytes:
    return format_stream(Kind.STDIN, number, body, end=end)


def request(path: str = "/", number: int = 1, body: bytes = b"", *, keep: bool = True, **variables: str) -> bytes:
    """A whole request of a Responder."""
    if body:
        variables = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body))} | variables
    name, _, query = path.partition("?")
    uri = {"REQUEST_URI": path, "SCRIPT_NAME": name, "QUERY_STRING": query}
    return begin(number, keep=keep) + params(number, **(uri | variables)) + stdin(number, body)


def abort(number: int = 1) -> bytes:
    return format_record(Kind.ABORT_REQUEST, number)


@dataclass
class Answer:
    """What came for one request."""

    stdout: bytes = b""
    stderr: bytes = b""
    stdout_ended: bool = False
    stderr_ended: bool = False
    end: End | None = None
    ends: int = 0

    @property
    def head(self) -> bytes:
        return self.stdout.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.stdout.partition(b"\r\n\r\n")[2]

    @property
    def status(self) -> bytes:
        return self.head.partition(b"\r\n")[0]


@dataclass
class Answers:
    """Sorts records by request. `order`: the numbers of requests as they ended."""

    by_number: dict[int, Answer] = field(default_factory=dict)
    management: list[Record] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    reader: RecordReader = field(default_factory=RecordReader)

    def feed(self, data: bytes) -> Answers:
        for record in self.reader.feed(data):
            self._take(record)
        return self

    def _take(self, record: Record) -> None:
        if record.request == 0:
            self.management.append(record)
            return
        answer = self.by_number.setdefault(record.request, Answer())
        if answer.end is not None:
            answer = self.by_number[record.request] = Answer(ends=answer.ends)
        if record.kind == Kind.STDOUT:
            answer.stdout += record.content
            answer.stdout_ended = answer.stdout_ended or not record.content
        elif record.kind == Kind.STDERR:
            answer.stderr += record.content
            answer.stderr_ended = answer.stderr_ended or not record.content
        elif record.kind == Kind.END_REQUEST:
            answer.end = parse_end(record.content)
            answer.ends += 1
            self.order.append(record.request)

    def __getitem__(self, number: int) -> Answer:
        return self.by_number[number]


class Peer:
    """A connection to a FastCGI server, with what has come on it."""

    def __init__(self, address: Address, **options: Any) -> None:
        self.client = RawClient(address, **options)
        self.answers = Answers()
        self.closed = False

    def send(self, *parts: bytes) -> None:
        self.client.send(b"".join(parts))

    def take(self, timeout: float = 10.0) -> bool:
        """Read once. False: the server has closed."""
        data = self.client.receive(timeout)
        self.answers.feed(data)
        self.closed = not data
        return bool(data)

    def wait(self, *numbers: int, timeout: float = 20.0) -> Answers:
        """Read until the requests have ended, or the connection has."""
        deadline = time.monotonic() + timeout
        while not all(self._has_ended(number) for number in numbers):
            if not self.take(max(0.01, deadline - time.monotonic())):
                break
        return self.answers

    def _has_ended(self, number: int) -> bool:
        answer = self.answers.by_number.get(number)
        return answer is not None and answer.end is not None

    def read_to_the_end(self, timeout: float = 20.0) -> Answers:
        deadline = time.monotonic() + timeout
        while self.take(max(0.01, deadline - time.monotonic())):
            pass
        return self.answers

    def ask(self, path: str, **more: Any) -> Answer:
        """One request, alone on the connection."""
        self.answers.by_number.pop(1, None)
        self.send(request(path, **more))
        return self.wait(1)[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
