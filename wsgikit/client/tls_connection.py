"""A connection over TLS, behind the calls of a plain one. Owns the handshake, and what TLS keeps back: bytes that are
decoded but not read yet, which no poll can see, and reads that have to write first."""

from __future__ import annotations

import ssl

from wsgikit.client.connection import READ, RECEIVE, WRITE, Connection


class TlsConnection(Connection):
    """A TLS connection; `sock` is an SSLSocket."""

    pausable = False  # OpenSSL may hold bytes that the descriptor shows no more

    __slots__ = ("_needs", "_tls")

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__(sock)
        self._tls = sock
        self._needs = READ  # what the call that could not go on waits for

    def handshake(self, deadline: float) -> bool:
        """Shake hands; False once the deadline has passed. Raises ssl.SSLError, of which SSLCertVerificationError is
        one, and OSError."""
        while True:
            try:
                self._tls.do_handshake()
                return True
            except ssl.SSLWantReadError:
                needs = READ
            except ssl.SSLWantWriteError:
                needs = WRITE
            if not self.wait(needs, deadline):
                return False

    def receive(self, deadline: float) -> bytes | None:
        while True:
            data = self._take()
            if data is not None:
                return data
            if not self.wait(self._needs, deadline):
                return None

    def _take(self) -> bytes | None:
        self._needs = READ
        try:
            return self._tls.recv(RECEIVE)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLWantWriteError:
            self._needs = WRITE
            return None
        except ssl.SSLEOFError:
            # The end without close_notify. A body that ends with the connection must not be cut off by a stranger who
            # can forge a FIN (RFC 9112 9.8); a body with a length is judged by it all the same.
            raise ConnectionAbortedError("TLS ended without close_notify") from None

    def pending(self) -> bool:
        return bool(self._tls.pending()) or super().pending()

    def usable(self) -> bool:
        if not self._poll.poll(0):
            return not self._tls.pending()
        try:
            # a session ticket or a key update, which TLS 1.3 servers send when they like
            return self._take() is None
        except OSError:
            return False

    def send(self, data: bytes | memoryview) -> int:
        try:
            return self._tls.send(data)
        except ssl.SSLWantWriteError:
            self._needs = WRITE
            return 0
        except ssl.SSLWantReadError:
            self._needs = READ
            return 0

    def wait_writable(self, deadline: float) -> int:
        return self.wait(READ | WRITE if self._needs == WRITE else READ, deadline)
