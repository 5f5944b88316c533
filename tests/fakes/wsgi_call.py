"""Call a WSGI app as a plain server would, strictly enough for tests of what it answers."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wsgikit.wire.http11 import DEFAULT_LIMITS, parse_head
from wsgikit.wsgi.environ import build, template


@dataclass
class Answer:
    status: str
    headers: list[tuple[str, str]]
    body: bytes
    blocks: list[bytes] = field(default_factory=list)

    @property
    def code(self) -> int:
        return int(self.status[:3])

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        return next(iter(self.get_all(name)), None)


def environ_of(request: bytes, **more: Any) -> dict[str, Any]:
    """The environ that wsgikit's server makes of a request in bytes, a GET for a path alone."""
    if not request.endswith(b"\r\n\r\n") and b"\r\n\r\n" not in request:
        request = b"GET %b HTTP/1.1\r\nHost: shop.example\r\n\r\n" % request
    head = parse_head(request, 0, DEFAULT_LIMITS)
    assert head is not None
    base = template(
        scheme="http", name="localhost", port="80", errors=io.StringIO(), multithread=True, multiprocess=False
    )
    environ = build(base, head)
    environ.update({"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "4711", "wsgi.input": io.BytesIO(request[head.end :])})
    environ.update(more)
    return environ


def foreign(environ: dict[str, Any]) -> dict[str, Any]:
    """The same as a server makes it that gives nothing beyond PEP 3333 and CGI."""
    return {key: value for key, value in environ.items() if not key.startswith("wsgikit.") and key != "REQUEST_URI"}


def call(app: Callable[..., Any], environ: dict[str, Any]) -> Answer:
    """What the app answers. Raises what the app raises, after close()."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        assert not started or exc_info is not None
        assert type(headers) is list
        started[:] = [(status, headers)]
        return lambda data: None

    blocks: list[bytes] = []
    iterable = app(environ, start_response)
    try:
        blocks += iterable
    finally:
        if hasattr(iterable, "close"):
            iterable.close()
    assert all(type(block) is bytes for block in blocks)
    assert started
    return Answer(*started[0], b"".join(blocks), blocks)
