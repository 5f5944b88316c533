"""What a case works with: connections to one server, the app's side of the story, and words to judge in.

A trial is one attempt at one case against one running server. It owns its connections and closes them. It knows no
rule.
"""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

from wsgikit.errors import Disconnected, PeerTimeout, ProtocolError
from wsgikit.testing import Address, RawClient, Response
from wsgikit.validators.server.case import Broken, NotApplicable, Unclear
from wsgikit.validators.server.control import Control, SeenCall

# No case asks for more than 4 MiB; a target that sends more than this is not answering the question.
BODY_LIMIT = 8 * 1024 * 1024
Headers = Iterable[tuple[str, str]]
_numbers = itertools.count(1)


@dataclass(slots=True)
class Exchange:
    """One request and what came of it: a response, or the error that ended the attempt to read one."""

    client: RawClient
    raw: bytes
    response: Response | None
    error: Exception | None = None

    @property
    def status(self) -> int:
        """0 when there was no response."""
        return self.response.status if self.response is not None else 0

    @property
    def body(self) -> bytes:
        return self.response.body if self.response is not None else b""

    def seen(self) -> str:
        """What the client saw, in a few words."""
        if self.response is not None:
            end = "" if self.response.complete else " whose end cannot be seen"
            return f"{self.status} {self.response.reason.decode('latin-1')}".strip() + end
        if isinstance(self.error, PeerTimeout):
            return f"no complete response within {self.error.seconds:.1f} s"
        return f"no response ({self.error})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """Where the server under test can be reached, how long to wait for it, and what is known about it.

    `patience` is in seconds, worked out from how fast the server is. `abilities` is filled as cases find things out.
    """

    address: Address
    control: Control
    tls: ssl.SSLContext | None = None
    patience: float = 2.0
    probed: bool = True
    abilities: dict[str, bool] = field(default_factory=dict)
    starter: Starter | None = None


class Starter(Protocol):
    """Starts another server of the same kind, with another app of the probe's."""

    def __call__(self, app: str) -> AbstractContextManager[Address]: ...


