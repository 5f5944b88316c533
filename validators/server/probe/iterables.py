"""Iterables for response bodies that tell the driver what the server does to them.

Each reports its close(); what else it watches is in its docstring.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .call import Call


class Body:
    """Iterable and iterator in one. Reports exhaustion, errors, close(), and next() after close()."""

    def __init__(self, call: Call, items: Iterable[Any]) -> None:
        self.call = call
        self.items = iter(items)
        self.asked = 0
        self.closed = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.closed:
            self.call.report("next-after-close")
            raise StopIteration
        self.asked += 1
        try:
            return next(self.items)
        except StopIteration:
            self.call.report("exhausted", asked=self.asked)
            raise
        except Exception as error:
            self.call.report("raised", asked=self.asked, text=str(error))
            raise

    def close(self) -> None:
        self.closed += 1
        self.call.report("closed", asked=self.asked, object="iterable")


class TwoPieceBody:
    """An iterable whose iterator is another object; both have close()."""

    def __init__(self, call: Call, items: Iterable[bytes]) -> None:
        self.call = call
        self.list = list(items)

    def __iter__(self) -> Iterator[bytes]:
        return _Piece(self.call, self.list)

    def close(self) -> None:
        self.call.report("closed", object="iterable")


class _Piece:
    def __init__(self, call: Call, items: Iterable[bytes]) -> None:
        self.call = call
        self.items = iter(items)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.items)

    def close(self) -> None:
        self.call.report("closed", object="iterator")


class SizedBody:
    """An iterable with a length but no indexing; `length` may lie."""

    def __init__(self, call: Call, items: Iterable[bytes], length: int) -> None:
        self.call = call
        self.list = list(items)
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.list)

    def close(self) -> None:
        self.call.report("closed", object="iterable")


class TrappingBody:
    """Records every attribute that somebody asks for by name; special methods are looked up on the type, unseen."""

    def __init__(self, call: Call, items: Iterable[bytes]) -> None:
        object.__getattribute__(self, "__dict__").update(call=call, list=list(items), names=[])

    def __getattribute__(self, name: str) -> Any:
        object.__getattribute__(self, "__dict__")["names"].append(name)
        return object.__getattribute__(self, name)

    def __iter__(self) -> Iterator[bytes]:
        record = object.__getattribute__(self, "__dict__")
        yield from record["list"]
        record["call"].report("looked-at", names=sorted(set(record["names"])))

    def close(self) -> None:
        record = object.__getattribute__(self, "__dict__")
        record["call"].report("closed", object="iterable", names=sorted(set(record["names"])))
