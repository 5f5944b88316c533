"""A request to an upstream that nobody waits for in a thread: a descriptor tells when to look again.

Owns the order in which such a request waits: for its turn in the queue, if every endpoint is full, then for the head of
the response. What may happen once and is rare (another endpoint, a new connection for one that had gone stale) is done
as `Upstream.send` does it, in the thread that finds it out. Must not know the server.
"""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from wsgikit.errors import UpstreamError
from wsgikit.middleware.balancer import board as cells
from wsgikit.middleware.balancer.waiting import Place

if TYPE_CHECKING:
    from wsgikit.client.client import Pending
    from wsgikit.middleware.balancer.endpoint import Endpoint
    from wsgikit.middleware.balancer.upstream import Reply, Upstream
    from wsgikit.middleware.forward_request import Call


class Attempt:
    """One request. `reply`: the answer, once it is there. Until then `fd` is readable when there is reason to `look`,
    and `until` is the time (monotonic seconds) to look at the latest."""

    __slots__ = (
        "_call", "_endpoint", "_pending", "_place", "_started", "_upstream", "fd", "reply", "until"
    )  # fmt: skip

    def __init__(self, upstream: Upstream, call: Call) -> None:
        self._upstream = upstream
        self._call = call
        self._started = 0.0
        self._endpoint: Endpoint | None = None
        self._place: Place | None = None
        self._pending: Pending | None = None
        self.reply: Reply | None = None
        self.fd = -1
        self.until = 0.0

    def begin(self) -> None:
        """Send the request, or take a place in the queue. Has the reply already where it cannot be waited for outside
        (TLS), where it came before the whole request was sent, or the first endpoint has failed. Errors as
        `Upstream.send`."""
        upstream = self._upstream
        endpoint = upstream.find(self._call, [])
        if endpoint is not None:
            self._send(endpoint)
            return
        self._place = place = upstream.waiting.enter(descriptor=True)
        if place is None:
            raise upstream.nobody()
        self.fd, self.until = place.fd, place.look_by()

    def look(self, *, wait: bool = False) -> Reply | None:
        """The answer, None while there is none; `wait` for it, in this thread. Errors as `Upstream.send`."""
        if self._place is not None and not (self._has_left_queue(self._place, wait) and wait):
            return self.reply
        endpoint, pending = self._endpoint, self._pending
        if self.reply is not None or pending is None or endpoint is None:
            return self.reply
        upstream = self._upstream
        try:
            response = pending.wait() if wait else pending.look()
        except UpstreamError as error:
            return self._recover(endpoint, error)
        except BaseException:
            self.desert()
            raise
        if response is None:
            return None
        self._pending = self._endpoint = None  # they are the reply's now
        self.reply = upstream.replied(self._call, endpoint, response, self._started)
        return self.reply

    def desert(self) -> None:
        """Let go: the client has left, or its body was broken. Nobody's fault here. Nothing when it is over already."""
        place, self._place = self._place, None
        pending, self._pending = self._pending, None
        endpoint, self._endpoint = self._endpoint, None
        if place is not None:
            place.leave()
        if pending is not None:
            pending.close()
        if endpoint is not None:
            self._upstream.leave(endpoint)
            self._upstream.count(endpoint, cells.CLIENT_LEFT)

    def _send(self, endpoint: Endpoint) -> None:
        upstream, call = self._upstream, self._call
        self._endpoint = endpoint
        if not endpoint.client.pausable:
            self._endpoint = None
            send = partial(upstream.send_to, call, endpoint)
            self.reply = upstream.served(call, endpoint, send, [])
            return
        self._started = upstream.clock()
        try:
            self._pending = pending = endpoint.client.begin(call.request(endpoint.origin))
        except UpstreamError as error:
            self._recover(endpoint, error)
        except BaseException:
            self.desert()
            raise
        else:
            self.fd, self.until = pending.fd, pending.deadline
            if pending.here:
                self.look()

    def _has_left_queue(self, place: Place, wait: bool) -> bool:
        """Send what has waited for an endpoint, if there is one now. Unavailable: its time is over."""
        upstream, gone = self._upstream, self._call.left
        choose = partial(upstream.choose, self._call.environ, [], waited=True)
        called = place.called()
        endpoint = upstream.waiting.wait(place, choose, gone) if wait else place.attempt(choose)
        if endpoint is not None:
            self._place = None
            place.leave()
            self._send(endpoint)
            return True
        now = monotonic()
        if wait or now >= place.deadline or gone():
            self.desert()
            raise upstream.nobody()
        if called or now >= self.until:
            self.until = place.look_by()
        return False

    def _recover(self, endpoint: Endpoint, error: UpstreamError) -> Reply:
        """What was begun has failed: go on as `Upstream.send` would, in this thread."""
        upstream, call = self._upstream, self._call
        self._pending = self._endpoint = None
        again = partial(upstream.send_again, call, endpoint, error)
        self.reply = upstream.served(call, endpoint, again, [])
        return self.reply
