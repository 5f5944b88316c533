"""The client of FastCGI: records out, records in, and connections that may be kept.

One request at a time goes over a connection; servers that take several on one are few. Owns which record means what for
a response: STDOUT is the response, STDERR goes to our log, END_REQUEST is the only end that makes it whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from wsgikit.client.connection import Connection
from wsgikit.client.exchange import Exchange
from wsgikit.client.gateway import GatewayClient, GatewayExchange
from wsgikit.client.gateway_variables import Variables
from wsgikit.client.request import Outgoing, Request
from wsgikit.client.response import Response
from wsgikit.client.settings import ClientSettings
from wsgikit.errors import ProtocolError, UpstreamError
from wsgikit.wire.fastcgi import (
    Kind,
    Record,
    RecordReader,
    Role,
    Verdict,
    format_begin,
    format_pairs,
    format_record,
    format_stream,
    parse_end,
)
from wsgikit.wire.http11 import CloseDecoder, Decoder, response_decoder

log = logging.getLogger("wsgikit.forward")

_NUMBER: Final = 1
_STDERR = 8192  # bytes of one request's error output that reach the log
_VERDICTS = {
    Verdict.CANT_MULTIPLEX: "it takes one request at a time on a connection",
    Verdict.OVERLOADED: "it is overloaded",
    Verdict.UNKNOWN_ROLE: "it is no Responder",
}
_LAST = format_record(Kind.STDIN, _NUMBER)


class Stdout:
    """Takes a response out of its records. `done` with END_REQUEST; `rest`: there is more behind it."""

    __slots__ = ("_reader", "_stderr", "_url", "done", "rest")

    def __init__(self, url: str) -> None:
        self._url = url
        self._reader = RecordReader()
        self._stderr = 0
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """What of STDOUT is in `data`. Raises ProtocolError."""
        blocks = []
        for record in self._reader.feed(data):
            if self.done:
                self.rest = b"more"  # what it is does not matter: the connection cannot be used again
            elif record.request == _NUMBER:
                blocks.append(self._take(record))
        if self.done and self._reader.pending:
            self.rest = b"more"
        return b"".join(blocks)

    def _take(self, record: Record) -> bytes:
        if record.kind == Kind.STDOUT:
            return record.content
        if record.kind == Kind.STDERR:
            self._log(record.content)
        elif record.kind == Kind.END_REQUEST:
            end = parse_end(record.content)
            if end.verdict != Verdict.COMPLETE:
                raise ProtocolError("fastcgi-refused", 502, _VERDICTS.get(end.verdict, f"verdict {end.verdict}"))
            self.done = True
        return b""

    def _log(self, content: bytes) -> None:
        room = _STDERR - self._stderr
        self._stderr += len(content)
        if room > 0:
            for line in content[:room].split(b"\n"):
                if line.strip(b" \r\t"):
                    log.warning("%s: stderr: %s", self._url, line.decode("utf-8", "backslashreplace"))


class FastcgiExchange(GatewayExchange):
    """One request in records. `stdout` goes on in the response."""

    has_end = True
    moves = False

    __slots__ = ("stdout",)

    def _framed(self, block: bytes) -> bytes:
        return format_stream(Kind.STDIN, _NUMBER, block)

    def _end(self) -> bytes:
        return _LAST

    def _absorb(self, data: bytes) -> None:
        try:
            found = self._decoder().feed(data)
        except ProtocolError as error:
            self._fail("head", str(error))
        self.buffer += found
        if b"\n" in found:
            self._parse()
        if self.head is None and self.stdout.done:
            self._fail("head", "the request ended without a head")

    def _decoder(self) -> Stdout:
        if not hasattr(self, "stdout"):
            self.stdout = Stdout(self._url)
        return self.stdout


class Body:
    """Decoder of a response's body (the contract of `wire.http11.body`) on its records.

    `inner` is what the head says of the body; it must agree with the records.
    """

    __slots__ = ("_inner", "_stdout", "done", "rest", "trailers")

    def __init__(self, stdout: Stdout, inner: Decoder | None) -> None:
        self._stdout = stdout
        self._inner = inner
        self.trailers: list[tuple[bytes, bytes]] = []
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Content in `data`. Raises ProtocolError."""
        return self.take(self._stdout.feed(data))

    def take(self, content: bytes) -> bytes:
        """As `feed`, for what is out of its records already."""
        inner = self._inner
        if inner is None:
            content = b""  # to HEAD, or 204 and 304: programs write a body all the same
        elif content:
            content = inner.feed(content)
            if inner.rest:
                raise ProtocolError("body-too-long", 502, "more than its Content-Length")
        if self._stdout.done:
            if inner is not None and not isinstance(inner, CloseDecoder) and not inner.done:
                raise ProtocolError("incomplete-body", 502, "less than its Content-Length")
            self.done = True
            self.rest = self._stdout.rest
        return content

    def eof(self) -> None:
        """The connection has ended, and the request has not."""
        raise ProtocolError("incomplete-body", 502, "closed without END_REQUEST")


class FastcgiResponse(Response):
    """A response in records."""

    __slots__ = ("_stdout",)

    def __init__(
        self,
        url: str,
        connection: Connection,
        settings: ClientSettings,
        exchange: Exchange,
        release: Callable[[Connection], object],
    ) -> None:
        super().__init__(url, connection, settings, exchange, release)
        self._stdout: Stdout = exchange.stdout  # type: ignore[attr-defined]  # FastcgiClient pairs the two
        self.head.keep_alive = settings.gateway.keep

    def begin(self, request: Request, rest: bytes) -> None:
        self._deadline = request.deadline
        decoder = Body(self._stdout, response_decoder(request.method, self.head, self._settings.limits))
        self._decoder = decoder
        try:
            self._block = decoder.take(rest)
        except ProtocolError as error:
            self.close()
            raise UpstreamError(self._url, "body", str(error), answered=True) from error
        if decoder.done:
            self._finish(clean=not decoder.rest)


class FastcgiClient(GatewayClient):
    """Speaks FastCGI to one server."""

    exchange = FastcgiExchange
    response = FastcgiResponse
    measured = False

    def opening(self, variables: Variables, outgoing: Outgoing) -> bytes:
        begin = format_begin(_NUMBER, Role.RESPONDER, keep=self.settings.gateway.keep)
        params = format_stream(Kind.PARAMS, _NUMBER, format_pairs(variables.items()), end=True)
        return begin + params + (_LAST if outgoing.blocks is None else b"")
