"""What a balancer does besides requests, in a thread of each process: news from other workers, counts to the
scoreboard, old connections, checks, discovery.

It starts with the first request, or with `start()`: an app may be made before the workers are forked, and threads do
not survive a fork. It ends with `stop()`, with its balancer, or with the process.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable

log = logging.getLogger("wsgikit.forward")

# How old the news from other workers may be.
REFRESH = 0.25
# Every so many refreshes the slower duties are done, about once a second.
_SLOWLY = 4

_tickers: weakref.WeakSet[Ticker] = weakref.WeakSet()


class Ticker:
    """Calls `quick` every REFRESH seconds and `slow` about every second, while the owner of both lives."""

    def __init__(self, quick: Callable[[], object], slow: Callable[[], object]) -> None:
        self._quick = weakref.WeakMethod(quick)
        self._slow = weakref.WeakMethod(slow)
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        _tickers.add(self)

    @property
    def running(self) -> bool:
        """Whether the thread has been started in this process."""
        return self._thread is not None

    def start(self) -> bool:
        """Start the thread, once. True: this call did."""
        with self._starting:
            if self._thread is not None or self._stop.is_set():
                return False
            arguments = (self._quick, self._slow, self._stop)
            self._thread = threading.Thread(target=_run, args=arguments, name="wsgikit-balancer", daemon=True)
            self._thread.start()
            return True

    def stop(self) -> None:
        """End the thread for good."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(5.0)

    def forget(self) -> None:
        """In a child process: the thread is not here."""
        self._starting = threading.Lock()
        self._thread = None


def _run(quick: weakref.WeakMethod[Callable[[], object]], slow: weakref.WeakMethod[Callable[[], object]],
         stop: threading.Event) -> None:  # fmt: skip
    turn = 0
    while True:
        for each in (quick, slow) if turn % _SLOWLY == 0 else (quick,):
            work = each()
            if work is None:
                return
            try:
                work()
            except Exception:
                log.exception("the balancer's housekeeping failed; it goes on")
            del work  # else the owner could never be collected
        turn += 1
        if stop.wait(REFRESH):
            return


def _after_fork() -> None:
    for ticker in list(_tickers):
        ticker.forget()


os.register_at_fork(after_in_child=_after_fork)
