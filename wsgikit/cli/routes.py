"""`wsgikit routes`: list the routes and mounts of an app or a configuration, and say which of them a URL hits and why.

Owns the walk through apps that hold apps, and the text. What a router decides it asks the router.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from wsgikit.errors import ConfigError

if TYPE_CHECKING:
    from wsgikit.middleware.router import Router

HELP = """List routes and mounts, or say which of them a URL hits and why.

APP is package.module:name as for `wsgikit serve`, or a wsgikit.toml; without it the wsgikit.toml that `wsgikit serve`
would read. With --match it leaves with 0 when a route takes the request, with 1 when none does; with --conflicts it
leaves with 1 when there are conflicts."""

# Apps in apps in apps: far more than anybody writes, and an end for those that hold themselves.
_DEEPEST = 30
# The nearest come first, and what is further away says little about a URL.
_NEAR_MISSES = 8


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("app", nargs="?", help="package.module:app, or a file ending in .toml")
    parser.add_argument("--match", metavar="URL", help="a path, or a URL with a host, as a client would write it")
    parser.add_argument("--method", default="GET", help="method of the request to match [GET]")
    parser.add_argument("--conflicts", action="store_true", help="list routes that only their order tells apart")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(options: argparse.Namespace) -> int:
    """List, match, or report conflicts. Returns the exit status."""
    app = _loaded(options.app)
    if options.match is not None:
        return _match(app, _request(options.match, options.method.upper()), as_json=options.json)
    if options.conflicts:
        return _conflicts(app, as_json=options.json)
    for row in _rows(app, "", 0):
        print(json.dumps(row) if options.json else _line(row))
    return 0


def _loaded(name: str | None) -> Any:
    """The app; from a configuration, all of it put together as for serving."""
    from wsgikit.cli.assemble import named_app
    from wsgikit.config.resolve import Sources
    from wsgikit.loader import search_first

    if name and not name.endswith(".toml"):
        search_first(os.getcwd())
        return named_app(name)
    from wsgikit.cli.launch import load

    return load(Sources(environ=dict(os.environ), file=name).read())


def _request(url: str, method: str) -> dict[str, Any]:
    """The environ of a request for a URL."""
    match = re.fullmatch(r"(?:(https?):)?(?://([^/?#]*))?(/[^?#]*)?(?:\?([^#]*))?(?:#.*)?", url)
    if match is None or not (match[2] or match[3]):
        raise ConfigError(f"--match {url!r}: write a path (/users/7) or a URL (http://shop.example/users/7)")
    path = match[3] or "/"
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": match[4] or "",
        "REQUEST_URI": path.encode("utf-8").decode("latin-1"),
        "wsgi.url_scheme": match[1] or "http",
    }
    return {**environ, "HTTP_HOST": match[2]} if match[2] else environ


def _rows(app: Any, above: str, depth: int) -> Iterator[dict[str, Any]]:
    """What an app holds, one row a route or mount."""
    from wsgikit.middleware.mount import Mount
    from wsgikit.middleware.router import Router

    app = _innermost(app)
    if depth > _DEEPEST:
        raise ConfigError(f"{above}: apps are nested more than {_DEEPEST} deep")
    if isinstance(app, Mount):
        for point in app.points:
            yield {"kind": "mount", "at": above + point.place, "app": _named(point.app), "name": point.name}
            yield from _rows(point.app, above + point.place.rstrip("/"), depth + 1)
    elif isinstance(app, Router):
        for leaf in app.table.leaves:
            route = leaf.route
            yield {
                "kind": "route",
                "at": above + route.rule + ("  and below" if route.prefix else ""),
                "app": _named(route.app),
                "name": route.name,
                "host": route.host,
                "methods": sorted(route.method_set or ()),
                "slash": route.slash,
            }
            yield from _rows(route.app, above + leaf.prefix_template, depth + 1)
        if app.not_found is not None:
            yield from _rows(app.not_found, above, depth + 1)
    elif depth == 0:
        yield {"kind": "app", "at": "/", "app": _named(app), "name": ""}


def _line(row: dict[str, Any]) -> str:
    extras = [row["name"] and f"name={row['name']}", row.get("host") and f"host={row['host']}"]
    if row.get("slash", "exact") != "exact":
        extras.append(f"slash={row['slash']}")
    methods = ",".join(row.get("methods", ())) or ("any" if row["kind"] == "route" else row["kind"])
    return f"{methods:<20} {row['at']:<40} {row['app']}  {' '.join(extra for extra in extras if extra)}".rstrip()


def _match(app: Any, environ: dict[str, Any], *, as_json: bool) -> int:
    steps, taken = [], True
    for _ in range(_DEEPEST):
        app = _innermost(app)
        step = _step(app, environ)
        if step is None:
            break
        said, inner, app = step
        steps += said
        if inner is None:
            taken = False
            break
        environ = inner
    if taken:
        steps.append(
            {"says": f"-> {_named(app)}  SCRIPT_NAME={environ['SCRIPT_NAME']!r} PATH_INFO={environ['PATH_INFO']!r}"}
        )
    for line in steps:
        print(json.dumps(line) if as_json else line["says"])
    return 0 if taken else 1


def _step(app: Any, environ: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any] | None, Any] | None:
    """What one app that holds others says: lines, the environ further in (None: it answers itself), the next app."""
    from wsgikit.middleware.mount import Mount
    from wsgikit.middleware.router import Router

    if isinstance(app, Mount):
        found = app.locate(environ)
        if found is None:
            places = ", ".join(point.place for point in app.points) or "nothing is mounted"
            return [{"says": f"mount: none for {environ['PATH_INFO']!r} ({places})"}], None, app
        point, inner = found
        return [{"says": f"mount: {point.place}", "mount": point.place}], inner, point.app
    return _router_step(app, environ) if isinstance(app, Router) else None


def _router_step(router: Router, environ: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any] | None, Any]:
    from wsgikit.middleware.router import Match
    from wsgikit.middleware.router.app import entered
    from wsgikit.middleware.router.explain import explain, outcome

    decision, asked = router.decide(environ)
    lines = [{"says": f"route: {outcome(decision)}", "decision": outcome(decision)}]
    verdicts = [verdict for verdict in explain(*asked) if not verdict.chosen]
    for verdict in verdicts[:_NEAR_MISSES]:
        lines.append(
            {
                "says": f"    not {verdict.template}: {verdict.reason}",
                "rule": verdict.template,
                "reason": verdict.reason,
            }
        )
    if len(verdicts) > _NEAR_MISSES:
        lines.append({"says": f"    and not {len(verdicts) - _NEAR_MISSES} more"})
    if isinstance(decision, Match):
        return lines, entered(environ, decision), decision.route.app
    if decision is None and router.not_found is not None:
        return lines, environ, router.not_found
    return lines, None, router


def _conflicts(app: Any, *, as_json: bool) -> int:
    found = [conflict for router in _routers(app, 0) for conflict in router.conflicts()]
    for conflict in found:
        row = {
            "first": conflict.first.rule,
            "second": conflict.second.rule,
            "witness": conflict.witness,
            "unreachable": conflict.unreachable,
        }
        print(json.dumps(row) if as_json else str(conflict))
    return 1 if found else 0


def _routers(app: Any, depth: int) -> Iterator[Router]:
    """Routers in mounts and stacks, but not those nested in a router: it reports on them itself."""
    from wsgikit.middleware.mount import Mount
    from wsgikit.middleware.router import Router

    app = _innermost(app)
    if isinstance(app, Router):
        yield app
    elif isinstance(app, Mount) and depth < _DEEPEST:
        for point in app.points:
            yield from _routers(point.app, depth + 1)


def _innermost(app: Any) -> Any:
    """The app inside stacks, layers and deferred imports: whatever calls what it wraps `app`."""
    from wsgikit.middleware.mount import Deferred

    for _ in range(_DEEPEST):
        if isinstance(app, Deferred):
            app.warm()
        inner = getattr(app, "app", None)
        if not callable(inner):
            break
        app = inner
    return app


def _named(app: Any) -> str:
    from wsgikit.middleware.mount import Deferred, Mount

    app = _innermost(app)
    if isinstance(app, Deferred):
        return f"(cannot be loaded: {app.name})"
    describe = getattr(app, "describe", None)
    if callable(describe) and not isinstance(app, Mount):  # an upstream; what a mount holds has lines of its own
        return str(describe())
    thing = app if hasattr(app, "__qualname__") else type(app)
    return f"{thing.__module__}:{thing.__qualname__}"
