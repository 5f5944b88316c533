"""The uwsgi protocol for a server: `wire.uwsgi` in, an HTTP response out, the connection closed.

Served are packets with modifier1 0 (a WSGI request), 30 (the same; SCRIPT_NAME still stands in front of PATH_INFO) and
100 (a ping). Anything else is a request for another language's plugin, and is answered 501.
"""

from __future__ import annotations

from wsgikit.errors import ProtocolError
from wsgikit.protocols import Action
from wsgikit.protocols.cgi_single import Pairs, SingleProtocol
from wsgikit.wire.uwsgi import PING, REQUEST, REQUEST_MANAGED, format_uwsgi, parse_uwsgi

_PONG = format_uwsgi((), PING, 1)


class UwsgiProtocol(SingleProtocol):
    """One connection's uwsgi side."""

    __slots__ = ()

    http = True

    def receive(self, data: bytes) -> int:
        """Take bytes from the web server."""
        if not self.buffer and self.body is None and data[:1] == bytes((PING,)):
            return self._ping(data)
        return super().receive(data)

    def _ping(self, data: bytes) -> int:
        return Action.LINGER if self.answer(_PONG) else Action.CLOSE

    def parse(self, buffer: bytearray) -> tuple[Pairs, int] | None:
        packet = parse_uwsgi(buffer, self.limits)
        if packet is None:
            return None
        if packet.modifier1 not in (REQUEST, REQUEST_MANAGED):
            detail = f"modifier1 is {packet.modifier1}; served are {REQUEST} and {REQUEST_MANAGED}"
            raise ProtocolError("unknown-uwsgi-modifier", 501, detail)
        variables = packet.variables
        if packet.modifier1 == REQUEST_MANAGED:
            variables = _managed(variables)
        return variables, packet.end


def _managed(variables: Pairs) -> Pairs:
    """Take SCRIPT_NAME off the front of PATH_INFO."""
    known = dict(variables)
    script, info = known.get(b"SCRIPT_NAME", b""), known.get(b"PATH_INFO", b"")
    if not script or not info.startswith(script):
        return variables
    return [*variables, (b"PATH_INFO", info[len(script) :])]
