"""`wsgi.errors`: a text stream that takes any string and never fails for its characters."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TextIO


class ErrorStream:
    """Write an app's error text to `sink`, or to whatever `sys.stderr` is when the text comes.

    Characters the sink cannot encode, lone surrogates among them, are written as backslash escapes (PEP 3333 asks that
    the stream accept arbitrary text). Unbuffered towards the sink, so that lines of several workers do not mix.
    """

    __slots__ = ("_sink",)

    def __init__(self, sink: TextIO | None = None) -> None:
        self._sink = sink

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors.write() takes str, not {type(text).__name__}")
        sink = sys.stderr if self._sink is None else self._sink
        if sink is None:  # pythonw, or a daemon that closed it
            return len(text)
        encoding = getattr(sink, "encoding", None) or "utf-8"
        sink.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sink.flush()
        return len(text)

    def writelines(self, lines: Iterable[str], /) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        sink = sys.stderr if self._sink is None else self._sink
        if sink is not None:
            sink.flush()
