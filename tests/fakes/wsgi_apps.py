"""Adversarial apps: legal, but not what most middleware was written against; and a few that break the rules.

Each is made fresh for a request by `make(name)`; `closed` counts calls of close() on the object it returned, `nexts`
how many blocks were asked for. `LEGAL` and `FAILING` name them; `BODIES` says what a client must get.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

TEXT = [("Content-Type", "text/plain; charset=utf-8")]
BLOCKS = [b"first block, ", b"second block, ", b"third block"]
WHOLE = b"".join(BLOCKS)


class Made:
    """An app and what happened to it."""

    def __init__(self, call: Callable[[Made, dict[str, Any], Any], Any]) -> None:
        self._call = call
        self.closed = 0
        self.nexts = 0
        self.touched_in_call = False
        self.environ: dict[str, Any] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if type(environ) is not dict:
            raise TypeError("environ must be a builtin dict")
        self.environ = environ
        return self._call(self, environ, start_response)

    def body(self, iterator: Iterator[bytes]) -> Body:
        return Body(self, iterator)


class Body:
    """An iterable that is not its own iterator; close() is on the iterable alone, and nothing else may be touched."""

    def __init__(self, made: Made, iterator: Iterator[bytes]) -> None:
        self._made = made
        self._iterator = iterator

    def __iter__(self) -> Iterator[bytes]:
        for block in self._iterator:
            self._made.nexts += 1
            yield block

    def close(self) -> None:
        self._made.closed += 1

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AssertionError(f"middleware looked at .{name} of the app's iterable")


class Falsy(Body):
    def __bool__(self) -> bool:
        return False


class Sized(Body):
    def __len__(self) -> int:
        return 1


class SelfIterator:
    """Iterable, iterator and close() in one, as old frameworks have it."""

    def __init__(self, made: Made) -> None:
        self._made = made
        self._blocks = iter(BLOCKS)

    def __iter__(self) -> SelfIterator:
        return self

    def __next__(self) -> bytes:
        self._made.nexts += 1
        return next(self._blocks)

    def close(self) -> None:
        self._made.closed += 1


class FailingClose(Body):
    def close(self) -> None:
        super().close()
        raise OSError("close failed")


class NoFile(io.BytesIO):
    def __init__(self, made: Made, content: bytes) -> None:
        super().__init__(content)
        self._made = made

    def close(self) -> None:
        if not self.closed:
            self._made.closed += 1
        super().close()


_APPS: dict[str, Callable[[Made, dict[str, Any], Any], Any]] = {}
LEGAL: list[str] = []
FAILING: list[str] = []
BODIES: dict[str, bytes] = {}
CLOSES: set[str] = set()
# lists, tuples, and bodies whose first block has the length they declared
WHOLE_AT_ONCE = {
    "plain_list",
    "list_of_blocks",
    "tuple_of_blocks",
    "empty_list",
    "one_block_declared",
    "redirect",
    "repeated_fields",
    "partial",
    "encoded",
    "file_body",
}


def _legal(body: bytes = WHOLE, *, closes: bool = True) -> Any:
    def register(call: Any) -> Any:
        _APPS[call.__name__] = call
        LEGAL.append(call.__name__)
        BODIES[call.__name__] = body
        if closes:
            CLOSES.add(call.__name__)
        return call

    return register


def _failing(call: Any) -> Any:
    _APPS[call.__name__] = call
    FAILING.append(call.__name__)
    return call


def make(name: str) -> Made:
    return Made(_APPS[name])


@_legal(closes=False)
def plain_list(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", [*TEXT, ("Content-Length", str(len(WHOLE)))])
    return [WHOLE]


@_legal(closes=False)
def list_of_blocks(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", list(TEXT))
    return list(BLOCKS)


@_legal(closes=False)
def tuple_of_blocks(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", list(TEXT))
    return tuple(BLOCKS)


@_legal(b"", closes=False)
def empty_list(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", [*TEXT, ("Content-Length", "0")])
    return []


@_legal()
def eager_iterable(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", [*TEXT, ("Content-Length", str(len(WHOLE)))])
    return made.body(iter(BLOCKS))


@_legal()
def one_block_declared(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", [*TEXT, ("content-length", str(len(WHOLE)))])
    return made.body(iter([WHOLE]))


@_legal()
def own_iterator(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", list(TEXT))
    return SelfIterator(made)


@_legal(closes=False)
def lazy_generator(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", list(TEXT))
    yield from BLOCKS


@_legal()
def lazy_iterable(made: Made, environ: Any, start: Any) -> Any:
    def blocks() -> Iterator[bytes]:
        start("200 OK", [*TEXT, ("Content-Length", str(len(WHOLE)))])
        yield from BLOCKS

    return made.body(blocks())


@_legal(b"")
def lazy_and_empty(made: Made, environ: Any, start: Any) -> Any:
    def blocks() -> Iterator[bytes]:
        start("200 OK", list(TEXT))
        yield from ()

    return made.body(blocks())


@_legal(b"")
def falsy_iterable(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", [*TEXT, ("Content-Length", "0")])
    return Falsy(made, iter(()))


@_legal()
def sized_iterable(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", list(TEXT))
    return Sized(made, iter([WHOLE]))


@_legal()
def empty_blocks_between(made: Made, environ: Any, start: Any) -> Any:
    def blocks() -> Iterator[bytes]:
        start("200 OK", list(TEXT))
        yield b""
        for block in BLOCKS:
            yield block
            yield b""

    return made.body(blocks())


@_legal(closes=False)
def only_write(made: Made, environ: Any, start: Any) -> Any:
    write = start("200 OK", list(TEXT))
    for block in BLOCKS:
        write(block)
    return []


@_legal()
def write_then_iterate(made: Made, environ: Any, start: Any) -> Any:
    write = start("200 OK", [*TEXT, ("Content-Length", str(len(WHOLE)))])
    write(BLOCKS[0])
    return made.body(iter(BLOCKS[1:]))


@_legal()
def mind_changed_in_call(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", [*TEXT, ("X-Old", "1"), ("Content-Length", "3")])
    try:
        raise ValueError("before output")
    except ValueError:
        start("500 Oops", list(TEXT), sys.exc_info())
    return made.body(iter(BLOCKS))


@_legal()
def mind_changed_while_iterating(made: Made, environ: Any, start: Any) -> Any:
    def blocks() -> Iterator[bytes]:
        yield b""
        try:
            raise ValueError("before output")
        except ValueError:
            start("500 Oops", list(TEXT), sys.exc_info())
        yield from BLOCKS

    start("200 OK", [*TEXT, ("X-Old", "1")])
    return made.body(blocks())


@_legal(closes=False)
def repeated_fields(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", [*TEXT, ("ETag", '"v1"'), ("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("X-Latin", "caf\xe9")])
    return [WHOLE]


@_legal()
def file_body(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", [*TEXT, ("Content-Length", str(len(WHOLE)))])
    return environ["wsgi.file_wrapper"](NoFile(made, WHOLE))


@_legal(b"")
def no_content(made: Made, environ: Any, start: Any) -> Any:
    start("204 No Content", [])
    return made.body(iter(()))


@_legal(b"")
def not_modified(made: Made, environ: Any, start: Any) -> Any:
    start("304 Not Modified", [("ETag", '"v1"'), ("Content-Length", "33")])
    return made.body(iter(()))


@_legal(b"", closes=False)
def redirect(made: Made, environ: Any, start: Any) -> Any:
    start("302 Found", [("Location", "/elsewhere"), ("Content-Length", "0"), ("Content-Type", "text/plain")])
    return []


@_legal(WHOLE[6:11])
def partial(made: Made, environ: Any, start: Any) -> Any:
    span = [("Content-Range", f"bytes 6-10/{len(WHOLE)}"), ("Content-Length", "5")]
    start("206 Partial Content", [*TEXT, *span])
    return made.body(iter([WHOLE[6:11]]))


@_legal(b"\x1f\x8bwhatever")
def encoded(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", [*TEXT, ("Content-Encoding", "gzip"), ("Content-Length", "10")])
    return made.body(iter([b"\x1f\x8bwhatever"]))


@_failing
def raises_in_call(made: Made, environ: Any, start: Any) -> Any:
    raise ValueError("in call")


@_failing
def raises_after_start(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", list(TEXT))
    raise ValueError("after start")


@_failing
def raises_before_first_block(made: Made, environ: Any, start: Any) -> Any:
    def blocks() -> Iterator[bytes]:
        start("200 OK", list(TEXT))
        raise ValueError("before first block")
        yield b""

    return made.body(blocks())


@_failing
def raises_after_first_block(made: Made, environ: Any, start: Any) -> Any:
    def blocks() -> Iterator[bytes]:
        yield BLOCKS[0]
        raise ValueError("after first block")

    start("200 OK", list(TEXT))
    return made.body(blocks())


@_failing
def raises_in_close(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", list(TEXT))
    return FailingClose(made, iter(BLOCKS))


@_failing
def mind_changed_too_late(made: Made, environ: Any, start: Any) -> Any:
    def blocks() -> Iterator[bytes]:
        yield BLOCKS[0]
        try:
            raise ValueError("after output")
        except ValueError:
            start("500 Oops", list(TEXT), sys.exc_info())
        yield b"this must never be sent"

    start("200 OK", list(TEXT))
    return made.body(blocks())


@_failing
def written_then_mind_changed(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", list(TEXT))(BLOCKS[0])
    try:
        raise ValueError("after write")
    except ValueError:
        start("500 Oops", list(TEXT), sys.exc_info())
    return [b"this must never be sent"]


@_failing
def starts_twice(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", list(TEXT))
    start("200 OK", list(TEXT))
    return made.body(iter(BLOCKS))


@_failing
def never_starts(made: Made, environ: Any, start: Any) -> Any:
    return made.body(iter(BLOCKS))


@_failing
def never_starts_and_is_empty(made: Made, environ: Any, start: Any) -> Any:
    return made.body(iter(()))


@_failing
def returns_none(made: Made, environ: Any, start: Any) -> Any:
    start("200 OK", list(TEXT))
