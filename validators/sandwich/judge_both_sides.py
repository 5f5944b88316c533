"""M01: a lint outside, which sees the middleware as an app, and one inside, which sees it as a server.

What a rule of its own covers (M02-M28) is judged elsewhere and not repeated here.
"""

from __future__ import annotations

from wsgikit.validators.lint import Lint
from wsgikit.validators.sandwich.bench import BASES, Bench, crashed
from wsgikit.validators.sandwich.script import Script, ScriptedApp
from wsgikit.validators.sandwich.server import Behaviour, Run, ScriptedServer
from wsgikit.validators.sandwich.trace import Trace

# Rule of the app or server side -> the middleware rule that says the same. Judged from traces.
OWN = {
    "A18": "M02", "A19": "M02", "A20": "M03", "A29": "M18", "A33": "M12", "A34": "M12", "A48": "M19", "S04": "M15",
    "S13": "M10", "S14": "M10", "S16": "M11", "S19": "M17", "S48": "M23", "S49": "M23", "A26": "M12", "A25": "M12",
}  # fmt: skip


_AGAIN = "ScriptedServer(Run(run.script, request, run.behaviour, run.trace, run.app))"
_SHOWN = {
    "app": ("lint = Lint(run.middleware, roles=('app',))", f"{_AGAIN}.serve(lint)", "print(*lint.findings)"),
    "server": (
        "lint = Lint(run.app, roles=('server',))",
        f"{_AGAIN}.serve(@(lint)); lint.finish()",
        "print(*lint.findings)",
    ),
}


def judge(bench: Bench) -> None:
    """Run the usual scripts between two lints."""
    scripts = [*BASES, *(base.but("late", start="iterate") for base in BASES)]
    scripts += [BASES[0].but("with Content-Length", length=True), BASES[0].but("writes", written=(b"written ",))]
    for script in scripts:
        for behaviour in (Behaviour(), Behaviour(take=1)):
            _between(bench, script, behaviour)


def _between(bench: Bench, script: Script, behaviour: Behaviour) -> None:
    trace = Trace()
    app = ScriptedApp(script, trace)
    inside = Lint(app, roles=("server",))
    outside = Lint(bench.make(inside), roles=("app",))
    run = Run(script, bench.settings.request, behaviour, trace, app)
    with bench.under_way(f"{run.case()}, between two lints"):
        ScriptedServer(run).serve(outside)
    inside.finish()
    if not run.reached and run.raised is None:
        return
    bench.tried("M01")
    if run.raised is not None:
        bench.found("M01", f"the app is correct, and the middleware raised {crashed(run)}", run)
    for finding in (*outside.findings, *inside.findings):
        key = finding.rule.removeprefix("WSGI-")
        if key not in OWN and key != "A50":
            side = "app" if key[0] == "A" else "server"
            bench.found("M01", f"as {side} it breaks {finding.rule}: {finding.detail}", run, shown=_SHOWN[side])
