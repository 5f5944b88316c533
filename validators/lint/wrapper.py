"""environ["wsgi.file_wrapper"] as the app gets it: the server's own, watched.

What it makes is the server's own object and stays untouched, so that the server recognises it; `isinstance(x, wrapper)`
answers as the server's class would.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wsgikit.validators.lint.exchange import Exchange
from wsgikit.validators.lint.notes import Note, shown


class FileWrapper:
    """Calls the server's file_wrapper and remembers what it made."""

    def __init__(self, exchange: Exchange, wrapper: Any) -> None:
        self._exchange = exchange
        self._wrapper = wrapper
        self._made: list[Any] = []

    def __call__(self, *args: Any, **options: Any) -> Any:
        filelike = args[0] if args else None
        self._exchange.recorder.used.add("wsgi.file_wrapper")
        self._exchange.judge(_filelike_notes(filelike))
        try:
            made = self._wrapper(*args, **options)
        except TypeError as error:
            inside = error.__traceback__ is not None and error.__traceback__.tb_next is not None
            if not inside and len(args) in (1, 2) and not options:
                self._exchange.judge([Note("S86", f"file_wrapper with {len(args)} arguments raised {shown(error)}")])
            raise
        self._made.append(made)
        self._exchange.judge(_made_notes(filelike, made))
        return made

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, self._wrapper)

    def __subclasscheck__(self, kind: type) -> bool:
        return issubclass(kind, self._wrapper)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapper, name)

    def made(self, value: object) -> bool:
        """Whether this object came out of the server's file_wrapper."""
        return any(value is one for one in self._made)


def _filelike_notes(filelike: object) -> Iterable[Note]:
    if not callable(getattr(filelike, "read", None)):
        yield Note("A52", f"file_wrapper got {shown(filelike)}, which has no read()")


def _made_notes(filelike: object, made: object) -> Iterable[Note]:
    if not (hasattr(type(made), "__iter__") or hasattr(type(made), "__getitem__")):
        yield Note("S87", f"file_wrapper returned {shown(made)}, which is not iterable")
    if hasattr(filelike, "close") and not hasattr(made, "close"):
        yield Note("S89", "the file has a close() and what file_wrapper made of it has none")
