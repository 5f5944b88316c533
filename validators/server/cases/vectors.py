"""Every HTTP vector as a case under its row's rule (H01-H64).

A server passes with any of the outcomes that the RFCs allow. What it does instead is graded by the vector's own level;
bytes that were taken for a request they are not, and a server that answers nobody afterwards, are always a FAIL.
"""

from __future__ import annotations

from wsgikit.testing.vectors import VECTORS, App, Vector
from wsgikit.validators.rules import rule
from wsgikit.validators.server.case import case
from wsgikit.validators.server.matching import (
    described,
    ends_unannounced,
    mismatch,
    refused_safely,
    refused_while_reading,
)
from wsgikit.validators.server.observing import Observed, observe
from wsgikit.validators.server.trial import Trial

_LEVELS = {"MUST": "must", "SHOULD": "should", "MAY": "advice", "rec": "advice"}
_WEIGHT = ("advice", "should", "must")

# Bytes against the grammar alone: "the server SHOULD respond with a 400" (RFC 9112 2.2). Running what follows them is
# another matter and judged before.
_GRAMMAR = frozenset({"H37", "H39", "H42", "H43", "H44"})
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
    "H45-before-final-crlf": "should",  # the last chunk has come
    "H45-inside-final-crlf": "should",
    "H45-inside-trailers": "should",
    **{f"H59-{slug}": "should" for slug in ("get", "post", "two")},  # good manners; no RFC demands it
    "H60-204": "should",  # the Content-Length is the app's
    "H60-205": "should",  # the app's fault first of all
}
# What HTTP/1.1 brought; a server of HTTP/1.0 is not bound by it (RFC 9110 2.5)
_NEW = frozenset({"H08", "H12", "H13", "H14", "H15", "H51", "H54", *(f"H{number}" for number in range(31, 50))})
# Nothing to say about a server to which all chunked bodies are alike
_NEED_CHUNKS = frozenset({"H36", *(f"H{number}" for number in range(38, 48))})
# Where the connection has to end, or its framing is lost: nothing behind it may be run. Elsewhere a server that is
# lenient about the first request may well run the second.
_NOTHING_FOLLOWS = frozenset({"H31", "H39", "H42", "H49", "H50", "H52"})
# Refusing what no client may send hurts nobody: requests behind a close, trailers that frame
_CLIENTS_FAULT = frozenset({"H46", "H49", "H50"})
# A server with large integers may just as well wait for the whole of such a body.
_MAY_WAIT = frozenset({"H28", "H40"})


def _enter(vector: Vector) -> None:
    @case(
        vector.row, name=vector.id.partition("-")[2], timing=bool(vector.later or vector.eof), wire=vector.app == App()
    )
    def run(trial: Trial) -> str:
        """See the vector's name and note."""
        if vector.row in _NEW:
            trial.needs_1_1()
        if vector.row in _NEED_CHUNKS and not trial.decodes_chunks():
            trial.skip("the server decodes no chunked bodies (see WSGI-S80)")
        if vector.row == "H59" and trial.site.tls is not None:
            trial.skip("TLS has an end of its own (close_notify); half of a connection is not closed over it")
        seen = observe(trial, vector)
        return _judge(trial, vector, seen)


def _judge(trial: Trial, vector: Vector, seen: Observed) -> str:
    smuggled = [call for call in seen.calls if "smuggled" in call.environ.get("PATH_INFO", "")]
    if vector.row in _NOTHING_FOLLOWS:
        trial.check(not smuggled, f"{vector.name}: what follows it was run as a request ({seen})", "must")
    trial.check(seen.new_connection, f"{vector.name}: afterwards a new connection gets no answer", "must")
    if vector.row == "H48":
        _persistence(trial, seen)
    wrong = [mismatch(outcome, seen) for outcome in vector.outcomes]
    if not wrong[0]:
        return ""
    if any(not outcome.calls for outcome in vector.outcomes) and refused_while_reading(seen):
        return f"refused while the app was reading: {seen}"
    if vector.id in ("H13-options", "H13-options-uri") and seen.replies and not seen.calls:
        return f"answered by the server itself: {seen}"
    if vector.row == "H60" and seen.statuses == [500]:
        return "refused as the app's error"
    if not all(wrong):
        return f"allowed, though not our choice: {seen}"
    return trial.fail(_told(vector, seen, wrong), _level(vector, seen))


def _persistence(trial: Trial, seen: Observed) -> None:
    trial.check(not ends_unannounced(seen), f"the connection ends although the response does not say close ({seen})")
    if len(seen.replies) == 1 and seen.persists is False:
        trial.skip("the server closes every connection after one response, and says so")


def _told(vector: Vector, seen: Observed, wrong: list[str]) -> str:
    allowed = " | ".join(dict.fromkeys(described(outcome) for outcome in vector.outcomes))
    note = f" ({vector.note})" if vector.note else ""
    app = f" The app gives {vector.app.status} and {vector.app.blocks}." if vector.app != App() else ""
    return f"{vector.name}{note}: {_nearest(wrong)}. Seen: {seen}.{app} Allowed: {allowed}. Source: {vector.source}"


def _level(vector: Vector, seen: Observed) -> str:
    """The weaker of what the vector and its rule say, with the exceptions above."""
    levels = [_LEVELS[vector.level], rule(vector.row).level, _OF_THEIR_OWN.get(vector.id, "must")]
    if vector.row in _GRAMMAR:
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


def _nearest(wrong: list[str]) -> str:
    """What was wrong, told from the outcome it came closest to: a difference in detail says more than the status."""
    return next((text for text in wrong if not text.startswith(("status", "the app was called", "nothing"))), wrong[0])


for _vector in VECTORS:
    _enter(_vector)
