"""The client of SCGI: one request on a connection, its end is the end of the response."""

from __future__ import annotations

from wsgikit.client.gateway import GatewayClient
from wsgikit.client.gateway_variables import Refused, Variables
from wsgikit.client.request import Outgoing
from wsgikit.wire.scgi import format_scgi


class ScgiClient(GatewayClient):
    """Speaks SCGI to one server."""

    def opening(self, variables: Variables, outgoing: Outgoing) -> bytes:
        try:
            return format_scgi(variables.items(), outgoing.length or 0)
        except ValueError:  # a NUL, which a path can hold and this wire cannot
            raise Refused(400) from None
