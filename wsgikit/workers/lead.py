"""Which thread polls: leader and followers.

One thread leads: it polls, and serves what it finds in the same thread, so that a request costs no hand-over. While it
is in the app nobody polls; that is right as long as calls are short, because with one interpreter lock another thread
could do little meanwhile, and every hand-over costs two thread switches. So the lead is given away only

- before a call, when calls to the same path have lately been slow on average (`slow`), and
- by the watchdog, when a call under way turns out to be long (`long`).

Both must be exact: at every moment there is one leader, or a free lead that a follower is about to take. A call under
way is represented by a ticket. Whoever pops the ticket has the lead: the caller when its call ends in time, the
watchdog when it does not. `deque.pop` is atomic, so that they cannot both have it.

The watchdog sleeps deeply when nothing happens and is woken by the first call after. It says so (`_asleep`) before it
looks for a ticket a last time, and a caller puts its ticket down before it looks whether the watchdog sleeps: one of
them sees the other.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic, sleep

from wsgikit.workers.member import Member

_PATHS = 1024  # paths whose average is kept; then all are forgotten and learned anew
_QUIET_TICKS = 50  # ticks without a call after which the watchdog sleeps
_WEIGHT = 0.2  # of the newest call in a running average


class Lead:
    """The lead of one worker's threads. `slow` and `long` are seconds, see the module's text.

    `watched`: there are several threads, and `watch` runs in one more. A single thread never gives the lead away.
    """

    def __init__(self, slow: float, long: float, *, watched: bool) -> None:
        self.slow = slow
        self.long = long
        self._free = threading.Lock()  # held while somebody leads
        self._ticket: deque[float] = deque()  # at most one: when the leader's present call began
        self._averages: dict[object, float] = {}
        self._alarm = threading.Lock()
        self._alarm.acquire()
        self._asleep = False
        self._watched = watched
        self._ended = False

    def take(self, member: Member) -> None:
        """Wait until the lead is free, and lead."""
        self._free.acquire()
        member.leads = True

    def give(self, member: Member) -> None:
        """Let another thread lead."""
        member.leads = False
        self._free.release()

    def before(self, member: Member, key: object) -> None:
        """The thread is about to call the app for `key` (a path)."""
        member.key = key
        member.began = now = monotonic()
        if not self._watched or not member.leads:
            return
        if self._averages.get(key, 0.0) > self.slow:
            self.give(member)
            return
        self._ticket.append(now)
        if self._asleep:
            self._wake()

    def after(self, member: Member) -> float:
        """The call has ended; returns the time. Afterwards `member.leads` says whether the thread still leads."""
        now = monotonic()
        if not self._watched:
            return now
        if member.leads:
            try:
                self._ticket.pop()
            except IndexError:
                member.leads = False  # the watchdog took it
        took = now - member.began
        averages = self._averages
        average = averages.get(member.key)
        if average is None:
            if took < self.slow:
                return now  # most paths are quick: only those that were slow once are remembered
            if len(averages) >= _PATHS:
                averages.clear()
            average = 0.0  # one hiccup of the machine does not make a path slow
        averages[member.key] = average + (took - average) * _WEIGHT
        return now

    def watch(self) -> None:
        """The watchdog's thread. Returns after `end()`."""
        quiet = 0
        while not self._ended:
            if quiet > _QUIET_TICKS:
                quiet = 0
                self._asleep = True
                if not self._ticket:
                    self._alarm.acquire()
                self._asleep = False
            sleep(self.long)
            try:
                began = self._ticket[0]
            except IndexError:
                quiet += 1
                continue
            quiet = 0
            if monotonic() - began > self.long:
                try:
                    self._ticket.pop()
                except IndexError:
                    continue  # the call ended just now
                self._free.release()

    def _wake(self) -> None:
        self._asleep = False
        try:
            self._alarm.release()
        except RuntimeError:  # two callers saw it asleep
            pass

    def end(self) -> None:
        """Let the watchdog's thread return."""
        self._ended = True
        self._wake()
