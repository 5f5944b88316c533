"""The body of an upstream's response, relayed block by block as it arrives.

Owns what the server may ask of an iterable while an upstream is slow, fails or ends early. A truncated body never ends
like a whole one: before the first byte it becomes an error page, after it the client's connection is aborted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from wsgikit.client import Response
from wsgikit.errors import Disconnected, UpstreamError

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Page: TypeAlias = Callable[[UpstreamError, Any], bytes]

# How often an empty block tells the server that we are still here: its own time for an app runs from block to block
# (30 s by default), and an event stream may be silent for longer.
HEARTBEAT = 5.0
# How long the first byte of a body is waited for before the head goes without it, where the server can do that.
HEAD_ALONE = 0.2


class RelayBody:
    """What Forward returns to the server.

    `failed(error, exc_info)` is called when the upstream fails before a byte was handed out: it starts another response
    and returns its body. `ended(error)` is called once, when all is over: None for a body that is whole, Disconnected
    when the client has left. `flush()` sends the head alone and says whether it is out, None where the server cannot;
    `at_once`: it is not waited for a byte before that.
    """

    __slots__ = ("_begun", "_ended", "_failed", "_flush", "_pauses", "_response")

    def __init__(
        self,
        response: Response,
        failed: Page,
        ended: Callable[[BaseException | None], object],
        flush: Callable[[], bool] | None = None,
        at_once: bool = False,
    ) -> None:
        self._response = response
        self._failed: Page | None = failed
        self._ended: Callable[[BaseException | None], object] | None = ended
        self._begun = False
        self._flush = flush
        # twice: a layer further out may hold the head back until it gets a block, be it an empty one
        self._pauses = 2 * [0.0 if at_once else HEAD_ALONE] if flush is not None else []

    def __iter__(self) -> RelayBody:
        return self

    def __next__(self) -> bytes:
        if self._ended is None:
            raise StopIteration
        try:
            block = self._response.read(self._pauses.pop() if self._pauses else HEARTBEAT)
            if block is None and not self._begun and self._flush is not None:
                self._begun = self._flush()
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
        if not self._begun:
            self._begun = True
            self._pauses.clear()
        return block

    def _end(self, error: BaseException | None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(error)

    def close(self) -> None:
        """Called by the server in every case (PEP 3333). A body that was not read to its end takes its connection."""
        done = self._response.done
        self._response.close()
        self._end(None if done else Disconnected("the client took no more"))
