"""An id for each request, and W3C Trace Context (https://www.w3.org/TR/trace-context/).

    Use(RequestId)

Makes an id, gives it to the app (`environ["HTTP_X_REQUEST_ID"]` and `["wsgikit.request_id"]`), to the client
(X-Request-ID) and to the access log (`request_id`), so that one text finds all lines about one request. Belongs
outermost, or right inside ProxyHeaders.

Options
    header       the field's name ("X-Request-ID")
    inbound      take over an id that the client sends, if it is 1 to 128 of letters, digits and `._:/+=@-` (false).
                 Only behind a proxy that sets or drops the field: else strangers choose what stands in your logs
    traceparent  continue the trace of a valid `traceparent`, or begin one; the app sees this hop as its parent, in
                 `environ["HTTP_TRACEPARENT"]` (true). An invalid one is dropped together with `tracestate`. The log
                 gets `trace_id`. Nothing is sent anywhere: that is for tracing libraries in the app

Streaming: bodies are not touched. Other servers: their access logs do not know the id; use `AccessLog` for one that
does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.facts import note
from wsgikit.middleware.request_fields import drop_fields, environ_key, set_field
from wsgikit.wsgi.wrap import Response, wrap

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["RequestId"]

_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}\Z")
_NAME = re.compile(r"[A-Za-z0-9-]+\Z")
# version, trace-id, parent-id, flags; a later version may have more behind a dash (Trace Context 2.2.1 and 4.3)
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z")


class RequestId:
    """Names each request. See the module for the options."""

    traits = frozenset({"names-request", "once"})

    def __init__(
        self, app: WSGIApplication, *, header: str = "X-Request-ID", inbound: bool = False, traceparent: bool = True
    ) -> None:
        if not _NAME.match(header):
            raise ConfigError(f"header = {header!r}: a field name of letters, digits and dashes")
        self.app = app
        self.header = header
        self.key = environ_key(header)
        self.inbound = inbound
        self.traceparent = traceparent

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        sent = environ.get(self.key, "") if self.inbound else ""
        request_id = sent if _ID.match(sent) else os.urandom(16).hex()
        note(environ, "request_id", request_id)
        inner = {**environ, "wsgikit.request_id": request_id}
        set_field(inner, self.header, request_id)
        if self.traceparent:
            self._trace(inner)
        return wrap(self.app, inner, start_response, on_headers=self._headers)

    def _headers(self, response: Response) -> None:
        response.set(self.header, response.environ["wsgikit.request_id"])

    def _trace(self, environ: dict[str, Any]) -> None:
        trace_id, flags = _parent(environ.get("HTTP_TRACEPARENT", ""))
        if not trace_id:
            # a new trace: the caller's vendor state belongs to another one (Trace Context 3.3)
            drop_fields(environ, ("tracestate",))
            trace_id, flags = os.urandom(16).hex(), "00"
        set_field(environ, "traceparent", f"00-{trace_id}-{os.urandom(8).hex()}-{flags}")
        note(environ, "trace_id", trace_id)


def _parent(value: str) -> tuple[str, str]:
    """(trace id, flags) of a valid traceparent, else empty texts. Only the flag "sampled" is passed on."""
    match = _TRACEPARENT.match(value)
    if match is None:
        return "", ""
    version, trace_id, parent_id, flags, more = match.groups()
    zeros = trace_id.strip("0") == "" or parent_id.strip("0") == ""
    if version == "ff" or (version == "00" and more) or zeros:
        return "", ""
    return trace_id, f"{int(flags, 16) & 1:02x}"
