"""Making connections: look the host up, try its addresses one after the other, shake hands where it is TLS.

Owns which phase a failure belongs to ("resolve", "connect", "tls"). Must not know HTTP.
"""

from __future__ import annotations

import errno
import os
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from wsgikit.client.connection import WRITE, Connection
from wsgikit.client.origin import Origin
from wsgikit.client.settings import ClientSettings
from wsgikit.errors import UpstreamError, UpstreamTimeout

if TYPE_CHECKING:
    import ssl

    Place = tuple[int, tuple[str, int] | str]


# The resolver has no answer now, which says nothing about the name.
_NO_ANSWER = (socket.EAI_AGAIN, socket.EAI_FAIL)


class Connector:
    """Makes connections to one origin. `connect_timeout` does not bound the system's resolver, which has its own."""

    def __init__(self, origin: Origin, settings: ClientSettings) -> None:
        self.origin = origin
        self.settings = settings
        self._context: ssl.SSLContext | None = None
        self._name = ""
        self._last: list[Place] = []

    def prepare(self) -> None:
        """Make the TLS context now. ConfigError names a file that cannot be used."""
        if self.origin.scheme == "https" and self._context is None:
            from wsgikit.client.settings import TlsSettings
            from wsgikit.client.tls import make_context

            tls = self.settings.tls
            self._name = tls.server_name if isinstance(tls, TlsSettings) else ""
            self._context = make_context(tls) if isinstance(tls, TlsSettings) else tls

    def connect(self, watch: int = -1) -> Connection:
        """A new connection. UpstreamError names the phase; Disconnected: the peer of `watch` has left."""
        problem: OSError | None = None
        places = self._places()
        deadline = monotonic() + self.settings.connect_timeout
        for tried, (family, address) in enumerate(places):
            try:
                # an address that swallows packets leaves time for those after it
                share = (deadline - monotonic()) / (len(places) - tried)
                connection = _open(family, address, watch, monotonic() + share)
            except OSError as error:
                problem = error
                continue
            if connection is not None:
                return self._secured(connection, watch) if self.origin.scheme == "https" else connection
            problem = None
        if problem is None:
            raise UpstreamTimeout(self.origin.url, "connect", f"nothing within {self.settings.connect_timeout:g} s")
        raise UpstreamError(self.origin.url, "connect", str(problem)) from problem

    def _places(self) -> list[Place]:
        origin = self.origin
        if origin.path:
            return [(socket.AF_UNIX, origin.path)]
        try:
            found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        except OSError as error:
            if self._last and error.errno in _NO_ANSWER:
                return self._last
            raise UpstreamError(origin.url, "resolve", str(error)) from error
        self._last = [_place(family, address) for family, _, _, _, address in found]
        return self._last

    def _secured(self, connection: Connection, watch: int) -> Connection:
        import ssl

        from wsgikit.client.tls_connection import TlsConnection

        origin, settings = self.origin, self.settings
        self.prepare()
        connection.watch(-1)
        secured: TlsConnection | None = None
        try:
            sock = self._context.wrap_socket(  # type: ignore[union-attr]  # prepare() has made it
                connection.sock,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,
                server_hostname=self._name or origin.host,
            )
            secured = TlsConnection(sock)
            secured.watch(watch)
            if secured.handshake(monotonic() + settings.tls_timeout):
                return secured
            raise UpstreamTimeout(origin.url, "tls", f"no handshake within {settings.tls_timeout:g} s")
        except (ssl.SSLError, ssl.CertificateError, OSError) as error:
            _close(secured, connection)
            raise UpstreamError(origin.url, "tls", str(error)) from error
        except BaseException:
            _close(secured, connection)
            raise


def _place(family: int, address: Any) -> Place:
    """Of IPv6 all four parts: the scope may matter."""
    return family, address[:2] if family == socket.AF_INET else address


def _close(*connections: Connection | None) -> None:
    for connection in connections:
        if connection is not None:
            connection.close()


def _open(family: int, address: tuple[str, int] | str, watch: int, deadline: float) -> Connection | None:
    """A connected socket, None once the deadline has passed. OSError: this address does not take us."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock)
        code = sock.connect_ex(address)
        if code in (errno.EINPROGRESS, errno.EAGAIN):
            # EAGAIN is a Unix socket whose backlog is full: it never becomes writable, so that it counts as refused
            if code == errno.EAGAIN:
                raise OSError(code, os.strerror(code))
            connection.watch(watch)
            if not connection.wait(WRITE, deadline):
                sock.close()
                return None
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        connection.watch(watch)
        return connection
    except BaseException:
        sock.close()
        raise
