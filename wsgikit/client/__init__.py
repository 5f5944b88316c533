"""A synchronous HTTP/1.1 client for gateways, on the server's own strict codecs.

    from wsgikit.client import Client

    with Client("http://127.0.0.1:8000") as client, client.get(b"/") as response:
        for block in response:                # as it arrives
            ...

It sends what it is given and hands over what it gets: it adds no field, follows no redirect, keeps no cookie, decodes
nothing, sends nothing twice. Connections are pooled for each endpoint; a body that was cut short raises; a response
that could be read in two ways (RFC 9112 6.3, 11.2) is refused. Standard library only.

client                         Client
origin, settings, tls          where and how
request, exchange, response    one request
connection, tls_connection, connect, pool
gateway, fastcgi, scgi, uwsgi  the same for upstreams that do not speak HTTP
measured                       the length of a body that does not tell it
"""

from __future__ import annotations

from wsgikit.client.client import Client
from wsgikit.client.origin import Origin
from wsgikit.client.request import Request
from wsgikit.client.response import Response
from wsgikit.client.settings import ClientSettings, GatewaySettings, TlsSettings

__all__ = ["Client", "ClientSettings", "GatewaySettings", "Origin", "Request", "Response", "TlsSettings"]
