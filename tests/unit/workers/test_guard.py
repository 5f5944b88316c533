"""The interruptible region: an interruption hits the app that is late, and nothing else, whenever it comes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from wsgikit.workers.member import Guard
from wsgikit.wsgi.exchange import Exchange, Lines
from wsgikit.wsgi.respond import RequestTimeout, respond


class Nowhere:
    """A transport that takes everything."""

    def __init__(self) -> None:
        self.sent = b""
        self.aborted = False

    def send(self, data: bytes) -> None:
        self.sent += data

    def send_parts(self, parts) -> None:
        self.sent += b"".join(parts)

    def abort(self) -> None:
        self.aborted = True


def late(exchange: Exchange) -> None:
    """What the protocol does for a request past its deadline."""
    exchange.dead = True
    exchange.claim()


def run_many(calls: int, spread: float) -> tuple[int, int, list[str]]:
    """Calls that end about when a second thread strikes. Returns (struck, answered, what went wrong)."""
    guard = Guard(threading.get_ident())
    present: list[Exchange | None] = [None]
    over = threading.Event()
    struck = answered = 0
    wrong: list[str] = []

    def strike() -> None:
        while not over.is_set():
            exchange = guard.inside
            if exchange is not None and time.monotonic() >= exchange.deadline:
                guard.strike(exchange, lambda exchange=exchange: late(exchange))

    closed = [0]

    class Body:
        def __iter__(self):
            return iter([b"x"])

        def close(self) -> None:
            closed[0] += 1

    def app(environ, start_response):
        end = environ["end"]
        while time.monotonic() < end:
            pass
        start_response("200 OK", [])
        return Body()

    striker = threading.Thread(target=strike)
    striker.start()
    try:
        for number in range(calls):
            transport = Nowhere()
            exchange = Exchange(transport, Lines(""), "GET", 1, True)
            exchange.guard = guard
            exchange.timeout = 0.0001
            exchange.deadline = time.monotonic() + 0.0001
            present[0] = exchange
            environ = {"end": exchange.deadline + spread * ((number % 21) - 10) / 10}
            before = closed[0]
            try:
                respond(app, environ, exchange, lambda: "test")
            except BaseException as error:
                wrong.append(f"call {number}: {error!r} came out of respond()")
            if exchange.dead:
                struck += 1
            else:
                answered += 1
                if not transport.sent.endswith(b"0\r\n\r\n"):
                    wrong.append(f"call {number}: {transport.sent!r}")
                if closed[0] != before + 1:
                    wrong.append(f"call {number}: close() ran {closed[0] - before} times")
    finally:
        over.set()
        striker.join()
    return struck, answered, wrong


@pytest.mark.parametrize("calls", [1500, pytest.param(10_000, marks=pytest.mark.soak)])
def test_calls_that_end_exactly_at_their_deadline(calls: int) -> None:
    struck, answered, wrong = run_many(calls, spread=0.00005)
    assert wrong == []
    assert struck
    assert struck + answered == calls


def test_an_interruption_that_comes_too_late_is_taken_back() -> None:
    guard = Guard(threading.get_ident())
    exchange = Exchange(Nowhere(), Lines(""), "GET", 1, True)
    guard.enter(exchange)
    guard.leave()
    striker = threading.Thread(target=guard.strike, args=(exchange, lambda: None))
    striker.start()
    striker.join()
    for _ in range(1000):
        pass  # here it would be raised


def test_a_thread_that_the_interpreter_does_not_know_is_not_waited_for() -> None:
    """As where something has put greenlets in the place of threads."""
    guard = Guard(1)
    exchange = Exchange(Nowhere(), Lines(""), "GET", 1, True)
    guard.enter(exchange)
    assert guard.strike(exchange, lambda: None)
    leaving = threading.Thread(target=guard.leave, daemon=True)
    leaving.start()
    leaving.join(5)
    assert not leaving.is_alive()


def test_the_app_code_after_a_time_out_is_not_entered_again() -> None:
    guard = Guard(threading.get_ident())
    exchange = Exchange(Nowhere(), Lines(""), "GET", 1, True)
    exchange.dead, exchange.deadline = True, time.monotonic() - 1
    with pytest.raises(RequestTimeout):
        guard.enter(exchange)


PROFILED = """
import cProfile, threading, time
from wsgikit.workers.member import Guard
from wsgikit.wsgi.exchange import Exchange, Lines
from wsgikit.wsgi.respond import RequestTimeout

guard = Guard(threading.get_ident())
exchange = Exchange(None, Lines(""), "GET", 1, True)
inside, struck = threading.Event(), threading.Event()

def strike():
    inside.wait()
    assert guard.strike(exchange, lambda: None)
    struck.set()

for in_time in (True, False):
    inside.clear()
    struck.clear()
    thread = threading.Thread(target=strike)
    try:
        try:
            thread.start()
            guard.enter(exchange)
            inside.set()
            while not in_time:
                pass  # the interruption comes here
            struck.wait()
        finally:
            guard.leave()
    except RequestTimeout:
        guard.leave()
    thread.join()
    print(cProfile.Profile().runcall(lambda: "profiled"), flush=True)
"""


def test_an_interruption_leaves_nothing_behind_for_the_interpreter_to_look_for() -> None:
    done = subprocess.run([sys.executable, "-c", PROFILED], capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout, done.stderr) == ("profiled\nprofiled\n", "")
