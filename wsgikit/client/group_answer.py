"""What the server gets of a request that went to another group: its answer, or ours in its place.

Owns the time from the request's last byte to the end of the response, waiting in the thread or (`wsgikit.pause`)
without one. Must not know how a request is written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any

from wsgikit.client.relay import Relay
from wsgikit.errors import PeerTimeout, ProtocolError
from wsgikit.wire.http11 import Limits, ResponseHead, parse_response_head, response_decoder
from wsgikit.wire.http11.body import Decoder
from wsgikit.wsgi.waiter import Waiter

log = logging.getLogger("wsgikit.group")

# RFC 9110 7.6.1: fields that belong to one connection
HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
# our own workers answer, so these only bound what a broken app can do to its neighbours
_LIMITS = Limits(field=1 << 20, head=4 << 20, fields=10_000)
_ANSWERS = {502: "502 Bad Gateway", 503: "503 Service Unavailable", 504: "504 Gateway Timeout"}


class ClientFault(Exception):
    """Reading the client's body failed, not the group."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class Response:
    """What the server gets: the answer of the group, or ours in its place. close() lets connection and place go.

    Iterating raises ProtocolError when the group broke off in the body.
    """

    def __init__(
        self, group: str, environ: dict[str, Any], start_response: Callable[..., Any], done: Callable[[], None]
    ) -> None:
        self._group = group
        self._environ = environ
        self._start_response = start_response
        self._done: Callable[[], None] | None = done
        self._relay: Relay | None = None
        self._waiter: Waiter | None = None
        self._blocks: Iterator[bytes] = iter(())

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def through(self, relay: Relay, waiter: Waiter | None) -> Response:
        """Send the request. With `waiter` the answer is waited for in the iteration, else here."""
        self._relay, self._waiter = relay, waiter
        self._blocks = blocks = self._answered(relay, waiter)
        if waiter is None:
            try:
                # up to where start_response was called, which who knows nothing else of us expects (PEP 3333)
                self._blocks = chain((next(blocks, b""),), blocks)
            except BaseException:
                self.close()
                raise
        return self

    def failed(self, status: int, reason: str) -> Response:
        """Answer in the group's place."""
        environ = self._environ
        log.error("group %r: %s %s: %s", self._group, environ["REQUEST_METHOD"], environ["wsgikit.raw_target"], reason)
        self._blocks = iter(answer(status, environ, self._start_response))
        self.close()
        return self

    def _answered(self, relay: Relay, waiter: Waiter | None) -> Iterator[bytes]:
        """The blocks; empty ones where there is something to wait for."""
        hear = relay.receive if waiter is None else partial(_heard, relay, waiter)
        try:
            if waiter is not None:
                relay.push()
            reading = _HeadReader(self._environ)
            while (head := reading.head) is None:
                data = hear()
                if data is None:
                    yield b""
                else:
                    reading.take(data)
            decoder = self._begun(head, reading.rest)
        except ClientFault as fault:
            raise fault.error from None  # the front server knows what a client gets that breaks off, dawdles or floods
        except PeerTimeout as error:
            yield from self.failed(504, str(error))
            return
        except (ProtocolError, OSError) as error:
            yield from self.failed(502, str(error))
            return
        yield b""
        if decoder is not None:
            yield from _decoded(decoder, reading.rest, hear)

    def _begun(self, head: ResponseHead, rest: bytes) -> Decoder | None:
        environ = self._environ
        decoder = response_decoder(environ["REQUEST_METHOD"], head, _LIMITS)
        self._start_response(f"{head.status} {head.reason.decode('latin-1')}", _headers(head.fields))
        if decoder is not None and not rest and "wsgikit.flush_head" in environ:
            environ["wsgikit.flush_head"]()  # a head that comes alone was meant to
        return decoder

    def close(self) -> None:
        relay, self._relay = self._relay, None
        if relay is not None:
            if self._waiter is not None:
                self._waiter.take_back()  # nobody is to wait for a descriptor that is somebody else's soon
            relay.close()
        done, self._done = self._done, None
        if done is not None:
            done()


def _heard(relay: Relay, waiter: Waiter) -> bytes | None:
    """What the group has said; None while that is nothing, and the server is asked to wait."""
    data = relay.take()
    if data is None and waiter.wish(relay.fd, relay.until):
        return None
    waiter.take_back()
    return relay.receive() if data is None else data


def _decoded(decoder: Decoder, rest: bytes, hear: Callable[[], bytes | None]) -> Iterator[bytes]:
    if rest:
        yield decoder.feed(rest)
    while not decoder.done:
        try:
            data = hear()
        except ClientFault as fault:
            raise fault.error from None
        if data is None:
            yield b""
        elif data:
            yield decoder.feed(data)
        else:
            decoder.eof()
            return


class _HeadReader:
    """Looks for the final response head; `rest` is then what came after it. Early hints are handed on, other interim
    responses are not."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._environ = environ
        self.head: ResponseHead | None = None
        self.rest = b""

    def take(self, data: bytes) -> None:
        """ProtocolError: this is no head, or b"" came before it was whole."""
        if not data:
            raise ProtocolError("incomplete-head", 502, "the worker closed the connection without an answer")
        self.rest += data
        while (head := parse_response_head(self.rest, 0, _LIMITS)) is not None:
            self.rest = self.rest[head.end :]
            if not head.interim:
                self.head = head
                return
            hints = self._environ.get("wsgi.early_hints")
            if head.status == 103 and hints is not None:
                hints(_headers(head.fields))


def _headers(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in fields if name.lower() not in HOP_BY_HOP
    ]


def answer(status: int, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    body = _ANSWERS[status].encode("ascii") + b"\n"
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    if status == 503:
        headers.append(("Retry-After", "1"))
    start_response(_ANSWERS[status], headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
