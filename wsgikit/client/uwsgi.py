"""The client of the uwsgi protocol: one request on a connection, its end is the end of the response."""

from __future__ import annotations

from wsgikit.client.gateway import GatewayClient
from wsgikit.client.gateway_variables import Refused, Variables
from wsgikit.client.request import Outgoing
from wsgikit.wire.uwsgi import format_uwsgi


class UwsgiClient(GatewayClient):
    """Speaks uwsgi to one server."""

    def opening(self, variables: Variables, outgoing: Outgoing) -> bytes:
        try:
            return format_uwsgi(variables.items(), self.settings.gateway.modifier1)
        except ValueError:  # more than 64 KiB of variables
            raise Refused(431) from None
