"""What a hostile but legal server does to an app, and what each reaction means. One function a scenario.

Each takes the session, a request that the app answers well, and the baseline: that answer and whether it is the same
every time. What an app answers at random cannot be compared and is judged by its status alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from wsgikit.validators.app.baseline import Baseline
from wsgikit.validators.app.driver import KINDS, Answer, Conduct, Conversation
from wsgikit.validators.app.request import Request
from wsgikit.validators.app.session import Session, alike, difference, outcome

# What a browser, a proxy or a websocket client may send along (RFC 9110 7.6.1 and what went before it).
_HOP_BY_HOP = (
    ("Connection", "close"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "keep-alive"),
    ("TE", "trailers"),
    ("Trailer", "Digest"),
    ("Transfer-Encoding", "chunked"),
    ("Upgrade", "websocket"),
)
_EACH = 3  # calls of each thread


def baseline(session: Session, request: Request) -> Baseline | None:
    """Ask three times. None when the app cannot be compared with itself; what is wrong then has been reported."""
    answers = [session.ask(request) for _ in range(3)]
    first = answers[0]
    if first.crashed:
        _crashed(session, request, first)
        return None
    session.tried("A02", "A03", "A38")
    for other in answers[1:]:
        if not alike(first, other, body=False):
            session.found("A02", f"the same request again: {difference(first, other)}", request)
            return None
    return Baseline(session, request, first, all(alike(first, other, body=True) for other in answers))


def _crashed(session: Session, request: Request, answer: Answer) -> None:
    error = answer.raised
    inside = error is not None and error.__traceback__ is not None and _deep(error)
    if isinstance(error, TypeError) and answer.phase == "call" and not inside:
        session.found("A03", f"the app cannot be called with two arguments: {error}", request)
    else:
        session.found("A38", f"the app raised {outcome(answer)}", request)


def _deep(error: BaseException) -> bool:
    """Whether the exception was raised inside the app rather than by calling it."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step is not None and not step.tb_frame.f_globals.get("__name__", "").startswith("wsgikit.validators.lint.")


def methods(session: Session, request: Request, base: Baseline) -> None:
    """Every method, with a body where one is usual, once with streams that can do more than they must."""
    for method in session.settings.methods:
        body = request.body or (b"name=value" if method in ("POST", "PUT", "PATCH") else b"")
        form = () if request.body else (("Content-Type", "application/x-www-form-urlencoded"),)
        other = request.but(method=method, body=body, headers=request.headers + (form if body else ()))
        for conduct in (Conduct(), Conduct(rich_streams=True, file_wrapper=True)):
            answer = session.ask(other, conduct)
            if answer.crashed:
                session.found("A38", f"the app raised {outcome(answer)}", other, conduct)
                break


def minimal(session: Session, request: Request, base: Baseline) -> None:
    """The least environ that is legal."""
    conduct = Conduct(environ="minimal")
    session.tried("A47")
    answer = session.ask(request, conduct)
    if answer.crashed or (answer.status[:1] == "5" and base.answer.status[:1] != "5"):
        session.found("A47", f"with optional variables left out, {difference(base.answer, answer)}", request, conduct)


def callables(session: Session, request: Request, base: Baseline) -> None:
    """start_response and write as a function, a method, a partial, and an object that notices being looked at."""
    session.tried("A01")
    for kind in KINDS:
        conduct = Conduct(start=kind)
        answer = session.ask_bare(request, conduct)
        if base.differs(answer, partial(session.ask_bare, request, conduct)):
            session.found("A01", f"with start_response as {kind}, {difference(base.answer, answer)}", request, conduct)
        if answer.looked_at:
            names = ", ".join(dict.fromkeys(answer.looked_at))
            session.found("A01", f"the app looks at start_response or write: {names}", request, conduct)


def hop_by_hop(session: Session, request: Request, base: Baseline) -> None:
    """Each hop-by-hop header must make no difference."""
    session.tried("A22")
    for name, value in _HOP_BY_HOP:
        other = request.but(headers=(*request.headers, (name, value)))
        answer = session.ask(other)
        if base.differs(answer, partial(session.ask_bare, other)):
            session.found("A22", f"with {name}: {value}, {difference(base.answer, answer)}", other)


