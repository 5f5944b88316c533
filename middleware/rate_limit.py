"""A rate limit for each client: a token bucket, counted over all workers.

    Use(RateLimit, rate="100/m")
    Use(RateLimit, rate="5/s", burst=20, key="header:X-API-Key", when=path("/api"))

Options
    rate      how many per time: "5/s", "100/m", "1000/15m" ("60/m")
    burst     how many at once after a pause (the number in `rate`)
    key       who is counted: "address"; "user" (REMOTE_USER); "header:NAME"; "all" for one bucket; or a function of the
              environ that gives a text, "" for no limit ("address")
    ipv6_prefix   how many bits of an IPv6 address are one client (64: what one customer gets at least)
    rows      how many clients are remembered at once; the one longest unseen is forgotten first (10000)
    headers   tell RateLimit-Policy and RateLimit on every response (draft-ietf-httpapi-ratelimit-headers-10) (false)
    name      layers with the same name, rate and burst count together ("")

Over the limit: 429 with Retry-After; the app is not called. A request that is refused is not counted, so a client that
goes on knocking gets through at the rate. A request without the chosen key (no such header, no user) is counted by
address. A header's value counts as it is sent: who makes one up for each request has a full bucket for each, so let
something outside this layer refuse values that are nobody's, or count by address as well. Behind a proxy put
ProxyHeaders outside this layer, or everybody is the proxy.

Memory: `rows` x 48 bytes in the scoreboard, shared by all workers and kept when one is replaced. With more clients than
rows in a burst, the forgotten ones start with a full bucket again: give an expected attack enough rows.

Streaming: bodies are not touched. Other servers: each process counts for itself, or all that were forked after the app
was loaded (gunicorn --preload) together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import rate as parsed_rate
from wsgikit.middleware.amounts import whole
from wsgikit.middleware.answer import answer
from wsgikit.middleware.client_key import Key, client_key
from wsgikit.wsgi.wrap import Response, wrap

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["RateLimit"]

_SECOND = 10**9


class RateLimit:
    """Answers 429 to clients that ask too often. See the module for the options."""

    traits = frozenset({"by-address"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        rate: str = "60/m",
        burst: int | None = None,
        key: Key = "address",
        ipv6_prefix: int = 64,
        rows: int = 10_000,
        headers: bool = False,
        name: str = "",
    ) -> None:
        from wsgikit import scoreboard

        count, per = parsed_rate(rate, "rate")
        self.app = app
        self.burst = count if burst is None else whole(burst, "burst", 1)
        self.step = int(per * _SECOND / count)
        if not self.step or self.step * self.burst > 2**61:
            raise ConfigError(f"rate = {rate!r}: more than one in a nanosecond, or a burst of more than 70 years")
        self.key = client_key(key, whole(ipv6_prefix, "ipv6_prefix", 1, 128))
        self.table = scoreboard.current().table("rate-limit", rows=whole(rows, "rows", 1), cells=1)
        self.prefix = f"{name}\0{rate}\0{self.burst}\0".encode()
        self.headers = headers
        self.policy = f'"default";q={self.burst};w={max(1, round(self.step * self.burst / _SECOND))}'

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        key = self.key(environ)
        if not key:
            return self.app(environ, start_response)
        left, wait = self.table.update(self.prefix + key.encode(), self._take)
        if left < 0:
            detail = "There have been too many requests; please wait a little."
            fields = [("Retry-After", str(-(-wait // _SECOND))), *self._fields(0, wait)]
            return answer(environ, start_response, 429, detail, fields)
        if not self.headers:
            return self.app(environ, start_response)
        return wrap(self.app, environ, start_response, on_headers=self._tell(left, wait))

    def _take(self, row: Any) -> tuple[int, int]:
        """(tokens left, ns until a refused request would pass, or until one more token is there); -1 left: refused.

        The cell holds when the bucket will be full again (the generic cell rate algorithm of ATM Forum TM 4.0), on the
        monotonic clock, which all processes of a machine share.
        """
        now = monotonic_ns()
        full_at = max(row[0], now) + self.step
        room = now + self.step * self.burst - full_at
        if room < 0:
            return -1, -room
        row[0] = full_at
        return room // self.step, self.step - room % self.step

    def _tell(self, left: int, wait: int) -> Callable[[Response], None]:
        return lambda response: response.headers.extend(self._fields(left, wait))

    def _fields(self, left: int, wait: int) -> list[tuple[str, str]]:
        if not self.headers:
            return []
        return [("RateLimit-Policy", self.policy), ("RateLimit", f'"default";r={left};t={-(-wait // _SECOND)}')]
