"""Correct pieces that the broken middleware is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class Closing:
    """An iterable over another one that closes it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.inner)

    def close(self) -> None:
        """Close the inner iterable, if it can be closed."""
        if hasattr(self.inner, "close"):
            self.inner.close()


class Edited(Closing):
    """The same blocks from another object."""


class Passing(Closing):
    """Another body, one block for each of the inner iterable's."""

    def __init__(self, inner: Any, body: bytes) -> None:
        super().__init__(inner)
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for number, _ in enumerate(self.inner):
            yield b"" if number else self._body


def edit(app: Any, change: Callable[[Any], Any]) -> Callable[..., Any]:
    """A middleware that changes the header list and nothing else."""

    def middleware(environ: Any, start_response: Any) -> Any:
        def start(status: Any, headers: Any, *exc_info: Any) -> Any:
            return start_response(status, change(headers), *exc_info)

        return app(environ, start)

    return middleware
