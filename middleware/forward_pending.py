"""What Forward returns while its upstream has not answered, on a server that can wait without a thread.

Owns the time between the request's last byte and the head of the response: blocks are empty until then, and the
response is started from within the iteration, as PEP 3333 allows. Must not know what becomes of a response.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from wsgikit.errors import UpstreamError
from wsgikit.middleware.forward_body import RelayBody

if TYPE_CHECKING:
    from wsgikit.middleware.forward_backend import Attempt, Reply
    from wsgikit.middleware.forward_body import Way
    from wsgikit.wsgi.waiter import Waiter


class PendingBody:
    """Becomes the body of what `answer(reply)` returns, or of `failed(error)`, once either is known."""

    __slots__ = ("_answer", "_attempt", "_begun", "_blocks", "_body", "_failed", "_waiter", "_way")

    def __init__(
        self,
        attempt: Attempt,
        waiter: Waiter,
        answer: Callable[[Reply], Iterable[bytes]],
        failed: Callable[[UpstreamError], Iterable[bytes]],
    ) -> None:
        self._attempt: Attempt | None = attempt
        self._waiter = waiter
        self._answer = answer
        self._failed = failed
        self._begun = False
        self._body: Iterable[bytes] = ()
        self._blocks: Iterator[bytes] | None = None
        self._way: Way | None = None

    def relay_through(self, way: Way) -> None:
        """Called by the server that is about to iterate: for the body that this becomes."""
        self._way = way

    def __iter__(self) -> PendingBody:
        return self

    def __next__(self) -> bytes:
        if self._blocks is None:
            attempt = self._attempt
            if attempt is None:
                raise StopIteration
            if not self._begun:
                # the request has just left: nothing can be here
                self._begun = True
                self._waiter.wish(attempt.fd, attempt.until)
                return b""
            blocks = self._look(attempt)
            if blocks is None:
                return b""
            self._blocks = blocks
        return next(self._blocks)

    def _look(self, attempt: Attempt) -> Iterator[bytes] | None:
        waiter = self._waiter
        try:
            reply = attempt.look()
            if reply is None:
                if waiter.wish(attempt.fd, attempt.until):
                    return None
                reply = attempt.look(wait=True)
        except UpstreamError as error:
            self._settle()
            self._body = self._failed(error)
            return iter(self._body)
        if reply is None:
            raise RuntimeError("waiting for an answer ended without one")
        self._settle()
        self._body = body = self._answer(reply)
        if self._way is not None and isinstance(body, RelayBody):
            body.relay_through(self._way)
        return iter(body)

    def _settle(self) -> None:
        self._attempt = None
        self._waiter.take_back()

    def close(self) -> None:
        """Called by the server in every case (PEP 3333)."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            self._waiter.take_back()
            attempt.desert()
        close = getattr(self._body, "close", None)
        if close is not None:
            close()
