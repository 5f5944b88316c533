"""Upgrade (RFC 9110 7.8): after 101 the two connections carry another protocol, and we carry its bytes.

Owns the two-way relay: both directions with backpressure, half-closed sides, an end to silence, and to connections of
an endpoint that has been taken out. Must not know what the bytes mean. A tunnel holds a thread for as long as it lasts.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from time import monotonic

_BLOCK = 64 * 1024
# Bytes that may wait for one side before the other is read no more.
_MOST = 256 * 1024
_SLICE = 1.0
_BROKEN = select.POLLERR | select.POLLNVAL


class _Side:
    """One socket, and the bytes on their way to it."""

    __slots__ = ("ended", "finished", "sock", "waiting")

    def __init__(self, sock: socket.socket, waiting: bytes) -> None:
        self.sock = sock
        self.waiting = waiting
        self.ended = False  # it sends no more
        self.finished = False  # it was told that nothing more comes

    def receive(self) -> bytes | None:
        """What has arrived, None for nothing yet. Sets `ended`."""
        try:
            data = self.sock.recv(_BLOCK)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            if _wants(error):
                return None
            raise
        self.ended = not data
        return data

    def flush(self) -> None:
        if self.waiting:
            try:
                self.waiting = self.waiting[self.sock.send(self.waiting) :]
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                if not _wants(error):
                    raise

    def finish(self) -> None:
        """Tell it that nothing more comes, once everything was sent."""
        if not self.finished and not self.waiting:
            self.finished = True
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass


def _wants(error: OSError) -> bool:
    """TLS that can do no more for now; the module is not loaded for plain sockets."""
    return type(error).__name__ in ("SSLWantReadError", "SSLWantWriteError")


class Tunnel:
    """Relays between two sockets until both have ended, `idle` seconds were silent, or `over()` says so.

    `first`: what the upstream sent behind its 101; `early`: what the client sent behind its request. Closes neither.
    """

    def __init__(self, idle: float, over: Callable[[], bool]) -> None:
        self._idle = idle
        self._over = over

    def run(self, client: socket.socket, upstream: socket.socket, early: bytes, first: bytes) -> str:
        """Why it ended: "closed", "idle", "over", or what broke."""
        sides = _Side(client, first), _Side(upstream, early)
        for side in sides:
            side.sock.setblocking(False)
        try:
            return self._relay(*sides)
        except OSError as error:
            return str(error)

    def _relay(self, client: _Side, upstream: _Side) -> str:
        last = monotonic()
        while not (client.finished and upstream.finished):
            if self._over():
                return "over"
            left = last + self._idle - monotonic()
            if left <= 0:
                return "idle"
            events = self._poll(client, upstream, min(left, _SLICE))
            if events:
                last = monotonic()
            for source, target in ((client, upstream), (upstream, client)):
                self._pass(source, target, events)
        return "closed"

    def _poll(self, client: _Side, upstream: _Side, seconds: float) -> dict[int, int]:
        poll = select.poll()
        for side, other in ((client, upstream), (upstream, client)):
            mask = 0 if side.ended or len(other.waiting) >= _MOST else select.POLLIN
            mask |= select.POLLOUT if side.waiting else 0
            if mask:
                poll.register(side.sock, mask)
        # TLS may hold decoded bytes that no poll can see
        pending = any(_pending(side.sock) for side in (client, upstream) if not side.ended)
        events = dict(poll.poll(0 if pending else seconds * 1000))
        if pending:
            events.update({side.sock.fileno(): select.POLLIN for side in (client, upstream) if _pending(side.sock)})
        return events

    def _pass(self, source: _Side, target: _Side, events: dict[int, int]) -> None:
        ready = events.get(source.sock.fileno(), 0)
        if ready & (select.POLLIN | select.POLLHUP | _BROKEN) and not source.ended:
            data = source.receive()
            if data:
                target.waiting += data
        target.flush()
        if source.ended:
            target.finish()


def _pending(sock: socket.socket) -> bool:
    pending = getattr(sock, "pending", None)
    return pending is not None and bool(pending())
