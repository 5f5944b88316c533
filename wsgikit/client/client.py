"""Client: requests to one origin over pooled connections.

Owns which connection a request goes on. It never sends a request twice: what may be tried again, and where, is for the
caller, who knows the others (RFC 9110 9.2.2).
"""

from __future__ import annotations

from collections.abc import Callable
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
from wsgikit.wire.http11 import ResponseHeads
from wsgikit.wire.registry import WIRES, load

_DEFAULTS = ClientSettings()


class Pending:
    """A request that was sent, and whose response is still to come.

    `fd` is the connection's descriptor: when it is readable, `look`; and at once where the response is `here` already,
    because it came before the whole request was sent. `deadline` (monotonic seconds): when it has passed, `look` raises
    UpstreamTimeout.
    """

    __slots__ = ("_client", "_connection", "_exchange", "_request", "deadline", "fd", "here")

    def __init__(self, client: Client, request: Request, connection: Connection, exchange: Exchange) -> None:
        self._client = client
        self._request = request
        self._connection = connection
        self._exchange = exchange
        self.fd = connection.fd
        self.deadline = exchange.head_by
        self.here = exchange.head is not None

    def look(self) -> Response | None:
        """The response, once its head is here. Never waits. Errors as `Client.send`."""
        return self._settle(self._exchange.look)

    def wait(self) -> Response | None:
        """The response. Waits as `Client.send` does, whose errors it has."""
        self._connection.watch(self._request.watch)
        return self._settle(self._exchange.wait)

    def _settle(self, ask: Callable[[], object]) -> Response | None:
        try:
            ask()
            if self._exchange.head is None:
                return None
            return self._client._response(self._request, self._connection, self._exchange)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Let go without the response. The connection goes, too. May be called twice, and never after a response."""
        self._connection.close()


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
        # whether `begin` can be used: what a connection has to say shows on its descriptor, not so under TLS
        self.pausable = self.origin.scheme != "https"
        self._heads = ResponseHeads(settings.limits)
        self._connector = Connector(self.origin, settings)
        self._connector.prepare()

    def __repr__(self) -> str:
        return f"<Client {self.origin.url}, {len(self.pool)} idle>"

    def send(self, request: Request) -> Response:
        """Send a request as it is, and wait for the head of its response.

        UpstreamError and UpstreamTimeout say in which phase it failed; Disconnected: the watched peer has left;
        ValueError: the request is none; errors of the body come through.
        """
        connection, exchange = self._exchange(request, request.watch)
        try:
            exchange.run()
            return self._response(request, connection, exchange)
        except BaseException:
            connection.close()
            raise

    def begin(self, request: Request) -> Pending:
        """Send a request, and leave the waiting to the caller. Only where `pausable`. Errors as `send`."""
        # without a body there is nothing to wait for in here, and the caller watches the client
        connection, exchange = self._exchange(request, -1 if request.body is None else request.watch)
        try:
            exchange.begin()
        except BaseException:
            connection.close()
            raise
        return Pending(self, request, connection, exchange)

    def _exchange(self, request: Request, watch: int) -> tuple[Connection, Exchange]:
        outgoing = self.prepare(request)
        total = self.settings.total_timeout
        if total and not request.deadline:
            request.deadline = monotonic() + total
        connection = self._connection(watch)
        return connection, self.exchange(self.origin.url, connection, self.settings, request, outgoing, self._heads)

    def _response(self, request: Request, connection: Connection, exchange: Exchange) -> Response:
        response = self.response(self.origin.url, connection, self.settings, exchange, self.pool.give_back)
        response.begin(request, exchange.buffer)
        return response

    def prepare(self, request: Request) -> Outgoing:
        """The request as bytes. ValueError: it is none."""
        return Outgoing(request)

    def _connection(self, watch: int) -> Connection:
        connection = self.pool.checkout()
        if connection is None:
            return self._connector.connect(watch)
        if connection.watched != watch:
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