class Trial:
    """See the module's docstring. Times are seconds.

    `endpoint` and `raw` are what a report shows: the probe's endpoint, and the bytes that matter where more than those
    went over the connection.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.patience = site.patience
        self.clients: list[RawClient] = []
        self.endpoint = ""
        self.raw = b""
        self.tag = f"t{next(_numbers)}"
        site.control.begin()
        site.control.tag = self.tag

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.site.control.begin()

    # The client's side

    def fresh(self) -> RawClient:
        """A new connection, the earlier ones closed: a server with one thread may wait for their end."""
        for earlier in self.clients:
            earlier.close()
        return self.connect()

    def connect(self, *, receive_buffer: int = 0) -> RawClient:
        """A connection of its own; closed when the trial ends."""
        client = RawClient(
            self.site.address,
            timeout=self.patience,
            strict=False,
            receive_buffer=receive_buffer,
            tls=self.site.tls,
        )
        self.clients.append(client)
        return client

    def request(
        self,
        target: str,
        method: str = "GET",
        headers: Headers = (),
        body: bytes | None = None,
        version: str = "1.1",
    ) -> bytes:
        """The bytes of a correct request, with Host, X-Trial, and Content-Length when there is a body."""
        self.endpoint = target.lstrip("/").partition("?")[0].partition("/")[0]
        lines = [f"{method} {target} HTTP/{version}", "Host: probe.example", f"X-Trial: {self.tag}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")

    def read(self, client: RawClient, raw: bytes = b"", method: str = "GET", wait: float | None = None) -> Exchange:
        """Reads one response; whatever goes wrong stands in the exchange.

        A response that only the end of the connection could end, and does not, is given as far as it goes, with the
        error: to most rules it does not matter, to those about framing it does (`need_complete`).
        """
        try:
            response = client.read_response(method, timeout=wait, body_limit=BODY_LIMIT)
        except (ProtocolError, Disconnected, PeerTimeout) as error:
            partial = client.partial
            unending = isinstance(error, PeerTimeout) and partial is not None and partial.framing == "close"
            return Exchange(client, raw, partial if unending else None, error)
        return Exchange(client, raw, response)

    def exchange(
        self, raw: bytes, method: str = "GET", client: RawClient | None = None, wait: float | None = None
    ) -> Exchange:
        """Sends `raw`, on a fresh connection unless `client` is given, and reads one response."""
        connection = client or self.fresh()
        try:
            connection.send(raw)
        except (Disconnected, PeerTimeout) as error:
            # The server may have refused early and closed: its answer can still be there.
            found = self.read(connection, raw, method, wait)
            return found if found.response is not None else Exchange(connection, raw, None, error)
        return self.read(connection, raw, method, wait)

    def get(self, target: str, headers: Headers = (), client: RawClient | None = None) -> Exchange:
        """A GET with one response."""
        return self.exchange(self.request(target, headers=headers), client=client)

    def good(self, target: str, headers: Headers = ()) -> tuple[Exchange, SeenCall]:
        """A GET that reaches the app and is answered; Unclear when it is not, for then nothing else can be judged."""
        exchange = self.get(target, headers)
        return exchange, self.call(exchange)

    # The app's side

    @property
    def calls(self) -> list[SeenCall]:
        return self.site.control.calls()

    def call(self, exchange: Exchange | None = None, wait: float = 0.3) -> SeenCall:
        """The first call of the app in this trial. Unclear when there was none."""
        calls = self.wait_calls(1, wait)
        if not calls:
            seen = f"; the client saw: {exchange.seen()}" if exchange is not None else ""
            raise Unclear(f"the request did not reach the app{seen}")
        return calls[0]

    def wait_calls(self, count: int, wait: float | None = None) -> list[SeenCall]:
        """The calls, once there are `count` of them or time is up."""
        control = self.site.control
        control.wait_for(lambda: len(control.calls()) >= count, self.patience if wait is None else wait)
        return control.calls()

    def event(self, call: SeenCall, name: str, wait: float | None = None) -> dict[str, Any] | None:
        """The data of the first event of that name, waited for; None when it did not come."""
        self.site.control.wait_for(lambda: call.first(name) is not None, self.patience if wait is None else wait)
        return call.first(name)

    def control_settles(self, quiet: float = 0.1) -> None:
        """Waits until no call has arrived for `quiet` seconds: for cases in which there must not be one more."""
        control = self.site.control
        for _ in range(20):
            before = len(control.calls())
            if not control.wait_for(lambda: len(control.calls()) > before, quiet):  # noqa: B023
                return

    def open(self, gate: str) -> None:
        self.site.control.open(gate)

    # Judging

    def check(self, kept: object, detail: str, level: str = "") -> None:
        """Broken(detail) unless `kept`."""
        if not kept:
            raise Broken(detail, level)

    def fail(self, detail: str, level: str = "") -> NoReturn:
        raise Broken(detail, level)

    def skip(self, reason: str) -> NoReturn:
        raise NotApplicable(reason)

    def unclear(self, reason: str) -> NoReturn:
        raise Unclear(reason)

    def need_complete(self, exchange: Exchange, status: int = 200) -> Response:
        """The response, when it is whole and has that status; Broken otherwise."""
        response = exchange.response
        if response is None or response.status != status or not response.complete:
            raise Broken(f"expected a complete {status} response, the client saw: {exchange.seen()}")
        return response

    def decodes_chunks(self) -> bool:
        """Whether the server hands an app the content of a chunked body; found out once for each running server."""
        if "chunks" not in self.site.abilities:
            raw = self.request("/echo", "POST", [("Transfer-Encoding", "chunked")]) + b"5\r\nhello\r\n0\r\n\r\n"
            exchange = self.exchange(raw)
            seen = [call.first("body") or {} for call in self.calls]
            exchange.client.close()
            self.clients.remove(exchange.client)
            self.site.control.begin()
            self.site.abilities["chunks"] = any(report.get("start") == "hello" for report in seen)
        return self.site.abilities["chunks"]

    def answers_pipelined(self) -> bool:
        """Whether of two requests in one segment the second is answered too, or the connection ends before it."""
        if "pipelining" not in self.site.abilities:
            client = self.connect()
            first = self.exchange(self.request("/hello?n=1") + self.request("/hello?n=2"), client=client)
            second = self.read(client, wait=self.brief)
            client.close()
            self.clients.remove(client)
            self.site.control.begin()
            lost = first.response is not None and isinstance(second.error, PeerTimeout)
            self.site.abilities["pipelining"] = not lost
        return self.site.abilities["pipelining"]

    def speaks_1_1(self) -> bool:
        """False for a server that answers a 1.1 request in HTTP/1.0, and so claims no more than that."""
        if "1.1" not in self.site.abilities:
            exchange = self.get("/hello")
            self.endpoint = ""
            exchange.client.close()
            self.clients.remove(exchange.client)
            self.site.control.begin()
            self.site.abilities["1.1"] = exchange.response is None or exchange.response.minor == 1
        return self.site.abilities["1.1"]

    def needs_1_1(self) -> None:
        """NotApplicable for a server of HTTP/1.0."""
        if not self.speaks_1_1():
            raise NotApplicable("the server speaks HTTP/1.0 only")

    @property
    def brief(self) -> float:
        """A shorter wait than `patience`, for what ought to come at once and often does not come at all."""
        return 0.6 * self.patience
