"""Leader and followers: at most one leader at any moment, and the lead is never lost."""

from __future__ import annotations

import random
import threading
import time

from wsgikit.workers.lead import Lead
from wsgikit.workers.member import Member


class Crowd:
    """Threads that lead in turn; a lock that nobody ever waits for shows that there is one leader at a time."""

    def __init__(self, lead: Lead, calls: int, duration) -> None:
        self.lead = lead
        self.calls = calls
        self.duration = duration
        self.leading = threading.Lock()
        self.served = 0
        self.overlaps = 0
        self.counting = threading.Lock()

    def work(self) -> None:
        member = Member()
        rng = random.Random(7)
        while True:
            self.lead.take(member)
            while member.leads:
                if not self.leading.acquire(blocking=False):
                    self.overlaps += 1
                    return
                with self.counting:
                    self.served += 1
                    number = self.served
                self.leading.release()
                if number > self.calls:
                    self.lead.give(member)
                    return
                self.lead.before(member, b"/")
                if seconds := self.duration(rng, number):
                    time.sleep(seconds)
                self.lead.after(member)

    def run(self, threads: int) -> float:
        watchdog = threading.Thread(target=self.lead.watch)
        watchdog.start()
        workers = [threading.Thread(target=self.work, daemon=True) for _ in range(threads)]
        began = time.monotonic()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(30)
        took = time.monotonic() - began
        assert not any(worker.is_alive() for worker in workers), "the lead was lost"
        self.lead.end()
        watchdog.join(10)
        assert not watchdog.is_alive()
        return took


def test_calls_about_as_long_as_the_watchdogs_patience_lose_nothing() -> None:
    """The watchdog takes the ticket at the moment the call ends, again and again: the race that must be exact."""
    lead = Lead(slow=1.0, long=0.0005, watched=True)
    crowd = Crowd(lead, 3000, lambda rng, number: rng.choice((0, 0.0004, 0.0005, 0.0006)) if number % 3 == 0 else 0)
    crowd.run(4)
    assert crowd.overlaps == 0
    assert crowd.served >= 3000


def test_a_long_call_loses_the_lead_to_another_thread() -> None:
    lead = Lead(slow=1.0, long=0.002, watched=True)
    crowd = Crowd(lead, 200, lambda rng, number: 0.5 if number == 1 else 0)
    took = crowd.run(2)
    assert crowd.overlaps == 0
    assert crowd.served >= 200
    assert took < 3.0


def test_paths_that_are_slow_on_average_are_called_without_the_lead() -> None:
    lead = Lead(slow=0.001, long=10.0, watched=True)
    member = Member()
    for _ in range(12):
        lead.take(member)
        lead.before(member, b"/slow")
        kept = member.leads
        time.sleep(0.003)
        lead.after(member)
        if member.leads:
            lead.give(member)
    assert not kept
    lead.take(member)
    lead.before(member, b"/quick")  # another path keeps it
    assert member.leads
    lead.after(member)


def test_a_single_thread_keeps_the_lead_whatever_happens() -> None:
    lead = Lead(slow=0.0, long=0.0, watched=False)
    member = Member()
    lead.take(member)
    for _ in range(3):
        lead.before(member, b"/")
        time.sleep(0.002)
        lead.after(member)
        assert member.leads
