"""Route: what a person writes for one line of the table.

Owns: the options of a route and their checks. Must not know how a table is searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.router.convert import nearest

SLASHES = ("exact", "redirect", "both")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2, token

WSGIApp = Callable[..., Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    rule      pattern in Werkzeug's syntax, with a slash in front: "/users/<int:id>"
    app       WSGI app to call. A Router here is nested: its routes take part in this router's decision, so that a path
              it does not know goes on to the next route here, and `Allow` is the union over both.
    methods   methods the route takes; None is any. HEAD comes with GET. The router answers OPTIONS unless it is listed.
    host      "shop.example", "*.shop.example", with ":port" or without; "" is any host
    slash     what to do with the rule's twin, that has a trailing slash more or less. "exact": not found. "redirect":
              308 to the rule's own form for GET and HEAD. "both": the same as the rule's own form.
    prefix    the rule stands for itself and everything below it, at segment boundaries
    strip     move what the rule consumed from PATH_INFO to SCRIPT_NAME; a last catch-all variable is not consumed
    name      for url_for(); "" is a route that cannot be built by name
    defaults  values added to the variables; a URL is built without them
    """

    rule: str
    app: WSGIApp
    methods: Iterable[str] | None = field(default=None, kw_only=True)
    host: str = field(default="", kw_only=True)
    slash: str = field(default="exact", kw_only=True)
    prefix: bool = field(default=False, kw_only=True)
    strip: bool = field(default=True, kw_only=True)
    name: str = field(default="", kw_only=True)
    defaults: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.rule, str):
            raise ConfigError(f"route: the rule is {self.rule!r}, not text")
        if not callable(self.app):
            raise ConfigError(f"route {self.rule!r}: app {self.app!r} cannot be called")
        if self.slash not in SLASHES:
            raise ConfigError(f"route {self.rule!r}: slash={self.slash!r}{nearest(str(self.slash), SLASHES)}")
        if self.methods is not None:
            object.__setattr__(self, "methods", self._method_set())

    def _method_set(self) -> frozenset[str]:
        if self.methods is None or isinstance(self.methods, str):
            raise ConfigError(f"route {self.rule!r}: methods={self.methods!r}; write a list: ['GET', 'POST']")
        methods = {method.upper() for method in self.methods}
        wrong = sorted(method for method in methods if not _METHOD.fullmatch(method))
        if wrong or not methods:
            raise ConfigError(f"route {self.rule!r}: methods={sorted(methods)}: {wrong or 'empty'} is no method")
        return frozenset(methods | {"HEAD"}) if "GET" in methods else frozenset(methods)

    @property
    def method_set(self) -> frozenset[str] | None:
        """The methods with HEAD beside GET; None is any method."""
        return self.methods if isinstance(self.methods, frozenset) else None


_ROW_KEYS = ("rule", "app", "upstream", "use", "name", "methods", "host", "slash", "prefix", "strip", "defaults")
Load = Callable[[str], WSGIApp]
Wrap = Callable[[WSGIApp, Any], WSGIApp]


def routes_from_table(
    rows: Iterable[Mapping[str, Any]], *, load: Load, upstream: Load | None = None, wrap: Wrap | None = None
) -> list[Route]:
    """Routes from `[[route]]` rows: `rule`, `app` ("pkg.mod:app") or `upstream` (a name), `use`, and options of Route.

    `load` makes an app from its name, `upstream` from an upstream's, `wrap(app, use)` puts middleware around it.
    ConfigError names row, key, and the nearest key.
    """
    routes = []
    for number, row in enumerate(rows, 1):
        _check_row(f"[[route]] number {number}", row)
        app = _row_app(row, load, upstream)
        if row.get("use"):
            if wrap is None:
                raise ConfigError(f"[[route]] number {number}: use cannot be given here")
            app = wrap(app, row["use"])
        options = {key: row[key] for key in row if key not in ("rule", "app", "upstream", "use")}
        if "upstream" in row:
            # An upstream sees the URL that the client sent, unless the row asks for less.
            options.setdefault("strip", False)
        routes.append(Route(row["rule"], app, **options))
    return routes


def _check_row(place: str, row: Mapping[str, Any]) -> None:
    for key in row:
        if key not in _ROW_KEYS:
            raise ConfigError(f"{place}: unknown key {key!r}{nearest(key, _ROW_KEYS)}")
    if "rule" not in row:
        raise ConfigError(f'{place}: has no rule; write rule = "/path/<name>"')
    if ("app" in row) == ("upstream" in row):
        raise ConfigError(f"{place} ({row['rule']!r}): write either app or upstream")


def _row_app(row: Mapping[str, Any], load: Load, upstream: Load | None) -> WSGIApp:
    if "upstream" not in row:
        app: WSGIApp = load(row["app"]) if isinstance(row["app"], str) else row["app"]
        return app
    if upstream is None:
        raise ConfigError(f"route {row['rule']!r}: there are no upstreams here; write app")
    return upstream(row["upstream"])
