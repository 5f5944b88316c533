"""One thread of a worker: its part in the lead, and the region in which a deadline may interrupt it.

The region is the app's code and nothing else. Both sides must be exact without a lock on the way of a request:

- `leave()` first says that the thread is out, then looks whether it was struck; the striker first says that it strikes,
  then looks whether the thread is in. One of them sees the other. The striker holds the lock meanwhile; the thread
  waits for its end and never takes it: since CPython 3.14 an exception set for a thread may be raised between the end
  of a lock's `__enter__` and the body of the `with`, and nobody would release that lock.
- An exception set for a thread but not yet raised is swallowed in `leave()`. One that is raised inside `leave()`
  comes out of it; the caller then calls `leave()` again, which is quiet, because nobody strikes twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic, sleep

from wsgikit.wsgi.exchange import Exchange
from wsgikit.wsgi.respond import RequestTimeout


class Guard:
    """The interruptible region of one thread."""

    __slots__ = ("_ident", "_lock", "_struck", "inside", "struck_at")

    def __init__(self, ident: int) -> None:
        self._ident = ident
        self._lock = threading.Lock()
        self._struck = False
        self.inside: Exchange | None = None
        self.struck_at = 0.0  # monotonic seconds; 0 while no interruption is under way

    def enter(self, exchange: Exchange) -> None:
        """The app's code begins. Raises RequestTimeout when the request was given up meanwhile."""
        if exchange.dead and exchange.deadline and monotonic() >= exchange.deadline:
            raise RequestTimeout
        self.inside = exchange

    def leave(self) -> None:
        """The app's code has ended; no interruption comes after this."""
        self.inside = None
        if self._struck:
            while self._lock.locked():
                sleep(0.0001)
            if self.struck_at:
                _swallow(self._ident)
                self.struck_at = 0.0
            self._struck = False

    def strike(self, exchange: Exchange, give_up: Callable[[], None]) -> bool:
        """Answer for `exchange` and interrupt its app, if the thread is still in it. False: it is not."""
        with self._lock:
            self._struck = True
            if self.inside is not exchange or self.struck_at:
                self._struck = bool(self.struck_at)
                return False
            give_up()
            self.struck_at = monotonic()
            _set_async(self._ident, RequestTimeout)
            return True


def _set_async(ident: int, exception: type[BaseException]) -> int:
    import ctypes  # costs milliseconds and memory, and most workers never strike

    return int(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(exception)))


def _swallow(ident: int) -> None:
    """Have the exception raised here, in the thread that it is for, where it may be pending or has been raised before.

    To take it back by setting none would have the interpreter look for one at every turn from then on: CPython 3.11
    clears that flag only where one is raised, and code that is traced or profiled (a debugger, coverage, cProfile) does
    not get past its first instruction while the flag is set.
    """
    try:
        known = _set_async(ident, RequestTimeout)
        while known:  # else nothing comes: `ident` is not the interpreter's, such as a greenlet's
            pass
    except RequestTimeout:
        pass


class Member:
    """One thread of a worker. `leads`, `began` and `key` belong to `Lead`, and are written by this thread alone."""

    __slots__ = ("began", "guard", "key", "leads", "thread")

    def __init__(self) -> None:
        self.leads = False
        self.began = 0.0
        self.key: object = None
        self.thread = threading.current_thread()
        self.guard = Guard(threading.get_ident())
