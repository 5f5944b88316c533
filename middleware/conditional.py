"""Conditional requests for apps that do not answer them: If-None-Match, If-Modified-Since, If-Match.

    Use(Conditional)

A 200 for GET or HEAD that has an ETag or a Last-Modified is compared with what the client has; where that is still
good the client gets 304 and no body. That saves sending, not making: the app has done its work by then.

Options
    etag     make an ETag (a hash of the body) where the app sends neither validator (true)
    limit    largest body to hash ("1MiB")

An ETag is made for bodies that are there as a whole (a list, or one block of the declared length, as Flask and Django
send them), and not with `Cache-Control: no-store`. Where compression stands outside, the ETag leaves weak; put this
layer inside it.

Streaming: streamed bodies go through block by block and get no ETag. Other servers: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wsgikit.loader import require
from wsgikit.middleware.amounts import Amount, size
from wsgikit.middleware.answer import STATUSES, page
from wsgikit.middleware.preconditions import evaluate, timestamp
from wsgikit.wsgi.wrap import Discard, Replace, Response, Transform, wrap

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Conditional"]


class Conditional:
    """Answers 304 where the client's copy is still good. See the module for the options."""

    traits = frozenset({"rewrites", "once"})

    def __init__(self, app: WSGIApplication, *, etag: bool = True, limit: Amount = "1MiB") -> None:
        self.app = app
        self.etag = etag
        self.limit = size(limit, "limit")
        require("werkzeug")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return self.app(environ, start_response)
        return wrap(self.app, environ, start_response, on_body=self._body)

    def _body(self, response: Response) -> Transform | None:
        if response.status[:3] != "200":
            return None
        etag, modified = response.get("ETag"), response.get("Last-Modified")
        if etag or modified:
            return _judge(response, etag, timestamp(modified) if modified else None)
        if not self.etag or "no-store" in response.tokens("Cache-Control"):
            return None
        return _Hashed(response, self.limit)


def _judge(response: Response, etag: str, modified: int | None) -> Transform | None:
    code = evaluate(response.environ, etag, modified)
    if code == 200:
        return None
    if code == 304:
        _not_modified(response)
        return Discard()
    media, body = page(response.environ, STATUSES[412])
    response.status = STATUSES[412]
    response.headers[:] = [("Content-Type", media)]
    return Replace(body)


def _not_modified(response: Response) -> None:
    """RFC 9110 15.4.5: validators, Vary and caching fields go with a 304, descriptions of the body do not."""
    response.status = STATUSES[304]
    response.headers[:] = [
        (name, value)
        for name, value in response.headers
        if not name.lower().startswith("content-") or name.lower() == "content-location"
    ]


class _Hashed(Transform):
    """Makes an ETag of a body that is there as a whole, and leaves others alone."""

    keeps_length = True
    wants_head = True

    def __init__(self, response: Response, limit: int) -> None:
        self._response = response
        self._limit = limit

    def whole(self, body: bytes) -> bytes:
        if len(body) > self._limit:
            return body
        from hashlib import blake2b

        etag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
        self._response.set("ETag", etag)
        if evaluate(self._response.environ, etag, None) == 304:
            _not_modified(self._response)
            return b""
        return body
