"""Where each number stands in a worker's slot, and what the states are.

A slot has one writer at a time: the master until the fork, the worker after it, the master again once the worker is
gone. Cells are signed 64-bit and hold absolute values: a writer stores, it never adds to what somebody else wrote.
"""

from __future__ import annotations

PID = 0
"""Process id of the worker; 0 before the fork."""
STATE = 1
"""FREE, STARTING, READY, RETIRING or STOPPED."""
GENERATION = 2
"""How often this slot was taken; never goes back, so that a reader can tell a worker from its successor."""
HEARTBEAT = 3
"""time.monotonic() in ms when the worker's housekeeping last ran."""
STARTED = 4
"""time.time() in ms when the slot was taken."""
THREADS = 5
"""Threads that run the app."""
CONNECTIONS = 6
"""Open connections."""
AVAILABLE = 7
"""1 while the worker polls, 0 while no thread of it waits for connections."""
BUSY = 8
"""Threads that run the app now."""
RSS = 9
"""Resident memory in bytes."""
ROLE = 10
"""0 a worker; 1 a preloader, which has workers of its own and serves nothing itself."""
REQUESTS = 16
"""Requests answered."""
ERRORS = 17
"""Requests that ended with a 5xx answer or an aborted response."""
ACCEPTED = 18
"""Connections accepted."""
REFUSED = 19
"""Connections answered 503 because the worker was full."""
BYTES_IN = 20
"""Bytes received."""
BYTES_OUT = 21
"""Bytes sent."""
TIMEOUTS = 22
"""Requests that ran into the time limit of the app."""
BAD_REQUESTS = 23
"""Requests refused because they break the protocol."""
BUSY_US = 24
"""Microseconds spent in the app, over all threads."""

COUNTERS = range(16, 48)
"""Cells that only grow. What a worker that is gone had counted stays in `Scoreboard.totals()`. 25-47 are free."""

LABEL = 60
"""The last four cells are the name of the worker group, 32 bytes of UTF-8."""
CELLS = 64

FREE, STARTING, READY, RETIRING, STOPPED = range(5)
STATE_NAMES = ("free", "starting", "ready", "retiring", "stopped")
