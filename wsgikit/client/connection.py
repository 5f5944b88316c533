"""One connection to an upstream: bytes out, bytes in, and waiting for either with a deadline.

Owns a non-blocking socket and its poll object. Beside the socket it can watch one more descriptor, that of the client
whom the request is for, so that nobody waits for an answer that nobody wants. It must not know HTTP.

No wait is longer than `SLICE`: a worker interrupts a request that is past its deadline by an exception, and that does
not reach a thread inside a system call.
"""

from __future__ import annotations

import select
import socket
from time import monotonic

from wsgikit.errors import Disconnected

READ: int = select.POLLIN
WRITE: int = select.POLLOUT
# A peer that has ended its side. POLLRDHUP is Linux's; elsewhere only a full hang-up shows.
LEFT: int = getattr(select, "POLLRDHUP", 0)

SLICE = 1.0
# What one call reads of a head, and of a body that comes quicker than it is taken: a megabyte in sixteen pieces costs a
# third more CPU than in two or three, but memory for a large piece costs more than a small response.
RECEIVE = 64 * 1024
RECEIVE_MOST = 512 * 1024


class Connection:
    """A plain connection, TCP or Unix. `uses` counts the requests it has carried; `most` is what one call reads: much
    while responses are large, and that is expected of the next one, too.

    `pausable`: what it has to say shows on its descriptor, so that the waiting can be left to others.
    """

    pausable = True

    __slots__ = ("_mask", "_poll", "fd", "idle_since", "most", "sock", "uses", "watched")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.uses = 0
        self.most = RECEIVE
        self.idle_since = 0.0
        self.watched = -1
        self._mask = READ
        self._poll = select.poll()
        self._poll.register(self.fd, READ)

    def watch(self, fd: int) -> None:
        """Raise Disconnected from every wait once the peer of `fd` has left; -1 ends that."""
        if self.watched != fd:
            if self.watched >= 0:
                self._poll.unregister(self.watched)
            if fd >= 0:
                self._poll.register(fd, LEFT)
            self.watched = fd

    def wait(self, mask: int, deadline: float) -> int:
        """Wait for the socket to be ready for `mask`; the events, 0 once `deadline` (monotonic seconds) has passed.

        Disconnected: the peer of the watched descriptor has left.
        """
        if mask != self._mask:
            self._mask = mask
            self._poll.modify(self.fd, mask)
        while True:
            left = deadline - monotonic()
            events = self._poll.poll((left if left < SLICE else SLICE) * 1000 if left > 0 else 0)
            if events:
                return self._told(events)
            if left <= 0:
                return 0

    def _told(self, events: list[tuple[int, int]]) -> int:
        found = 0
        for fd, event in events:
            if fd != self.fd:
                raise Disconnected("the client has left")
            found = event
        return found

    def receive(self, deadline: float) -> bytes | None:
        """What has arrived; b"" when the upstream has ended its side, None once the deadline has passed.

        Raises OSError, and Disconnected as `wait`.
        """
        while True:
            if not self.wait(READ, deadline):
                return None
            try:
                return self.sock.recv(self.most)
            except BlockingIOError:
                pass

    def receive_now(self) -> bytes | None:
        """As `receive`, without waiting: None when nothing is here. Raises OSError."""
        try:
            return self.sock.recv(self.most)
        except BlockingIOError:
            return None

    def pending(self) -> bool:
        """Whether the upstream has sent something, or ended its side. Never waits."""
        return bool(self.wait(READ, 0.0))

    def usable(self) -> bool:
        """Whether an idle connection is still good: nothing has come on it, not even an end (RFC 9112 9.4)."""
        if self._mask != READ:
            self._mask = READ
            self._poll.modify(self.fd, READ)
        return not self._poll.poll(0)

    def send(self, data: bytes | memoryview) -> int:
        """Send what the socket takes; 0 when it takes nothing now. Raises OSError."""
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    def wait_writable(self, deadline: float) -> int:
        """Wait until the socket takes bytes or the upstream says something; events as `wait`."""
        return self.wait(READ | WRITE, deadline)

    def close(self) -> None:
        """Close. May be called twice."""
        self.sock.close()

    def detach(self) -> socket.socket:
        """The socket itself, blocking, for another protocol (RFC 9110 7.8)."""
        self.watch(-1)
        self.sock.setblocking(True)
        return self.sock
