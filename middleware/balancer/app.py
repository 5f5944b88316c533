"""Balancer: an upstream with several endpoints, as a WSGI app. The manual is docs/balancing.md."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import table_of
from wsgikit.middleware.balancer import registry
from wsgikit.middleware.balancer.algorithms import make
from wsgikit.middleware.balancer.board import Board
from wsgikit.middleware.balancer.breaker import Breaker
from wsgikit.middleware.balancer.checks import Checks
from wsgikit.middleware.balancer.discovery import Discovery, make_source
from wsgikit.middleware.balancer.endpoint import Endpoint, EndpointSpec
from wsgikit.middleware.balancer.lanes import Lanes
from wsgikit.middleware.balancer.options import CLIENT_NAMES, check_names, client_settings, forward_names, split
from wsgikit.middleware.balancer.roster import Roster
from wsgikit.middleware.balancer.settings import policy
from wsgikit.middleware.balancer.sticky import Sticky
from wsgikit.middleware.balancer.ticker import Ticker
from wsgikit.middleware.balancer.upstream import Upstream
from wsgikit.middleware.forward import Gateway
from wsgikit.middleware.forward_settings import forward_settings

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from wsgikit.middleware.amounts import Amount

Endpoints = Iterable[str | Mapping[str, Any] | EndpointSpec]


class Balancer:
    """Forwards each request to one of several endpoints.

    Options: see docs/balancing.md; those of Forward and of its connections may be given as well. ConfigError names one
    that is wrong. No thread runs before the first request (or `start()`).
    """

    traits = frozenset({"terminal", "streams-request"})

    def __init__(
        self,
        endpoints: Endpoints = (),
        *,
        name: str = "",
        balance: str = "p2c",
        hash: str = "",  # noqa: A002 - the word for it
        discover: str = "",
        sticky: Mapping[str, Any] | None = None,
        health: Mapping[str, Any] | None = None,
        eject: Mapping[str, Any] | None = None,
        retry: Mapping[str, Any] | None = None,
        breaker: Mapping[str, Any] | None = None,
        lanes: Mapping[str, Any] | None = None,
        panic: float = 0.5,
        slow_start: Amount = 0,
        queue: int = 100,
        queue_timeout: Amount = "1s",
        retry_after: Amount = "1s",
        **options: Any,
    ) -> None:
        check_names(options, (*CLIENT_NAMES, *forward_names()))
        own, connections = split(options)
        specs = [spec if isinstance(spec, EndpointSpec) else EndpointSpec.parse(spec) for spec in _several(endpoints)]
        if not specs and not discover:
            raise ConfigError("no endpoints: name one at least, or say where they are found (discover)")
        self.name = name or (specs[0].url if specs else str(discover).partition(" ")[0])
        client = client_settings(connections)
        rules = policy(
            health=health,
            eject={} if eject is None else eject,
            retry={} if retry is None else retry,
            panic=panic,
            slow_start=slow_start,
            queue=queue,
            queue_timeout=queue_timeout,
            retry_after=retry_after,
        )
        self.balance = balance
        self.upstream = Upstream(
            self.name,
            Roster(self.name, specs, client, rules),
            make(balance, hash),
            rules,
            Board(self.name, checks=rules.health is not None),
            lanes=_lanes({} if lanes is None else lanes, specs, bool(discover)),
            sticky=Sticky(sticky) if sticky is not None else None,
            breaker=Breaker(breaker) if breaker is not None else None,
        )
        self.gateway = Gateway(self.upstream, forward_settings(**own))
        changed = self.upstream.roster.changed
        self._checks = Checks(self.upstream.board, rules.health, client, changed) if rules.health else None
        self._static = specs
        self._source = make_source(discover) if discover else None
        self._discovery: Discovery | None = None
        self._wait = rules.queue_timeout
        self._ticker = Ticker(self._quickly, self._slowly)
        registry.add(self)

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any]) -> Balancer:
        """The Balancer that `[upstream.NAME]` means. ConfigError begins with the table's name and names the key."""
        known = [key for key in inspect.signature(cls).parameters if key not in ("name", "options")]
        try:
            check_names(table, (*known, *CLIENT_NAMES, *forward_names()))
            return cls(**{**table, "name": name})
        except ConfigError as error:
            raise ConfigError(f"[upstream.{name}] {error}") from None

    def __repr__(self) -> str:
        return f"<Balancer {self.describe()}>"

    def describe(self) -> str:
        """One line: its name, the algorithm, the endpoints."""
        urls = [endpoint.url for endpoint in self.endpoints]
        return urls[0] if urls == [self.name] else f"{self.name} ({self.balance}): {', '.join(urls) or 'none yet'}"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._ticker.running:
            self.start()
        return self.gateway(environ, start_response)

    @property
    def running(self) -> bool:
        """Whether checks, discovery and counting run in this process."""
        return self._ticker.running

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """The endpoints now, in order."""
        return self.upstream.roster.endpoints

    def replace(self, endpoints: Endpoints) -> None:
        """Put another list of endpoints in force, in this process. Nothing under way is cut off. ConfigError."""
        specs = [spec if isinstance(spec, EndpointSpec) else EndpointSpec.parse(spec) for spec in _several(endpoints)]
        self.upstream.roster.replace(specs)

    def start(self) -> None:
        """Start checks, discovery and counting in this process; a request does it, too."""
        if self._ticker.start() and self._source is not None:
            self._discovery = Discovery(self._source, self.name, self._discovered)
            self._discovery.start()
            self._discovery.ready.wait(self._wait)

    def close(self) -> None:
        """Stop the threads and close the connections; for apps that are replaced while their process goes on."""
        registry.discard(self)
        self._ticker.stop()
        if self._discovery is not None:
            self._discovery.stop()
        self.upstream.publish()
        self.upstream.roster.close()

    def _discovered(self, specs: Sequence[EndpointSpec]) -> None:
        written = {spec.url for spec in self._static}
        self.upstream.roster.replace([*self._static, *(spec for spec in specs if spec.url not in written)])

    def _quickly(self) -> None:
        self.upstream.refresh()

    def _slowly(self) -> None:
        upstream = self.upstream
        upstream.publish()
        for endpoint in upstream.roster.endpoints:
            endpoint.client.pool.trim()
        # A lease of several turns: a leader that is busy for a moment does not lose it.
        if self._checks is not None and upstream.board.lead(5.0):
            self._checks.run_due(upstream.roster.endpoints)


def _several(endpoints: Endpoints) -> Endpoints:
    if isinstance(endpoints, str | Mapping) or not isinstance(endpoints, Iterable):
        raise ConfigError(f"endpoints = {endpoints!r}: a list; write [{endpoints!r}]")
    return endpoints


def _lanes(tables: Mapping[str, Any], specs: Sequence[EndpointSpec], open_ended: bool) -> Lanes | None:
    lanes = Lanes(table_of(tables, "lanes"))
    for spec in specs:
        if spec.lane and spec.lane not in lanes.names:
            raise ConfigError(f"endpoint {spec.url}: there is no lane {spec.lane!r} in lanes")
    if not lanes.names:
        return None
    for name in lanes.names:
        if not open_ended and not any(spec.lane == name for spec in specs):
            raise ConfigError(f"lanes.{name}: no endpoint is in it; write 'http://... lane={name}'")
    return lanes
