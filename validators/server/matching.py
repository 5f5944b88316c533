"""Comparing what a vector led to with what it may lead to. Pure: knows neither sockets nor trials."""

from __future__ import annotations

import hashlib
import re

from wsgikit.testing import Response
from wsgikit.testing.vectors import Call, Outcome, Reply
from wsgikit.validators.server.control import SeenCall
from wsgikit.validators.server.observing import Observed


def mismatch(outcome: Outcome, seen: Observed) -> str:
    """What keeps `seen` from being that outcome, "" when it is.

    A server may end a connection after any response: what was pipelined behind that is then neither answered nor run,
    and the client sends it again (RFC 9112 9.3.2). That it should have said so is the business of one rule, H48.
    """
    ended = bool(seen.replies) and seen.persists is False
    return (
        _early(outcome, seen)
        or _replies(outcome, seen, ended)
        or _calls(outcome, seen, ended)
        or _connection(outcome, seen, ended)
    )


def ends_unannounced(seen: Observed) -> bool:
    """Whether the server ended a connection that its last response had promised to keep (RFC 9112 9.6)."""
    return bool(seen.replies) and seen.persists is False and seen.replies[-1].persistent and seen.statuses[-1] < 400


def _early(outcome: Outcome, seen: Observed) -> str:
    if tuple(dict.fromkeys(seen.early)) == outcome.interim:  # one 100 is as good as two (RFC 9110 15.2)
        return ""
    if not outcome.interim and not outcome.calls and seen.early:
        return ""  # refused at once, before the rest was sent
    return f"{_listed(seen.early)} came before the rest of the request was sent"


def _replies(outcome: Outcome, seen: Observed, ended: bool) -> str:
    wanted = outcome.replies
    if len(seen.replies) < len(wanted):
        silent = outcome.silent and len(seen.replies) == len(wanted) - 1 and not seen.waits
        if not silent and not ended:
            return f"{seen.rubbish or _listed(seen.statuses)} where {len(wanted)} responses are due"
    for reply, response in zip(wanted, seen.replies, strict=False):
        wrong = "" if seen.blind and _any_app(reply, response) else _reply(reply, response)
        if wrong:
            return wrong
    return "" if not seen.rubbish or outcome.silent else seen.rubbish


def _any_app(wanted: Reply, response: Response) -> bool:
    """Whether an app that is not ours may have answered where ours answers 200."""
    return wanted.statuses == {200} and (response.status < 400 or response.status in (401, 403, 404, 405, 406))


def _reply(wanted: Reply, response: Response) -> str:
    status = response.status
    if status not in wanted.statuses:
        return f"status {status}"
    present = {name.lower().decode("latin-1") for name, _ in response.fields}
    missing = [name for name in wanted.fields if name not in present]
    missing += [name for code, name in wanted.when if code == status and name not in present]
    extra = [name for name in wanted.lacks if name in present]
    if missing or extra:
        return f"{status} without {', '.join(missing)}" if missing else f"{status} with {', '.join(extra)}"
    if wanted.body is not None and response.body != wanted.body:
        return f"{status} with the body {response.body[:60]!r}"
    line = response.head.partition(b"\r\n")[0]
    # A reason of the server's own is as good, and 1.0 servers answer in 1.0.
    if wanted.line is not None and not line[8:].startswith(wanted.line[8:]):
        return f"the status line {line!r}"
    return ""


def _calls(outcome: Outcome, seen: Observed, ended: bool) -> str:
    if seen.blind:
        return ""
    wanted, calls = outcome.calls, seen.calls
    fewer = ended and len(seen.replies) <= len(calls) < len(wanted)
    if len(calls) != len(wanted) and not fewer:
        return f"the app was called {len(calls)} times, not {len(wanted)}"
    for one, call in zip(wanted, calls, strict=False):
        wrong = _call(one, call)
        if wrong:
            return wrong
    return ""


def _call(wanted: Call, call: SeenCall) -> str:
    environ = call.environ
    named = {"REQUEST_METHOD": wanted.method, "PATH_INFO": wanted.path, "QUERY_STRING": wanted.query, **wanted.environ}
    for name, value in named.items():
        seen = environ.get(name, "" if name in ("PATH_INFO", "QUERY_STRING") else None)
        if name == "PATH_INFO":
            seen = environ.get("SCRIPT_NAME", "") + (seen or "")
        if name == "PATH_INFO" and value == "/" and not seen:
            continue  # PEP 3333: it may be empty when the URL has no path
        if value is not None and _spaced(seen) != _spaced(value):
            return f"{name} is {seen if seen is None else seen[:80]!r}, not {value[:80]!r}"
    for name in wanted.lacks:
        if environ.get(name) and not (name == "CONTENT_LENGTH" and environ[name] == "0"):
            return f"{name} is {environ[name]!r}"
    return _body(wanted, call)


def _spaced(text: str | None) -> str | None:
    """Runs of spaces and tabs as one space: what a fold left behind (RFC 9112 5.2) may differ in that."""
    return text and re.sub("[ \t]+", " ", text)


def _body(wanted: Call, call: SeenCall) -> str:
    report = call.first("body")
    if report is None:  # the app did not read, or its reading was cut off
        unread = call.first("unread") is not None
        return "" if unread or not wanted.complete or not wanted.body else "the app did not get to the end of the body"
    size = report["size"]
    if not wanted.complete:
        broken_off = report["trouble"] or size < len(wanted.body)
        return "" if broken_off else f"the app took {size} bytes for a complete body"
    same = report["sha256"] == hashlib.sha256(wanted.body).hexdigest()
    trouble = f", {report['trouble']}" if report["trouble"] else ""
    return "" if same and not trouble else f"the app read {report['start'][:60]!r} ({size} bytes{trouble})"


def _connection(outcome: Outcome, seen: Observed, ended: bool) -> str:
    if seen.persists is None:
        return "the server neither answers another request on the connection nor ends it"
    if outcome.persists is None or seen.persists is outcome.persists or (outcome.persists and ended):
        return ""
    return "the connection stays open" if seen.persists else "the connection ends"


def refused_while_reading(seen: Observed) -> bool:
    """Whether a server that streams refused: the app's reading raised, and the connection ended."""
    reports = [call.first("body") for call in seen.calls]
    raised = [report is not None and report["trouble"] not in ("", "short") for report in reports]
    return bool(raised) and all(raised) and seen.persists is False


def refused_safely(seen: Observed) -> bool:
    """Whether the server refused and nothing else came of it, whatever status it chose."""
    return (
        not seen.calls
        and len(seen.replies) <= 1
        and all(reply.status >= 400 for reply in seen.replies)
        and (seen.persists is False)
    )


def _listed(statuses: list[int]) -> str:
    return " ".join(map(str, statuses)) or "nothing"


def described(outcome: Outcome) -> str:
    """An outcome in a few words."""
    answers = [_status_range(reply) for reply in outcome.replies]
    if outcome.silent and answers:
        answers[-1] += " or none"
    calls = [f"{call.method or 'any'} {(call.path or '')[:40]}".strip() for call in outcome.calls]
    called = f"app called for {', '.join(calls)}" if calls else "app not called"
    fate = {True: "connection stays open", False: "connection ends", None: "connection open or not"}[outcome.persists]
    return f"{' '.join(answers)}, {called}, {fate}"


def _status_range(reply: Reply) -> str:
    statuses = sorted(reply.statuses)
    return "/".join(map(str, statuses)) if len(statuses) < 6 else f"{statuses[0]}-{statuses[-1]}"
