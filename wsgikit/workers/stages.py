"""What a connection is waiting for, as `Connection.serve` has to know it."""

from __future__ import annotations

GREETING, OPEN, QUEUED, LINGERING, PAUSED = range(5)
"""Before the protocol (PROXY header, TLS handshake); the protocol's; a pipelined request that let others go first;
closing; an app waits without a thread, or is about to."""
