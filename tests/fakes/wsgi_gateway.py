"""A strict gateway without sockets: drives one app through one request and writes down all it saw.

It follows PEP 3333 to the letter where real servers are lenient: a second start_response without exc_info, header
changes after output, blocks that are not bytes and hop-by-hop fields are errors here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
}


class FileWrapper:
    """What a server offers as wsgi.file_wrapper."""

    def __init__(self, filelike: Any, block_size: int = 8192) -> None:
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        block = self.filelike.read(self.block_size)
        if not block:
            raise StopIteration
        return block


def make_environ(method: str = "GET", path: str = "/", *, body: bytes = b"", **extra: Any) -> dict[str, Any]:
    """A complete environ; keywords with an underscore first are `wsgi.`/`wsgikit.` keys given by `extra={...}`."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "HTTP_HOST": "shop.example",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    environ.update(extra)
    return environ


@dataclass
class Seen:
    """What a client and the gateway's log would know about one request."""

    status: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    blocks: list[bytes] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    returned: Any = None
    error: BaseException | None = None
    aborted: bool = False
    starts: int = 0
    environ: dict[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return b"".join(self.written) + b"".join(self.blocks)

    @property
    def code(self) -> int:
        return int(self.status[:3])

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


class _Gateway:
    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.head: tuple[str, list[tuple[str, str]]] | None = None
        self.sent = False

    def start_response(self, status: Any, headers: Any, exc_info: Any = None, /) -> Callable[[bytes], None]:
        self.seen.starts += 1
        if exc_info is not None:
            try:
                if self.sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.head is not None:
            raise RuntimeError("gateway: start_response() twice")
        if type(status) is not str or type(headers) is not list:
            raise TypeError(f"gateway: start_response({type(status)}, {type(headers)})")
        for name, value in headers:
            if type(name) is not str or type(value) is not str or name.lower() in HOP_BY_HOP:
                raise TypeError(f"gateway: bad field {name!r}: {value!r}")
        self.head = (status, list(headers))
        headers.append(("X-Gateway-Was-Here", "1"))  # PEP 3333 lets a server change the list
        return self.write

    def output(self, block: Any) -> None:
        if type(block) is not bytes:
            raise TypeError(f"gateway: {type(block)} in the body")
        if self.head is None:
            raise RuntimeError("gateway: body before start_response()")
        if block:
            self.sent = True

    def write(self, block: bytes, /) -> None:
        self.output(block)
        self.sent = True
        self.seen.written.append(block)


def drive(app: Any, environ: dict[str, Any] | None = None, *, take: int | None = None) -> Seen:
    """One request. `take`: the client goes away after so many blocks. Exceptions end up in `error`."""
    seen = Seen(environ=make_environ() if environ is None else environ)
    gateway = _Gateway(seen)
    callbacks: list[Callable[[], object]] = []
    if seen.environ.get("wsgikit.on_close") is True:
        seen.environ["wsgikit.on_close"] = callbacks.append
    before = dict(seen.environ)
    try:
        seen.returned = app(seen.environ, gateway.start_response)
        try:
            _iterate(seen, gateway, take)
        finally:
            close = getattr(seen.returned, "close", None)
            if close is not None:
                close()
    except Exception as error:
        seen.error = error
        seen.aborted = gateway.sent
    finally:
        for callback in callbacks:
            callback()
    if gateway.head is not None:
        seen.status, seen.headers = gateway.head
    if seen.environ != before or list(seen.environ) != list(before):
        raise AssertionError("the caller's environ was changed")
    return seen


def _iterate(seen: Seen, gateway: _Gateway, take: int | None) -> None:
    iterable: Iterable[bytes] = seen.returned
    length = len(seen.returned) if hasattr(type(seen.returned), "__len__") else None
    for count, block in enumerate(iterable, 1):
        gateway.output(block)
        seen.blocks.append(block)
        if count == take:
            return
    if length is not None and length != len(seen.blocks):
        raise AssertionError(f"__len__ said {length}, {len(seen.blocks)} blocks came")
    if gateway.head is None:
        raise RuntimeError("gateway: start_response() was never called")
