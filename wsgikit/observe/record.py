"""The access record: what one answered request leaves for the logs.

Owns the values only. Must not know how they are written, nor read the environ (that is the formats' matter: an app may
have changed or emptied it by the time the record is made).
"""

from __future__ import annotations

from typing import Any


class Access:
    """One answered request.

    environ: the environ that was given to the app, in whatever state the app left it.
    method: as received ("GET"). target: the request target, raw bytes as received.
    remote: address of the client ("192.0.2.1"); "" on a Unix socket. protocol: "HTTP/1.1".
    status: the status that was sent, with its reason ("200 OK"); "" when none was sent.
    headers: the response headers as the app gave them. sent: body bytes that were sent.
    started: when the request head was complete, `time.time()` seconds.
    wait, body, app, send: seconds from the complete head to a thread taking it up; spent in reading the body; in the
        app (the call, its iteration, close()); in sending what the app's thread had left to send.
    facts: what server and middleware noted for the log ("mount", "route", "request_id", "user", "upstream").
    thread: name of the thread that ran the app.
    """

    __slots__ = (
        "app", "body", "environ", "facts", "headers", "method", "protocol", "remote", "send", "sent", "started",
        "status", "target", "thread", "wait",
    )  # fmt: skip

    def __init__(
        self,
        environ: dict[str, Any],
        method: str,
        target: bytes,
        remote: str,
        protocol: str,
        status: str,
        headers: list[tuple[str, str]],
        sent: int,
        started: float,
        wait: float,
        body: float,
        app: float,
        send: float,
        facts: dict[str, str],
        thread: str,
    ) -> None:
        self.environ = environ
        self.method = method
        self.target = target
        self.remote = remote
        self.protocol = protocol
        self.status = status
        self.headers = headers
        self.sent = sent
        self.started = started
        self.wait = wait
        self.body = body
        self.app = app
        self.send = send
        self.facts = facts
        self.thread = thread

    @property
    def total(self) -> float:
        """Seconds from the complete head to the end of the answer."""
        return self.wait + self.body + self.app + self.send
