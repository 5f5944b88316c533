"""Status, headers, exc_info and write(): M02, M03, M12-M14, M19, M20, M22, M26."""

from __future__ import annotations

import gc

from wsgikit.validators.lint.head import HOP_BY_HOP, declared_length
from wsgikit.validators.sandwich import trace as at
from wsgikit.validators.sandwich.bench import BASES, Bench, crashed
from wsgikit.validators.sandwich.script import ERROR_PAGE, Script, ScriptedApp
from wsgikit.validators.sandwich.server import Behaviour, Run, ScriptedServer
from wsgikit.validators.sandwich.trace import Trace

_KEPT = (
    "import gc; run.app.release(); run.raised = run.result = None",
    "run.given_environ, run.before = {}, {}; gc.collect()",
    "print('still referred to:', run.app.trouble())",
)
_SPOILT = (
    "again = Run(run.script, request, Behaviour(), run.trace, run.app)",
    "ScriptedServer(again).serve(run.middleware)",
    "print(again.headers)",
)


def judge(bench: Bench) -> None:
    """Every rule of this module."""
    for base in BASES:
        plain = bench.run(base)
        if plain.raised is not None or not plain.reached:
            continue
        _hop_by_hop(bench, plain)
        _errors_before_output(bench, base)
        _errors_after_output(bench, base)
        _write(bench, base, plain)
        _content_length(bench, base)
        _case(bench, base)
    _header_list(bench)


def _hop_by_hop(bench: Bench, run: Run) -> None:
    """M02, M03: the scripted app sends no such header, so they are the middleware's."""
    bench.tried("M02", "M03")
    for name, value in run.headers:
        if name.lower() == "transfer-encoding":
            bench.found("M03", f"the middleware sends Transfer-Encoding: {value}", run)
        elif name.lower() in HOP_BY_HOP or name.lower() == "proxy-connection":
            bench.found("M02", f"the middleware sends {name}: {value}", run)


def _errors_before_output(bench: Bench, base: Script) -> None:
    """M12, M14: an error before any output; the app starts again with exc_info."""
    bench.tried("M12", "M14")
    run = bench.run(base.but("apologises at once", fails_at=0, apologises=True))
    starts = run.trace.all(at.START)
    if run.raised is not None:
        bench.found(
            "M12", f"the app called start_response with exc_info, and the middleware raised {crashed(run)}", run
        )
    elif len(starts) > 1 and not any(with_exc_info for _, with_exc_info in starts):
        bench.found("M12", "the app gave exc_info, and the server did not get it", run)
    elif run.status.startswith("200"):
        bench.found("M12", "the app started again with exc_info, and the server has the first status", run)
    kept = run.app.trouble
    run.raised = run.result = None
    run.given_environ, run.before = {}, {}
    run.app.release()
    gc.collect()
    if kept is not None and kept() is not None:
        bench.found("M14", "the exception of exc_info is still referred to after the request", run, shown=_KEPT)


def _errors_after_output(bench: Bench, base: Script) -> None:
    """M12, M22: an error after output; the server raises, and the app has to see it."""
    run = bench.run(base.but("apologises after two blocks", fails_at=2, apologises=True))
    sent_before = any(event.data for event in _until_second_start(run) if event.what in (at.GIVE, at.WRITE))
    if not sent_before or run.trace.count(at.IN_START) < 2:
        return
    bench.tried("M22")
    again = [with_exc_info for _, with_exc_info in run.trace.all(at.START)[1:]]
    if again and not any(again):
        bench.found("M12", "the app gave exc_info after output, and the server did not get it", run)
    elif not all(again):
        bench.found(
            "M01", "as app it breaks WSGI-A33: after output it starts a response of its own, without exc_info", run
        )
    elif run.app.start_error is None and ERROR_PAGE in run.body:
        bench.found("M22", "exc_info was swallowed after output, and the app's error page follows the first body", run)


def _until_second_start(run: Run) -> list[at.Event]:
    found: list[at.Event] = []
    for event in run.trace.events:
        if event.what == at.IN_START and event.data.startswith("500"):
            return found
        found.append(event)
    return found


def _write(bench: Bench, base: Script, plain: Run) -> None:
    """M13: write() works, keeps the order, and is transformed as blocks are."""
    bench.tried("M13")
    transformed = not any(block in plain.body for block in base.blocks)
    mixed = bench.run(base.but("writes, then gives", written=base.blocks[:2], blocks=base.blocks[2:]))
    alone = bench.run(base.but("only writes", written=base.blocks, blocks=()))
    for run in (mixed, alone):
        raw = run.script.body
        if run.raised is not None:
            bench.found("M13", f"the app used write(), and the middleware raised {crashed(run)}", run)
        elif plain.body == plain.script.body and run.body != raw:
            bench.found("M13", f"the app wrote and gave {raw[:40]!r}..., {run.body[:40]!r}... came", run)
        elif transformed and any(data and data in run.body for data in run.script.written):
            bench.found("M13", "blocks are transformed, and what is written is not", run)


def _content_length(bench: Bench, base: Script) -> None:
    """M19: the app's Content-Length is right; what comes out has to be right too."""
    for script in (base.but("with Content-Length", length=True), base.but("sized", length=True, sized=True)):
        run = bench.run(script)
        declared = declared_length(list(run.headers))
        bench.tried("M19")
        if run.raised is None and declared is not None and declared != len(run.body):
            bench.found("M19", f"Content-Length is {declared}, and the body has {len(run.body)} bytes", run)


def _case(bench: Bench, base: Script) -> None:
    """M20: header names in an unusual case make no difference."""
    bench.tried("M20")
    script = base.but(base.name, length=True)
    usual, odd = bench.run(script), bench.run(script.but(base.name, odd_case=True))
    if odd.raised is not None and usual.raised is None:
        bench.found("M20", f"header names in another case, and the middleware raised {crashed(odd)}", odd)
    elif bench.differs(odd, usual):
        changed = {name for name, _ in bench.lasting(odd) ^ bench.lasting(usual)}
        names = ", ".join(sorted(changed)) or "the body or the status"
        bench.found("M20", f"header names in another case change the response: {names}", odd)


def _header_list(bench: Bench) -> None:
    """M26: the server empties the header list; the next response of the same middleware must not show it."""
    trace = Trace()
    apps = [ScriptedApp(BASES[0], Trace()) for _ in range(2)]
    waiting = list(apps)
    middleware = bench.make(lambda environ, start_response: waiting.pop(0)(environ, start_response))
    runs = [Run(BASES[0], bench.settings.request, Behaviour(spoils=True), trace, app) for app in apps]
    for run in runs:
        with bench.under_way(run.case()):
            ScriptedServer(run).serve(middleware)
    if runs[0].raised is not None or not runs[0].status:
        return
    bench.tried("M26")
    if runs[1].header("X-Spoiled"):
        detail = "what the server did to the header list came back in the next response"
        bench.found("M26", detail, runs[1], shown=_SPOILT)
