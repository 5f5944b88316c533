"""A small and correct WSGI server, one thread a connection, made to be broken one behaviour at a time.

It stands on `wsgikit.wire.http11` for reading requests and does everything else itself, plainly: connections here,
requests and responses in `tiny_request`. The mutants in `server_mutants*.py` override single methods. As a program:
`tiny_server.py NAME HOST PORT MODULE:APP`, where NAME is `correct` or a mutant's rule.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import socket
import ssl
import struct
import sys
import threading
from email.utils import formatdate
from typing import Any

from tiny_request import Errors, FileWrapper, Request

from wsgikit.errors import Disconnected, ProtocolError
from wsgikit.wire.http11 import DEFAULT_LIMITS, Head, parse_head, request_decoder

__all__ = ["Connection", "Errors", "FileWrapper", "Request", "TinyServer"]

REASONS = {400: "Bad Request", 500: "Internal Server Error"}


class Connection:
    """One client."""

    def __init__(self, server: TinyServer, peer: socket.socket) -> None:
        self.server, self.peer = server, peer
        self.tls = isinstance(peer, ssl.SSLSocket)
        self.buffer = bytearray()
        self.broken = False

    def run(self) -> None:
        with contextlib.suppress(OSError, Disconnected):
            try:
                while not self.broken and self.one_request():
                    pass
            except ProtocolError as error:
                self.refuse(error.status)
            self.leave()
        self.peer.close()

    def one_request(self) -> bool:
        head = self.read_head()
        if head is None:
            return False
        if head.method == "CONNECT":
            self.refuse(501)
            return False
        body = self.read_body(head)
        return self.server.request_type(self, head, body).run(self.server.app)

    def read_head(self) -> Head | None:
        while (head := parse_head(self.buffer, 0, DEFAULT_LIMITS)) is None:
            if not self.receive():
                return None
        del self.buffer[: head.end]
        return head

    def read_body(self, head: Head) -> bytes:
        decoder = request_decoder(head, DEFAULT_LIMITS)
        body = bytearray()
        if decoder is None:
            return b""
        if head.expect_continue and not self.buffer:
            self.say_continue()
        while True:
            body += decoder.feed(bytes(self.buffer))
            self.buffer.clear()
            if decoder.done:
                self.buffer += decoder.rest
                return bytes(body)
            if not self.receive():
                decoder.eof()

    def say_continue(self) -> None:
        self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def refuse(self, status: int) -> None:
        reason = REASONS.get(status, "Refused")
        self.send(f"HTTP/1.1 {status} {reason}\r\nDate: {formatdate(usegmt=True)}\r\nContent-Length: 0\r\n"
                  "Connection: close\r\n\r\n".encode())  # fmt: skip

    def leave(self) -> None:
        """Lingering close (RFC 9112 9.6); a broken response is cut off with a reset."""
        if self.broken:
            self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        self.peer.shutdown(socket.SHUT_WR)
        self.peer.settimeout(1.0)
        while self.peer.recv(65536):
            pass

    def receive(self) -> bool:
        data = self.peer.recv(65536)
        self.buffer += data
        return bool(data)

    def send(self, data: bytes) -> None:
        try:
            self.peer.sendall(data)
        except OSError as error:
            raise Disconnected(str(error)) from error


class TinyServer:
    """Serves `app` with requests of `request_type` until close()."""

    connection_type = Connection

    def __init__(self, app: Any, request_type: type[Request] = Request, tls: ssl.SSLContext | None = None) -> None:
        self.app, self.request_type, self.tls = app, request_type, tls
        self.connection_type = getattr(request_type, "connection_type", Connection)
        self.shared: dict[str, Any] = {}
        self.count = itertools.count()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address: tuple[str, int] = self.listener.getsockname()
        self._peers: set[socket.socket] = set()

    def __enter__(self) -> TinyServer:
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in list(self._peers):
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.accepted(peer)

    def accepted(self, peer: socket.socket) -> None:
        self._peers.add(peer)
        threading.Thread(target=self.converse, args=(peer,), daemon=True).start()

    def converse(self, peer: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError):
                wrapped = self.tls.wrap_socket(peer, server_side=True) if self.tls else peer
                self.connection_type(self, wrapped).run()
        finally:
            peer.close()
            self._peers.discard(peer)


def main() -> None:
    name, host, port, spec = sys.argv[1:5]
    module, _, attribute = spec.partition(":")
    app = getattr(importlib.import_module(module), attribute)
    if name == "correct":
        server = TinyServer(app)
    else:
        from server_mutants import by_name

        mutant = by_name(name)
        server = mutant.server_type(app, mutant.request)
    server.listener.close()
    server.listener = socket.create_server((host, int(port)), backlog=128)
    server.address = (host, int(port))
    server.serve()


if __name__ == "__main__":
    main()
