"""The worker's main thread: time, limits, and the end.

Owns everything that happens because time passes: the Date line, deadlines of connections and requests, heartbeat,
recycling, and the steps of a graceful stop. It must not serve. Where it acts on a connection it first takes it out of
the table of parked ones, as a serving thread would.
"""

from __future__ import annotations

import logging
import os
import select
import sys
from heapq import heappop, heappush
from math import ceil
from time import gmtime, monotonic, time
from typing import TYPE_CHECKING

from wsgikit.scoreboard.cells import BUSY, HEARTBEAT, REFUSED, REQUESTS, RSS, THREADS
from wsgikit.workers.member import Member
from wsgikit.wsgi.respond import __file__ as respond_file

if TYPE_CHECKING:
    from wsgikit.workers.connection import Connection
    from wsgikit.workers.pause import Wait
    from wsgikit.workers.worker import Worker

log = logging.getLogger("wsgikit.error")

_TICK = 0.25  # the longest time between two looks at the deadlines
_HANDSHAKE = 0.1  # seconds for which a stopping worker still accepts: connections that are just being made
_REST_AFTER = 1.0  # seconds of silence after which a connection keeps nothing but its place
_MEMORY_EVERY = 2.0  # seconds between two readings of the resident memory


class Housekeeping:
    """Keeps house for one worker."""

    def __init__(self, worker: Worker) -> None:
        settings = worker.settings
        self.worker = worker
        self.closing_listeners = False  # a serving thread empties the backlogs and closes them
        if settings.max_requests:
            from random import randint

            worker.request_limit = settings.max_requests + randint(0, settings.max_requests_jitter)
        self._services = [acceptor.service for acceptor in worker.acceptors.values()]  # they outlive the listeners
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._stop_by: float | None = None
        self._retiring = False
        self._close_listeners_at = 0.0
        self._memory_next = 0.0
        self._poll = select.poll()
        self._poll.register(self._wake_read, select.POLLIN)
        self._member: Member | None = None
        self._next_look = 0.0  # monotonic seconds
        self._due: list[float] = []  # a heap of the deadlines that somebody has told of
        self._second = 0

    # What others call

    def wake(self) -> None:
        """Have it look now. From any thread and from signal handlers."""
        try:
            os.write(self._wake_write, b"x")
        except (BlockingIOError, OSError):
            pass

    def expect(self, deadline: float) -> None:
        """Have it look at this time (monotonic seconds), if it would not before. For the thread that leads."""
        if deadline < monotonic() + _TICK:
            heappush(self._due, deadline)
            if deadline < self._next_look:
                self.wake()

    def close(self) -> None:
        """Let go of the pipe. `wake` does nothing from here on."""
        for fd in (self._wake_read, self._wake_write):
            os.close(fd)
        self._wake_read = self._wake_write = -1  # the numbers may soon be somebody else's

    def stop(self, deadline: float) -> None:
        """Stop gracefully until `deadline` (monotonic seconds). An earlier deadline wins over a later one."""
        self._stop_by = deadline if self._stop_by is None else min(self._stop_by, deadline)
        self.wake()

    def retire(self, reason: str) -> None:
        """The worker has served enough: ask to be replaced, once."""
        if self._retiring:
            return
        self._retiring = True
        self.worker.request_limit = float("inf")
        log.info("worker %d retires: %s", os.getpid(), reason)
        if self.worker.around.retire is not None:
            self.worker.around.retire(reason)
        else:
            self.stop(monotonic() + 30.0)

    # The thread

    def run(self) -> None:
        """Keep house until the worker has stopped."""
        while not self._over():
            self.look()

    def look(self, longest: float = _TICK) -> None:
        """Wait until something is due, for `longest` seconds at most, and see to it."""
        self._next_look = monotonic() + _TICK  # before it looks what is due: `expect` then says so, or wakes it
        self._poll.poll(ceil(min(self.nap(), longest) * 1000))
        self._empty_pipe()
        self.tick()

    def tick(self) -> None:
        """One look at everything."""
        now = monotonic()
        if self._member is None:
            self._member = Member()
        self.renew_date()
        if self._stop_by is not None and not self.worker.stopping:
            self._begin_stop(now)
        if self._close_listeners_at and now >= self._close_listeners_at:
            self._close_listeners_at = 0.0
            self.closing_listeners = True
            self.worker.poller.wake()
        while self._due and self._due[0] <= now:
            heappop(self._due)
        self._expire_connections(now)
        self._expire_requests(now)
        self._report(now)

    def nap(self) -> float:
        """Seconds until the next tick, or the next deadline of a request that is sooner."""
        now, due = monotonic(), self._due
        nap = min(_TICK, max(0.001, due[0] - now)) if due else _TICK
        for member in self.worker.members:
            exchange = member.guard.inside
            if exchange is not None and exchange.deadline and not member.guard.struck_at:
                nap = min(nap, max(0.001, exchange.deadline - now))
        if self._stop_by is not None:
            nap = min(nap, max(0.001, self._stop_by - now), 0.05)
        return nap

    def _over(self) -> bool:
        if not self.worker.stopping or self._stop_by is None:
            return False
        drained = not self.worker.open and not self.worker.acceptors
        return drained or monotonic() >= self._stop_by

    def _empty_pipe(self) -> None:
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            pass

    def renew_date(self) -> None:
        """The Date line (RFC 9110 6.6.1), once a second for all responses."""
        now = time()
        if int(now) != self._second:
            self._second = int(now)
            line = f"Date: {imf_fixdate(self._second)}\r\n".encode("ascii")
            for service in self._services:
                service.lines.renew(line)

    def _begin_stop(self, now: float) -> None:
        """Responses say Connection: close from now on; idle connections get a little time for one more request."""
        worker = self.worker
        worker.stopping = True
        worker.patience = worker.settings.idle_grace
        for acceptor in worker.acceptors.values():
            acceptor.service.stopping = True
        self._close_listeners_at = now + _HANDSHAKE
        idle_until = now + worker.settings.idle_grace
        for connection in list(worker.parked.values()):
            if connection.is_idle:
                connection.deadline = min(connection.deadline, idle_until)
        worker.poller.wake()

    def _expire_connections(self, now: float) -> None:
        parked = self.worker.parked
        member = self._member
        rested = self.worker.patience - _REST_AFTER
        for fd, connection in list(parked.items()):
            if connection.deadline <= now and member is not None:
                self._expire(fd, connection, now, member)
            elif connection.deadline - now < rested:
                connection.protocol.rest()

    def _expire(self, fd: int, connection: Connection | Wait, now: float, member: Member) -> None:
        taken = self.worker.parked.pop(fd, None)
        if taken is connection and taken.deadline <= now:
            taken.expire(member)
        elif taken is not None:
            # It was served a moment ago, or the number is another connection's by now. An event may have come while we
            # had it, and is not told of again.
            self.worker.queue(taken, member)

    def _expire_requests(self, now: float) -> None:
        worker = self.worker
        for member in list(worker.members):
            guard = member.guard
            exchange = guard.inside
            if guard.struck_at and now - guard.struck_at > worker.settings.interrupt_grace:
                self.retire(f"thread {member.thread.name} does not come back from an interrupted request")
            elif not guard.struck_at and exchange is not None and exchange.deadline and exchange.deadline <= now:
                connection = exchange.transport
                stack = _stack(member)
                line = connection.protocol.request_line()  # type: ignore[attr-defined]
                if guard.strike(exchange, connection.protocol.give_up):  # type: ignore[attr-defined]
                    log.error("%s: no answer within %g s; it was here:\n%s", line, worker.settings.timeout, stack)

    def _report(self, now: float) -> None:
        worker = self.worker
        limit = worker.settings.max_rss
        rss = 0
        if now >= self._memory_next:
            self._memory_next = now + _MEMORY_EVERY
            rss = resident_memory()
            if limit and rss > limit:
                self.retire(f"resident memory {rss} above {limit} bytes")
        slot, balance = worker.around.slot, worker.balance
        if slot is None:
            return
        if balance is not None and worker.acceptors:  # workers come and go while this one runs (TTIN, TTOU)
            several = balance.siblings() > 1
            for acceptor in worker.acceptors.values():
                acceptor.service.template["wsgi.multiprocess"] = several
        cells = slot.cells
        cells[HEARTBEAT] = int(now * 1000)
        cells[REQUESTS] = worker.requests
        cells[REFUSED] = worker.refused
        cells[THREADS] = worker.settings.threads
        cells[BUSY] = sum(member.guard.inside is not None for member in worker.members)
        if rss:
            cells[RSS] = rss


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def imf_fixdate(seconds: int) -> str:
    """A time as HTTP writes it (RFC 9110 5.6.7). `time.strftime` would follow the locale."""
    now = gmtime(seconds)
    return (
        f"{_DAYS[now.tm_wday]}, {now.tm_mday:02} {_MONTHS[now.tm_mon - 1]} {now.tm_year} "
        f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} GMT"
    )


def _stack(member: Member) -> str:
    """Where the app is: the frames above the server's own."""
    import traceback

    frame = sys._current_frames().get(member.thread.ident or 0)
    frames = traceback.extract_stack(frame) if frame is not None else []
    last = max((number for number, entry in enumerate(frames) if entry.filename == respond_file), default=-1)
    return "".join(traceback.format_list(frames[last + 1 :])).rstrip()


def resident_memory() -> int:
    """This process's resident memory in bytes; 0 where the system does not tell (no /proc)."""
    try:
        with open("/proc/self/statm", "rb") as file:
            pages = file.read().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGESIZE")
