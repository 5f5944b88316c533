"""A link on paper: the protocol shell and the WSGI core run as they do in a worker, and what they send can be read."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from wsgikit.errors import Disconnected
from wsgikit.protocols import Action
from wsgikit.protocols.http import HttpProtocol
from wsgikit.protocols.service import Service
from wsgikit.wire.http11 import Limits
from wsgikit.workers import WorkerSettings
from wsgikit.wsgi.environ import template
from wsgikit.wsgi.exchange import Exchange, Lines


class PaperGuard:
    """The app's region, with a deadline that strikes when the app leaves it for the `strikes`th time."""

    def __init__(self, link: PaperLink, strikes: int) -> None:
        self._link = link
        self._left = strikes

    def enter(self, exchange: Exchange) -> None:
        if exchange.dead and time.monotonic() >= exchange.deadline:
            raise TimeoutError

    def leave(self) -> None:
        self._left -= 1
        if self._left == 0:
            exchange = self._link.protocol.exchange
            exchange.deadline = time.monotonic()
            self._link.protocol.give_up()


class PaperLink:
    """Notes what is sent, and gives what `later` holds to whoever waits for it."""

    remote = "192.0.2.1"
    pauses = None
    bypass = None

    def __init__(self, app: Any, *, strikes: int = 0, later: bytes = b"", **settings: Any) -> None:
        service = Service(
            app=app,
            settings=WorkerSettings(**settings),
            limits=Limits(),
            template=template(scheme="http", name="a", port="80", errors=None, multithread=True, multiprocess=False),
            lines=Lines(""),
            takeover=True,
        )
        self.protocol = HttpProtocol(service, self)
        self.sent = b""
        self.aborted = False
        self.asked: list[tuple[int, float]] = []
        self._guard = PaperGuard(self, strikes) if strikes else None
        self.pieces = deque([later] if later else [])

    def take(self, data: bytes) -> int:
        action = self.protocol.receive(data)
        return self.protocol.run(time.monotonic()) if action == Action.RUN else action

    def send(self, data: bytes) -> None:
        if self.aborted:
            raise Disconnected("aborted")
        self.sent += data

    def send_parts(self, parts: Any) -> None:
        self.send(b"".join(parts))

    def abort(self) -> None:
        self.aborted = True

    def describe(self, environ: dict[str, Any]) -> None:
        pass

    def guard(self) -> PaperGuard | None:
        return self._guard

    def receive(self, received: int, since: float) -> bytes:
        self.asked.append((received, time.monotonic() - since))
        return self.pieces.popleft() if self.pieces else b""

    def pass_on(self, target: int, most: int, received: int, since: float) -> None:
        """Gains nothing here."""

    def detach(self) -> str:
        return "the socket"
