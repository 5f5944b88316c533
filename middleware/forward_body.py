"""The body of an upstream's response, relayed block by block as it arrives.

Owns what the server may ask of an iterable while an upstream is slow, fails or ends early. A truncated body never ends
like a whole one: before the first byte it becomes an error page, after it the client's connection is aborted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from wsgikit.client import Response
from wsgikit.errors import Disconnected, UpstreamError

if TYPE_CHECKING:
    from typing import TypeAlias

    from wsgikit.wsgi.waiter import Waiter

    Page: TypeAlias = Callable[[UpstreamError, Any], bytes]

# How often an empty block tells the server that we are still here: its own time for an app runs from block to block
# (30 s by default), and an event stream may be silent for longer.
HEARTBEAT = 5.0
# How long the first byte of a body is waited for before the head goes without it, where the server can do that.
HEAD_ALONE = 0.2

# Bytes after which a body that never makes us wait lets other connections go first: as many such bodies as there are
# threads would else keep everybody from being heard.
TURN = 1024 * 1024


class Way(Protocol):
    """The server's response, as a body sees it that does not go through the app."""

    @property
    def relaying(self) -> bool:
        """Whether `relay` may be used now."""

    def relay(self, source: int, most: int, /) -> int | None:
        """Send what has come on a socket: how many bytes, 0 at its end, None when nothing has. OSError of the socket;
        Disconnected: the client has left."""


class HeadAlone:
    """A head whose body does not come: at first for a moment (`at_once`: not at all), then a second time, because a
    layer further out may hold it back until it gets a block, be it an empty one. `flush` is `wsgikit.flush_head`."""

    __slots__ = ("_flush", "_patience", "by")

    def __init__(self, flush: Callable[[], bool], *, at_once: bool) -> None:
        self._flush = flush
        self._patience = 2 * [0.0 if at_once else HEAD_ALONE]
        self.by = 0.0  # monotonic seconds of the next try; 0 before the first wait, infinity after the last try

    def left(self) -> float:
        """Seconds until the next try."""
        now = monotonic()
        if not self.by:
            self.by = now + self._patience.pop()
        return max(0.0, self.by - now)

    def sent(self) -> bool:
        """Send it if its time has come; whether it is out."""
        if self.left() > 0:
            return False
        self.by = monotonic() + self._patience.pop() if self._patience else inf
        return self._flush()


class RelayBody:
    """What Forward returns to the server.

    `failed(error, exc_info)` is called when the upstream fails before a byte was handed out: it starts another response
    and returns its body. `ended(error)` is called once, when all is over: None for a body that is whole, Disconnected
    when the client has left. `waiter`: None has the thread wait. `alone`: None where the head cannot go without a body.

    Where the server itself has this object in hand, and not a layer in between, large bodies do not come by here: the
    server passes them on from socket to socket (`relay_through`), and blocks are empty.
    """

    __slots__ = ("_alone", "_begun", "_ended", "_failed", "_response", "_turn", "_until", "_waiter", "_way")

    def __init__(
        self,
        response: Response,
        failed: Page,
        ended: Callable[[BaseException | None], object],
        waiter: Waiter | None = None,
        alone: HeadAlone | None = None,
    ) -> None:
        self._response = response
        self._failed: Page | None = failed
        self._ended: Callable[[BaseException | None], object] | None = ended
        self._begun = False
        self._waiter = waiter
        self._alone = alone
        self._until = 0.0  # monotonic seconds at which the next byte has to be here; 0 while none is waited for
        self._turn = 0  # bytes since somebody else could have his
        self._way: Way | None = None

    def relay_through(self, way: Way) -> None:
        """Called by the server that is about to iterate."""
        self._way = way

    def __iter__(self) -> RelayBody:
        return self

    def __next__(self) -> bytes:
        if self._ended is None:
            raise StopIteration
        try:
            block = self._read()
        except UpstreamError as error:
            self._end(error)
            failed, self._failed = self._failed, None
            if self._begun or failed is None:
                # Nothing else than an exception tells the server that this is no end (RFC 9112 8).
                raise Disconnected(f"the upstream's answer was cut short: {error}") from error
            return failed(error, sys.exc_info())
        except BaseException as error:
            self._end(error)
            raise
        if block is None:
            return b""
        if not block:
            self._end(None)
            raise StopIteration
        self._begun = True
        return block

    def _read(self) -> bytes | None:
        """The next block; None where there is none yet, and an empty one is to go out."""
        waiter, response = self._waiter, self._response
        if waiter is None:
            alone = None if self._begun else self._alone
            block = response.read(HEARTBEAT if alone is None else min(HEARTBEAT, alone.left()))
            if block is None and alone is not None:
                self._begun = alone.sent()
            return block
        if self._turn >= TURN and not response.arrived:
            self._turn, self._until = 0, response.patience()
            waiter.let_others(response.fileno())
            return None
        way, block, count = self._way, None, None
        moving = way is not None and way.relaying and response.movable
        if way is not None and moving:
            self._begun = True  # the head is out, whoever sent it
            count = response.move(way.relay)
        if count is None and (self._until or not moving):  # what was waited for may be here and not be movable
            block = response.read_now()
            count = None if block is None else len(block)
        if count is None:
            self._turn = 0
            return self._wait(waiter)
        self._turn += count
        if self._until:
            self._until = 0.0
            waiter.take_back()
        return block

    def _wait(self, waiter: Waiter) -> bytes | None:
        response, now = self._response, monotonic()
        if not self._until:
            self._until = response.patience()
        elif now >= self._until:
            response.expire()
        until = self._until
        if self._alone is not None and not self._begun:
            self._begun = self._alone.sent()
            until = min(until, self._alone.by)
        if waiter.wish(response.fileno(), until):
            return None
        waiter.take_back()
        return response.read(HEARTBEAT)

    def _end(self, error: BaseException | None) -> None:
        ended, self._ended = self._ended, None
        if self._until and self._waiter is not None:
            self._waiter.take_back()
        if ended is not None:
            ended(error)

    def close(self) -> None:
        """Called by the server in every case (PEP 3333). A body that was not read to its end takes its connection."""
        done = self._response.done
        self._end(None if done else Disconnected("the client took no more"))
        self._response.close()
