"""Accepting: from a listener's backlog to a connection, with limits and a fair share among workers.

One listener is shared by all workers. Whoever accepts until the backlog is empty gets nearly all keep-alive
connections, and with EPOLLEXCLUSIVE the kernel wakes the same worker again and again. So a worker that has more
connections than the least loaded of those that poll at the moment leaves the listener alone for some milliseconds.
It only ever waits for a worker that is able to accept now, and never for long, so that nobody's connection is stuck
behind a sibling that hangs.

Owns listeners and the setting up of connections. It must not know what they carry.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from wsgikit.protocols.service import Service
from wsgikit.scoreboard.cells import AVAILABLE, CONNECTIONS, READY, STATE
from wsgikit.wire.registry import WIRES
from wsgikit.workers.connection import Connection
from wsgikit.workers.greeting import make_greeting
from wsgikit.workers.listener import Listener
from wsgikit.workers.poller import READ
from wsgikit.workers.stages import GREETING
from wsgikit.workers.stream import PlainStream

if TYPE_CHECKING:
    from wsgikit.scoreboard import Scoreboard, Slot
    from wsgikit.workers.worker import Worker

log = logging.getLogger("wsgikit.error")

_YIELD = 0.005  # seconds for which a worker with more than its share leaves the listener to others
_AT_ONCE = 32  # connections accepted before those that are here get their turn
_TRANSIENT = (errno.ECONNABORTED, errno.EPROTO, errno.EINTR)  # of one connection; the next may be well
_STARVED_PAUSE = 0.5
_REFUSED = 1024  # connections beyond the limit that are told so; each costs a descriptor while it lingers


class Acceptor:
    """One listener in one worker. `make` makes the protocol object of a connection, which is a `connection`."""

    def __init__(
        self,
        worker: Worker,
        listener: Listener,
        service: Service,
        make: Callable[[Service, Connection], Any],
        connection: type[Connection] = Connection,
    ) -> None:
        self.worker = worker
        self.listener = listener
        self.service = service
        self.fd = listener.sock.fileno()
        self._make = make
        self._connection = connection
        self._at_once = WIRES[listener.scheme].at_once
        self._is_tcp = listener.sock.family in (socket.AF_INET, socket.AF_INET6)
        self._watched = False
        self._paused_until = 0.0
        self._yielded = False
        listener.sock.setblocking(False)
        unsent = worker.settings.unsent
        if self._is_tcp and unsent and hasattr(socket, "TCP_NOTSENT_LOWAT"):  # accepted sockets inherit it
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent)

    def watch(self) -> None:
        """Have the poller tell of new connections."""
        if not self._watched:
            self._watched = True
            self.worker.poller.watch(self.fd)

    def unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self.worker.poller.unwatch(self.fd)

    def pause(self, seconds: float) -> None:
        """Leave the listener alone for a while; `pause_left` says how long."""
        self.unwatch()
        self._paused_until = monotonic() + seconds

    def pause_left(self) -> float:
        """Seconds until the listener is watched again, -1 when it is; watches it when the time has come."""
        if self._watched or not self._paused_until:
            return -1.0
        left = self._paused_until - monotonic()
        if left > 0:
            return left
        self._paused_until = 0.0
        self.watch()
        return -1.0

    def on_ready(self) -> None:
        """The poller told of connections."""
        balance = self.worker.balance
        if balance is None or balance.siblings() == 1:
            for _ in range(_AT_ONCE):
                if not self._accept():
                    return
        elif not self._yielded and len(self.worker.open) > balance.least():
            self._yielded = True
            self.pause(_YIELD)
        else:  # we have our share or less, or nobody took the connection while we left it
            self._yielded = False
            self._accept()

    def empty(self) -> None:
        """Accept all that the backlog holds."""
        while self._accept():
            pass

    def close(self) -> None:
        """Accept what is left, then close: at a graceful stop nobody may be left unanswered."""
        self.unwatch()
        self.empty()
        self.listener.sock.close()

    def _accept(self) -> bool:
        """Accept one connection. False: there was none."""
        try:
            sock, address = self.listener.sock.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _TRANSIENT:
                return True
            # Out of descriptors or memory, or something that we do not know. It may last: to try again at once, and
            # again, would help nobody.
            log.error("%s: cannot accept: %s", self.listener.address, error.strerror)
            self.pause(_STARVED_PAUSE)
            return False
        sock.setblocking(False)
        remote, port = "", ""
        if self._is_tcp:
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:  # BSD, when the peer has gone already
                sock.close()
                return True
            remote, port = address[0], str(address[1])
        self._open(self._connection(self.worker, PlainStream(sock), remote, port))
        return True

    def _open(self, connection: Connection) -> None:
        worker = self.worker
        connection.protocol = self._make(self.service, connection)
        room = worker.settings.connections - len(worker.open)
        worker.admit(connection)
        if room <= 0:
            worker.refused += 1
            connection.turn_away(answer=self.listener.tls is None and room > -_REFUSED)
            return
        greeting = make_greeting(self.listener, connection)
        if greeting is not None:
            connection.greeting = greeting
            connection.stage = GREETING
        elif self._at_once:
            worker.look_at(connection)
            return
        connection.park(READ)


class Balance:
    """How many connections the other workers have. Reads their slots of the scoreboard."""

    def __init__(self, board: Scoreboard, mine: Slot) -> None:
        self._board = board
        self._mine = mine

    def least(self) -> float:
        """The fewest connections of another worker that waits for connections now; infinity when there is none."""
        mine = self._mine
        least = inf
        for slot in self._board.live():
            cells = slot.cells
            if slot.index != mine.index and cells[AVAILABLE] and cells[STATE] == READY and slot.group == mine.group:
                least = min(least, cells[CONNECTIONS])
        return least

    def siblings(self) -> int:
        """Workers of this group, this one included."""
        group = self._mine.group
        return sum(slot.group == group for slot in self._board.live())
