"""What an operator may set about a worker process: threads, limits, timeouts.

Owns the defaults. It must not know where a value came from (command line, file, environment): `config` fills it in.
All times are seconds, all sizes bytes; 0 switches a limit off where its line says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Limits and timeouts of one worker process."""

    threads: int = 8
    """Threads that share the poller and run the app. 1 makes the worker an event loop that runs the app inline."""

    connections: int = 10_000
    """Open connections a worker holds; one more is answered 503 with Retry-After."""

    multiplex: int = 100
    """Requests that one FastCGI connection may carry at a time; one more is told that we are overloaded."""

    head_timeout: float = 10.0
    """From the first byte of a request (or from accept) to the end of its head; then 408. Includes a TLS handshake."""

    keep_alive: float = 15.0
    """How long an idle connection is kept for its next request. 0 closes after every response."""

    body_timeout: float = 20.0
    """Time a request body has at the least; `body_rate` adds to it what has arrived. As Apache's RequestReadTimeout."""

    body_rate: int = 500
    """Bytes a second a request body must bring on average once `body_timeout` has passed; then 408. 0: no rate."""

    send_timeout: float = 60.0
    """A client that takes nothing of a waiting response for so long is reset; taking `send_rate` keeps it."""

    send_rate: int = 500
    """Bytes a second a client must take on average once `send_timeout` has passed. 0: any byte resets the timer."""

    linger: float = 2.0
    """How long a connection that is being closed is still read, so that the client gets the answer (RFC 9112 9.6)."""

    timeout: float = 30.0
    """How long the app may take to begin its response, and from block to block of a streamed one; then 504 (or a reset,
    once the response has begun) and the thread is interrupted. 0: no limit."""

    interrupt_grace: float = 5.0
    """How long an interrupted thread may take to come back before the worker is replaced."""

    idle_grace: float = 1.0
    """At a graceful stop: how long idle connections may still send one request, answered with Connection: close."""

    body: str = "spool"
    """"spool" reads a request body whole before a thread is spent on it, "stream" runs the app after the head."""

    max_body: int = 1 << 30
    """Largest request body; then 413, before the body where Content-Length says so. 0: no limit."""

    body_memory: int = 512 * 1024
    """Part of a spooled request body kept in memory; what is larger goes to a temporary file. As waitress's inbuf."""

    output_memory: int = 1 << 20
    """Response bytes that wait in memory for a slow client before they go to a temporary file."""

    output_spool: int = 1 << 30
    """Response bytes that wait in a file for a slow client before the app itself is held back."""

    unsent: int = 128 * 1024
    """Response bytes of one connection that the kernel holds before it has sent them (TCP_NOTSENT_LOWAT). More only
    fills its memory and makes the sender slower: 1 MiB answers came 1.7 times as often with this as without. 0: the
    kernel's choice, megabytes."""

    spool_dir: str = ""
    """Folder for temporary files. Empty: the system's (TMPDIR)."""

    drain: int = 64 * 1024
    """Unread request body that is read and thrown away to keep the connection; with more it is closed instead."""

    max_requests: int = 0
    """Requests after which the worker is replaced. 0: never."""

    max_requests_jitter: int = 0
    """Random addition, up to this number, to `max_requests`, so that workers do not all go at once."""

    max_rss: int = 0
    """Resident memory above which the worker is replaced. 0: never."""

    lead_slow: float = 0.001
    """A thread hands the poller on before a call when calls to this path take longer than this on average."""

    lead_long: float = 0.002
    """A call under way for longer than this loses the poller to another thread."""

    server_header: str = "wsgikit"
    """Value of the Server field, used when the app sets none. Empty: no Server field."""

    debug: bool = False
    """Show tracebacks in error pages. Never in production: it tells strangers about the code."""

    takeover: bool = False
    """Let apps take the socket over (`wsgikit.takeover`) for Upgrade and CONNECT."""

    poller: str = "auto"
    """"epoll", "selectors", or "auto" for the best the system has."""
