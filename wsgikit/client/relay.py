"""One request over one connection: what is still to be sent goes out while the response comes in.

Owns the socket and the waiting. It must not know HTTP: blocks of the request and bytes of the response pass through.
Both directions share one loop, because a peer that answers while it reads would else wait for us as we wait for it.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from time import monotonic

from wsgikit.errors import PeerTimeout

_BLOCK = 65536
# How long one poll may take. Python can interrupt a thread only between two of them (a request's own deadline does).
_SLICE = 0.25
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class Relay:
    """Sends `blocks` on a connected socket and hands out what comes back. `patience`: longest silence in seconds."""

    def __init__(self, sock: socket.socket, blocks: Iterator[bytes], patience: float) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._blocks = blocks
        self._patience = patience
        self._waiting = memoryview(b"")
        self._all_sent = False
        self._poll = select.poll()
        self._heard = monotonic()

    @property
    def fd(self) -> int:
        """The descriptor that is readable when the peer says something."""
        return self._sock.fileno()

    @property
    def until(self) -> float:
        """Monotonic seconds at which the patience is over."""
        return self._heard + self._patience

    def push(self) -> None:
        """Send the blocks, up to their end or until the peer says something. Errors as `receive`."""
        while self._has_more():
            ready = self._poll_once(select.POLLIN | select.POLLOUT)
            if ready & (select.POLLIN | _GONE):
                return
            if ready:
                self._send()

    def take(self) -> bytes | None:
        """What the peer has said; None when that is nothing. Never waits. Errors as `receive`."""
        try:
            data = self._sock.recv(_BLOCK)
        except BlockingIOError:
            if monotonic() > self.until:
                raise PeerTimeout("response", self._patience) from None
            return None
        self._heard = monotonic()
        return data

    def receive(self) -> bytes:
        """The next bytes of the peer, b"" at their end. PeerTimeout: it was silent too long. OSError: it is gone."""
        self._heard = monotonic()
        while True:
            ready = self._poll_once(select.POLLIN | (select.POLLOUT if self._has_more() else 0))
            if ready & (select.POLLIN | _GONE):
                return self._sock.recv(_BLOCK)
            if ready:
                self._send()

    def _poll_once(self, wanted: int) -> int:
        """The events, 0 for none yet. PeerTimeout."""
        self._poll.register(self._sock, wanted)
        ready = self._poll.poll(_SLICE * 1000)
        if ready:
            return ready[0][1]
        if monotonic() > self.until:
            raise PeerTimeout("response", self._patience)
        return 0

    def close(self) -> None:
        """Let go of the connection; the peer sees a request that is not finished, if it is not."""
        self._sock.close()

    def _has_more(self) -> bool:
        while not self._waiting and not self._all_sent:
            block = next(self._blocks, None)
            if block is None:
                self._all_sent = True
            else:
                self._waiting = memoryview(block)
        return bool(self._waiting)

    def _send(self) -> None:
        try:
            sent = self._sock.send(self._waiting)
        except (BrokenPipeError, ConnectionResetError):
            # It may have answered before it closed (413), and that answer is still to be read.
            self._waiting, self._all_sent = memoryview(b""), True
            return
        self._heard = monotonic()
        self._waiting = self._waiting[sent:]