def early_close(session: Session, request: Request, base: Baseline) -> None:
    """Take one block, or none, and close."""
    session.tried("A30")
    for take in (1, 0):
        conduct = Conduct(take=take)
        answer = session.ask(request, conduct)
        if answer.crashed:
            session.found("A30", f"closed after {take} blocks, the app raised {outcome(answer)}", request, conduct)
        after = session.ask(request)
        if base.differs(after):
            detail = f"after a response was closed early, {difference(base.answer, after)}"
            session.found("A30", detail, request, conduct)


def faults(session: Session, request: Request, base: Baseline) -> None:
    """The input breaks at its first and second read, the log cannot be written."""
    body = request.body or b"name=value\n" * 4
    method = request.method if request.body else "POST"
    form = () if request.body else (("Content-Type", "application/x-www-form-urlencoded"),)
    posted = request.but(method=method, body=body, headers=request.headers + form)
    for conduct in (Conduct(input_fails_at=1), Conduct(input_fails_at=2), Conduct(errors_fail=True)):
        answer = session.ask(posted, conduct)
        if answer.faults:
            session.tried("A36")
        if answer.faults and answer.crashed:
            session.found("A38", f"an injected fault came through as {outcome(answer)}", posted, conduct, mild=True)


def unused_wrapper(session: Session, request: Request, base: Baseline) -> None:
    """A file wrapper that is closed without being read must leave no trace."""
    whole = session.ask(request, Conduct(file_wrapper=True))
    if not whole.wrapped:
        return
    session.tried("A53")
    conduct = Conduct(file_wrapper=True, take=0)
    dropped = session.ask(request, conduct)
    after = session.ask(request, Conduct(file_wrapper=True))
    for answer in (dropped, after):
        other = answer is after and not alike(whole, after, base.steady)
        if answer.crashed or (other and (not alike(whole, after, body=False) or base.steady_now())):
            session.found("A53", f"a wrapper was not read, and {difference(whole, answer)}", request, conduct)
            break


def run_once(session: Session, request: Request, base: Baseline) -> None:
    """wsgi.run_once is a hope, not a promise."""
    session.tried("A55")
    conduct = Conduct(extra={"wsgi.run_once": True, "wsgi.multithread": False, "wsgi.multiprocess": True})
    for _ in range(3):
        answer = session.ask(request, conduct)
        if base.differs(answer):
            detail = f"called again with wsgi.run_once, {difference(base.answer, answer)}"
            session.found("A55", detail, request, conduct)
            return


def spoilt_headers(session: Session, request: Request, base: Baseline) -> None:
    """The server changes the header list, which is its right, and asks again."""
    session.tried("A58")
    conduct = Conduct(spoil_headers=True)
    session.ask_bare(request, conduct)
    answer = session.ask_bare(request, conduct)
    names = {name for name, _ in answer.headers}
    if "X-Spoiled" in names:
        session.found("A58", "what the server did to the header list came back in the next response", request, conduct)
    # Put the list right again as far as that is possible, for the scenarios that follow.


def interleaved(session: Session, request: Request, base: Baseline) -> None:
    """A second request is answered while the first one's body waits."""
    first, second = Conversation(request), Conversation(request)
    first.call(session.app)
    answers = [second.run(session.app), first.finish()]
    for answer in answers:
        if base.differs(answer):
            session.found("A02", f"two requests interleaved: {difference(base.answer, answer)}", request)
            return


def threads(session: Session, request: Request, base: Baseline) -> None:
    """Several threads at once; environ says that this can happen."""
    answers: list[Answer] = []
    patience = session.settings.patience
    gate = threading.Barrier(session.settings.threads)

    def client() -> None:
        gate.wait(patience)
        for _ in range(_EACH):
            answers.append(session.ask_bare(request))

    crew = [threading.Thread(target=client, daemon=True) for _ in range(session.settings.threads)]
    for one in crew:
        one.start()
    for one in crew:
        one.join(patience)
    if any(one.is_alive() for one in crew):
        session.found("A02", f"{len(crew)} threads at once: no answer within {patience:g} s", request)
    for answer in answers:
        if base.differs(answer):
            detail = f"{len(crew)} threads at once: {difference(base.answer, answer)}"
            session.found("A02", detail, request)
            return


Scenario = Callable[[Session, Request, Baseline], None]

# The order matters: what damages an app with shared state comes last.
SCENARIOS: tuple[Scenario, ...] = (
    methods,
    minimal,
    callables,
    hop_by_hop,
    early_close,
    faults,
    unused_wrapper,
    run_once,
    interleaved,
    threads,
    spoilt_headers,
)
