"""`wsgi.input` for a body that arrives while the app runs.

Owns the reading methods of PEP 3333, with one position for all of them. It must not know the wire: blocks come from
`pull`, which gives the next decoded block, or b"" at the end, and raises what the peer did wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator


class StreamInput:
    """A body read as it arrives. Methods block until they have what was asked for, or the body ends.

    Besides the methods of PEP 3333 there is `read1(size)`, which gives what has arrived and blocks only when that is
    nothing: what a proxy needs to relay a slow upload. Errors: ProtocolError for a body that breaks its framing or
    ends early, LimitError past `max_body`, PeerTimeout for one that comes too slowly.
    """

    __slots__ = ("_at_end", "_block", "_move", "_offset", "_pull")

    def __init__(
        self, pull: Callable[[], bytes], move: Callable[[int, int], tuple[int, bytes] | None] | None = None
    ) -> None:
        self._pull = pull
        self._move = move
        self._block = b""
        self._offset = 0
        self._at_end = False

    def _fill(self) -> bool:
        """Get a block when the present one is used up. False at the end of the body."""
        while self._offset >= len(self._block):
            if self._at_end:
                return False
            self._offset = 0
            self._block = b""
            self._block = self._pull()
            self._at_end = not self._block
        return True

    def _take(self, stop: int) -> bytes:
        start = self._offset
        self._offset = min(stop, len(self._block))
        return self._block if start == 0 and stop >= len(self._block) else self._block[start : self._offset]

    def read(self, size: int | None = -1, /) -> bytes:
        """`size` bytes, fewer only at the end of the body; without `size`, all that is left."""
        left = -1 if size is None else size
        parts = []
        while left and self._fill():
            part = self._take(len(self._block) if left < 0 else self._offset + left)
            parts.append(part)
            if left > 0:
                left -= len(part)
        return b"".join(parts)

    def read1(self, size: int = -1, /) -> bytes:
        """What has arrived, at most `size` bytes; b"" only at the end of the body (or for size 0)."""
        if size == 0 or not self._fill():
            return b""
        return self._take(len(self._block) if size < 0 else self._offset + size)

    def move(self, target: int, most: int, /) -> tuple[int, bytes] | None:
        """As `read1`, but what has arrived goes to another socket, whose descriptor `target` is, without being handed
        out: how many bytes left here, and those of them that the socket did not take, now or at all. None: `read1` is
        to be used for what comes next."""
        if self._move is None or self._offset < len(self._block):
            return None
        return self._move(target, most)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Up to and with the next LF, at most `size` bytes."""
        left = -1 if size is None else size
        parts = []
        while left and self._fill():
            stop = self._block.find(b"\n", self._offset) + 1 or len(self._block)
            if left > 0:
                stop = min(stop, self._offset + left)
            part = self._take(stop)
            parts.append(part)
            if part.endswith(b"\n"):
                break
            if left > 0:
                left -= len(part)
        return b"".join(parts)

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """The lines that are left; with `hint`, only until so many bytes have been read."""
        lines = []
        count = 0
        for line in self:
            lines.append(line)
            count += len(line)
            if hint is not None and 0 < hint <= count:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line
