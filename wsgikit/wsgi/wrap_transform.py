"""Body transforms: what `wrap()` runs a response body through.

Owns the protocol (`Transform`) and the five that cover most needs: `Blocks` (a function on each block), `Tap` (look,
do not touch), `Collect` (the whole body at once, bounded), `Replace` (another body instead) and `Discard` (none). It
must not know about headers, start_response or iteration: that is `wrap`'s business, so each transform is a few lines.

A transform belongs to one response. `wrap()` promises: either `whole()` once, or `feed()` for every non-empty block in
order and then `end()` once unless the client went away or the app failed. Nothing is called for HEAD, 204 and 304.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgikit.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Blocks", "Collect", "Discard", "Replace", "Tap", "Transform"]


class Transform:
    """Base class, and the identity.

    `keeps_length`: the body stays what it is, so Content-Length, ETag and digests stay true. `length`: bytes of the
    final body when they are known beforehand; `wrap()` then sends them as Content-Length. `wants_head`: hold the
    headers back until the first block, as they may still change (a transform with neither of the two above always
    does). `done`: nothing more will come out, so the app need not be iterated any further.
    """

    __slots__ = ()
    keeps_length = False
    length: int | None = None
    wants_head = False
    done = False

    def feed(self, block: bytes) -> bytes:
        """What to send for this block now; b"" when it is kept for later."""
        return block

    def end(self) -> bytes:
        """What is still to be sent after the last block."""
        return b""

    def whole(self, body: bytes) -> bytes:
        """The same for a body that is wholly there while the headers can still be changed.

        That is so when the app returned a list or tuple, or when its first block has the length it declared.
        """
        return self.feed(body) + self.end()


class Blocks(Transform):
    """Each block through a function, e.g. `Blocks(bytes.upper)`; `end` gives what follows the last one."""

    __slots__ = ("_end", "_feed")

    def __init__(self, feed: Callable[[bytes], bytes], end: Callable[[], bytes] = bytes) -> None:
        self._feed = feed
        self._end = end

    def feed(self, block: bytes) -> bytes:
        return self._feed(block)

    def end(self) -> bytes:
        return self._end()


class Tap(Transform):
    """Shows each block to a function and changes nothing. Bodies given to wsgi.file_wrapper are not shown."""

    __slots__ = ("_see",)
    keeps_length = True

    def __init__(self, see: Callable[[bytes], object]) -> None:
        self._see = see

    def feed(self, block: bytes) -> bytes:
        self._see(block)
        return block


class Collect(Transform):
    """Keeps the whole body, then sends `finish(body)`.

    `limit` bounds the bytes kept; one more raises LimitError("body-limit"), which the server (or a catch-all
    further out) answers with 500, as nothing has been sent by then. While it collects, one b"" goes out for each
    block in, so the server can notice a client that has gone (PEP 3333, "Middleware Handling of Block Boundaries").
    """

    __slots__ = ("_finish", "_kept", "_limit", "_size")

    def __init__(self, finish: Callable[[bytes], bytes], limit: int) -> None:
        self._finish = finish
        self._limit = limit
        self._kept: list[bytes] = []
        self._size = 0

    def feed(self, block: bytes) -> bytes:
        self._size += len(block)
        if self._size > self._limit:
            self._kept.clear()
            raise LimitError("body-limit", 500, f"response body is larger than {self._limit} bytes")
        self._kept.append(block)
        return b""

    def end(self) -> bytes:
        whole = b"".join(self._kept)
        self._kept.clear()
        return self._finish(whole)


class Replace(Transform):
    """Throws the app's body away and sends another one in its place."""

    __slots__ = ("_body", "done", "length")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)
        self.done = False

    def feed(self, block: bytes) -> bytes:
        self.done = True
        body, self._body = self._body, b""
        return body

    def end(self) -> bytes:
        return self.feed(b"")


class Discard(Transform):
    """Sends no body and leaves the headers alone: for a status that a hook has just changed to one without a body."""

    __slots__ = ()
    keeps_length = True
    done = True
