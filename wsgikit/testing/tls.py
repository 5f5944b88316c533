"""TLS over a socket in which each side can be ended by itself, for `RawClient`.

`ssl.SSLSocket` cannot do that: its shutdown() drops the session, and what comes afterwards reads as ciphertext. Owns
the session and the calls of a socket that the client makes; knows no HTTP.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_RECORD = 16384  # of plain text, the most that a record holds (RFC 8446 5.1)


class TlsStream:
    """The client's end of a session over a connected socket; the handshake is done when this returns.

    Raises ssl.SSLError, an OSError, and TimeoutError, as an SSLSocket would; it closes nothing itself then.
    """

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, server_hostname: str = "localhost") -> None:
        self._plain = plain
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._unsent = b""
        self.session = context.wrap_bio(self._in, self._out, server_hostname=server_hostname)
        self._until(self.session.do_handshake)

    def settimeout(self, seconds: float | None) -> None:
        """For each call on the socket below."""
        self._plain.settimeout(seconds)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Of the socket below."""
        self._plain.setsockopt(level, option, value)

    def fileno(self) -> int:
        """Of the socket below."""
        return self._plain.fileno()

    def send(self, data: bytes) -> int:
        """Sends one record; how much of `data` is in it."""
        self._flush()  # what an earlier call that timed out has left
        taken = self.session.write(data[:_RECORD])
        self._flush()
        return taken

    def sendall(self, data: bytes) -> None:
        """Sends all of it."""
        while data:
            data = data[self.send(data) :]

    def recv(self, size: int) -> bytes:
        """The next bytes; b"" at the peer's close_notify, and at an end of the connection without one."""
        try:
            return self._until(lambda: self.session.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def shutdown(self, how: int) -> None:
        """Ends our side with a close_notify; reading goes on (RFC 8446 6.1). `how` has to be SHUT_WR."""
        if how != socket.SHUT_WR:
            raise ValueError("only the sending side of a TLS session is ended by itself")
        try:
            self.session.unwrap()
        except ssl.SSLWantReadError:
            pass  # the peer's own close_notify, for which nobody has to wait
        self._flush()

    def close(self) -> None:
        """Closes the connection without a word, as a client that has gone."""
        self._plain.close()

    def _until(self, step: Callable[[], T]) -> T:
        """The step's result, with as much reading and writing below as it takes."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._plain.recv(65536)
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        self._unsent += self._out.read()
        while self._unsent:
            self._unsent = self._unsent[self._plain.send(self._unsent) :]
