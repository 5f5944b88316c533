"""SCGI for a server: `wire.scgi` in, a CGI response out, the connection closed."""

from __future__ import annotations

from wsgikit.protocols.cgi_single import Pairs, SingleProtocol
from wsgikit.wire.scgi import parse_scgi


class ScgiProtocol(SingleProtocol):
    """One connection's SCGI side."""

    __slots__ = ()

    def parse(self, buffer: bytearray) -> tuple[Pairs, int] | None:
        return parse_scgi(buffer, self.limits)
