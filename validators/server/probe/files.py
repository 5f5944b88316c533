"""Endpoints about wsgi.file_wrapper. Where the server has none, they say so and answer plainly."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from . import control
from .call import Call

CONTENT = b"".join(b"line %05d\n" % number for number in range(3000))


class Duck:
    """Nothing but read()."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


class Watched(Duck):
    """read() and a close() that reports."""

    def __init__(self, data: bytes, call: Call) -> None:
        super().__init__(data)
        self._call = call

    def close(self) -> None:
        self._call.report("file-closed")


class WatchedFile(io.FileIO):
    """A real file that reports its close()."""

    call: Call | None = None

    def close(self) -> None:
        if not self.closed and self.call is not None:
            self.call.report("file-closed")
        super().close()


def _real_file(call: Call, watched: bool = False) -> IO[bytes] | WatchedFile:
    descriptor, path = tempfile.mkstemp(prefix="probe-")
    os.write(descriptor, CONTENT)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.unlink(path)
    if not watched:
        return os.fdopen(descriptor, "rb")
    file = WatchedFile(descriptor, "rb")
    file.call = call
    return file


def _like(call: Call) -> Any:
    kinds: dict[str, Callable[[], Any]] = {
        "real": lambda: _real_file(call),
        "watched": lambda: _real_file(call, watched=True),
        "bytesio": lambda: io.BytesIO(CONTENT),
        "duck": lambda: Duck(CONTENT),
        "duck-close": lambda: Watched(CONTENT, call),
    }
    return kinds[call.option("kind", "real")]()


def file(call: Call) -> Any:
    """Returns a wrapped file: `kind`, `block`, `seek`, `length` (Content-Length), `as` (plain, generator, list)."""
    wrapper = call.environ.get("wsgi.file_wrapper")
    call.report("wrapper", present=wrapper is not None)
    if wrapper is None:
        return call.answer(b"no wrapper")
    source = _like(call)
    if call.option("seek"):
        source.seek(call.number("seek"))
    try:
        wrapped = wrapper(source, call.number("block")) if call.option("block") else wrapper(source)
    except BaseException:
        getattr(source, "close", lambda: None)()
        raise
    iterable = hasattr(type(wrapped), "__iter__") or hasattr(type(wrapped), "__getitem__")
    call.report("wrapped", close=hasattr(wrapped, "close"), iterable=iterable)
    length = call.number("length") if call.option("length") else None
    call.start_response("200 OK", call.headers(length))
    shapes: dict[str, Callable[[Call, Any], Any]] = {
        "plain": lambda call, it: it,
        "generator": _upper,
        "list": _collected,
    }
    return shapes[call.option("as", "plain")](call, wrapped)


def _upper(call: Call, wrapped: Any) -> Iterator[bytes]:
    try:
        for block in wrapped:
            yield block.upper()
    finally:
        call.attempt("wrapper-closed", getattr(wrapped, "close", lambda: None))


def _collected(call: Call, wrapped: Any) -> Iterable[bytes]:
    data = b"".join(wrapped)
    call.attempt("wrapper-closed", getattr(wrapped, "close", lambda: None))
    return [data]


def file_unused(call: Call) -> Iterable[bytes]:
    """Wraps a file, waits, and returns something else: not a byte of the file may be sent."""
    wrapper = call.environ.get("wsgi.file_wrapper")
    call.report("wrapper", present=wrapper is not None)
    body = b"something else"
    call.start_response("200 OK", call.headers(len(body)))
    if wrapper is not None:
        source = _real_file(call)
        wrapper(source)
        control.gate("go")
        source.close()
    return [body]


def file_derived(call: Call) -> Any:
    """Returns an instance of a subclass of the wrapper whose iteration differs: the fast path must not be taken."""
    wrapper = call.environ.get("wsgi.file_wrapper")
    derivable = isinstance(wrapper, type)
    call.report("wrapper", present=wrapper is not None, derivable=derivable)
    if not isinstance(wrapper, type):
        return call.answer(b"no class")
    try:
        derived = type("Derived", (wrapper,), {"__iter__": lambda self: iter([b"derived ", b"body"])})
        made = derived(_real_file(call))
    except TypeError as error:
        call.report("refused", text=str(error))
        return call.answer(b"no subclass")
    call.start_response("200 OK", call.headers())
    return made


ENDPOINTS = {"file": file, "file-unused": file_unused, "file-derived": file_derived}
