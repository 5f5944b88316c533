"""Middleware that does what it may, in unusual ways: none of these breaks a rule."""

from __future__ import annotations

import zlib
from itertools import count
from typing import Any

from wsgikit.validators.specimens.middleware_parts import Closing, edit
from wsgikit.validators.specimens.model import legal

_CALLS = count()


@legal(seen_by="middleware")
def does_nothing(app: Any) -> Any:
    return app


@legal(seen_by="middleware")
def wraps_every_block(app: Any) -> Any:
    return lambda environ, start_response: Closing(app(environ, start_response))


@legal(seen_by="middleware")
def adds_a_header(app: Any) -> Any:
    return edit(app, lambda headers: [*headers, ("X-Frame-Options", "DENY")])


@legal(seen_by="middleware")
def tells_a_coarse_time(app: Any) -> Any:
    # mostly the same for two requests that follow each other, so that it looks like an answer to what was different
    return edit(app, lambda headers: [*headers, ("X-Took", "0.1" if next(_CALLS) % 5 == 4 else "0.0")])


@legal(seen_by="middleware")
def moves_the_path(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        script, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
        return app({**environ, "SCRIPT_NAME": script + "/a", "PATH_INFO": path.removeprefix("/a")}, start_response)

    return middleware


class _Whole:
    """Holds start_response back until the body is there, as an ETag needs it; gives an empty block for each one."""

    def __init__(self, app: Any, environ: Any, start_response: Any) -> None:
        self.server_start = start_response
        self.head: Any = None
        self.parts: list[bytes] = []
        self.inner = app(environ, self.start)

    def start(self, status: Any, headers: Any, exc_info: Any = None) -> Any:
        if exc_info is None and self.head is not None:
            raise AssertionError("started twice")
        self.head = (status, headers)
        return self.parts.append

    def __iter__(self) -> Any:
        for block in self.inner:
            self.parts.append(block)
            yield b""
        if self.head is not None:
            status, headers = self.head
            body = b"".join(self.parts)
            kept = [header for header in headers if header[0].lower() != "content-length"]
            self.server_start(status, [*kept, ("ETag", f'"{zlib.crc32(body)}"')])
            yield body

    def close(self) -> None:
        if hasattr(self.inner, "close"):
            self.inner.close()


@legal(seen_by="middleware")
def waits_for_the_whole_body(app: Any) -> Any:
    return lambda environ, start_response: _Whole(app, environ, start_response)


class _Zipped(Closing):
    def __init__(self, app: Any, environ: Any, start_response: Any) -> None:
        self.packer = zlib.compressobj()
        self.server_start = start_response
        super().__init__(app(environ, self.start))

    def start(self, status: Any, headers: Any, *exc_info: Any) -> Any:
        kept = [header for header in headers if header[0].lower() != "content-length"]
        self.packer = zlib.compressobj()
        write = self.server_start(status, [*kept, ("Content-Encoding", "deflate")], *exc_info)
        return lambda data: write(self.pack(data))

    def pack(self, data: bytes) -> bytes:
        return self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH)

    def __iter__(self) -> Any:
        for block in self.inner:
            yield self.pack(block) if block else b""
        yield self.packer.flush()


@legal(seen_by="middleware")
def compresses_as_it_goes(app: Any) -> Any:
    return lambda environ, start_response: _Zipped(app, environ, start_response)
