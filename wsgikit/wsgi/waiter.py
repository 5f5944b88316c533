"""How an app waits behind an empty block (`wsgikit.pause`), also where a layer further out keeps such blocks.

Owns when waiting so is of no use, and the thread has to wait. Must not know what is waited for.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from wsgikit.errors import Disconnected

# Times in a row that nobody may have waited behind an empty block: by then somebody takes such blocks for himself
# instead of passing them on.
_FRUITLESS = 3


class Waiter:
    """Waits for a descriptor without a thread. `pause` is `wsgikit.pause`; `gone` is `wsgikit.client_gone`, None where
    the client is not to be watched."""

    __slots__ = ("_gone", "_pause", "_tries", "_until")

    def __init__(self, pause: Any, gone: Any = None) -> None:
        self._pause = pause
        self._gone = gone
        self._tries = 0
        self._until = 0.0

    def wish(self, fd: int, until: float) -> bool:
        """Wait for `fd` behind an empty block, until a time in monotonic seconds. False: it is of no use any more.

        Disconnected: the client has left.
        """
        pause = self._pause
        watched = self._gone is not None
        if watched and (pause.left or (pause.open and self._gone)):
            raise Disconnected("the client has left")
        if until != self._until or not pause.open:
            self._until, self._tries = until, 0
        else:  # nobody has waited
            self._tries += 1
            if self._tries > _FRUITLESS:
                self._tries = 0
                return False
        pause(fd, max(0.0, until - monotonic()), client=watched)
        return True

    def let_others(self, fd: int) -> None:
        """Have others go first behind an empty block. Disconnected: the client has left."""
        self.wish(fd, monotonic())

    def take_back(self) -> None:
        """Nothing is waited for any more, whoever asks for blocks: what was waited for is here, or nobody wants it."""
        self._until = 0.0
        self._pause(-1, 0.0)
