"""What the middleware makes of the request: M15, M23, M24, M27, M28."""

from __future__ import annotations

from wsgikit.validators.lint.environ import check_environ
from wsgikit.validators.sandwich.bench import BASES, Bench
from wsgikit.validators.sandwich.server import Run

# Middleware has good reasons to take these out: they let the app go around it.
_MAY_GO = ("wsgi.file_wrapper", "wsgi.early_hints", "HTTP_ACCEPT_ENCODING", "HTTP_RANGE", "HTTP_IF_RANGE")
_HOP_BY_HOP = (("Connection", "close, x-private"), ("Keep-Alive", "timeout=5"), ("TE", "trailers"), ("Upgrade", "h2c"))


def judge(bench: Bench) -> None:
    """Every rule of this module."""
    base = BASES[0]
    plain = bench.run(base)
    if plain.raised is not None or not plain.reached:
        return
    _kind(bench, plain)
    _path(bench, plain)
    _differences(bench, plain)
    _hop_by_hop(bench, plain)


def _kind(bench: Bench, run: Run) -> None:
    """M15, M23."""
    bench.tried("M15", "M23")
    for note in check_environ(run.app.environ):
        if note.key == "S04":
            bench.found("M15", f"the app's {note.detail}", run)
        elif note.key in ("S48", "S49"):
            bench.found("M23", note.detail, run)


def _path(bench: Bench, run: Run) -> None:
    """M24: SCRIPT_NAME and PATH_INFO together."""
    bench.tried("M24")
    before = run.before.get("SCRIPT_NAME", ""), run.before.get("PATH_INFO", "")
    after = run.app.seen.get("SCRIPT_NAME", ""), run.app.seen.get("PATH_INFO", "")
    if before[0] != after[0] and "".join(before) != "".join(after):
        bench.found("M24", f"SCRIPT_NAME and PATH_INFO were {before} and became {after}", run)


def _differences(bench: Bench, run: Run) -> None:
    """M27: what the server gave and the app does not see."""
    bench.tried("M27")
    gone = sorted(str(key) for key in run.before if key not in run.app.seen and key not in _MAY_GO)
    if gone:
        bench.found("M27", f"the app does not see {', '.join(gone)}", run)


def _hop_by_hop(bench: Bench, plain: Run) -> None:
    """M28: hop-by-hop headers of the request make no difference."""
    if not bench.steady:
        return
    bench.tried("M28")
    request = bench.settings.request
    for name, value in _HOP_BY_HOP:
        run = bench.run(BASES[0], request=request.but(headers=(*request.headers, (name, value))))
        if bench.differs(run, plain):
            bench.found("M28", f"{name}: {value} in the request changes the response", run)
