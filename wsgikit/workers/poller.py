"""Readiness of file descriptors, one shot each: an armed descriptor is reported once, then not until it is armed again.

That is what lets several threads poll one after the other with no lock around a connection: whoever is told of it owns
it. Owns the system's poller only; it must not know connections.

`EpollPoller` is Linux. `SelectorPoller` works wherever Python's `selectors` does: it keeps the same promise by
unregistering what it reports, and by waking the polling thread when another one arms a descriptor.
"""

from __future__ import annotations

import errno
import os
import select
import selectors
from collections import deque
from typing import Protocol

READ, WRITE = 1, 4
"""Masks. Equal to EPOLLIN and EPOLLOUT. Errors and hang-ups are reported as both: the next call on the socket tells."""
LEFT: int = getattr(select, "EPOLLRDHUP", 0)
"""Mask: the peer has ended its side. 0 where the system cannot tell."""

_LONGEST = 3600.0  # seconds: poll() takes milliseconds in 31 bits, and whoever calls it looks at the clock again
_ONE_SHOT: int = getattr(select, "EPOLLONESHOT", 0)
_BATCH = 64  # descriptors a poll gives at most: what waits behind a slow call must not be many


def milliseconds(seconds: float) -> int:
    """What to give to poll(), in a loop that keeps the time: at least 1, and not more than it takes."""
    return max(1, int(min(seconds, _LONGEST) * 1000))


class Poller(Protocol):
    """What a worker needs. `arm` and `wake` may be called from any thread, `wait` from one at a time."""

    def watch(self, fd: int) -> None:
        """Report `fd` as readable as long as it is, not once (listeners)."""

    def unwatch(self, fd: int) -> None: ...

    def add(self, fd: int, mask: int) -> None:
        """Begin with a descriptor, armed for `mask`."""

    def arm(self, fd: int, mask: int) -> None:
        """Report it once more, when it is ready for `mask`."""

    def borrow(self, fd: int) -> None:
        """Report a descriptor that is somebody else's, once, when it is readable. Closing it ends that. OSError, and
        ValueError for a negative one: it cannot be watched."""

    def remove(self, fd: int) -> None:
        """Forget a descriptor, before it is closed or handed over."""

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Descriptors that are ready. `seconds` < 0 waits for ever. May return nothing early, after `wake`."""

    def wake(self) -> None:
        """Have `wait` return."""

    def close(self) -> None: ...


class EpollPoller:
    """epoll with EPOLLONESHOT."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._modify = self._epoll.modify
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._epoll.register(self._wake_read, select.EPOLLIN)

    def watch(self, fd: int) -> None:
        self._epoll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        self._epoll.unregister(fd)

    def add(self, fd: int, mask: int) -> None:
        self._epoll.register(fd, mask | _ONE_SHOT)

    def arm(self, fd: int, mask: int) -> None:
        self._modify(fd, mask | _ONE_SHOT)

    def borrow(self, fd: int) -> None:
        try:
            self._modify(fd, READ | _ONE_SHOT)
        except FileNotFoundError:  # the first time, or a new file under an old number
            self._epoll.register(fd, READ | _ONE_SHOT)

    def remove(self, fd: int) -> None:
        self._epoll.unregister(fd)

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        events = self._epoll.poll(seconds, _BATCH)
        for event in events:
            if event[0] == self._wake_read:
                events.remove(event)
                _empty(self._wake_read)
                break
        return events

    def wake(self) -> None:
        _poke(self._wake_write)

    def close(self) -> None:
        self._epoll.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._wake_read = self._wake_write = -1  # the numbers may soon be somebody else's


class SelectorPoller:
    """`selectors.DefaultSelector`, used by the polling thread alone; others leave their wishes in a queue."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._watched: set[int] = set()
        self._wishes: deque[tuple[int, int]] = deque()  # (descriptor, mask); mask 0 forgets it

    def watch(self, fd: int) -> None:
        self._watched.add(fd)
        self.arm(fd, READ)

    def unwatch(self, fd: int) -> None:
        self._watched.discard(fd)
        self.remove(fd)

    def add(self, fd: int, mask: int) -> None:
        self.arm(fd, mask)

    def arm(self, fd: int, mask: int) -> None:
        self._wishes.append((fd, mask))
        _poke(self._wake_write)

    def borrow(self, fd: int) -> None:
        raise OSError(errno.ENOTSUP, "this poller watches the server's own descriptors only")

    def remove(self, fd: int) -> None:
        # A reported descriptor is not registered any more; one that is armed must go before its number is used again.
        self._wishes.append((fd, 0))
        _poke(self._wake_write)

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        self._grant()
        ready = []
        for key, events in self._selector.select(None if seconds < 0 else seconds):
            fd = key.fd
            if fd == self._wake_read:
                _empty(fd)
                continue
            if fd not in self._watched:
                self._selector.unregister(fd)
            ready.append((fd, (READ if events & selectors.EVENT_READ else 0) | (WRITE if events & 2 else 0)))
            if len(ready) == _BATCH:
                break
        return ready

    def _grant(self) -> None:
        known = self._selector.get_map()
        while self._wishes:
            fd, mask = self._wishes.popleft()
            events = (selectors.EVENT_READ if mask & READ else 0) | (selectors.EVENT_WRITE if mask & WRITE else 0)
            try:
                if fd in known:
                    self._selector.unregister(fd)
                if events:
                    self._selector.register(fd, events)
            except (OSError, ValueError, KeyError):  # closed in the meantime by a peer's reset or a time-out
                continue

    def wake(self) -> None:
        _poke(self._wake_write)

    def close(self) -> None:
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._wake_read = self._wake_write = -1  # the numbers may soon be somebody else's


def _poke(fd: int) -> None:
    try:
        os.write(fd, b"x")
    except (BlockingIOError, OSError):  # full: it is awake already; closed: nobody waits any more
        pass


def _empty(fd: int) -> None:
    try:
        while len(os.read(fd, 4096)) == 4096:
            pass
    except BlockingIOError:
        pass


def make_poller(kind: str) -> Poller:
    """`kind`: "epoll", "selectors", or "auto"."""
    if kind == "selectors" or (kind == "auto" and not hasattr(select, "epoll")):
        return SelectorPoller()
    return EpollPoller()
