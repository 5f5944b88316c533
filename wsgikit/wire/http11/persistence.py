"""What happens to a connection after a response (RFC 9112 9.3 and 9.6), as a table.

Owns the rules and their order: the first rule whose conditions hold decides. Must not know sockets or clocks; who
asks carries the step out.
"""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass

from wsgikit.wire.http11.framing import Framing


class Step(enum.Enum):
    """What to do with the connection."""

    NEXT = "next"
    """Read the next request."""
    LINGER = "linger"
    """End our side, go on reading and discarding for a while, then close. A close at once while unread bytes wait makes
    the kernel reset the connection, and the client may lose the response (RFC 9112 9.6)."""
    CLOSE = "close"
    """Close now: nothing that the client sent is unread."""


CONDITIONS = ("broken", "error", "body_read", "delimited", "keep_alive", "closing", "pending")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row. A condition that is None may be either.

    `broken`      the response was cut short, or the peer has gone
    `error`       the request was refused by the parser or the decoder
    `body_read`   the whole body of the request was read (or drained)
    `delimited`   the response ends by itself: its framing is not CLOSE
    `keep_alive`  the client's wish (`Head.keep_alive`)
    `closing`     we want to end: the app said `Connection: close`, shutdown, too many requests on this connection
    `pending`     bytes after this request have come already
    """

    step: Step
    reason: str
    broken: bool | None = None
    error: bool | None = None
    body_read: bool | None = None
    delimited: bool | None = None
    keep_alive: bool | None = None
    closing: bool | None = None
    pending: bool | None = None

    def holds(self, values: tuple[bool, ...]) -> bool:
        wanted = (getattr(self, condition) for condition in CONDITIONS)
        return all(want is None or want == value for want, value in zip(wanted, values, strict=True))


RULES = (
    Rule(
        step=Step.CLOSE,
        broken=True,
        reason="a response that was cut short must not look complete, and nobody reads on (RFC 9112 8)",
    ),
    Rule(
        step=Step.LINGER,
        error=True,
        reason="where the next request would start is unknown, and the client may still be sending (RFC 9112 9.6)",
    ),
    Rule(
        step=Step.LINGER,
        body_read=False,
        reason="the rest of the body would be read as a request (RFC 9112 9.3)",
    ),
    Rule(
        step=Step.LINGER,
        delimited=False,
        pending=True,
        reason="the end of the connection ends the body, and unread bytes would reset it (RFC 9112 6.3)",
    ),
    Rule(
        step=Step.CLOSE,
        delimited=False,
        reason="the end of the connection ends the body (RFC 9112 6.3)",
    ),
    Rule(
        step=Step.LINGER,
        keep_alive=False,
        pending=True,
        reason="the client does not persist; what it sent after this request is not a request (RFC 9112 9.6)",
    ),
    Rule(
        step=Step.CLOSE,
        keep_alive=False,
        reason="the client does not persist (RFC 9112 9.3)",
    ),
    Rule(
        step=Step.LINGER,
        closing=True,
        pending=True,
        reason="we said close; the client sends pipelined requests again (RFC 9112 9.6)",
    ),
    Rule(
        step=Step.CLOSE,
        closing=True,
        reason="we said close (RFC 9112 9.6)",
    ),
    Rule(
        step=Step.NEXT,
        reason="both sides persist and the request was read to its end (RFC 9112 9.3)",
    ),
)


def _expand() -> dict[tuple[bool, ...], Rule]:
    """The rule for every combination: a request costs one lookup."""
    return {
        values: next(rule for rule in RULES if rule.holds(values))
        for values in itertools.product((False, True), repeat=len(CONDITIONS))
    }


_TABLE = _expand()


def after_response(
    framing: Framing,
    *,
    keep_alive: bool,
    body_read: bool,
    error: bool = False,
    broken: bool = False,
    closing: bool = False,
    pending: bool = False,
) -> Rule:
    """The rule that decides; see `Rule` for the arguments. Its `step` says what to do, its `reason` is for the log."""
    return _TABLE[broken, error, body_read, framing is not Framing.CLOSE, keep_alive, closing, pending]
