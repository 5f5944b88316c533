"""The iterables `wrap()` returns when it cannot return the app's own.

Owns iteration and close(): one block out for each in, the object the app returned is closed exactly once, and after
it the middleware's own hook runs even if that close() fails. Must not know about headers.

The response never refers to the body, only the other way round: an app's generator holds start_response, which holds
the response, and a reference back would make every request a cycle for the garbage collector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from wsgikit.wsgi.wrap import Response

__all__ = ["Closing", "SizedClosing", "TransformedBody", "close_after"]


class Closing:
    """The app's iterable with one more thing to do at close()."""

    __slots__ = ("_after", "_iterable", "_open")

    def __init__(self, iterable: Iterable[bytes], after: Callable[[], object]) -> None:
        self._iterable = iterable
        self._after = after
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._iterable)

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        iterable, self._iterable = self._iterable, ()
        try:
            close = getattr(iterable, "close", None)
            if close is not None:
                close()
        finally:
            self._after()


class SizedClosing(Closing):
    """The same for an iterable that has a length: PEP 3333 lets a server make a Content-Length from a length of 1."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._iterable)  # type: ignore[arg-type]


def close_after(iterable: Iterable[bytes], after: Callable[[], object]) -> Closing:
    """`iterable`, and `after()` once it has been closed; has a length only if `iterable` has."""
    # looked up on the type: PEP 3333 lets nobody use other attributes of an app's iterable
    return (SizedClosing if hasattr(type(iterable), "__len__") else Closing)(iterable, after)


class TransformedBody:
    """Iterates the app's iterable through the response's transform (or unchanged, when the app decides late)."""

    __slots__ = ("_iterable", "_iterator", "_open", "_response")

    def __init__(self, iterable: Iterable[bytes], response: Response) -> None:
        self._iterable = iterable
        self._iterator: Iterator[bytes] | None = None
        self._open = True
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        response = self._response
        if response.complete:
            raise StopIteration
        try:
            iterator = self._iterator
            if iterator is None:
                iterator = self._iterator = iter(self._iterable)
            block = next(iterator)
        except StopIteration:
            tail = response.end_body()
            if tail:
                return tail
            raise
        except Exception:
            return response.rescue()
        return response.pass_block(block)

    def close(self) -> None:
        """Close what the app returned (not its iterator), then tell the middleware; once, whatever happens."""
        if not self._open:
            return
        self._open = False
        self._response.complete = True
        iterable, self._iterable, self._iterator = self._iterable, (), None
        try:
            close = getattr(iterable, "close", None)
            if close is not None:
                close()
        finally:
            self._response.closed()
