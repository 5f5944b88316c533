"""A connection without a socket: it feeds bytes to the parser and the decoders as a server does, and keeps account."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from wsgikit.errors import ProtocolError
from wsgikit.wire.http11 import Head, Limits, parse_head, request_decoder

MAX_MESSAGES = 1000


@dataclass
class Seen:
    """One message: its head, the content of its body, its trailers, and whether it came to its end."""

    head: Head
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    complete: bool = False

    def facts(self) -> tuple[object, ...]:
        """Everything that must not depend on how the bytes came. `end` depends on what was dropped before."""
        head = self.head
        values = tuple(getattr(head, name) for name in Head.__slots__ if name not in ("end", "fields"))
        return (*values, tuple(head.fields), self.body, tuple(self.trailers), self.complete)

    def environ(self) -> dict[str, str]:
        """The variables of CGI as the contract of `Head.fields` tells to build them."""
        found: dict[str, list[str]] = {}
        for name, value in self.head.fields:
            if b"_" not in name:
                key = name.decode("latin-1").upper().replace("-", "_")
                found.setdefault(f"HTTP_{key}", []).append(value.decode("latin-1"))
        environ = {key: ", ".join(values) for key, values in found.items()}
        for key in ("CONTENT_LENGTH", "CONTENT_TYPE"):
            if f"HTTP_{key}" in environ:
                environ[key] = environ.pop(f"HTTP_{key}")
        if self.head.host is not None:
            environ["HTTP_HOST"] = self.head.host.decode("latin-1")
        environ["SERVER_PROTOCOL"] = f"HTTP/1.{self.head.minor}"
        return environ


class MessageReader:
    """Messages out of pieces. `error` ends it, as does a message after which the connection does not persist."""

    def __init__(self, limits: Limits | None = None, *, remember: bool = False) -> None:
        self.limits = limits or Limits()
        self.remember = remember  # tell the parser what it has seen
        self.looked = 0
        self.buffer = bytearray()
        self.seen: list[Seen] = []
        self.error: ProtocolError | None = None
        self._decoder = None
        self._ended = False

    @property
    def persists(self) -> bool:
        return self.error is None and not self._ended

    def feed(self, data: bytes) -> None:
        if not self.persists:
            return
        try:
            if self._decoder is None:
                self.buffer += data
                self._heads()
            else:
                self._content(data)
        except ProtocolError as error:
            self.error = error

    def eof(self) -> None:
        if self._decoder is not None and self.persists:
            try:
                self._decoder.eof()
            except ProtocolError as error:
                self.error = error

    def verdict(self) -> tuple[object, ...]:
        error = self.error and (self.error.code, self.error.status)
        # Content that came before an error may or may not be seen: it depends on where the pieces end.
        messages = [seen.facts() for seen in self.seen if seen.complete or not error]
        return (*messages, error, self.persists)

    def _heads(self) -> None:
        for _ in range(MAX_MESSAGES):
            if not self.persists:
                return
            head = parse_head(self.buffer, 0, self.limits, self.looked)
            if head is None:
                self.looked = len(self.buffer) if self.remember else 0
                return
            self.looked = 0
            rest = bytes(self.buffer[head.end :])
            self.buffer.clear()
            self.seen.append(Seen(head))
            self._decoder = request_decoder(head, self.limits)
            if self._decoder is not None:
                self._content(rest)
                return
            self.buffer += rest
            self._finish()
        raise AssertionError("more messages than any test sends")

    def _content(self, data: bytes) -> None:
        decoder, seen = self._decoder, self.seen[-1]
        seen.body += decoder.feed(data)
        if decoder.done:
            seen.trailers = decoder.trailers
            self._decoder = None
            self.buffer += decoder.rest
            self._finish()
            self._heads()

    def _finish(self) -> None:
        self.seen[-1].complete = True
        self._ended = not self.seen[-1].head.keep_alive


def read(pieces: Iterable[bytes], limits: Limits | None = None, *, eof: bool = False) -> MessageReader:
    reader = MessageReader(limits)
    for piece in pieces:
        reader.feed(piece)
    if eof:
        reader.eof()
    return reader


def pieces_of(data: bytes, *cuts: int) -> list[bytes]:
    """`data` cut at these offsets."""
    edges = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]
