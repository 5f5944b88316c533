"""The sending half of a connection: at once if the client takes it, else through the output queue.

Two threads may meet here: the app's, which adds, and the poller's, which drains. `output.lock` guards the queue and the
hand-over at the end of a response. Invariant: while bytes are queued and the app's thread is busy, the connection is
`armed`, that is parked for writing, or a thread that took it out of the table is about to ask for the lock.

Owns what "sent" means. It must not know stages or protocols.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, BinaryIO, Self

from wsgikit.errors import Disconnected
from wsgikit.protocols import Action
from wsgikit.workers import splice
from wsgikit.workers.output import Output
from wsgikit.workers.poller import READ, WRITE, milliseconds
from wsgikit.workers.stream import RECEIVE_BODY, PlainStream, Stream

if TYPE_CHECKING:
    from wsgikit.workers.worker import Worker

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, no time: close() sends RST


class Sender:
    """Implements `wsgikit.wsgi.transport.Transport` on a worker's stream."""

    __slots__ = (
        "action", "armed", "busy", "contended", "deadline", "fd", "gone", "output", "released", "stream", "watched",
        "worker",
    )  # fmt: skip

    def __init__(self, worker: Worker, stream: Stream) -> None:
        settings = worker.settings
        self.worker = worker
        self.stream = stream
        self.fd = stream.sock.fileno()
        self.output = Output(settings.output_memory, settings.output_spool, settings.spool_dir)
        self.contended = False  # bytes were queued since the last response began: `output.lock` decides
        self.armed = False  # parked for writing while the app's thread is busy
        self.busy = False  # a thread is in protocol.run()
        self.gone = False
        self.released = False  # the app has taken the socket over: its number is not ours any more
        self.watched = False  # the poller knows it
        self.action = Action.READ  # what to do when the queue is empty and nobody is busy
        self.deadline = monotonic() + settings.head_timeout

    def send(self, data: bytes) -> None:
        """See `Transport`."""
        if self.contended:
            self._queue([data])
            return
        if self.gone:
            raise Disconnected("the client is gone")
        try:
            sent = self.stream.send(data)
        except OSError as error:
            raise self._lost(error) from None
        if sent != len(data):
            self._queue([memoryview(data)[sent:]])

    def send_parts(self, parts: Sequence[bytes]) -> None:
        """See `Transport`."""
        if self.contended or type(self.stream) is not PlainStream:
            self._queue([b"".join(parts)])
            return
        if self.gone:
            raise Disconnected("the client is gone")
        try:
            sent = self.stream.send_parts(list(parts))
        except OSError as error:
            raise self._lost(error) from None
        left: list[memoryview] = []
        for part in parts:
            if sent < len(part):
                left.append(memoryview(part)[sent:])
            sent = max(0, sent - len(part))
        if left:
            self._queue(left)

    def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """See `Transport`."""
        if self.gone:
            raise Disconnected("the client is gone")
        fd = file.fileno()
        while count and not self.contended:
            try:
                sent = self.stream.send_file(fd, offset, count)
            except OSError as error:
                raise self._lost(error) from None
            if not sent:
                break
            offset += sent
            count -= sent
        if count:
            with self.output.lock:
                self.contended = True
                self.output.add_file(os.dup(fd), offset, count)
                self._begin_waiting()

    @property
    def bypass(self) -> Self | None:
        """See `Link`."""
        return self if splice.available and type(self.stream) is PlainStream else None

    def send_from(self, source: int, most: int) -> int | None:
        """See `Bypass`."""
        pipe = None if self.contended else splice.take()
        if pipe is None:
            return self._send_read(source, most)
        try:
            if self.gone:
                raise Disconnected("the client is gone")
            count = pipe.fill(source, most)
            if not count:
                return count
            rest = pipe.empty(self.fd)
        finally:
            splice.give_back(pipe)
        if rest:
            self._queue([rest])
        return count

    def _send_read(self, source: int, most: int) -> int | None:
        try:
            data = os.read(source, min(most, RECEIVE_BODY))
        except BlockingIOError:
            return None
        if data:
            self.send(data)
        return len(data)

    def _queue(self, parts: Sequence[bytes | memoryview]) -> None:
        output = self.output
        with output.lock:
            self.contended = True
            if self.gone:
                raise Disconnected("the client is gone")
            self._drain()
            for part in parts:
                sent = 0
                if not output:
                    try:
                        sent = self.stream.send(part)
                    except OSError as error:
                        raise self._lost(error) from None
                if sent < len(part):
                    output.add(memoryview(part)[sent:])
            if output:
                self._begin_waiting()
            full = self.busy and not output.room()  # an answer of our own must not hold back who polls
        if full:
            self._hold_back()

    def _begin_waiting(self) -> None:
        """Have the poller drain what is queued, also while the app goes on. Hold the lock."""
        if not self.armed and self.busy:
            self.armed = True
            self.deadline = monotonic() + self.worker.settings.send_timeout
            self.park(WRITE)

    def _drain(self) -> None:
        """Send what is queued as far as the client takes it. Hold the lock. Raises Disconnected."""
        try:
            sent = self.output.drain(self.stream.send, self.stream.send_file)
        except OSError as error:
            raise self._lost(error) from None
        if sent:
            now, settings = monotonic(), self.worker.settings
            latest = now + settings.send_timeout
            self.deadline = min(latest, self.deadline + sent / settings.send_rate) if settings.send_rate else latest

    def flush(self) -> None:
        """Wait, in the app's thread, until all is sent. Raises Disconnected."""
        if self.contended:
            self._hold_back(until_empty=True)

    def _hold_back(self, *, until_empty: bool = False) -> None:
        """Both queues are full: wait, in the app's thread, until the client has taken something."""
        poll = select.poll()
        while True:
            with self.output.lock:
                if self.gone:
                    raise Disconnected("the client is gone")
                self._drain()
                if not self.output or (self.output.room() and not until_empty):
                    return
                left = self.deadline - monotonic()
                poll.register(self.fd, select.POLLIN if self.stream.wants() == READ else select.POLLOUT)
            if left <= 0:
                self.abort()
                raise Disconnected("the client took nothing for too long")
            poll.poll(milliseconds(left))

    def _lost(self, error: OSError) -> Disconnected:
        self.gone = True
        self.output.clear()
        return Disconnected(f"the client is gone: {error.strerror or error}")

    def abort(self) -> None:
        """Reset the connection; its owner closes the socket afterwards."""
        self.gone = True
        try:
            self.stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError:
            pass

    def drained(self) -> bool:
        """The poller told that the client takes bytes again. True: the queue is empty, or the app need not wait for
        that (`is_brief`), and the caller goes on."""
        with self.output.lock:
            self.armed = False
            if self.fd < 0:
                return False
            try:
                self._drain()
            except Disconnected:
                pass
            hurried = not self.busy and self.is_brief() and self.output.room()
            if self.output and not self.gone and not hurried:
                self.armed = self.busy
                self.park(self.stream.wants() or WRITE)
                return False
            if self.busy:
                return False  # the app's thread finds the queue empty and goes on by itself
            self.contended = bool(self.output)
            return True

    def resume_sending(self) -> None:
        """The app goes on while bytes are queued."""
        with self.output.lock:
            self.busy = True
            if self.output:
                self._begin_waiting()

    def is_brief(self) -> bool:
        """Whether the app is paused and only lets others go first, so that it may go on as soon as its client takes
        anything and there is room for more."""
        return False

    def flushed(self, action: int) -> bool:
        """The app's thread is done. True: so is the queue, and the caller goes on; else the poller will do `action`."""
        with self.output.lock:
            self.busy = False
            if self.gone:
                self.output.clear()
            patience = self.worker.settings.send_timeout
            if self.armed:
                if self.worker.parked.pop(self.fd, None) is not self:
                    self.action = action  # a thread was told of it and waits for the lock: it goes on
                    return False
                self.armed = False
                patience = 1.0  # its time runs already
            if self.output:
                self.action = action
                self.deadline = max(self.deadline, monotonic() + patience)
                self.park(WRITE)
                return False
            self.contended = False
            return True

    def park(self, mask: int) -> None:
        """Give the connection up until it is ready for `mask`. The caller must not touch it afterwards."""
        raise NotImplementedError
