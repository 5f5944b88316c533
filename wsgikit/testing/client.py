"""A client that decides every byte and every pause: for tests of servers, over TCP or a Unix socket.

It owns one socket and reads with deadlines; it never retries, never adds a field and never hides an error. It knows
HTTP only through `ResponseReader`.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import struct
import time
from collections.abc import Iterable
from typing import Self

from wsgikit.errors import Disconnected, PeerTimeout
from wsgikit.testing.response import BODY_LIMIT, Response, ResponseReader
from wsgikit.testing.tls import TlsStream

Address = tuple[str, int] | str
"""("127.0.0.1", 8000), or the path of a Unix socket with or without a leading `unix:`."""

# What a test prints about a connection; more than this would drown the report.
TRANSCRIPT_LIMIT = 64 * 1024


class RawClient:
    """One connection. Every wait ends after `timeout` seconds with PeerTimeout.

    `received` is the beginning of everything the peer sent (bounded), for reports; `sent` the same for our side.
    A reset by the peer counts as Disconnected, as an end of stream in the middle of a response does.

        with RawClient(("127.0.0.1", 8000)) as client:
            client.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
            response = client.read_response()
    """

    def __init__(
        self,
        address: Address,
        *,
        timeout: float = 5.0,
        strict: bool = True,
        receive_buffer: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.timeout = timeout
        self.strict = strict
        self.received = bytearray()
        self.sent = bytearray()
        self.partial: Response | None = None
        self._pending = b""
        self._ended: str | None = None
        plain = _connect(address, timeout, receive_buffer)
        self.socket: socket.socket | TlsStream = plain if tls is None else _wrapped(plain, tls)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Sending

    def send(self, data: bytes) -> None:
        """Sends all of `data`. Raises Disconnected when the peer has gone."""
        self.socket.settimeout(self.timeout)
        _keep(self.sent, data)
        try:
            self.socket.sendall(data)
        except TimeoutError as error:
            raise PeerTimeout("send", self.timeout) from error
        except OSError as error:
            raise Disconnected(f"the peer closed while we sent: {error}") from error

    def send_some(self, data: bytes, patience: float = 0.5) -> int:
        """Sends as much of `data` as the peer takes; stops after `patience` seconds without progress or at an error."""
        self.socket.settimeout(patience)
        sent = 0
        try:
            while sent < len(data):
                sent += self.socket.send(data[sent : sent + 65536])
        except OSError:
            pass
        _keep(self.sent, data[:sent])
        return sent

    def send_split(self, data: bytes, *offsets: int, pause: float = 0.0) -> None:
        """Sends `data` in pieces cut at `offsets`, each in a segment of its own when the kernel can."""
        cuts = [0, *sorted(offsets), len(data)]
        self.send_pieces((data[start:end] for start, end in itertools.pairwise(cuts) if start < end), pause)

    def dribble(self, data: bytes, size: int = 1, pause: float = 0.0) -> None:
        """Sends `data` in pieces of `size` bytes with `pause` seconds between them."""
        self.send_pieces((data[start : start + size] for start in range(0, len(data), size)), pause)

    def send_pieces(self, pieces: Iterable[bytes], pause: float = 0.0) -> None:
        """Sends each piece with a call of its own; TCP_NODELAY is on, so each leaves at once."""
        for number, piece in enumerate(pieces):
            if number and pause:
                time.sleep(pause)
            self.send(piece)

    def half_close(self) -> None:
        """Ends our sending side, by FIN or close_notify; reading goes on."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Disconnected(f"the peer had closed: {error}") from error

    def reset(self) -> None:
        """Closes with RST (SO_LINGER 0), as a client that crashed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """Closes the socket; may be called twice."""
        self.socket.close()

    # Receiving

    @property
    def pending(self) -> bytes:
        """Bytes that were received but belong to no response read so far."""
        return self._pending

    def receive(self, timeout: float | None = None) -> bytes:
        """The next bytes; b"" at the end of the stream. Raises PeerTimeout, or Disconnected at a reset."""
        if self._pending:
            data, self._pending = self._pending, b""
            return data
        if self._ended == "eof":
            return b""
        limit = self.timeout if timeout is None else timeout
        self.socket.settimeout(max(limit, 0.0001))
        try:
            data = self.socket.recv(65536)
        except TimeoutError as error:
            raise PeerTimeout("receive", limit) from error
        except OSError as error:
            self._ended = "reset"
            raise Disconnected(f"the peer reset the connection: {error}") from error
        if not data:
            self._ended = "eof"
        _keep(self.received, data)
        return data

    def read_response(
        self, method: str = "GET", *, timeout: float | None = None, body_limit: int = BODY_LIMIT
    ) -> Response:
        """Reads one final response, interim ones included, all within one deadline.

        Raises ProtocolError for bytes that are no response, LimitError, Disconnected for an end in the middle, and
        PeerTimeout. What had arrived of the response by then is in `partial`.
        """
        reader = ResponseReader(method, strict=self.strict, body_limit=body_limit)
        limit = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        try:
            while not reader.done:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise PeerTimeout("response", limit)
                data = self.receive(left)
                if not data:
                    return reader.eof()
                reader.feed(data)
        finally:
            self.partial = reader.partial
        self._pending = reader.rest
        if reader.response is None:
            raise RuntimeError("a finished reader holds a response")
        return reader.response

    def read_until(self, mark: bytes, *, timeout: float | None = None, limit: int = BODY_LIMIT) -> bytes:
        """Reads until `mark` has arrived and returns everything up to its end; the rest stays pending."""
        data = b""
        allowed = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + allowed
        while mark not in data and len(data) < limit:
            more = self._receive_by(deadline, allowed)
            if not more:
                raise Disconnected(f"the connection was closed before {mark!r}")
            data += more
        end = data.find(mark) + len(mark)
        self._pending = data[end:] + self._pending
        return data[:end]

    def read_until_close(self, *, timeout: float | None = None, limit: int = BODY_LIMIT) -> bytes:
        """Everything until the peer closes or resets; PeerTimeout when it keeps the connection open."""
        data = bytearray()
        allowed = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + allowed
        while len(data) < limit:
            try:
                more = self._receive_by(deadline, allowed)
            except Disconnected:
                break
            if not more:
                break
            data += more
        return bytes(data)

    def read_for(self, seconds: float) -> bytes:
        """Everything that arrives within `seconds`; ends early when the peer closes. Never raises."""
        data = bytearray()
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                more = self.receive(left)
            except (PeerTimeout, Disconnected):
                break
            if not more:
                break
            data += more
        return bytes(data)

    def readable(self, wait: float) -> bool:
        """Whether the peer sends something, or closes, within `wait` seconds; the bytes stay pending."""
        if not self._pending and self._ended is None:
            try:
                self._pending = self.receive(wait)
            except PeerTimeout:
                return False
            except Disconnected:
                pass
        return True

    def closed_by_peer(self, wait: float = 0.0) -> str:
        """ "eof", "reset" or "" (still open) after at most `wait` seconds; bytes that arrive stay pending."""
        if self._ended is None:
            held = self._pending
            self._pending = b""
            arrived = self.read_for(max(wait, 0.001))
            self._pending = held + arrived
        return self._ended or ""

    def _receive_by(self, deadline: float, allowed: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0:
            raise PeerTimeout("receive", allowed)
        return self.receive(left)


def _connect(address: Address, timeout: float, receive_buffer: int) -> socket.socket:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        if receive_buffer:  # before connect: the TCP window is agreed upon in the handshake
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if isinstance(address, str):
            connection.connect(address.removeprefix("unix:"))
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def _wrapped(plain: socket.socket, tls: ssl.SSLContext) -> TlsStream:
    try:
        return TlsStream(plain, tls)
    except BaseException:
        plain.close()
        raise


def _keep(record: bytearray, data: bytes) -> None:
    room = TRANSCRIPT_LIMIT - len(record)
    if room > 0:
        record += data[:room]
