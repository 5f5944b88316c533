"""A connection that carries several requests at a time (FastCGI), and how each of them gets a thread.

Ownership is as for every connection: it is either parked or owned by the thread that took it out of the table. But who
owns a carrier only reads: it takes records apart, and a request that is complete goes to the worker's queue as a
`Channel`, which any thread serves as it would serve a connection. So the carrier is parked again, and read on, while
its requests run in other threads, and no request waits for another one.

What threads share is the sending side and the way to the end. `output.lock` guards both:

- Every send takes the lock, so that records of several requests never mix. What the peer does not take is queued, and
  the poller drains it, as with any connection.
- `running` counts channels that have been started and have not ended. The socket is closed by whoever brings the last
  reason to keep it open to an end: the owner when it leaves, or the last channel. Both ask `_is_over` under the lock,
  and `place` makes sure that exactly one of them closes it.

`place` is OWNED from the moment the owner has the lock until it leaves; PARKED while the connection is in the table,
and still while the thread that took it out waits for the lock; DORMANT when nothing is left to watch and the last
channel will close it.

Nobody who reads ever waits for a peer to take something, so that a request whose response is stuck cannot keep the
records of others from being read. It must not know records.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

from wsgikit.errors import Disconnected
from wsgikit.protocols import Action
from wsgikit.workers.connection import Connection
from wsgikit.workers.poller import READ, WRITE, milliseconds
from wsgikit.workers.stages import GREETING, LINGERING
from wsgikit.workers.stream import Stream

if TYPE_CHECKING:
    from wsgikit.workers.member import Guard, Member
    from wsgikit.workers.worker import Worker

_NEVER = float("inf")
# What may wait in memory and file for a peer that sends without reading, beyond what the app is held back at: END
# records and answers to management records are small, and a peer that lets so many pile up wants our memory.
_REPLIES = 256 * 1024

OWNED, PARKED, DORMANT = range(3)

_numbers = count(2)  # channels stand in the worker's table under negative numbers, which no descriptor has


class Carrier(Connection):
    """A connection whose protocol says itself which requests are to be run (`start`) and when it ends (`end`)."""

    __slots__ = ("ending", "place", "reading", "replies", "running", "send_by")

    def __init__(self, worker: Worker, stream: Stream, remote: str, remote_port: str) -> None:
        super().__init__(worker, stream, remote, remote_port)
        self.contended = True  # always: several threads send
        self.place = OWNED  # by the thread that accepts it
        self.reading = True
        self.ending = False
        self.running = 0
        self.replies = 0
        self.send_by = _NEVER

    # Events

    def serve(self, member: Member) -> None:
        """The poller told of this connection, and the calling thread owns it now."""
        with self.output.lock:
            self.place = OWNED
            self._try_to_drain()
        if self.stage == LINGERING:
            self._on_leftover()
        elif self.stage == GREETING:
            self._on_greeting(member)
        else:
            self._on_readable(member)

    def _on_readable(self, member: Member) -> None:
        if self.reading:
            data = self._receive()
            if data:
                self.protocol.receive(data)
            elif data is not None:
                self.reading = False
                self.protocol.eof()
        self._leave()

    def _receive(self) -> bytes | None:
        """What has arrived; b"" at the end, of whatever kind."""
        if self.gone:
            return b""
        try:
            return self.stream.receive()
        except OSError as error:
            with self.output.lock:
                self._lost(error)
            return b""

    def _leave(self) -> None:
        """The owner has done what there was to do: park the connection, leave it to its channels, or close it."""
        with self.output.lock:
            if not self._is_over():
                self._park()
                return
        self._close()

    def _is_over(self) -> bool:
        """Whether nothing keeps the connection open. Hold the lock."""
        if self.running:
            return False
        return self.gone or (not self.output and (self.ending or not self.reading))

    def _park(self, mask: int = 0) -> None:
        """Have the poller watch what is to be watched. Hold the lock."""
        self.place = DORMANT
        mask = (READ if self.reading else 0) | (WRITE if self.output else 0)
        if self.gone or not mask:
            return
        self.place = PARKED
        self._set_deadline()
        self.worker.watch(self, mask)

    def park(self, mask: int) -> None:
        """See `Connection`. Used before the protocol begins, and while the connection lingers."""
        if self.stage in (GREETING, LINGERING):
            with self.output.lock:
                self.place = PARKED
                super().park(mask)
        else:
            self._leave()

    def expire(self, member: Member) -> None:
        """The deadline has passed, and the calling thread has taken the connection out of the table."""
        with self.output.lock:
            self.place = OWNED
            stuck = bool(self.output) and self.send_by <= monotonic()
            if stuck:
                self.abort()
                self.output.clear()
        if self.stage in (GREETING, LINGERING):
            self._close()
            return
        if not stuck and self.protocol.expire() == Action.CLOSE:
            self.ending = True
        self._leave()

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request of which no byte has come."""
        return not self.running and not self.output and self.stage not in (GREETING, LINGERING) and self.protocol.idle

    # What the protocol asks for

    def start(self, call: Any) -> Channel:
        """Have a thread run `call`. Only the owner may ask for it: it leads, and comes to the worker's queue next."""
        channel = Channel(self, call)
        call.polled = self.worker.polled
        with self.output.lock:
            self.running += 1
        worker = self.worker
        worker.parked[channel.fd] = channel  # type: ignore[assignment]  # has what the worker asks of it
        worker.ready.append((channel.fd, READ))
        return channel

    def ended(self) -> None:
        """A channel has come to its end; its thread says so."""
        with self.output.lock:
            self.running -= 1
            if self.place == OWNED:
                return  # the owner will ask, too, when it leaves
            if not self._is_over():
                if not self.running:
                    self._set_deadline()  # that of an idle connection
                return
            if self.place == PARKED and self.worker.parked.pop(self.fd, None) is not self:
                return  # a thread is about to own it
            self.place = OWNED
        self._close()

    def _set_deadline(self) -> None:
        due = self.protocol.due(monotonic() + self.worker.patience)
        self.deadline = min(due, self.send_by) if self.output else due

    def end(self) -> None:
        """Close once all requests have ended and everything is sent."""
        self.ending = True

    # Sending

    def send(self, data: bytes) -> None:
        """See `Transport`. Waits, in the app's thread, where both queues are full."""
        self.send_parts((data,))

    def send_parts(self, parts: Sequence[bytes]) -> None:
        """See `Transport`. The parts leave together: nothing of another request comes between them."""
        with self.output.lock:
            self._transmit(parts)
            full = not self.output.room()
        if full:
            self._hold_back()

    def reply(self, data: bytes) -> None:
        """Send something of our own that no app waits for. A peer that lets too many pile up is cut off."""
        with self.output.lock:
            try:
                self._transmit((data,))
            except Disconnected:
                return
            self.replies = self.replies + len(data) if self.output else 0
            if self.replies > _REPLIES:
                self.abort()
                self.output.clear()

    def _transmit(self, parts: Sequence[bytes]) -> None:
        """Send, or queue what the peer does not take. Hold the lock. Raises Disconnected."""
        if self.gone:
            raise Disconnected("the web server is gone")
        output = self.output
        if output:
            self._drain()
        sent = 0
        if not output:
            try:
                sent = self.stream.send(parts[0]) if len(parts) == 1 else self.stream.send_parts(list(parts))
            except OSError as error:
                raise self._lost(error) from None
        for part in parts:
            if sent < len(part):
                output.add(memoryview(part)[sent:])
            sent = max(0, sent - len(part))
        if output and self.send_by == _NEVER:
            self._begin_waiting()

    def _begin_waiting(self) -> None:
        """Have the poller drain what is queued from now on. Hold the lock."""
        self.send_by = monotonic() + self.worker.settings.send_timeout
        if self.place == DORMANT:
            self._park()
        elif self.place == PARKED and self.fd in self.worker.parked:
            self.deadline = min(self.deadline, self.send_by)
            self.worker.poller.arm(self.fd, (READ if self.reading else 0) | WRITE)

    def _drain(self) -> None:
        """See `Sender`. `deadline` belongs to the requests; what is queued has one of its own."""
        try:
            sent = self.output.drain(self.stream.send, self.stream.send_file)
        except OSError as error:
            raise self._lost(error) from None
        if not self.output:
            self.send_by, self.replies = _NEVER, 0
        elif sent:
            now, settings = monotonic(), self.worker.settings
            latest = now + settings.send_timeout
            self.send_by = min(latest, self.send_by + sent / settings.send_rate) if settings.send_rate else latest

    def _try_to_drain(self) -> None:
        if self.output and not self.gone:
            try:
                self._drain()
            except Disconnected:
                pass

    def _hold_back(self, *, until_empty: bool = False) -> None:
        """Both queues are full: wait, in the app's thread, until the peer has taken something."""
        poll = select.poll()
        poll.register(self.stream.sock.fileno(), select.POLLOUT)  # open as long as this channel has not ended
        while True:
            with self.output.lock:
                if self.gone:
                    raise Disconnected("the web server is gone")
                self._drain()
                if not self.output or (self.output.room() and not until_empty):
                    return
                left = self.send_by - monotonic()
                if left <= 0:
                    self.abort()
                    self.output.clear()
                    raise Disconnected("the web server took nothing for too long")
            poll.poll(milliseconds(left))

    # The end

    def destroy(self) -> None:
        """Close, now or with the last request. May be called twice."""
        with self.output.lock:
            self.gone = True
            self.output.clear()
            if self.running and not self.worker.finished:
                self.place = DORMANT
                return
        self._close()

    def _close(self) -> None:
        if self.reading and not self.gone and self.protocol.expects_more and self.stage != LINGERING:
            self._linger()  # unread records would make the kernel reset what the web server has not read
            return
        self.running = 0
        super().destroy()

    def _linger(self) -> None:
        self.ending = True
        super()._linger()

    def _on_leftover(self) -> None:
        try:
            for _ in range(16):  # a peer that never stops sending gets its turn, and the deadline its due
                if not self.stream.sock.recv(64 * 1024):
                    self._close()
                    return
        except BlockingIOError:
            self.park(READ)
            return
        except OSError:
            self._close()
            return
        self.park(READ)


class Channel:
    """One request of a carrier, on its way to a thread and in it. Stands in the worker's table as a connection does."""

    __slots__ = ("carrier", "deadline", "fd", "member", "protocol")

    is_idle = False

    def __init__(self, carrier: Carrier, call: Any) -> None:
        self.carrier = carrier
        self.protocol = call
        self.fd = -next(_numbers)
        self.deadline = _NEVER  # the app's own deadline is its exchange's
        self.member: Member | None = None

    def serve(self, member: Member) -> None:
        """The worker's queue has come to this request: run it in the calling thread."""
        worker, call = self.carrier.worker, self.protocol
        self.member = member
        worker.lead.before(member, call.head.path)
        try:
            call.run(member.began)
        finally:
            worker.lead.after(member)
            self.member = None
            self.carrier.ended()
        worker.count()

    def guard(self) -> Guard | None:
        """The present thread's interruptible region."""
        return None if self.member is None else self.member.guard

    def destroy(self) -> None:
        """Something went wrong in wsgikit itself: the whole connection goes."""
        self.carrier.destroy()

    def abort(self) -> None:
        self.carrier.abort()
