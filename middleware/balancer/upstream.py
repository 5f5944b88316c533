"""An upstream at work: a request goes to an endpoint, or to another one, and what became of it is noted.

Owns the order of decisions for one request: breaker, lane and stickiness, choice, limit, the attempt, and whether there
is another one (RFC 9110 9.2.2: idempotent methods; RFC 9112 9.3.1: never once an answer has begun). Must not know WSGI
beyond the environ it hands to algorithms, nor the fields of a request.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from wsgikit.client import Response
from wsgikit.errors import UpstreamError, UpstreamTimeout
from wsgikit.middleware.balancer import board as cells
from wsgikit.middleware.balancer.algorithms import Algorithm
from wsgikit.middleware.balancer.attempt import Attempt
from wsgikit.middleware.balancer.board import Board, bucket
from wsgikit.middleware.balancer.breaker import Breaker
from wsgikit.middleware.balancer.budget import RetryBudget
from wsgikit.middleware.balancer.endpoint import Endpoint
from wsgikit.middleware.balancer.lanes import Lanes
from wsgikit.middleware.balancer.roster import Fit, Roster
from wsgikit.middleware.balancer.settings import Policy
from wsgikit.middleware.balancer.sticky import Sticky
from wsgikit.middleware.balancer.waiting import Waiting
from wsgikit.middleware.facts import line_of

if TYPE_CHECKING:
    from wsgikit.middleware.forward_request import Call

log = logging.getLogger("wsgikit.forward")

# Answers by which a gateway tells that its own upstream failed.
_GATEWAY_ERRORS = frozenset((502, 503, 504))
_NOTHING_SENT = frozenset(("resolve", "connect", "tls"))


class Unavailable(UpstreamError):
    """No endpoint may have the request now: 503. `retry_after` is in seconds."""

    status = 503

    def __init__(self, upstream: str, detail: str, retry_after: float) -> None:
        super().__init__(upstream, "choose", detail)
        self.retry_after = retry_after


class Reply:
    """An endpoint's response. `cookie` is a Set-Cookie to add, "" for none; `attempts` how many endpoints were asked.

    Call `end` once when all is over.
    """

    __slots__ = ("_upstream", "attempts", "cookie", "endpoint", "response")

    def __init__(self, upstream: Upstream, endpoint: Endpoint, response: Response, attempts: int, cookie: str) -> None:
        self._upstream = upstream
        self.endpoint = endpoint
        self.response = response
        self.attempts = attempts
        self.cookie = cookie

    def end(self, error: BaseException | None = None) -> None:
        """The body is through (None), or what happened to it; an error of the client's is no fault of the endpoint."""
        upstream, endpoint = self._upstream, self.endpoint
        upstream.leave(endpoint)
        if isinstance(error, UpstreamError):
            upstream.failed(endpoint, error)
            upstream.weigh(failed=True)
        elif error is not None:
            upstream.count(endpoint, cells.CLIENT_LEFT)


