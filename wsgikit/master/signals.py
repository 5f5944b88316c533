"""Signals as values: a handler only leaves its number in a pipe, and the loop reads the pipe.

Nothing else happens in a handler, so no signal interrupts anything half done and none is lost: the numbers wait in the
pipe (64 KiB of them), and who waits for children looks at all of them whenever it wakes, because signals of one kind
merge while they are pending.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

LIFELINE = 0
"""In the result of `wait`: the other side of the watched pipe is gone. No signal has this number."""

_CHUNK = 65536


def _note(signum: int, frame: FrameType | None) -> None:
    """A handler in Python must exist, else the number does not reach the pipe."""


class SignalPipe:
    """Catches `signals` while it is entered; main thread only. `lifeline`: a pipe end that is watched for its end."""

    def __init__(self, signals: Iterable[int], lifeline: int = -1) -> None:
        self._signals = tuple(signals)
        self._lifeline = lifeline
        self._before: dict[int, Any] = {}
        self._read = self._write = self._wakeup_before = -1
        self._poll = select.poll()

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _note) for number in self._signals}
        self._poll.register(self._read, select.POLLIN)
        if self._lifeline >= 0:
            self._poll.register(self._lifeline, select.POLLIN)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._close()

    def wait(self, timeout: float) -> list[int]:
        """Signals that came, in their order; returns at once when there are some, else after `timeout` seconds."""
        ready = dict(self._poll.poll(max(timeout, 0.0) * 1000))
        numbers = list(self._drain()) if self._read in ready else []
        if self._lifeline in ready:
            self._poll.unregister(self._lifeline)
            self._lifeline = -1
            numbers.append(LIFELINE)
        return numbers

    def _drain(self) -> Iterator[int]:
        try:
            # A wake-up file descriptor gets every number Python handles, also of handlers that others installed.
            yield from (number for number in os.read(self._read, _CHUNK) if number in self._before)
        except BlockingIOError:
            pass

    def forget(self) -> None:
        """In a forked child: let go of the parent's pipe, and give every caught signal its default action."""
        signal.set_wakeup_fd(-1)
        for number in self._before:
            signal.signal(number, signal.SIG_DFL)
        self._before = {}
        self._close()

    def _close(self) -> None:
        for end in (self._read, self._write):
            if end >= 0:
                os.close(end)
        self._read = self._write = -1


@contextmanager
def held_back() -> Iterator[set[int]]:
    """No signal is delivered to this thread meanwhile; those that come wait. Yields the mask before."""
    before = {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())}
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
