"""The response side of a request that came over a gateway wire: the head as programs write it to a web server.

Owns the first line (a Status field, or HTTP's status line for uwsgi) and what is left to the server in front: Date,
Server, Connection and chunks. The order in which things leave is `Exchange`'s. It must not know records or sockets.
"""

from __future__ import annotations

from wsgikit.errors import Disconnected, ProtocolError
from wsgikit.protocols.answers import REASONS
from wsgikit.wire.cgi import status_line
from wsgikit.wire.http11.framing import Framing, choose_framing
from wsgikit.wsgi.exchange import Exchange, Lines
from wsgikit.wsgi.transport import Transport

_JOIN = 16 * 1024  # as in `Exchange`: below this, copying costs less than a second system call
_NO_LINES = Lines("")


class GatewayExchange(Exchange):
    """A response to a web server. `http`: its head begins with HTTP's status line."""

    __slots__ = ("http",)

    def __init__(self, transport: Transport, method: str, *, http: bool) -> None:
        # HTTP/1.0 has no chunks and no 103 either; which version the client speaks is the server's matter
        super().__init__(transport, _NO_LINES, method, 0, False)
        self.http = http

    def _begin(self, body: bytes, total: int | None) -> None:
        head = self.head
        if head is None:
            raise RuntimeError("the app sent a body, or ended, without a successful start_response (PEP 3333)")
        if not self.claim():
            self.dead = True
            raise Disconnected("the response was given up before the app began it")
        self.head_sent = True
        plan = choose_framing(self.method, head.code, 0, head.length, total)
        self.framing = plan.framing
        self.content_length = plan.length
        line, _, fields = head.lines.partition(b"\n")
        parts = [line if self.http else status_line(line), b"\n", fields, plan.field, b"\r\n"]
        if body and plan.framing is not Framing.NONE:
            self.sent = len(body)
            parts.append(self._clip(body))
            if len(body) >= _JOIN:
                self.transport.send_parts(parts)
                return
        self.transport.send(b"".join(parts))


def own_answer(
    status: int, error: ProtocolError | None = None, *, http: bool = False, head_only: bool = False
) -> bytes:
    """A whole response that is the server's own. `head_only`: to a HEAD request."""
    reason = REASONS[status]
    body = (f"{status} {reason}\n" if error is None else f"{status} {reason}: {error.code}\n").encode()
    first = f"HTTP/1.1 {status} {reason}" if http else f"Status: {status} {reason}"
    head = f"{first}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    if status == 503:
        head += "Retry-After: 1\r\n"
    return (head + "\r\n").encode() + (b"" if head_only else body)
