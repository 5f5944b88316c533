"""Router: URL patterns, hosts and methods to WSGI apps.

    from wsgikit.middleware.router import Route, Router

    router = Router([
        Route("/", index),
        Route("/users/<int:id>", show_user, methods=["GET"], name="user"),
        Route("/users/<name>", find_user, slash="redirect"),
        Route("/api", api_router, prefix=True),          # another Router: nested; or any WSGI app
        Route("/", shop, host="*.shop.example", prefix=True),
    ])
    router.url_for("user", {"id": 7})                    # "/users/7", and it is proved to route back

**Rules** are written as for Werkzeug (`/text/<name>/<int(max=9):id>/<path:rest>`), and its converter classes (string,
path, any, int, float, uuid) and your subclasses of `werkzeug.routing.BaseConverter` work unchanged
(`converters={"slug": SlugConverter}`). Werkzeug is imported when the first rule with a variable is compiled.

**Which rule wins** is ours, and depends on the two rules alone: compare them segment by segment, from the left.
Static text goes before text beside a converter (longer text first), then typed (`<int:id>`, and anything else that
is not plain), plain (`<name>`), catch-all (`<path:rest>`, any converter that is not `part_isolating`; longer text
after it first). All segments equal: the rule registered first. A converter that raises ValidationError passes the
request on to the next rule. Rules for a host go before rules for `*.suffix`, and these before rules for any host.
`router.conflicts()` lists the pairs that only their order tells apart; `wsgikit routes pkg:router --match /x` says why
a URL goes where it goes.

**Methods.** HEAD comes with GET; OPTIONS is answered with 204. 405 is for a path that some rule takes with another
method and none with this one, through nested routers; `Allow` is sorted and complete.

**Slashes**, by route: `exact` (default), `redirect` (308 for GET and HEAD; other methods get 405 with
`Allow: GET, HEAD, OPTIONS`, and OPTIONS is never redirected), `both`. A Location is a path, never `//host`.

**What the app sees**: a copy of the environ. What the rule stands for moves from PATH_INFO to SCRIPT_NAME; a last
`<path:rest>` and what is below a `prefix` stay in PATH_INFO; `strip=False` moves nothing. `wsgiorg.routing_args` is
`((), variables)`, merged outer to inner, so WebOb's `req.urlvars` has them. `wsgikit.route` is the template, for logs
and metrics; it goes into `environ["wsgikit.log"]["route"]` too, where the server has one.

**Streaming**: the app's iterable is handed on as it is. **Changing routes**: `router.swap([...])` puts a new immutable
table in force with one store; a request sees the old one or the new one. It acts on its own process.

**On other servers**: `%2F` is told from `/` only where the raw target is known (`wsgikit.raw_target`, `REQUEST_URI`,
`RAW_URI`) and agrees with SCRIPT_NAME + PATH_INFO; elsewhere `/a%2Fb` is `/a/b`, as it is for every WSGI app. Paths are
UTF-8; bytes that are not never match a one-segment variable, and reach a catch-all as `os.fsdecode` would give them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgikit.middleware.router.app import Router
    from wsgikit.middleware.router.build import BuildError
    from wsgikit.middleware.router.conflicts import Conflict
    from wsgikit.middleware.router.route import Route
    from wsgikit.middleware.router.table import Match, NotAllowed, Redirect, Table

__all__ = ["BuildError", "Conflict", "Match", "NotAllowed", "Redirect", "Route", "Router", "Table"]

# Imported on first use: a mount needs hosts and paths of this package, and no router.
_HOMES = {
    "BuildError": "build",
    "Conflict": "conflicts",
    "Match": "table",
    "NotAllowed": "table",
    "Redirect": "table",
    "Route": "route",
    "Router": "app",
    "Table": "table",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'wsgikit.middleware.router' has no attribute {name!r}")
    return getattr(import_module(f"wsgikit.middleware.router.{_HOMES[name]}"), name)
