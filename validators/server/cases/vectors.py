"""Every HTTP vector as a case under its row's rule (H01-H64).

A server passes with any of the outcomes that the RFCs allow. What it does instead is graded by `grading`; bytes that
were taken for a request they are not, and a server that answers nobody afterwards, are always a FAIL.
"""

from __future__ import annotations

from wsgikit.testing.vectors import VECTORS, App, Vector
from wsgikit.validators.server.case import case
from wsgikit.validators.server.grading import level
from wsgikit.validators.server.matching import described, ends_unannounced, mismatch, refused_while_reading
from wsgikit.validators.server.observing import Observed, observe
from wsgikit.validators.server.trial import Trial

# What HTTP/1.1 brought; a server of HTTP/1.0 is not bound by it (RFC 9110 2.5)
_NEW = frozenset({"H08", "H12", "H13", "H14", "H15", "H51", "H54", *(f"H{number}" for number in range(31, 50))})
# Nothing to say about a server to which all chunked bodies are alike
_NEED_CHUNKS = frozenset({"H36", "H18-transfer-encoding", "H54-chunked", *(f"H{number}" for number in range(38, 48))})
# Nothing to say about a server that loses requests behind another: that is what H51 is about.
_NEED_PIPELINING = frozenset({"H30", "H37-next", "H48", "H59-two"})
# Where the connection has to end: nothing behind it may be run. Elsewhere a server that is lenient about the first
# request may well run the second. Or what follows is no request at all, but belongs to the body.
_NOTHING_FOLLOWS = frozenset({"H31", "H46-request", "H49", "H50", "H52"})


def _enter(vector: Vector) -> None:
    @case(
        vector.row, name=vector.id.partition("-")[2], timing=bool(vector.later or vector.eof), wire=vector.app == App()
    )
    def run(trial: Trial) -> str:
        """See the vector's name and note."""
        speaks_1_1 = trial.speaks_1_1()  # asked first: the question would spoil the record of what is observed
        if vector.row in _NEW or vector.id in _NEED_CHUNKS:
            trial.needs_1_1()
        if {vector.row, vector.id} & _NEED_CHUNKS and not trial.decodes_chunks():
            trial.skip("the server decodes no chunked bodies (see WSGI-S80)")
        if {vector.row, vector.id} & _NEED_PIPELINING and not trial.answers_pipelined():
            trial.skip("the server loses requests that are pipelined (see HTTP-51)")
        seen = observe(trial, vector)
        return _judge(trial, vector, seen, speaks_1_1)


def _judge(trial: Trial, vector: Vector, seen: Observed, speaks_1_1: bool) -> str:
    smuggled = [call for call in seen.calls if "smuggled" in call.environ.get("PATH_INFO", "")]
    if {vector.row, vector.id} & _NOTHING_FOLLOWS:
        trial.check(not smuggled, f"{vector.name}: what follows it was run as a request ({seen})", "must")
    trial.check(seen.new_connection, f"{vector.name}: afterwards a new connection gets no answer", "must")
    if vector.row == "H48":
        _persistence(trial, seen)
    wrong = [mismatch(outcome, seen) for outcome in vector.outcomes]
    if not wrong[0]:
        return ""
    unasked = bool(vector.expect.interim) and not seen.early
    if any(not outcome.calls for outcome in vector.outcomes) and refused_while_reading(seen) and not unasked:
        return f"refused while the app was reading: {seen}"
    if vector.id in ("H13-options", "H13-options-uri") and seen.replies and not seen.calls:
        return f"answered by the server itself: {seen}"
    if vector.row == "H60" and seen.statuses == [500]:
        return "refused as the app's error"
    if not all(wrong):
        return f"allowed, though not our choice: {seen}"
    return trial.fail(_told(vector, seen, wrong), level(vector, seen, speaks_1_1=speaks_1_1))


def _persistence(trial: Trial, seen: Observed) -> None:
    trial.check(not ends_unannounced(seen), f"the connection ends although the response does not say close ({seen})")
    if len(seen.replies) == 1 and seen.persists is False:
        trial.skip("the server closes every connection after one response, and says so")


def _told(vector: Vector, seen: Observed, wrong: list[str]) -> str:
    allowed = " | ".join(dict.fromkeys(described(outcome) for outcome in vector.outcomes))
    note = f" ({vector.note})" if vector.note else ""
    app = f" The app gives {vector.app.status} and {vector.app.blocks}." if vector.app != App() else ""
    return f"{vector.name}{note}: {_nearest(wrong)}. Seen: {seen}.{app} Allowed: {allowed}. Source: {vector.source}"


def _nearest(wrong: list[str]) -> str:
    """What was wrong, told from the outcome it came closest to: a difference in detail says more than the status."""
    return next((text for text in wrong if not text.startswith(("status", "the app was called", "nothing"))), wrong[0])


for _vector in VECTORS:
    _enter(_vector)
