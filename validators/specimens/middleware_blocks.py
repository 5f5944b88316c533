"""Middleware that breaks a rule of blocks or of close(), one rule each. Deliberately wrong: do not imitate."""

from __future__ import annotations

from typing import Any

from wsgikit.validators.specimens.middleware_parts import Closing, edit
from wsgikit.validators.specimens.model import breaks


@breaks("M01", seen_by="middleware")
def adds_a_broken_header(app: Any) -> Any:
    return edit(app, lambda headers: [*headers, ("X Broken:", "yes")])


@breaks("M01", seen_by="middleware")
def is_a_generator(app: Any) -> Any:
    """Runs the app with the first block, so an app that uses write() writes from inside the iterable (A41)."""

    def middleware(environ: Any, start_response: Any) -> Any:
        inner = app(environ, start_response)
        try:
            yield from inner
        finally:
            if hasattr(inner, "close"):
                inner.close()

    return middleware


@breaks("M02", seen_by="middleware")
def closes_connections(app: Any) -> Any:
    return edit(app, lambda headers: [*headers, ("Connection", "close")])


@breaks("M03", seen_by="middleware")
def declares_chunked(app: Any) -> Any:
    return edit(app, lambda headers: [*headers, ("Transfer-Encoding", "chunked")])


@breaks("M04", seen_by="middleware")
def one_block_behind(app: Any) -> Any:
    class Behind(Closing):
        def __iter__(self) -> Any:
            held = b""
            for block in self.inner:
                yield held
                held = block
            yield held

    return lambda environ, start_response: Behind(app(environ, start_response))


@breaks("M05", seen_by="middleware", implied={"M06": "two blocks became one", "M04": "the first of them waited"})
def two_blocks_at_a_time(app: Any) -> Any:
    class Pairs(Closing):
        def __iter__(self) -> Any:
            blocks = iter(self.inner)
            for block in blocks:
                yield block + next(blocks, b"")

    return lambda environ, start_response: Pairs(app(environ, start_response))


@breaks("M06", seen_by="middleware", implied={"M05": "to skip a block it has to ask for the next one"})
def skips_empty_blocks(app: Any) -> Any:
    class Filled(Closing):
        def __iter__(self) -> Any:
            return (block for block in self.inner if block)

    return lambda environ, start_response: Filled(app(environ, start_response))


@breaks("M07", seen_by="middleware")
def peeks_at_the_first_block(app: Any) -> Any:
    class Peeked(Closing):
        def __init__(self, inner: Any) -> None:
            super().__init__(inner)
            self.blocks = iter(inner)
            try:
                self.first = [next(self.blocks)]
            except StopIteration:
                self.first = []
            except BaseException:
                self.close()
                raise

        def __iter__(self) -> Any:
            yield from self.first
            yield from self.blocks

    return lambda environ, start_response: Peeked(app(environ, start_response))


@breaks("M08", seen_by="middleware", implied={"M01": "write() is called from inside the iterable (A41)"})
def sends_blocks_by_write(app: Any) -> Any:
    class Pushed(Closing):
        write: Any = None

        def __iter__(self) -> Any:
            for block in self.inner:
                if self.write is not None:
                    self.write(block)
                    yield b""
                else:
                    yield block

    def middleware(environ: Any, start_response: Any) -> Any:
        writes: list[Any] = []

        def start(*args: Any) -> Any:
            writes[:] = [start_response(*args)]
            return writes[0]

        pushed = Pushed(app(environ, start))
        pushed.write = writes[0] if writes else None
        return pushed

    return middleware


@breaks(
    "M09",
    seen_by="middleware",
    implied={
        "M01": "where the app starts with its first block, the banner is written from inside the iterable (A41)",
        "M12": "the banner sends the headers, so an app that starts again with exc_info comes too late",
    },
)
def writes_a_banner(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        def start(status: Any, headers: Any, *exc_info: Any) -> Any:
            headers = [header for header in headers if header[0].lower() != "content-length"]
            write = start_response(status, headers, *exc_info)
            write(b"banner ")
            return write

        return app(environ, start)

    return middleware


@breaks("M10", seen_by="middleware")
def forgets_to_close(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        inner = app(environ, start_response)
        return (block for block in inner)

    return middleware


@breaks("M10", seen_by="middleware")
def closes_when_it_was_begun(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        inner = app(environ, start_response)

        def blocks() -> Any:
            try:
                yield from inner
            finally:
                if hasattr(inner, "close"):
                    inner.close()

        return blocks()

    return middleware


@breaks("M11", seen_by="middleware")
def closes_the_iterator(app: Any) -> Any:
    class Blocks:
        def __init__(self, inner: Any) -> None:
            self.blocks = iter(inner)

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> Any:
            return next(self.blocks)

        def close(self) -> None:
            if hasattr(self.blocks, "close"):
                self.blocks.close()

    return lambda environ, start_response: Blocks(app(environ, start_response))


@breaks("M11", seen_by="middleware")
def closes_at_the_end_and_again(app: Any) -> Any:
    class Blocks(Closing):
        def __iter__(self) -> Any:
            yield from self.inner
            self.close()

    return lambda environ, start_response: Blocks(app(environ, start_response))
