"""close() and files: M10, M11, M25."""

from __future__ import annotations

from collections.abc import Iterator

from wsgikit.validators.app.driver import Wrapper
from wsgikit.validators.lint.notes import Note
from wsgikit.validators.report.model import Verdict
from wsgikit.validators.sandwich import trace as at
from wsgikit.validators.sandwich.bench import BASES, Bench, crashed
from wsgikit.validators.sandwich.script import Script
from wsgikit.validators.sandwich.server import Behaviour, Run
from wsgikit.validators.sandwich.trace import Trace


def judge(bench: Bench) -> None:
    """Every rule of this module."""
    for base in BASES:
        plain = bench.run(base)
        if plain.raised is not None or not plain.reached:
            continue
        _closes(bench, base)
        _bare(bench, base)
        _files(bench, base, plain)


def _closes(bench: Bench, base: Script) -> None:
    """M10, M11: whatever happens, once the app has returned its iterable, it is closed, once."""
    bench.tried("M10", "M11")
    late = base.but("start with the first block", start="iterate")
    runs = [bench.run(base)]
    runs += [bench.run(base, Behaviour(take=take)) for take in (0, 1, 2)]
    runs += [bench.run(base.but(f"fails at block {number}", fails_at=number)) for number in (0, 2)]
    runs += [
        bench.run(base.but("with write()", written=(b"written ",), blocks=())),
        bench.run(base.but("empty", blocks=())),
    ]
    runs += [bench.run(late, Behaviour(refuses=True)), bench.run(base, Behaviour(refuses=True))]
    for run in runs:
        # The PEP names the end, errors while iterating, and clients that go. That a middleware raises instead of
        # returning is none of these; nobody else can close then, all the same.
        mild = Verdict.WARN if run.behaviour.refuses and not run.trace.count(at.RETURN) else None
        for note in closing_notes(run.trace):
            bench.found(note.key, note.detail, run, mild)


def closing_notes(trace: Trace) -> Iterator[Note]:
    """M10, M11: what the app returned has to be closed, once, if not by itself then when the server closes."""
    asked_to = trace.count(at.CLOSE) or not trace.count(at.RETURN)
    if not trace.count(at.IN_RETURN) or not asked_to:
        return
    count = trace.count(at.IN_CLOSE)
    if count == 0:
        instead = ", its iterator was instead" if trace.count(at.IN_ITERATOR_CLOSE) else ""
        yield Note("M11" if instead else "M10", f"the app's iterable was not closed{instead}")
    elif count > 1:
        yield Note("M11", f"the app's iterable was closed {count} times")


def _bare(bench: Bench, base: Script) -> None:
    """M10 from the other side: an iterable need not have a close()."""
    run = bench.run(base.but("no close()", bare=True))
    if run.raised is not None:
        bench.found("M10", f"the app's iterable has no close(), and the middleware raised {crashed(run)}", run)


def _files(bench: Bench, base: Script, plain: Run) -> None:
    """M25: what file_wrapper made is handed on as it is, or iterated like anything else."""
    run = bench.run(base.but("file_wrapper", file=True))
    if not run.trace.count(at.IN_RETURN):
        return
    bench.tried("M25")
    passes = plain.result is plain.app.returned
    if run.raised is not None:
        bench.found("M25", f"the app returned a file wrapper, and the middleware raised {crashed(run)}", run)
    elif passes and not isinstance(run.result, Wrapper):
        bench.found("M25", "the middleware hands on other iterables as they are, and this file wrapper not", run)
    elif plain.body == plain.script.body and run.body != run.script.body:
        bench.found("M25", f"the app returned a file of {len(run.script.body)} bytes, {len(run.body)} came", run)
