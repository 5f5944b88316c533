"""Client: requests to one origin over pooled connections.

Owns which connection a request goes on. It never sends a request twice: what may be tried again, and where, is for the
caller, who knows the others (RFC 9110 9.2.2).
"""

from __future__ import annotations

from time import monotonic
from typing import Any, Self

from wsgikit.client.connect import Connector
from wsgikit.client.connection import Connection
from wsgikit.client.exchange import Exchange
from wsgikit.client.origin import Origin
from wsgikit.client.pool import Pool
from wsgikit.client.request import Outgoing, Request
from wsgikit.client.response import Response
from wsgikit.client.settings import ClientSettings
from wsgikit.wire.registry import WIRES, load

_DEFAULTS = ClientSettings()


class Client:
    """Speaks HTTP/1.1 to one server. A URL of another wire (`fastcgi://`, `scgi://`, `uwsgi://`) gives a subclass.

    Safe in threads; the connections are not shared with child processes.

        client = Client("http://127.0.0.1:8000")
        with client.get(b"/") as response:
            print(response.status, response.read_all(1 << 20))

    ConfigError: the URL is none, or a TLS file cannot be used.
    """

    exchange: type[Exchange] = Exchange
    response: type[Response] = Response

    def __new__(cls, origin: Origin | str, *_: Any, **__: Any) -> Self:
        scheme = (Origin.parse(origin) if isinstance(origin, str) else origin).scheme
        wire = WIRES.get(scheme)  # https is no wire of its own
        kind: type[Self] = cls if wire is None or cls is not Client else load(wire.client)
        return super().__new__(kind)

    def __init__(self, origin: Origin | str, settings: ClientSettings = _DEFAULTS) -> None:
        self.origin = Origin.parse(origin) if isinstance(origin, str) else origin
        self.settings = settings
        self.pool = Pool(settings.keep_alive, settings.max_idle, settings.max_requests)
        self._connector = Connector(self.origin, settings)
        self._connector.prepare()

    def __repr__(self) -> str:
        return f"<Client {self.origin.url}, {len(self.pool)} idle>"

    def send(self, request: Request) -> Response:
        """Send a request as it is, and wait for the head of its response.

        UpstreamError and UpstreamTimeout say in which phase it failed; Disconnected: the watched peer has left;
        ValueError: the request is none; errors of the body come through.
        """
        outgoing = self.prepare(request)
        total = self.settings.total_timeout
        if total and not request.deadline:
            request.deadline = monotonic() + total
        connection = self._connection(request.watch)
        try:
            exchange = self.exchange(self.origin.url, connection, self.settings, request, outgoing)
            exchange.run()
            response = self.response(self.origin.url, connection, self.settings, exchange, self.pool.give_back)
            response.begin(request, exchange.buffer)
            return response
        except BaseException:
            connection.close()
            raise

    def prepare(self, request: Request) -> Outgoing:
        """The request as bytes. ValueError: it is none."""
        return Outgoing(request)

    def _connection(self, watch: int) -> Connection:
        connection = self.pool.checkout()
        if connection is None:
            return self._connector.connect(watch)
        connection.watch(watch)
        return connection

    def connect(self, watch: int = -1) -> Connection:
        """A new connection, which is the caller's. Errors as `send`."""
        return self._connector.connect(watch)

    def get(self, target: bytes, *fields: tuple[bytes, bytes]) -> Response:
        """GET `target`, relative to the origin's base, with Host and `fields`. Errors as `send`."""
        host = (b"Host", self.origin.authority)
        return self.send(Request(method="GET", target=self.origin.base.encode() + target, fields=(host, *fields)))

    def post(self, target: bytes, body: bytes, *fields: tuple[bytes, bytes]) -> Response:
        """POST `body` to `target`, with Host, Content-Length and `fields`. Errors as `send`."""
        own = ((b"Host", self.origin.authority), (b"Content-Length", b"%d" % len(body)))
        target = self.origin.base.encode() + target
        return self.send(Request(method="POST", target=target, fields=(*own, *fields), body=body))

    def close(self) -> None:
        """Close the idle connections, and the others once their responses are through."""
        self.pool.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
