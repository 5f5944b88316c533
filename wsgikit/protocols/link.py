"""What a protocol asks of its connection, beyond the sending half that the WSGI core uses."""

from __future__ import annotations

import socket
from typing import Any, Protocol

from wsgikit.wsgi.exchange import Guard, Pause
from wsgikit.wsgi.transport import Bypass, Transport


class Link(Transport, Protocol):
    """The worker's connection, as a protocol sees it."""

    @property
    def remote(self) -> str:
        """The client's address, "" on a Unix socket."""

    def describe(self, environ: dict[str, Any]) -> None:
        """Add what is known of the peer: REMOTE_ADDR, REMOTE_PORT, TLS variables, `wsgikit.client_gone`."""

    @property
    def pauses(self) -> Pause | None:
        """What apps may call as `wsgikit.pause`, new for each `describe`; None: no waiting without a thread here."""

    @property
    def bypass(self) -> Bypass | None:
        """What can send to this connection from another socket; None where that gains nothing."""

    def receive(self, received: int, since: float) -> bytes:
        """Wait for bytes of a streamed body; b"" when the peer ended its side.

        `received` and `since` (bytes so far, monotonic start) are held against the body's time and rate.
        Raises PeerTimeout, Disconnected.
        """

    def pass_on(self, target: int, most: int, received: int, since: float) -> tuple[int, bytes] | None:
        """As `receive`, but the bytes, `most` of them at most, go to another socket: how many there were, and those of
        them that it did not take, now or at all; (0, b"") when the peer ended its side. None where `receive` is to be
        used for what comes next.
        """

    def detach(self) -> socket.socket:
        """Hand the socket over, blocking, once everything queued has been sent."""

    def guard(self) -> Guard | None:
        """The present thread's interruptible region; None when requests have no deadline."""
