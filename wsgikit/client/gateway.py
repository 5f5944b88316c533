"""What the clients of FastCGI, SCGI and uwsgi share: variables in place of a head, a CGI head in place of HTTP's.

Owns a request's way to such an upstream as far as the wire does not matter. A subclass says how variables and body
travel. It must not know pools.
"""

from __future__ import annotations

from http import HTTPStatus
from math import inf

from wsgikit.client.client import Client, Pending
from wsgikit.client.exchange import Exchange
from wsgikit.client.gateway_variables import Refused, Variables, make_variables
from wsgikit.client.measured import measured
from wsgikit.client.request import Outgoing, Request
from wsgikit.client.response import Response
from wsgikit.errors import ProtocolError
from wsgikit.wire.cgi import parse_cgi_response
from wsgikit.wire.http11 import ResponseHead


class Refusal(Response):
    """An answer in the upstream's place, to a request that it cannot be asked."""

    __slots__ = ()

    def __init__(self, status: int, request: Request) -> None:
        self._connection = None
        self._decoder = None
        self._deadline = 0.0
        self.whole = False
        phrase = HTTPStatus(status).phrase.encode()
        self._block = b"" if request.method == "HEAD" else b"%d %b\n" % (status, phrase)
        self.head = head = ResponseHead()
        self.status = status
        head.status, head.reason, head.minor, head.end = status, phrase, 1, 0
        head.fields = [(b"Content-Type", b"text/plain"), (b"Cache-Control", b"no-store")]
        head.content_length = len(self._block) or None
        head.chunked = head.keep_alive = False


class Settled(Pending):
    """A request whose answer is here without having been asked for."""

    __slots__ = ("_response",)

    def __init__(self, response: Response) -> None:
        self._response = response
        self.fd = -1
        self.deadline = inf
        self.here = True

    def look(self) -> Response:
        """The answer."""
        return self._response

    def wait(self) -> Response:
        """The answer."""
        return self._response

    def close(self) -> None:
        """Nothing is open."""


class GatewayExchange(Exchange):
    """One request, up to the head of its response as a program writes it."""

    __slots__ = ("_seen",)

    def _parse(self) -> None:
        seen = getattr(self, "_seen", 0)
        try:
            found = parse_cgi_response(self.buffer, self._settings.limits, seen)
        except ProtocolError as error:
            self._fail("head", str(error))
        if found is None:
            self._seen = len(self.buffer)
            return
        head = found.head
        self.buffer = self.buffer[head.end :]
        if found.local:
            # RFC 3875 6.2.2 has the server ask again by itself; the client can do that as well, and sees the URL
            head.status, head.reason = 302, b"Found"
        self.head = head


class GatewayClient(Client):
    """Base of the clients. `measured`: the wire needs a body's length before the body."""

    exchange = GatewayExchange
    measured = True

    def send(self, request: Request) -> Response:
        """As `Client.send`. What the upstream cannot be asked is answered here: 404 for a path without a script, 400
        and 431 for what the wire cannot carry."""
        try:
            return super().send(request)
        except Refused as error:
            return Refusal(error.status, request)

    def begin(self, request: Request) -> Pending:
        """As `Client.begin`; what is answered here is there at once."""
        try:
            return super().begin(request)
        except Refused as error:
            return Settled(Refusal(error.status, request))

    def prepare(self, request: Request) -> Outgoing:
        """The request as bytes. ValueError: it is none; Refused."""
        outgoing = Outgoing(request)
        outgoing.expects = outgoing.upgrades = False
        if outgoing.length is None and self.measured:
            outgoing.length, outgoing.blocks = measured(outgoing.blocks or ())
        length = outgoing.length if outgoing.blocks is not None or outgoing.length else 0
        variables = make_variables(request, length, self.settings.gateway)
        outgoing.head = self.opening(variables, outgoing)
        return outgoing

    def opening(self, variables: Variables, outgoing: Outgoing) -> bytes:
        """What goes before the body. Refused: the variables do not fit."""
        raise NotImplementedError
