"""How heavy it weighs when a vector leads to what no RFC allows: must, should or advice.

The vector and its rule say it; the table of exceptions has its reasons. Pure: knows neither sockets nor trials.
"""

from __future__ import annotations

import re

from wsgikit.testing.vectors import Vector
from wsgikit.validators.rules import rule
from wsgikit.validators.server.matching import refused_safely
from wsgikit.validators.server.observing import Observed

_LEVELS = {"MUST": "must", "SHOULD": "should", "MAY": "advice", "rec": "advice"}
_WEIGHT = ("advice", "should", "must")

# Bytes against the grammar alone: "the server SHOULD respond with a 400" (RFC 9112 2.2). What comes behind them is a
# request for a server that was lenient about them. A chunked request that breaks off (H45) "is incomplete" (RFC 9112
# 8), and the server "MAY" say so: the must about it is for Content-Length (6.3).
_GRAMMAR = frozenset({"H37", "H39", "H42", "H43", "H44", "H45"})
_OF_THEIR_OWN = {
    "H07-tls": "advice",  # without a line end it may still become a request line
    "H12-http-1.0": "advice",  # PEP 3333 wants no HTTP_HOST that the client did not send
    # PEP 3333 leaves CONNECT to the app, which may refuse it; RFC 9110 9.3.6 speaks of the server as a whole
    **{f"H14-{slug}": "should" for slug in ("port-too-large", "port-empty", "port-missing", "port-no-number", "path")},
    # By the grammar of RFC 3986 3.2.2 a comma, an empty name and any number of digits are possible
    **{f"H15-{slug}": "advice" for slug in ("list", "port-only", "port-too-large")},
    "H15-good-percent": "advice",  # possible by the grammar, and in no name that anybody has
    "H15-good-port-empty": "advice",
    "H26-lines-differ-in-zeros": "advice",  # the same number twice
    "H35-two-lines": "should",
    "H41-space": "advice",  # white space that no sender may write; refusing it is a common hardening
    "H41-spaces": "advice",
    "H41-escape": "advice",  # a quoted pair in a quoted value, which nobody sends
    **{f"H59-{slug}": "should" for slug in ("get", "post", "two")},  # good manners; no RFC demands it
    "H60-204": "should",  # the Content-Length is the app's
    "H60-205": "should",  # the app's fault first of all
    # The app's fault too. RFC 9110 says that these have no content, and lays it as a must on nobody; HEAD differs: "the
    # server MUST NOT send content in the response" (9.3.2).
    "H60-204-generator": "should",
    "H60-304": "should",
}
# What no client may send (RFC 9110 10.1.1), so that even no answer at all breaks no must
_NOT_OWED = {"H55-no-body": "should"}
# Refusing what no client may send hurts nobody: requests behind a close, trailers that frame
_CLIENTS_FAULT = frozenset({"H46", "H49", "H50"})
# A server with large integers may just as well wait for the whole of such a body.
_MAY_WAIT = frozenset({"H28", "H40"})


def level(vector: Vector, seen: Observed, *, speaks_1_1: bool = True) -> str:
    """The weaker of what the vector and its rule say, with the exceptions above.

    `speaks_1_1` is False for a server that answers in HTTP/1.0 and so claims to know no more.
    """
    if vector.id in _NOT_OWED:
        return _NOT_OWED[vector.id]
    levels = [_LEVELS[vector.level], rule(vector.row).level]
    levels.append("must" if _frames_204(vector, seen) else _OF_THEIR_OWN.get(vector.id, "must"))
    if vector.row in _GRAMMAR or (not speaks_1_1 and _of_1_1_alone(vector)):
        levels.append("should")
    if vector.row == "H31" and seen.persists is False:
        # The must of RFC 9112 6.1 is kept. It has no word on CONTENT_LENGTH, from which an app takes the length.
        levels.append("should")
    if refused_safely(seen) and not vector.expect.calls:
        levels.append("should" if not seen.replies or seen.statuses[0] == 500 else "advice")
    if vector.row in _CLIENTS_FAULT and seen.replies and min(seen.statuses) >= 400:
        levels.append("advice")
    if vector.row in _MAY_WAIT and seen.waits:
        levels.append("advice")
    elif vector.expect.calls and seen.waits and not seen.replies and not seen.calls:
        return "must"  # a request that everybody has to answer got no answer at all
    return min(levels, key=_WEIGHT.index)


def _of_1_1_alone(vector: Vector) -> bool:
    """Whether nothing but the specification of HTTP/1.1 is behind it; RFC 9110 and RFC 3875 hold for 1.0 too."""
    return set(re.findall(r"RFC (\d+)", vector.source)) == {"9112"}


def _frames_204(vector: Vector, seen: Observed) -> bool:
    """Whether a 204 has what "a server MUST NOT send" and the app did not give.

    That is Transfer-Encoding (RFC 9112 6.1), and Content-Length (RFC 9110 8.6) unless it is the app's.
    """
    names = ["Transfer-Encoding", *([] if vector.app.length else ["Content-Length"])]
    return any(reply.status == 204 and reply.get(name) is not None for reply in seen.replies for name in names)
