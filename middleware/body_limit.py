"""A limit for request bodies.

    Use(BodyLimit, limit="2MiB")
    Use(BodyLimit, limit="1GiB", when=path("/upload"))

Options
    limit    largest body in bytes, or a text such as "10MiB" (1 MiB)

A larger Content-Length is answered 413 before the app is called and, where the server waits for it, before the client
is told to send its body (Expect: 100-continue). A body without a length is counted as the app reads it; past the limit
reading raises `BodyTooLarge`, and unless the app deals with that, or has sent something, the client gets 413.

Streaming: response bodies are not touched. Under wsgikit's server `max_body` does the same for all apps at once, also
with `body = "spool"` before the app's thread is spent; this layer is for limits that differ by app or path. Other
servers: nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from wsgikit.errors import LimitError
from wsgikit.middleware.amounts import Amount, size
from wsgikit.middleware.answer import STATUSES, answer, page
from wsgikit.wsgi.wrap import Response, wrap
from wsgikit.wsgi.wrap_input import LimitedInput

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["BodyLimit", "BodyTooLarge"]

_DIGITS = re.compile(r"[0-9]+\Z")


class BodyTooLarge(LimitError):
    """A request body is larger than BodyLimit allows; raised by reading `wsgi.input`."""

    def __init__(self, limit: int) -> None:
        super().__init__("body-too-large", 413, f"request body is larger than {limit} bytes")


class BodyLimit:
    """Refuses request bodies that are too large. See the module for the options."""

    traits = frozenset[str]()

    def __init__(self, app: WSGIApplication, *, limit: Amount = "1MiB") -> None:
        self.app = app
        self.limit = size(limit, "limit")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH", "")
        # compared by length first: int() takes quadratic time for very long texts
        if _DIGITS.match(length) and (len(length) > 18 or int(length) > self.limit):
            return answer(environ, start_response, 413, f"The request body may have {self.limit} bytes.")
        stream = LimitedInput(environ["wsgi.input"], self.limit, self._refusal)
        inner = {**environ, "wsgi.input": stream}
        return wrap(self.app, inner, start_response, on_error=self._answer)

    def _refusal(self) -> BodyTooLarge:
        return BodyTooLarge(self.limit)

    def _answer(self, response: Response) -> bytes:
        try:
            raise
        except BodyTooLarge:
            media, body = page(response.environ, STATUSES[413], f"The request body may have {self.limit} bytes.")
            response.restart(STATUSES[413], [("Content-Type", media), ("Content-Length", str(len(body)))])
            return b"" if response.environ.get("REQUEST_METHOD") == "HEAD" else body
