"""Which endpoints there are, and which of them may have the next request.

Owns the rules: draining endpoints get nothing new, backups wait for the others to be down, and when too few are up all
are used (panic). What was found is kept until something changes or a time runs out, so that a request costs one look.
Must not know algorithms or connections.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from math import inf
from time import monotonic

from wsgikit.client import ClientSettings
from wsgikit.errors import ConfigError
from wsgikit.middleware.balancer.board import ENDPOINTS
from wsgikit.middleware.balancer.endpoint import Endpoint, EndpointSpec
from wsgikit.middleware.balancer.settings import Policy

Fit = tuple[Endpoint, ...]

# How often the weight of an endpoint that warms up is looked at.
_WARM_STEP = 0.25


class Roster:
    """The endpoints of one upstream. `endpoints` is replaced as a whole, never changed.

    `leaving`: those that are on the list no more, until `forget` says that their last request is over and counted.
    """

    def __init__(
        self,
        upstream: str,
        specs: Iterable[EndpointSpec],
        settings: ClientSettings,
        policy: Policy,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._upstream = upstream
        self._settings = settings
        self._policy = policy
        self._clock = clock
        self._changing = threading.Lock()
        self._found: dict[str, tuple[Fit, float]] = {}
        self.endpoints: Fit = ()
        self.leaving: Fit = ()
        self.replace(specs, added=0.0)

    def replace(self, specs: Iterable[EndpointSpec], added: float | None = None) -> tuple[int, int]:
        """Put another list in force: (how many are new, how many have gone).

        Endpoints that stay keep their connections, counts and health; requests under way at those that go end where
        they are. ConfigError: the same URL twice, or too many.
        """
        wanted: dict[str, EndpointSpec] = {}
        for spec in specs:
            if spec.url in wanted:
                raise ConfigError(f"endpoint {spec.url} is there twice")
            wanted[spec.url] = spec
        if len(wanted) > ENDPOINTS:
            raise ConfigError(f"{len(wanted)} endpoints: {ENDPOINTS} are possible")
        with self._changing:
            now = self._clock() if added is None else added
            there = {endpoint.url: endpoint for endpoint in self.endpoints}
            new = {
                url: Endpoint(spec, self._upstream, self._settings, now)
                for url, spec in wanted.items()
                if url not in there
            }
            for url, endpoint in there.items():
                if url in wanted:
                    endpoint.spec = wanted[url]
            self.endpoints = tuple(there.get(url) or new[url] for url in wanted)
            self.changed()
            gone = [endpoint for url, endpoint in there.items() if url not in wanted]
            self.leaving += tuple(gone)
        for endpoint in gone:
            endpoint.client.close()
        return len(new), len(gone)

    def forget(self, gone: Iterable[Endpoint]) -> None:
        """These have left for good."""
        with self._changing:
            names = {id(endpoint) for endpoint in gone}
            self.leaving = tuple(endpoint for endpoint in self.leaving if id(endpoint) not in names)

    def changed(self) -> None:
        """Something that decides who is fit is not what it was."""
        self._found = {}

    def fit(self, lane: str = "") -> Fit:
        """The endpoints that may have a request of this lane; of another one, where it has none. () for nobody."""
        found = self._found.get(lane)
        now = self._clock()
        if found is not None and now < found[1]:
            return found[0]
        # Stored after all was looked at: a change meanwhile empties another dict, and is seen at the next look.
        kept = self._found
        fit, until = self._look(lane, now)
        kept[lane] = fit, until
        return fit

    def others(self, lane: str, asked: Collection[Endpoint]) -> Fit:
        """Who may have a request of this lane that `asked` have failed, () for nobody: the others that are fit, then
        backups, then the other lanes, although nobody has found out yet that those before them are down."""
        fit = tuple(endpoint for endpoint in self.fit(lane) if endpoint not in asked)
        if fit:
            return fit
        now = self._clock()
        left = [each for each in self.endpoints if each not in asked and not each.spec.drain and each.up(now)]
        for mine in (True, False):
            group = [endpoint for endpoint in left if (endpoint.spec.lane == lane) is mine]
            primaries = [endpoint for endpoint in group if not endpoint.spec.backup]
            if group:
                return tuple(primaries or group)
        return ()

    def _look(self, lane: str, now: float) -> tuple[Fit, float]:
        until = inf
        for endpoint in self.endpoints:
            part = endpoint.warmed(now, self._policy.slow_start)
            endpoint.weight = endpoint.spec.weight * part
            if part < 1.0:
                until = min(until, now + _WARM_STEP)
            if endpoint.health.ejected_until > now:
                until = min(until, endpoint.health.ejected_until)
        taking = [endpoint for endpoint in self.endpoints if not endpoint.spec.drain]
        mine = [endpoint for endpoint in taking if endpoint.spec.lane == lane]
        rest = [endpoint for endpoint in taking if endpoint.spec.lane != lane]
        # A lane of which nobody is up has the rest to go to; only when nobody is up anywhere they are all tried.
        for group in (mine, rest):
            if any(endpoint.up(now) for endpoint in group):
                return self._of(group, now), until
        return self._of(taking, now), until

    def _of(self, endpoints: list[Endpoint], now: float) -> Fit:
        primaries = [endpoint for endpoint in endpoints if not endpoint.spec.backup]
        up = tuple(endpoint for endpoint in primaries if endpoint.up(now))
        if up and len(up) >= self._policy.panic * len(primaries):
            return up
        backups = tuple(endpoint for endpoint in endpoints if endpoint.spec.backup and endpoint.up(now))
        if backups and not up:
            return backups
        return tuple(primaries or endpoints) if self._policy.panic else up

    def find(self, token: Callable[[str], str], wanted: str) -> Endpoint | None:
        """The endpoint whose token this is, if it is up; draining ones too."""
        now = self._clock()
        for endpoint in self.endpoints:
            if token(endpoint.url) == wanted:
                return endpoint if endpoint.up(now) else None
        return None

    def close(self) -> None:
        """Close all connections that nobody uses, the others once they are through."""
        for endpoint in self.endpoints:
            endpoint.client.close()