class Upstream:
    """One upstream in one process: the endpoints, and all that decides about them."""

    def __init__(
        self, name: str, roster: Roster, algorithm: Algorithm, policy: Policy, board: Board, **more: Any
    ) -> None:
        """`more`: lanes, sticky, breaker, clock; each may be left out."""
        self.name = name
        self.roster = roster
        self.policy = policy
        self.board = board
        self.lanes: Lanes | None = more.get("lanes")
        self.sticky: Sticky | None = more.get("sticky")
        self.breaker: Breaker | None = more.get("breaker")
        self.clock: Callable[[], float] = more.get("clock", monotonic)
        self._algorithm = algorithm
        self._observe = getattr(algorithm, "observe", None)
        self._budget = RetryBudget(policy.retry.ratio, policy.retry.floor, self.clock)
        self.waiting = Waiting(policy.queue, policy.queue_timeout)
        self._lock = threading.Lock()

    def send(self, call: Call) -> Reply:
        """The answer of an endpoint. UpstreamError, UpstreamTimeout: of the last one that was asked; Unavailable."""
        self._admit()
        return self._ask(call, [])

    def begin(self, call: Call) -> Attempt:
        """As `send`, up to where there is something to wait for; the Attempt then tells."""
        self._admit()
        attempt = Attempt(self, call)
        attempt.begin()
        return attempt

    def _admit(self) -> None:
        if self.breaker is not None and not self.breaker.allows():
            raise Unavailable(self.name, "the circuit breaker is open", self.breaker.open_for)
        self._budget.request()

    def _ask(self, call: Call, asked: list[Endpoint]) -> Reply:
        endpoint = self._acquire(call, asked)
        return self.served(call, endpoint, partial(self.send_to, call, endpoint), asked)

    def served(self, call: Call, endpoint: Endpoint, send: Callable[[], Response], asked: list[Endpoint]) -> Reply:
        """The endpoint's answer; another one's where it has none and another attempt is allowed."""
        try:
            response = self._attempt(endpoint, send)
        except UpstreamError as error:
            asked.append(endpoint)
            self._note(call, error, len(asked))
            if not self._may_retry(call, error, asked):
                if not _is_stale(error):
                    self.weigh(failed=True)
                raise
            self.count(endpoint, cells.RETRIES)
            return self._ask(call, asked)
        return Reply(self, endpoint, response, len(asked) + 1, self._cookie(call, endpoint))

    # Choosing

    def _acquire(self, call: Call, asked: list[Endpoint]) -> Endpoint:
        """An endpoint with one more request in flight. Unavailable: nobody may have it."""
        endpoint = self.find(call, asked)
        if endpoint is None:
            endpoint = self.waiting.until(partial(self.choose, call.environ, asked, waited=True), call.left)
        if endpoint is None:
            raise self.nobody()
        return endpoint

    def nobody(self) -> Unavailable:
        fit = bool(self.roster.fit())
        detail = "every endpoint has as many requests as it may" if fit else "no endpoint is there"
        return Unavailable(self.name, detail, self.policy.retry_after)

    def find(self, call: Call, asked: list[Endpoint]) -> Endpoint | None:
        """As `_acquire`, without waiting: the one that the client sticks to, or the algorithm's choice."""
        if self.sticky is not None and not asked:
            token = self.sticky.wanted(call.environ)
            known = self.roster.find(self.sticky.token, token) if token else None
            if known is not None and self._may_stick(known, call) and self._enter((known,), call.environ) is not None:
                return known
        return self.choose(call.environ, asked)

    def _may_stick(self, known: Endpoint, call: Call) -> bool:
        """Whether the request may go where its client has been: a lane that it names is what it wants now."""
        lane = self.lanes.named(call.environ) if self.lanes is not None else ""
        return not lane or known.spec.lane == lane or known in self.roster.fit(lane)

    def _cookie(self, call: Call, endpoint: Endpoint) -> str:
        """The Set-Cookie by which the client will stick to the endpoint, "" where it does already."""
        sticky = self.sticky
        if sticky is None or sticky.wanted(call.environ) == sticky.token(endpoint.url):
            return ""
        return sticky.set_cookie(endpoint.url, call.environ)

    def choose(self, environ: dict[str, Any], asked: list[Endpoint], *, waited: bool = False) -> Endpoint | None:
        """The algorithm's choice, None while all are full. `waited`: the request has been counted at those before."""
        lane = self.lanes.choose(environ) if self.lanes is not None else ""
        # somebody else, where there is somebody else
        fit = self.roster.others(lane, asked) if asked else ()
        fit = fit or self.roster.fit(lane)
        return self._enter(fit, environ, waited=waited) if fit else None

    def _enter(self, fit: Fit, environ: dict[str, Any], *, waited: bool = False) -> Endpoint | None:
        """The algorithm's choice among those that are not full; None when all are."""
        while fit:
            with self._lock:
                endpoint = fit[0] if len(fit) == 1 else self._algorithm.pick(fit, environ)
                endpoint.in_flight += 1
            if not endpoint.spec.max_connections or self.board.take(endpoint):
                return endpoint
            with self._lock:
                endpoint.in_flight -= 1
                if not waited:
                    endpoint.count(cells.REFUSED)
            fit = tuple(other for other in fit if other is not endpoint)
        return None

    def leave(self, endpoint: Endpoint) -> None:
        """A request at this endpoint is over."""
        with self._lock:
            endpoint.in_flight -= 1
        if endpoint.spec.max_connections:
            self.board.leave(endpoint)
            self.waiting.wake()

    # Trying

    def _attempt(self, endpoint: Endpoint, send: Callable[[], Response]) -> Response:
        started = self.clock()
        try:
            response = send()
        except UpstreamError as error:
            self.leave(endpoint)
            self.failed(endpoint, error)
            raise
        except BaseException:
            # the client has left, or its body was broken: nobody's fault here
            self.leave(endpoint)
            self.count(endpoint, cells.CLIENT_LEFT)
            raise
        self.answered(endpoint, response.status, self.clock() - started)
        return response

    def send_to(self, call: Call, endpoint: Endpoint) -> Response:
        """Send it to this one, once more where a connection had gone stale."""
        try:
            return endpoint.client.send(call.request(endpoint.origin))
        except UpstreamError as error:
            return self.send_again(call, endpoint, error)

    def send_again(self, call: Call, endpoint: Endpoint, error: UpstreamError) -> Response:
        """Once more on a new connection, where an old one was closed while the request was on its way."""
        if not _is_stale(error) or not call.idempotent or not call.may_go_again():
            raise error
        endpoint.client.pool.forget()
        return endpoint.client.send(call.request(endpoint.origin))

    def _may_retry(self, call: Call, error: UpstreamError, asked: list[Endpoint]) -> bool:
        retry = self.policy.retry
        if len(asked) >= retry.attempts or error.answered or not call.may_go_again():
            return False
        if error.phase in _NOTHING_SENT:
            # The endpoint has had no work from it, so that the next one gets no more than its share: no budget.
            # Who cannot be connected to will not be in a millisecond, and the client waits all the while.
            return "connect" in retry.on and bool(self.roster.others("", asked))
        kind = "timeout" if isinstance(error, UpstreamTimeout) else "reset"
        return call.idempotent and kind in retry.on and self._budget.take()

    # Taking note

    def replied(self, call: Call, endpoint: Endpoint, response: Response, started: float) -> Reply:
        """The first endpoint that was asked has answered what was sent at `started`."""
        self.answered(endpoint, response.status, self.clock() - started)
        return Reply(self, endpoint, response, 1, self._cookie(call, endpoint))

    def answered(self, endpoint: Endpoint, status: int, seconds: float) -> None:
        failed = status in _GATEWAY_ERRORS
        with self._lock:
            endpoint.count(cells.REQUESTS)
            endpoint.count(bucket(seconds))
            if status >= 500:
                endpoint.count(cells.SERVER_ERRORS)
            if self._observe is not None:
                self._observe(endpoint, seconds)
        self._judge(endpoint, "gateway error" if failed else "")
        if self.breaker is not None:
            self.weigh(failed=failed)

    def failed(self, endpoint: Endpoint, error: UpstreamError) -> None:
        """A request has failed at this endpoint."""
        with self._lock:
            if not error.answered:
                endpoint.count(cells.REQUESTS)
            endpoint.count(cells.FAILURES)
            if isinstance(error, UpstreamTimeout):
                endpoint.count(cells.TIMEOUTS)
            if error.phase in _NOTHING_SENT:
                endpoint.count(cells.CONNECT_FAILURES)
        if not _is_stale(error):
            reason = "timeout" if isinstance(error, UpstreamTimeout) else error.phase
            self._judge(endpoint, "connect" if reason == "resolve" else reason)

    def _judge(self, endpoint: Endpoint, reason: str) -> None:
        """Count consecutive failures ("" is a success), and eject when there are too many."""
        if not reason:
            endpoint.failures = 0
            return
        endpoint.failures += 1
        eject = self.policy.eject
        if not eject.failures or endpoint.failures < eject.failures:
            return
        endpoint.failures = 0
        most = int(len(self.roster.endpoints) * eject.most)
        length = self.board.eject(endpoint, reason, eject.base, eject.longest, most) if most else 0.0
        if not length and self.board.refresh(endpoint):
            self.roster.changed()  # another worker was quicker
        if length:
            self.count(endpoint, cells.EJECTED)
            self.roster.changed()
            log.error("upstream %s: %s is ejected for %g s: %s", self.name, endpoint.url, length, reason)

    def weigh(self, *, failed: bool) -> None:
        """Tell the breaker what became of a request; one that another endpoint has answered has not failed."""
        if self.breaker is not None and self.breaker.note(failed):
            log.error("upstream %s: the circuit breaker opens for %g s", self.name, self.breaker.open_for)
            self.board.opened(self.breaker.open_until)

    def count(self, endpoint: Endpoint, cell: int) -> None:
        """One more of a counter of `board`."""
        with self._lock:
            endpoint.count(cell)

    def _note(self, call: Call, error: UpstreamError, attempt: int) -> None:
        log.warning(
            "%s: upstream %s, endpoint %s, phase %s, attempt %d: %s",
            line_of(call.environ), self.name, error.endpoint, error.phase, attempt, error.detail,
        )  # fmt: skip

    def serves(self, endpoint: Endpoint) -> bool:
        """Whether an upgraded connection to this endpoint may go on: it is still one of ours, and is not drained."""
        return endpoint in self.roster.endpoints and not endpoint.spec.drain

    # Keeping time

    def publish(self) -> None:
        """Write what was counted to the scoreboard, also of endpoints that are on the list no more."""
        gone: list[Endpoint] = []
        leaving = self.roster.leaving
        for endpoint in (*leaving, *self.roster.endpoints):
            with self._lock:
                counted, endpoint.tally = endpoint.tally, {}
                in_flight = endpoint.in_flight
            self.board.publish(endpoint, in_flight, counted)
            if endpoint in leaving and not in_flight:
                gone.append(endpoint)
        if gone:
            self.roster.forget(gone)

    def refresh(self) -> None:
        """Take over what other workers have found out."""
        news = [self.board.refresh(endpoint) for endpoint in self.roster.endpoints]
        if any(news):
            self.roster.changed()
        if self.breaker is not None:
            self.breaker.trip(self.board.open_until())


def _is_stale(error: UpstreamError) -> bool:
    """The endpoint closed a connection that had been idle while the request was on its way: nothing is wrong."""
    crossed = error.reused and not error.answered and error.phase in ("send", "head")
    return crossed and not isinstance(error, UpstreamTimeout)
