"""Carrying out one HTTP vector against a server: what came back, what the app saw, what became of the connection.

It only observes; `wsgikit.validators.server.matching` compares. The steps are those of `wsgikit.testing.vectors.model`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from wsgikit.errors import Disconnected, PeerTimeout, ProtocolError
from wsgikit.testing import RawClient, Response
from wsgikit.testing.vectors import FOLLOW_UP, App, Vector
from wsgikit.validators.server.control import SeenCall
from wsgikit.validators.server.trial import BODY_LIMIT, Trial

FOLLOW_PATH = "/follow-up"
# How long a server may take to show that it does not answer an unfinished head: long for loopback, short for a run.
_QUIET = 0.15
# A server that lingers before it closes (RFC 9112 9.6) still closes within this.
_LINGER = 1.0


@dataclass(slots=True)
class Observed:
    """What one vector led to.

    `early` are the statuses that came before `later` was sent. `rubbish` says how the bytes after the last response
    were no response. `waits` is set when a response was due and none came. `persists` is None when the connection
    neither took another request nor ended. `blind` is set where no probe could tell about calls.
    """

    early: list[int] = field(default_factory=list)
    replies: list[Response] = field(default_factory=list)
    calls: list[SeenCall] = field(default_factory=list)
    rubbish: str = ""
    waits: bool = False
    persists: bool | None = None
    new_connection: bool = True
    blind: bool = False

    @property
    def statuses(self) -> list[int]:
        return [reply.status for reply in self.replies]

    def __str__(self) -> str:
        answers = " ".join(map(str, self.statuses)) or "no response"
        if self.rubbish:
            answers += f", then {self.rubbish}"
        calls = [f"{call.environ.get('REQUEST_METHOD')} {call.path[:60]}" for call in self.calls]
        called = f"app called for {', '.join(calls)}" if calls else "app not called"
        if self.blind:
            called = "app not watched"
        fate = {True: "connection stays open", False: "connection ends", None: "server waits for more"}[self.persists]
        return f"{answers}; {called}; {fate}"


def observe(trial: Trial, vector: Vector) -> Observed:
    """Steps 1 to 4; the app behaves as the vector wants."""
    app = vector.app
    blocks = [block.decode("latin-1") for block in app.blocks]
    trial.site.control.plan = {"reads": app.reads, "status": app.status, "blocks": blocks, "length": app.length}
    trial.raw = (vector.raw if app == App() else planned(vector.raw, trial.site.control.plan)) + vector.later
    seen = Observed(blind=not trial.site.probed)
    client = trial.connect()
    _send(client, vector, seen)
    _read_replies(trial, client, vector, seen)
    if seen.waits and not seen.replies:
        _press(trial, client, seen)
    seen.persists = _fate(trial, client, vector, seen)
    trial.control_settles(0.03)
    client.close()
    seen.calls = [call for call in trial.calls if call.path != FOLLOW_PATH]
    for call in seen.calls:
        if app.reads:
            trial.event(call, "body", _LINGER)
    seen.new_connection = _answers_anew(trial)
    return seen


def planned(raw: bytes, plan: dict[str, Any]) -> bytes:
    """The request with the plan for the app in it, for who sends it without a driver."""
    line, end, rest = raw.partition(b"\r\n")
    return line + end + b"X-Probe-Plan: " + json.dumps(plan).encode("ascii") + end + rest


def _send(client: RawClient, vector: Vector, seen: Observed) -> None:
    client.send_some(vector.raw, client.timeout)
    if vector.later:
        if client.readable(client.timeout if _interim_due(vector) else _QUIET):
            seen.early = _early_statuses(client)
        client.send_some(vector.later, client.timeout)
    if vector.eof:
        try:
            client.half_close()
        except Disconnected:
            pass


def _interim_due(vector: Vector) -> bool:
    return any(outcome.interim for outcome in vector.outcomes)


def _early_statuses(client: RawClient) -> list[int]:
    """The statuses of what is there; the bytes stay pending."""
    data = client.pending
    return [int(part[9:12]) for part in data.split(b"\r\n\r\n") if part[:7] == b"HTTP/1." and part[9:12].isdigit()]


def _read_replies(trial: Trial, client: RawClient, vector: Vector, seen: Observed) -> None:
    most = max(len(outcome.replies) for outcome in vector.outcomes)
    methods = [call.method or "GET" for call in vector.expect.calls]
    first = vector.raw.partition(b" ")[0].decode("latin-1")
    while len(seen.replies) < most:
        method = methods[len(seen.replies)] if len(seen.replies) < len(methods) else "GET"
        try:
            reply = client.read_response(
                first if not seen.replies else method, timeout=trial.brief, body_limit=BODY_LIMIT
            )
        except PeerTimeout:
            seen.waits = True
            return
        except Disconnected:
            seen.rubbish = "an incomplete response" if client.partial is not None else ""
            return
        except ProtocolError as error:
            seen.rubbish = f"bytes that are no response ({error})"
            return
        seen.replies.append(reply)


def _press(trial: Trial, client: RawClient, seen: Observed) -> None:
    """A server that took the request for unfinished refuses it when more bytes come; that is its response then."""
    if client.send_some(FOLLOW_UP, 0.3) < len(FOLLOW_UP):
        return
    exchange = trial.read(client, wait=trial.brief / 2)
    if exchange.response is not None and exchange.status >= 400:
        seen.replies.append(exchange.response)
        seen.waits = False


def _fate(trial: Trial, client: RawClient, vector: Vector, seen: Observed) -> bool | None:
    """Whether the connection takes another request. A server that has announced the end is given time to close."""
    if client.closed_by_peer(0.01):
        return False
    if seen.waits and not seen.replies:
        return None
    if vector.eof:
        # The end of a TLS session leaves nothing that a poller sees: a keep-alive timeout of seconds may have to pass.
        return False if client.closed_by_peer(_LINGER if trial.site.tls is None else 3 * _LINGER) else None
    ends = not seen.replies or not seen.replies[-1].persistent or seen.replies[-1].status >= 400
    if ends and client.closed_by_peer(_LINGER):
        return False
    if client.send_some(FOLLOW_UP, 0.3) < len(FOLLOW_UP):
        return False
    try:
        answer = client.read_response(timeout=trial.brief, body_limit=BODY_LIMIT)
    except Disconnected:
        return False
    except PeerTimeout:
        # Announced, and lingering until we close (RFC 9112 9.6): as good as ended.
        return False if seen.replies and not seen.replies[-1].persistent else None
    except ProtocolError:
        return None
    return True if answer.status < 600 else None


def _answers_anew(trial: Trial) -> bool:
    exchange = trial.exchange(FOLLOW_UP)
    return exchange.response is not None
