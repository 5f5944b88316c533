"""The iterable that the server gets instead of the app's: the same blocks, the same len(), and always a close().

It may add close(), which is how the lint learns the end of a request. It hides nothing: other attributes of the app's
iterable stay reachable, and a server that uses one is told so (S19).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import isgenerator
from typing import Any

from wsgikit.validators.lint.exchange import Exchange
from wsgikit.validators.lint.notes import Note
from wsgikit.validators.lint.places import definition, place_of
from wsgikit.validators.report.model import Location


class Blocks:
    """One walk over the app's blocks."""

    def __init__(self, exchange: Exchange, iterator: Iterator[Any]) -> None:
        self._exchange = exchange
        self._iterator = iterator

    def __iter__(self) -> Blocks:
        return self

    def __next__(self) -> Any:
        return _step(self._exchange, self._iterator)


class Body:
    """A body that is iterable and no more."""

    def __init__(self, exchange: Exchange, inner: Any, done: Callable[[Exchange], None]) -> None:
        self._exchange = exchange
        self._inner = inner
        self._done = done

    def __iter__(self) -> Iterator[Any]:
        return Blocks(self._exchange, iter(self._inner))

    def close(self) -> None:
        """Close the app's iterable, if it can be closed, and end the request."""
        exchange = self._exchange
        exchange.closes += 1
        try:
            close = getattr(self._inner, "close", None)
            if close is not None:
                close()
        finally:
            self._done(exchange)
        if exchange.closes > 1:
            exchange.judge([Note("S16", f"close() is called {exchange.closes} times")])

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not name.startswith("__"):
            self._exchange.judge([Note("S19", f"the server uses the attribute {name!r} of the app's iterable")])
        return value


class Sized:
    """Adds `__len__`, for an iterable that has one."""

    _inner: Any

    def __len__(self) -> int:
        return len(self._inner)


class Stepping:
    """Adds `__next__`, for an iterable that is its own iterator."""

    _exchange: Exchange
    _inner: Any

    def __iter__(self) -> Any:
        iter(self._inner)
        return self

    def __next__(self) -> Any:
        return _step(self._exchange, self._inner)


class SizedBody(Sized, Body):
    """A list, a tuple, or anything else that knows its length."""


class SteppingBody(Stepping, Body):
    """A generator or another iterator."""


class SizedSteppingBody(Sized, Stepping, Body):
    """An iterator that knows its length."""


_KINDS: dict[tuple[bool, bool], type[Body]] = {
    (False, False): Body,
    (True, False): SizedBody,
    (False, True): SteppingBody,
    (True, True): SizedSteppingBody,
}


def linted_body(exchange: Exchange, inner: Any, done: Callable[[Exchange], None]) -> Body:
    """The wrapper that offers what `inner` offers. `done` is told when the server closes it."""
    kind = type(inner)
    exchange.size = _size(inner)
    return _KINDS[hasattr(kind, "__len__"), hasattr(kind, "__next__")](exchange, inner, done)


def _size(inner: Any) -> int | None:
    """len() where it works; only a working one has to be accurate (A29)."""
    try:
        return len(inner)
    except Exception:
        return None


def _step(exchange: Exchange, iterator: Iterator[Any]) -> Any:
    if exchange.closes:
        exchange.judge([Note("S20", "a block is taken after close()")])
    try:
        item = next(iterator)
    except StopIteration:
        exchange.settle()
        exchange.judge_app(exchange.end())
        raise
    except BaseException:
        exchange.failed = True
        exchange.unsettle()
        raise
    exchange.settle()
    exchange.judge(exchange.block(item), _place(iterator) or definition(exchange.app))
    return item


def _place(iterator: Any) -> Location | None:
    """The line of the yield, where the iterator is a generator."""
    frame = iterator.gi_frame if isgenerator(iterator) else None
    return None if frame is None else place_of(frame)
