"""One client's connection: what it waits for, and how its protocol's wishes become system calls.

Ownership is what makes this safe without a lock on the way of a request: a connection is either *parked* (in the
worker's table, armed in the poller) or owned by the one thread that took it out of the table. Only the output queue may
be touched by two threads, when a response that is still being made meets a slow client; its own lock guards that.

Owns the receiving side, stages (handshake, open, lingering) and timers of one connection. It must not know HTTP.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from wsgikit.errors import PeerTimeout
from wsgikit.protocols import Action
from wsgikit.workers import splice
from wsgikit.workers.client_gone import ClientGone
from wsgikit.workers.pause import Pause
from wsgikit.workers.pausing import Pausing
from wsgikit.workers.poller import READ, milliseconds
from wsgikit.workers.stages import LINGERING, OPEN, PAUSED, QUEUED
from wsgikit.workers.stream import RECEIVE_BODY, Stream

if TYPE_CHECKING:
    from wsgikit.workers.member import Guard, Member
    from wsgikit.workers.worker import Worker

T = TypeVar("T")

_TURNS = 8  # requests of a pipelining client that are answered in a row
_AGAIN = 1.0  # seconds after which a connection that we have not come to read is looked at again


class Connection(Pausing):
    """A connection from accept to close. `remote` is the client's address, "" on a Unix socket."""

    __slots__ = (
        "greeting",
        "in_head",
        "member",
        "remote",
        "remote_port",
        "variables",
    )

    def __init__(self, worker: Worker, stream: Stream, remote: str, remote_port: str) -> None:
        super().__init__(worker, stream)
        self.remote = remote
        self.remote_port = remote_port
        self.variables: dict[str, str] | None = None  # of TLS: HTTPS, SSL_*
        self.greeting: Any = None  # what comes before the protocol; called until it asks for nothing more
        self.in_head = True  # the head's deadline runs, from accept for the first one
        self.member: Member | None = None

    # Events

    def serve(self, member: Member) -> None:
        """The poller told of this connection, and the calling thread owns it now."""
        if self.contended:
            if self.drained():
                self.deadline = monotonic() + self.worker.patience
                self._go_on(member)
        elif self.stage == OPEN:
            self._on_readable(member)
        elif self.stage == QUEUED:
            self.stage = OPEN
            self._advance(member)
        elif self.stage == PAUSED:
            self._on_pause(member)
        elif self.stage == LINGERING:
            self._on_leftover()
        else:
            self._on_greeting(member)

    def _on_readable(self, member: Member) -> None:
        protocol = self.protocol
        try:
            data = self.stream.receive() if protocol.body is None else self.stream.receive(RECEIVE_BODY)
        except OSError:
            self.destroy()
            return
        if data is None:
            self.park(self.stream.wants() or READ)
            return
        action = protocol.receive(data) if data else protocol.eof()
        if action == Action.READ:
            self._wait_for_rest()
        else:
            self.proceed(member, action)

    def _go_on(self, member: Member) -> None:
        """The client has taken all that waited for it, or is gone."""
        if self.action == Action.PAUSE:
            self._wait(member)
        elif self.gone:
            self.destroy()
        elif self.action == Action.READ and not self.protocol.idle:  # it was a 100 (Continue) that waited
            self._wait_for_rest()
        else:
            self.proceed(member, self.action)

    def _wait_for_rest(self) -> None:
        """More of a request is to come: its head has one deadline, its body one that moves with what arrives."""
        if self.contended and not self.flushed(Action.READ):
            return  # what we said meanwhile goes first
        settings, body = self.worker.settings, self.protocol.body
        if self.protocol.idle:  # we have answered ourselves
            self.deadline = monotonic() + self.worker.patience
            self.in_head = False
        elif body is not None:
            rate = settings.body_rate
            earned = body.received / rate if rate else monotonic() - body.since
            self.deadline = body.since + settings.body_timeout + earned
        elif not self.in_head:
            self.in_head = True
            self.deadline = monotonic() + settings.head_timeout
        self.park(READ)

    def proceed(self, member: Member, action: int) -> None:
        """Do what the protocol wants, until the connection is parked or closed."""
        turns = 0
        while True:
            if action == Action.RUN:
                self.protocol.polled = self.worker.polled
                action = self._run(member, self.protocol.run)
            if self.contended and not self.flushed(action):
                return
            if action == Action.PAUSE:
                self._wait(member)
                return
            if self.gone:
                action = Action.CLOSE
            if action == Action.READ:
                self._keep()
                return
            if action == Action.NEXT:
                turns += 1
                if self.worker.ready or turns == _TURNS:  # this client's next request goes behind others
                    self.stage = QUEUED
                    self.deadline = inf  # it waits for us
                    self.worker.queue(self, member)
                    return
                action = self.protocol.advance()
                if action == Action.READ:
                    self._wait_for_rest()
                    return
            elif action != Action.RUN:
                self._end(action)
                return

    def _advance(self, member: Member) -> None:
        action = self.protocol.advance()
        if action == Action.READ:
            self._wait_for_rest()
        else:
            self.proceed(member, action)

    def _keep(self) -> None:
        """Wait for the next request."""
        self.in_head = False
        self.park(READ)

    def _run(self, member: Member, run: Callable[[float], int]) -> int:
        lead, protocol = self.worker.lead, self.protocol
        self.member = member
        self.busy = True
        lead.before(member, protocol.head.path)
        try:
            action = run(member.began)
        finally:
            now = lead.after(member)
            self.member = None
            if not self.contended:
                self.busy = False
                self.deadline = now + self.worker.patience
        if action == Action.PAUSE:
            return action
        self.worker.count()
        return Action.CLOSE if self.gone else action

    def _end(self, action: int) -> None:
        if not self.gone and (action == Action.LINGER or (action == Action.CLOSE and self._unread())):
            self._linger()
        else:
            self.destroy()

    # What the protocol asks besides

    def describe(self, environ: dict[str, Any]) -> None:
        """See `Link`."""
        if self.remote:
            environ["REMOTE_ADDR"] = self.remote
            environ["REMOTE_PORT"] = self.remote_port
        else:
            environ["REMOTE_ADDR"] = ""
        if self.variables is not None:
            environ.update(self.variables)
        if self.client_gone is None:
            self.client_gone = ClientGone(self.stream.sock)
            if self.worker.pausable:
                self.pauses = Pause()
        environ["wsgikit.client_gone"] = self.client_gone
        if self.pauses is not None:
            self.pauses.fd = -1  # what an app has wished and never waited for ends with its request
            self.pauses.left = False

    def guard(self) -> Guard | None:
        """See `Link`."""
        return None if self.member is None else self.member.guard

    def receive(self, received: int, since: float) -> bytes:
        """See `Link`."""
        take = partial(self.stream.receive, RECEIVE_BODY)
        while (data := self._taken(take)) is None:
            self._await_body(received, since)
        return data

    def pass_on(self, target: int, most: int, received: int, since: float) -> tuple[int, bytes] | None:
        """See `Link`."""
        if self.bypass is None:
            return None
        passed = self._pass_now(target, most)
        if passed is None:
            self._await_body(received, since)  # without a pipe: who waits long has no use for it
            passed = self._pass_now(target, most)
        return passed

    def _pass_now(self, target: int, most: int) -> tuple[int, bytes] | None:
        pipe = splice.take()
        if pipe is None:
            return None
        try:
            count = self._taken(partial(pipe.fill, self.fd, most))
            return None if count is None else (count, pipe.empty(target))
        finally:
            splice.give_back(pipe)

    def _taken(self, take: Callable[[], T]) -> T:
        """What `take` takes from the stream. Disconnected: it is broken."""
        with self.output.lock:  # a TLS object must not be read and written by two threads at once
            try:
                return take()
            except OSError as error:
                raise self._lost(error) from None

    def _await_body(self, received: int, since: float) -> None:
        """Wait until more of a body may be here. PeerTimeout as `receive`."""
        settings = self.worker.settings
        earned = received / settings.body_rate if settings.body_rate else monotonic() - since
        until = since + settings.body_timeout + earned
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        while (left := until - monotonic()) > 0:
            if poll.poll(milliseconds(left)):
                return
        raise PeerTimeout("body", settings.body_timeout)

    def detach(self) -> socket.socket:
        """See `Link`."""
        self.flush()
        with self.output.lock:
            if self.worker.parked.pop(self.fd, None) is self:  # else `flushed` or `drained` sees to it
                self.armed = False
            if self.watched:
                self.worker.poller.remove(self.fd)
            self.released = True
        self.stream.sock.setblocking(True)
        return self.stream.sock

    # Stages

    def _on_greeting(self, member: Member) -> None:
        """A PROXY header or TLS handshake goes on; `greeting` says when the protocol may begin."""
        try:
            mask = self.greeting(self)
        except OSError:
            self.destroy()
            return
        if mask:
            self.park(mask)
            return
        self.greeting = None
        self.stage = OPEN
        if self.stream.pending():
            self._on_readable(member)
        else:
            self.park(READ)

    def _linger(self) -> None:
        """Stop sending, and read on for a while: a close with unread data would reset what the client has not read."""
        self.stage = LINGERING
        self.deadline = monotonic() + self.worker.settings.linger
        self.stream.goodbye()
        if self._shut():
            self.park(READ)
        else:
            self.destroy()

    def _on_leftover(self) -> None:
        try:
            for _ in range(16):  # a client that never stops sending gets its turn, and the deadline its due
                data = self.stream.sock.recv(64 * 1024)
                if not data:
                    self.destroy()
                    return
        except BlockingIOError:
            pass
        except OSError:
            self.destroy()
            return
        self.park(READ)

    def _unread(self) -> bool:
        """Whether bytes of the client's are here that nobody has read yet."""
        try:
            return bool(socket.socket.recv(self.stream.sock, 1, socket.MSG_PEEK))  # below TLS, if there is any
        except OSError:
            return False

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request of which no byte has come."""
        return self.stage == OPEN and not self.contended and bool(self.protocol.idle)

    def park(self, mask: int) -> None:
        """Give the connection up until it is ready for `mask`. The caller must not touch it afterwards."""
        self.worker.watch(self, mask)

    def turn_away(self, *, answer: bool) -> None:
        """The worker holds all the connections it may: 503, or not even that where it costs more than it is worth."""
        if answer:
            self._end(self.protocol.refuse(503))
        else:
            self.destroy()

    def expire(self, member: Member) -> None:
        """The deadline has passed, and the calling thread has taken the connection out of the table."""
        if self.contended:
            with self.output.lock:
                self.armed = False
                self.output.clear()
                self.abort()
                if self.busy:
                    return  # the app's thread finds out at its next block
            if self.action == Action.PAUSE:
                self.deadline = inf
                self.worker.queue(self, member)  # its app is to be told, and not by who keeps time
            else:
                self.destroy()
        elif self.stage != LINGERING and self._unread():
            self.deadline = monotonic() + _AGAIN  # it is us who are late, not the client
            self.park(READ)
        elif self.stage == OPEN:
            self.proceed(member, self.protocol.expire())
        elif self.stage in (QUEUED, PAUSED):
            self.deadline = inf  # these have none: it went on while a stop looked for idle connections
            self.worker.queue(self, member)
        else:
            self.destroy()

    def destroy(self) -> None:
        """Close, and let the worker forget this connection. May be called twice."""
        with self.output.lock:
            fd, self.fd = self.fd, -1
            if fd < 0:
                return
            gone, self.gone = self.gone, True
            self.output.clear()
        self._forget_wait()
        self.worker.forget(self, fd)
        self.protocol.close()
        if not gone:
            self.stream.goodbye()
            if not self.released:
                self._shut()
        self.stream.sock.close()

    def _shut(self) -> bool:
        """End our side. False: there is no other side any more."""
        try:
            self.stream.sock.shutdown(socket.SHUT_WR)  # a child that the app has forked may hold the socket open
        except OSError:
            return False
        return True
