"""What comes before the protocol: a PROXY header, a TLS handshake. Both run on the poller and cost no thread.

A greeting is called with the connection whenever its socket is ready, until it returns 0: then the protocol begins. It
returns the mask to wait for, and raises OSError when the connection is to be closed.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from wsgikit.errors import ProtocolError
from wsgikit.workers.listener import Listener
from wsgikit.workers.poller import READ

if TYPE_CHECKING:
    from wsgikit.workers.connection import Connection

Greeting = Callable[["Connection"], int]


def make_greeting(listener: Listener, connection: Connection) -> Greeting | None:
    """The greeting of a connection that was accepted on `listener`; None when the protocol begins at once."""
    handshake = None if listener.tls is None else _Handshake(listener)
    if listener.proxy_protocol and (not connection.remote or _is_trusted(listener, connection.remote)):
        return _ProxyHeader(handshake)
    return handshake


def _is_trusted(listener: Listener, address: str) -> bool:
    from ipaddress import ip_address

    peer = ip_address(address.partition("%")[0])
    return any(peer in network for network in listener.trusted)


class _Handshake:
    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def __call__(self, connection: Connection) -> int:
        from wsgikit.workers.tls_stream import TlsStream, tls_variables

        stream = connection.stream
        if not isinstance(stream, TlsStream):
            context = self._listener.tls
            if context is None:
                return 0
            sock = context.wrap_socket(stream.sock, server_side=True, do_handshake_on_connect=False)
            connection.stream = stream = TlsStream(sock)
        if not stream.handshake():
            return stream.wants()
        connection.variables = tls_variables(stream.sock)
        return 0


class _ProxyHeader:
    """Read exactly the header: what follows belongs to the handshake or the protocol.

    What is there is looked at before it is read. Of a header that is not complete all of it is header, and is read, so
    that nothing the poller could tell of again stays behind: a peer that stops in the midst must not keep us busy.
    """

    def __init__(self, then: Greeting | None) -> None:
        self._then = then
        self._read = b""
        self._done = False

    def __call__(self, connection: Connection) -> int:
        if not self._done:
            if not self._go_on(connection):
                return READ
            self._done = True
        return 0 if self._then is None else self._then(connection)

    def _go_on(self, connection: Connection) -> bool:
        from wsgikit.wire.proxy_protocol import LONGEST, parse_proxy_header

        sock = connection.stream.sock
        try:
            seen = sock.recv(LONGEST - len(self._read), socket.MSG_PEEK)
        except BlockingIOError:
            return False
        if not seen:
            raise OSError("the peer closed before its PROXY header was complete")
        try:
            header = parse_proxy_header(self._read + seen)
        except ProtocolError as error:
            raise OSError(str(error)) from None
        if header is None:
            self._read += sock.recv(len(seen))
            return False
        sock.recv(header.end - len(self._read))
        if header.source is not None:
            connection.remote, connection.remote_port = header.source[0], str(header.source[1])
        return True
