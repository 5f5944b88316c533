"""The block boundaries: M04-M09, M16-M18. Reads traces of well-behaved runs."""

from __future__ import annotations

from collections.abc import Iterator

from wsgikit.validators.lint.notes import Note
from wsgikit.validators.sandwich import trace as at
from wsgikit.validators.sandwich.bench import BASES, Bench, crashed
from wsgikit.validators.sandwich.script import Script
from wsgikit.validators.sandwich.server import Run
from wsgikit.validators.sandwich.trace import Trace


def judge(bench: Bench) -> None:
    """Every rule of this module, on each of the scripted bodies."""
    for base in BASES:
        plain = bench.run(base)
        if plain.raised is not None or not plain.reached:
            continue
        for run in (plain, bench.run(base.but("with an empty block", blocks=(base.blocks[0], b"", *base.blocks[1:])))):
            _boundaries(bench, run)
            _holds_back(bench, run)
            _writes(bench, run)
        _late_start(bench, base, plain)
        _looks(bench, base)
        _length(bench, base)


def _boundaries(bench: Bench, run: Run) -> None:
    """M05, M06, M07."""
    bench.tried("M05", "M06", "M07")
    for note in boundary_notes(run.trace):
        bench.found(note.key, note.detail, run)


def boundary_notes(trace: Trace) -> Iterator[Note]:
    """M07: between the app's return and the middleware's nothing is read. M05, M06: for one block the server asks for,
    one is asked of the app, and each that comes gives one.
    """
    early = [event.what for event in trace.before(at.RETURN)].count(at.IN_ASK)
    if early:
        yield Note("M07", f"{early} blocks were asked for before the middleware returned")
    for step in trace.steps():
        asked = sum(event.what == at.IN_ASK for event in step)
        gave = sum(event.what == at.IN_GIVE for event in step)
        out = sum(event.what == at.GIVE for event in step)
        if gave > 1:
            yield Note("M05", f"the server asked for one block, the middleware asked the app for {asked}")
        if gave > out:
            yield Note("M06", f"the app gave {gave} blocks, the middleware gave {out} for them")


def _holds_back(bench: Bench, run: Run) -> None:
    """M04: what passes unchanged passes at once. A body that is changed, or headers made from it, need their time."""
    if run.body != run.script.body or set(run.headers) != set(run.script.headers()):
        return
    bench.tried("M04")
    if at.IN_ASK in [event.what for event in run.trace.before(at.RETURN)]:
        return  # reported as M07
    had = got = 0
    for event in run.trace.events:
        if event.what == at.IN_ASK and got < had:
            bench.found("M04", f"{had - got} bytes were held back while the next block was asked for", run)
            return
        if event.what == at.IN_GIVE:
            had += len(event.data)
        elif event.what in (at.GIVE, at.WRITE):
            got += len(event.data)


def _writes(bench: Bench, run: Run) -> None:
    """M08, M09: the app wrote nothing, so the server's write() has nothing to carry."""
    bench.tried("M08", "M09")
    for data in run.trace.all(at.WRITE):
        if any(block and block in data for block in run.script.blocks):
            bench.found("M08", f"a block of the app went through write(): {data[:40]!r}", run)
        elif data:
            bench.found("M09", f"the middleware writes data of its own: {data[:40]!r}", run)


def _late_start(bench: Bench, base: Script, plain: Run) -> None:
    """M16: an app may call start_response with its first block."""
    bench.tried("M16")
    late = bench.run(base.but(base.name, start="iterate"))
    if late.raised is not None:
        bench.found("M16", f"start_response came with the first block, and the middleware raised {crashed(late)}", late)
    elif bench.differs(late, plain):
        bench.found("M16", "start_response came with the first block, and the response is another one", late)


def _looks(bench: Bench, base: Script) -> None:
    """M17: the app's iterable has attributes that nobody may use."""
    bench.tried("M17")
    for script in (base, base.but("with len()", sized=True)):
        run = bench.run(script)
        looked = sorted(set(run.trace.all(at.IN_LOOK)))
        if looked:
            bench.found("M17", f"the middleware uses {', '.join(looked)} of the app's iterable", run)


def _length(bench: Bench, base: Script) -> None:
    """M18: a len() that works is right."""
    run = bench.run(base.but("with len()", sized=True))
    if run.size is None:
        return
    bench.tried("M18")
    if run.raised is None and run.size != run.trace.count(at.GIVE):
        bench.found("M18", f"len() of the iterable is {run.size}, and {run.trace.count(at.GIVE)} blocks came", run)
