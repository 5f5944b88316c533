"""`wsgikit.client_gone` for a FastCGI request: its connection may carry others, so the socket does not tell."""

from __future__ import annotations

import select
import socket
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgikit.protocols.fastcgi_call import FastcgiCall

_ENDED: int = getattr(select, "POLLRDHUP", 0) | select.POLLHUP
_lock = Lock()  # apps that wait are few


class RequestGone:
    """True once the web server has aborted the request or closed the connection.

    To wait on it together with other descriptors, poll `fileno()` for POLLRDHUP; it is made when it is asked for.
    """

    __slots__ = ("_call", "_far", "_near")

    def __init__(self, call: FastcgiCall) -> None:
        self._call = call
        self._near: socket.socket | None = None
        self._far: socket.socket | None = None

    def __bool__(self) -> bool:
        return self._call.left

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the client has left, at most `timeout` seconds (None: for ever). Returns whether it has."""
        if self._call.left or self._call.finished:
            return self._call.left
        poll = select.poll()
        poll.register(self.fileno(), _ENDED)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def fileno(self) -> int:
        """A descriptor whose peer ends with the request's client; -1 after the request."""
        with _lock:
            if self._near is None and not self._call.finished:
                self._near, self._far = socket.socketpair()
                if self._call.left:
                    self._far.close()
            return -1 if self._near is None else self._near.fileno()

    def tell(self) -> None:
        """The client has left."""
        with _lock:
            if self._far is not None:
                self._far.close()

    def close(self) -> None:
        """The request has ended."""
        with _lock:
            for end in (self._near, self._far):
                if end is not None:
                    end.close()
            self._near = self._far = None
