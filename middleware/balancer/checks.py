"""Active health checks: a request of our own to every endpoint, again and again, by one worker for all.

Owns when an endpoint is due, how it is asked, and what counts as well. The verdict goes to the scoreboard, where every
worker finds it.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic

from wsgikit.client import Client, ClientSettings, Request, Response
from wsgikit.errors import LimitError, UpstreamError
from wsgikit.middleware.balancer.board import Board
from wsgikit.middleware.balancer.endpoint import Endpoint
from wsgikit.middleware.balancer.settings import HealthSettings

log = logging.getLogger("wsgikit.forward")

# Checks at once. Endpoints that do not answer take their whole timeout, and the others must not wait for them.
_THREADS = 8
_BODY = 64 * 1024


class Checks:
    """Runs the checks of one upstream. `changed()` is called when a verdict has changed."""

    def __init__(
        self, board: Board, settings: HealthSettings, client: ClientSettings, changed: Callable[[], object]
    ) -> None:
        limit = settings.timeout
        self._board = board
        self._settings = settings
        self._client = replace(
            client, connect_timeout=limit, tls_timeout=limit, first_byte_timeout=limit, total_timeout=limit, max_idle=0
        )
        self._changed = changed
        self._due: dict[str, float] = {}
        self._waiting: deque[Endpoint] = deque()
        self._running = 0
        self._lock = threading.Lock()

    def run_due(self, endpoints: Sequence[Endpoint]) -> None:
        """Start the checks that are due. Returns at once."""
        now = monotonic()
        known = {endpoint.url for endpoint in endpoints}
        self._due = {url: due for url, due in self._due.items() if url in known}
        for endpoint in endpoints:
            if self._due.get(endpoint.url, 0.0) <= now:
                spread = 1 + self._settings.jitter * (2 * random.random() - 1)
                self._due[endpoint.url] = now + self._settings.interval * spread
                if endpoint not in self._waiting:
                    self._waiting.append(endpoint)
        with self._lock:
            missing = min(len(self._waiting), _THREADS) - self._running
            self._running += max(missing, 0)
        for _ in range(missing):
            threading.Thread(target=self._work, name="wsgikit-check", daemon=True).start()

    def _work(self) -> None:
        try:
            while self._waiting:
                try:
                    endpoint = self._waiting.popleft()
                except IndexError:
                    break
                self.check(endpoint)
        finally:
            with self._lock:
                self._running -= 1

    def check(self, endpoint: Endpoint) -> str:
        """Check one endpoint now and note the verdict. What is wrong; "" when nothing is."""
        problem = self.ask(endpoint)
        settings = self._settings
        verdict = self._board.checked(endpoint, not problem, settings.rise, settings.fall)
        if verdict:
            self._changed()
            what = "is up again" if verdict > 0 else f"is down: {problem}"
            log.log(logging.INFO if verdict > 0 else logging.ERROR, "check: %s %s", endpoint.url, what)
        return problem

    def ask(self, endpoint: Endpoint) -> str:
        """Ask an endpoint. What is wrong; "" when nothing is."""
        settings = self._settings
        try:
            with Client(endpoint.origin, self._client) as client:
                if not settings.path:
                    client.connect().close()
                    return ""
                return self._judge(client, endpoint)
        except (UpstreamError, LimitError) as error:
            return str(error)

    def _judge(self, client: Client, endpoint: Endpoint) -> str:
        settings = self._settings
        host = settings.host.encode("latin-1") or endpoint.origin.authority
        fields = [(b"Host", host), (b"User-Agent", b"wsgikit-check"), (b"Connection", b"close")]
        target = endpoint.origin.base.encode("ascii") + settings.path.encode("ascii")
        with client.send(Request(method="GET", target=target, fields=fields)) as response:
            if not any(low <= response.status <= high for low, high in settings.status):
                return f"status {response.status}"
            if settings.contains and settings.contains.encode() not in _beginning(response):
                return "the body does not contain what it should"
        return ""


def _beginning(response: Response) -> bytes:
    found = b""
    for block in response:
        found += block
        if len(found) >= _BODY:
            break
    return found
