"""Router: the WSGI app that carries out what a table decides.

Owns: the environ that an app behind the router sees, and the router's own answers. Searching is the table's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.router.answers import StartResponse, answer, options
from wsgikit.middleware.router.build import build
from wsgikit.middleware.router.conflicts import Conflict, find_conflicts
from wsgikit.middleware.router.hosts import request_host
from wsgikit.middleware.router.route import Load, Route, Wrap, WSGIApp, routes_from_table
from wsgikit.middleware.router.table import Decision, HasTable, Match, NotAllowed, Redirect, Table
from wsgikit.middleware.router.target import local_reference, matching_path, quoted_path, shift

_ROUTING_ARGS = "wsgiorg.routing_args"
# For a router behind other middleware: what the rules above it put before its own templates.
_ABOVE = "wsgikit.route.above"

Asked = tuple[Table, str, str, tuple[str, str]]


class Router(HasTable):
    """Route requests to WSGI apps by host, path and method.

    routes       Route objects in order of registration, or a Table
    not_found    WSGI app for paths that no route knows; default: a bare 404
    not_allowed  WSGI app for paths whose routes take other methods; it finds them in environ["wsgikit.allow"], sorted
                 and separated by ", "; default: a bare 405 with Allow. OPTIONS is answered by the router in any case.
    converters   name -> class in addition to Werkzeug's, as in `werkzeug.routing.Map(converters=...)`
    raw          keep %2F apart from / where the server gives the raw target

    Raises ConfigError. Frozen but for `swap()`.
    """

    def __init__(
        self,
        routes: Iterable[Route] | Table = (),
        *,
        not_found: WSGIApp | None = None,
        not_allowed: WSGIApp | None = None,
        converters: Mapping[str, Any] | None = None,
        raw: bool = True,
    ) -> None:
        self._converters = dict(converters or {})
        self.not_found = not_found
        self._not_allowed = not_allowed
        self._raw = raw
        self._table = self._compiled(routes)

    @classmethod
    def from_table(
        cls,
        rows: Iterable[Mapping[str, Any]],
        *,
        load: Load | None = None,
        upstream: Load | None = None,
        wrap: Wrap | None = None,
        **options: Any,
    ) -> Router:
        """A router from `[[route]]` rows of wsgikit.toml, as `routes_from_table()`; other options as for Router."""
        return cls(routes_from_table(rows, load=load or _load, upstream=upstream, wrap=wrap), **options)

    @property
    def table(self) -> Table:
        """The table in force. Immutable: read it once to see one state."""
        return self._table

    def swap(self, routes: Iterable[Route] | Table) -> Table:
        """Put another table in force, and return the former one.

        One attribute store: a request is served by the old table or by the new one, never by both. Acts on this
        process only; for every worker, change the file and send HUP. Raises ConfigError, and nothing changes then.
        """
        table = self._compiled(routes)
        if _reaches(table, self):
            raise ConfigError("a router cannot be nested in itself")
        former, self._table = self._table, table
        return former

    def url_for(
        self, name: str, values: Mapping[str, Any] | None = None, *, environ: Any = None, query: Any = None
    ) -> str:
        """A path-absolute URL of the route `name` that routes back to it; see build.build(). Raises BuildError.

        Give the environ that the router itself was called with where it does not run at the root: its SCRIPT_NAME goes
        in front.
        """
        script = environ.get("SCRIPT_NAME", "") if environ else ""
        return build(self._table, name, values or {}, script_name=script, query=query)

    def conflicts(self) -> list[Conflict]:
        """Pairs of routes between which only the order of registration decides, and routes that nothing can reach."""
        return find_conflicts(self._table)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        decision, _ = self.decide(environ)
        if isinstance(decision, Match):
            return decision.route.app(entered(environ, decision), start_response)
        if isinstance(decision, NotAllowed):
            return self._refuse(environ, start_response, decision.allow)
        if isinstance(decision, Redirect):
            return _redirect(environ, start_response, decision)
        if self.not_found is not None:
            return self.not_found(environ, start_response)
        return answer(environ, start_response, "404 Not Found")

    def decide(self, environ: Mapping[str, Any]) -> tuple[Decision, Asked]:
        """What the router makes of a request, and what it asked its table: table, method, path, host."""
        table = self._table
        host = request_host(environ) if table.by_host else ("", "")
        asked = table, environ["REQUEST_METHOD"], matching_path(environ, raw=self._raw), host
        return table.resolve(*asked[1:]), asked

    def _refuse(
        self, environ: dict[str, Any], start_response: StartResponse, allow: tuple[str, ...]
    ) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "OPTIONS":
            return options(start_response, allow)
        if self._not_allowed is not None:
            return self._not_allowed({**environ, "wsgikit.allow": ", ".join(allow)}, start_response)
        return answer(environ, start_response, "405 Method Not Allowed", ("Allow", ", ".join(allow)))

    def _compiled(self, routes: Iterable[Route] | Table) -> Table:
        return routes if isinstance(routes, Table) else Table(routes, converters=self._converters)


def entered(environ: dict[str, Any], match: Match) -> dict[str, Any]:
    """The environ as the matched app sees it, a copy: path shifted, variables and template added."""
    environ = dict(environ)
    positional, named = environ.get(_ROUTING_ARGS) or ((), {})
    named = dict(named)
    template: str = environ.get(_ABOVE, "")
    level: Match | None = match
    while level is not None:
        leaf = level.leaf
        named.update(level.values)
        environ[_ABOVE] = template + leaf.prefix_template
        template = environ[_ABOVE] if level.inner else template + leaf.pattern.rule
        shift(environ, leaf.consumed(level.parts))
        level = level.inner
    environ[_ROUTING_ARGS] = (tuple(positional), named)
    if "paste.urlvars" in environ:
        # WebOb looks here first.
        environ["paste.urlvars"] = {**environ["paste.urlvars"], **named}
    environ["wsgikit.route"] = template
    if "wsgikit.log" in environ:
        environ["wsgikit.log"]["route"] = template
    return environ


def _redirect(environ: dict[str, Any], start_response: StartResponse, decision: Redirect) -> Iterable[bytes]:
    path = quoted_path(environ)
    path = path + "/" if decision.add_slash else path[:-1]
    location = local_reference(path, environ.get("QUERY_STRING", ""))
    return answer(environ, start_response, "308 Permanent Redirect", ("Location", location))


def _reaches(table: Table, router: HasTable) -> bool:
    return any(nested is router or _reaches(nested.table, router) for nested in table.nested)


def _load(name: str) -> WSGIApp:
    from wsgikit.loader import load_app

    return load_app(name)
