"""A switch that closes the site for a while.

    Use(Maintenance, flag="/run/shop/maintenance", allow=["10.0.0.0/8"])

    touch /run/shop/maintenance        closes it, in all workers, at once
    rm /run/shop/maintenance           opens it

Options
    flag           the file whose being there closes the site
    on             closed whatever the file says (false)
    page           an HTML file to show; read when the app is set up
    message        else this ("We are working on the site and will be back soon.")
    retry_after    told to clients and search engines ("5m")
    allow          addresses that get in all the same ([])
    open_paths     paths that stay open, with what is below them (["/-/health"])

Closed means 503 with Retry-After and `Cache-Control: no-store`. Costs one stat() a request (about 1 us).

Streaming: bodies are not touched. Other servers: nothing is lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import Amount, address, networks, seconds, texts, within
from wsgikit.middleware.answer import JSON, STATUSES, answer, preferred, send
from wsgikit.middleware.conditions import path as path_condition

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Maintenance"]

_LARGEST = 1 << 20


class Maintenance:
    """Answers 503 while a file is there. See the module for the options."""

    traits = frozenset({"by-address"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        flag: str = "",
        on: bool = False,
        page: str | None = None,
        message: str = "We are working on the site and will be back soon.",
        retry_after: Amount = "5m",
        allow: Sequence[str] = (),
        open_paths: Sequence[str] = ("/-/health",),
    ) -> None:
        if not flag and not on:
            raise ConfigError("Maintenance has no switch: name a file with flag, or say on = true")
        self.app = app
        self.flag = os.path.abspath(flag) if flag else ""
        self.on = on
        self.page = None if page is None else _read(page)
        self.message = message
        self.retry_after = str(int(seconds(retry_after, "retry_after")))
        self.allow = networks(allow, "allow")
        self.open = path_condition(*texts(open_paths, "open_paths"))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not (self.on or os.path.exists(self.flag)) or self.open(environ):
            return self.app(environ, start_response)
        if self.allow and within(address(environ.get("REMOTE_ADDR", "")), self.allow):
            return self.app(environ, start_response)
        retry = ("Retry-After", self.retry_after)
        if self.page is None or preferred(environ) in JSON:
            return answer(environ, start_response, 503, self.message, [retry])
        fields = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("Vary", "Accept"),
            retry,
        ]
        return send(environ, start_response, STATUSES[503], fields, self.page)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"page: {path}: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise ConfigError(f"page: {path} is larger than {_LARGEST} bytes")
    return content
