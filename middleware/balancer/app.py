"""Balancer: an upstream with several endpoints, as a WSGI app. The manual is docs/balancing.md."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError, Mistakes, all_of
from wsgikit.middleware.amounts import table_of
from wsgikit.middleware.balancer import registry
from wsgikit.middleware.balancer.algorithms import make
from wsgikit.middleware.balancer.board import Board
from wsgikit.middleware.balancer.breaker import Breaker
from wsgikit.middleware.balancer.checks import Checks
from wsgikit.middleware.balancer.discovery import Discovery, make_source
from wsgikit.middleware.balancer.endpoint import Endpoint, EndpointSpec
from wsgikit.middleware.balancer.lanes import Lanes
from wsgikit.middleware.balancer.options import (
    CLIENT_NAMES,
    check_names,
    client_settings,
    forward_names,
    forwarding,
    located,
    split,
)
from wsgikit.middleware.balancer.roster import Roster
from wsgikit.middleware.balancer.settings import policy
from wsgikit.middleware.balancer.sticky import Sticky
from wsgikit.middleware.balancer.ticker import Ticker
from wsgikit.middleware.balancer.upstream import Upstream
from wsgikit.middleware.forward import Gateway

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from wsgikit.client import ClientSettings
    from wsgikit.middleware.amounts import Amount
    from wsgikit.middleware.balancer.algorithms import Algorithm
    from wsgikit.middleware.balancer.settings import Policy

Endpoints = Iterable[str | Mapping[str, Any] | EndpointSpec]


class Balancer:
    """Forwards each request to one of several endpoints.

    Options: see docs/balancing.md; those of Forward and of its connections may be given as well. `folder` is where
    relative names of files start ("": the working directory). ConfigError names an option that is wrong. No thread runs
    before the first request (or `start()`).
    """

    traits = frozenset({"terminal", "streams-request"})

    def __init__(
        self,
        endpoints: Endpoints = (),
        *,
        name: str = "",
        folder: str = "",
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
        mistakes = Mistakes()
        with mistakes:
            parts = all_of(
                endpoints=lambda: _specs(endpoints, needed=not discover),
                discover=lambda: make_source(discover, folder) if discover else None,
                sticky=lambda: Sticky(sticky) if sticky is not None else None,
                breaker=lambda: Breaker(breaker) if breaker is not None else None,
                lanes=lambda: Lanes(table_of({} if lanes is None else lanes, "lanes")),
                **{"hash" if hash else "balance": lambda: make(balance, hash)},
            )
        with mistakes:
            client = client_settings(located(connections, folder))
        with mistakes:
            forward = forwarding(own)
        with mistakes:
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
        mistakes.stop()
        specs: list[EndpointSpec] = parts["endpoints"]
        self.name = name or (specs[0].url if specs else str(discover).partition(" ")[0])
        self.balance = balance
        self._assemble(parts, parts["hash" if hash else "balance"], client, rules)
        self.gateway = Gateway(self.upstream, forward)
        registry.add(self)

    def _assemble(self, parts: Mapping[str, Any], algorithm: Algorithm, client: ClientSettings, rules: Policy) -> None:
        """Put together what the options have made: who is asked, and what looks after them."""
        specs, source = parts["endpoints"], parts["discover"]
        self.upstream = Upstream(
            self.name,
            Roster(self.name, specs, client, rules),
            algorithm,
            rules,
            Board(self.name, checks=rules.health is not None),
            lanes=_with_endpoints(parts["lanes"], specs, source is not None),
            sticky=parts["sticky"],
            breaker=parts["breaker"],
        )
        changed = self.upstream.roster.changed
        self._checks = Checks(self.upstream.board, rules.health, client, changed) if rules.health else None
        self._static = specs
        self._source = source
        self._discovery: Discovery | None = None
        self._wait = rules.queue_timeout
        self._ticker = Ticker(self._quickly, self._slowly)

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], folder: str = "") -> Balancer:
        """The Balancer that `[upstream.NAME]` means. ConfigErrors begin with the table's name and name the key."""
        known = [key for key in inspect.signature(cls).parameters if key not in ("name", "folder", "options")]
        known += [*CLIENT_NAMES, *forward_names()]
        values = {key: value for key, value in table.items() if key in known}
        if len(values) < len(table) and not values.keys() & {"endpoints", "discover"}:
            values["discover"] = "file:unknown"  # it may be what is misspelt: not to be missed as well
        mistakes = Mistakes()
        with mistakes:
            check_names(table, known)
        with mistakes:
            made = cls(**{**values, "name": name, "folder": folder})
        try:
            mistakes.stop()
        except ConfigError as error:
            raise error.each(lambda one: ConfigError(f"[upstream.{name}] {one}", one.way)) from None
        return made

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
        self.upstream.roster.replace(_specs(endpoints))

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


def _specs(endpoints: Endpoints, *, needed: bool = False) -> list[EndpointSpec]:
    if isinstance(endpoints, str | Mapping) or not isinstance(endpoints, Iterable):
        raise ConfigError(f"endpoints = {endpoints!r}: a list; write [{endpoints!r}]")
    mistakes, specs = Mistakes(), []
    for spec in endpoints:
        with mistakes:
            specs.append(spec if isinstance(spec, EndpointSpec) else EndpointSpec.parse(spec))
    mistakes.stop()
    if needed and not specs:
        raise ConfigError("no endpoints: name one at least, or say where they are found (discover)")
    return specs


def _with_endpoints(lanes: Lanes, specs: Sequence[EndpointSpec], open_ended: bool) -> Lanes | None:
    for spec in specs:
        if spec.lane and spec.lane not in lanes.names:
            raise ConfigError(f"endpoint {spec.url}: there is no lane {spec.lane!r} in lanes")
    if not lanes.names:
        return None
    for name in lanes.names:
        if not open_ended and not any(spec.lane == name for spec in specs):
            raise ConfigError(f"lanes.{name}: no endpoint is in it; write 'http://... lane={name}'")
    return lanes
