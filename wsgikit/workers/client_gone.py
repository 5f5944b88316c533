"""`wsgikit.client_gone`: tells an app that its client has left."""

from __future__ import annotations

import select
import socket

# POLLRDHUP is Linux's; elsewhere only a full hang-up shows.
_ENDED: int = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR | select.POLLNVAL


class ClientGone:
    """True once the peer has reset the connection or ended its side.

    A client that only ended its side is still answered: whether it wants to be is for the app to judge. To wait on it
    together with other descriptors, poll `fileno()` for POLLRDHUP.
    """

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __bool__(self) -> bool:
        return self.wait(0.0)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the client has left, at most `timeout` seconds (None: for ever). Returns whether it has."""
        fd = self._sock.fileno()
        if fd < 0:
            return True
        poll = select.poll()
        poll.register(fd, _ENDED)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def fileno(self) -> int:
        """The connection's descriptor, for polling only."""
        return self._sock.fileno()
