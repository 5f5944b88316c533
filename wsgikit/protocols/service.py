"""What all connections of one listener share: the app, limits, the environ template, and what housekeeping renews.

Owns the frozen part of a request's way and three mutable facts: the Date line, whether the worker is stopping, and
`record`, the access log. It must not know where settings come from: it names the ones it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from wsgiref.types import WSGIApplication

from wsgikit.observe.record import Access
from wsgikit.wire.http11 import Head, Limits
from wsgikit.wsgi.exchange import Lines


class Settings(Protocol):
    """The settings a protocol reads. `WorkerSettings` has them, with their defaults and meaning."""

    @property
    def keep_alive(self) -> float: ...
    @property
    def timeout(self) -> float: ...
    @property
    def body(self) -> str: ...
    @property
    def max_body(self) -> int: ...
    @property
    def body_memory(self) -> int: ...
    @property
    def spool_dir(self) -> str: ...
    @property
    def drain(self) -> int: ...
    @property
    def head_timeout(self) -> float: ...
    @property
    def body_timeout(self) -> float: ...
    @property
    def body_rate(self) -> int: ...
    @property
    def connections(self) -> int: ...
    @property
    def multiplex(self) -> int: ...
    @property
    def debug(self) -> bool: ...


@dataclass(slots=True, kw_only=True)
class Service:
    """One listener's share of a worker."""

    app: WSGIApplication
    settings: Settings
    limits: Limits
    template: dict[str, Any]
    lines: Lines
    record: Callable[[Access], None] | None = None
    takeover: bool = False
    body_mode: Callable[[Head], str] | None = None
    """Chooses "spool" or "stream" for one request; None: `settings.body` for all."""
    forwarded: Callable[[dict[str, Any], str], None] | None = None
    """Applies what a trusted proxy says of the client to an environ; gets the peer's address."""
    stopping: bool = field(default=False)
