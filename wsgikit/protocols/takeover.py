"""`wsgikit.takeover`: the app takes the socket over, for Upgrade (101) and CONNECT (2xx).

Owns the one response head that may carry Connection and Upgrade, and the handing over. Off unless the listener allows
it, because an app that holds a socket holds a thread.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from wsgikit.errors import Disconnected
from wsgikit.protocols.link import Link
from wsgikit.wire.http11 import Head
from wsgikit.wire.http11.grammar import NAME_TEXT, STATUS_TEXT, VALUE_TEXT
from wsgikit.wsgi.exchange import Exchange


class Takeover:
    """Call it with a status and headers; it sends that head and returns the socket and the bytes already read.

    The socket is blocking and the app's until its iterable is closed; then the server closes it. The app returns an
    empty iterable and need not call start_response. Deadlines of requests do not apply any more.
    """

    __slots__ = ("_exchange", "_head", "_link", "_rest", "taken")

    def __init__(self, link: Link, exchange: Exchange, head: Head, rest: Callable[[], bytes]) -> None:
        self._link = link
        self._exchange = exchange
        self._head = head
        self._rest = rest
        self.taken = False

    def __call__(self, status: str, headers: list[tuple[str, str]], /) -> tuple[socket.socket, bytes]:
        """Raises ValueError for a status or header that does not fit, RuntimeError once a response has begun and before
        the body has been read."""
        connect = self._head.method == "CONNECT" and status[:1] == "2"
        if not STATUS_TEXT.fullmatch(status) or not (connect or (status[:4] == "101 " and self._head.upgrade)):
            raise ValueError(f"takeover needs 101 to a request with Upgrade, or 2xx to CONNECT, not {status!r:.40}")
        for name, value in headers:
            if not NAME_TEXT.fullmatch(name) or not VALUE_TEXT.fullmatch(value):
                raise ValueError(f"not a header: {name!r:.40}: {value!r:.80}")
            if connect and name.lower() in ("content-length", "transfer-encoding"):
                raise ValueError(f"{name} has no place in a 2xx answer to CONNECT (RFC 9110 9.3.6)")
        exchange, rest = self._exchange, self._rest()
        if exchange.head_sent or not exchange.claim():
            raise RuntimeError("the response has begun: the socket cannot be taken over any more")
        if exchange.guard is not None:
            exchange.guard.leave()
            exchange.guard = None
        lines = [f"HTTP/1.1 {status}\r\n", *(f"{name}: {value}\r\n" for name, value in headers), "\r\n"]
        self._link.send("".join(lines).encode("latin-1"))
        exchange.head_sent = exchange.complete = self.taken = True
        exchange.persist = False
        try:
            return self._link.detach(), rest
        except OSError as error:
            raise Disconnected(str(error)) from error
