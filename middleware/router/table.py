"""Table: routes compiled once, never changed, and what they say of a request.

Owns: the decision (match, redirect, method not allowed, nothing) over hosts and nested routers. Must not know environs.

Every decision is made from one snapshot: the table itself, and of each nested router the table it had when the request
first met it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.router.convert import Converters
from wsgikit.middleware.router.hosts import HostTable, parse_pattern
from wsgikit.middleware.router.leaf import Leaf
from wsgikit.middleware.router.pattern import parse
from wsgikit.middleware.router.route import Route
from wsgikit.middleware.router.target import SURROGATES
from wsgikit.middleware.router.tree import Node, every, search


class HasTable:
    """Base of routers: what a table needs to know of a router that one of its routes names as its app."""

    @property
    def table(self) -> Table:
        raise NotImplementedError

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise NotImplementedError


class Match:
    """A route that takes the request. `inner` is the nested router's match, None for an app."""

    __slots__ = ("inner", "leaf", "parts", "values")

    def __init__(self, leaf: Leaf, values: dict[str, Any], inner: Match | None, parts: list[str]) -> None:
        self.leaf = leaf
        self.values = values
        self.inner = inner
        self.parts = parts

    @property
    def order(self) -> Any:
        return self.leaf.order

    @property
    def route(self) -> Route:
        """The innermost route, whose app answers."""
        return self.inner.route if self.inner else self.leaf.route

    @property
    def variables(self) -> dict[str, Any]:
        """Variables of all levels, outer to inner."""
        return {**self.values, **self.inner.variables} if self.inner else self.values

    @property
    def template(self) -> str:
        """The rule, with what the outer rules put before it."""
        if self.inner is None:
            return self.leaf.pattern.rule
        return self.leaf.prefix_template + self.inner.template


@dataclass(frozen=True, slots=True)
class Redirect:
    """The path is the twin of a route's own form: send the client there."""

    add_slash: bool


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """Routes match the path, none the method. `allow`: sorted and complete; OPTIONS is always in it."""

    allow: tuple[str, ...]


Decision = Match | Redirect | NotAllowed | None

# In a set of methods: any method at all. No method has an empty name.
_ANY = frozenset({""})


class _Query:
    """One request in one table; `twins` looks for redirects in place of matches."""

    # Class attributes stand for what most requests never need, as building the query is a good part of a decision.
    twins = False
    tables: dict[int, Table] | None = None

    def __init__(self, parts: list[str], method: str, host: tuple[str, str], odd: bool) -> None:
        self.parts = parts
        self.count = len(parts)
        self.method = method
        self.host = host
        self.odd = odd

    def accept(self, leaf: Leaf) -> Match | None:
        values = leaf.values(self.parts, self.odd)
        if values is None:
            return None
        nested = leaf.route.app
        if leaf.turn or not isinstance(nested, HasTable):
            return Match(leaf, values, None, self.parts)
        inner = self.table_of(nested).search(self.below(leaf))
        return None if inner is None else Match(leaf, values, inner, self.parts)

    def below(self, leaf: Leaf) -> _Query:
        """The query for a router nested at the leaf; it shares what this one has seen of other tables."""
        if self.tables is None:
            self.tables = {}
        below = _Query(leaf.below(self.parts), self.method, self.host, self.odd)
        below.twins, below.tables = self.twins, self.tables
        return below

    def table_of(self, nested: HasTable) -> Table:
        if self.tables is None:
            self.tables = {}
        return self.tables.setdefault(id(nested), nested.table)


@dataclass(frozen=True, slots=True)
class _Trees:
    """The two trees of one host: routes, and the twins that redirect; nested routers are in both."""

    routes: Node
    twins: Node


class Table:
    """An immutable table of routes. `converters` adds to Werkzeug's converter classes, by name.

    Raises ConfigError when a rule, a host or a converter is wrong.
    """

    __slots__ = ("_converters", "_hosts", "leaves", "nested", "routes")

    def __init__(self, routes: Iterable[Route] = (), *, converters: Mapping[str, Any] | None = None) -> None:
        self.routes = tuple(routes)
        self._converters = Converters(converters)
        by_host: dict[str, _Trees] = {}
        leaves = []
        for number, route in enumerate(self.routes):
            trees = by_host.setdefault(parse_pattern(route.host), _Trees(Node(), Node()))
            leaves.append(self._insert(trees, route, number))
        shared: dict[Any, Any] = {}
        for trees in by_host.values():
            trees.routes.finish(shared)
            trees.twins.finish(shared)
        self._hosts = HostTable(by_host)
        self.leaves = tuple(leaves)
        self.nested = tuple(route.app for route in self.routes if isinstance(route.app, HasTable))

    def _insert(self, trees: _Trees, route: Route, number: int) -> Leaf:
        pattern = parse(route.rule, self._converters)
        if route.prefix:
            if pattern.catch_all:
                raise ConfigError(f"rule {route.rule!r}: it takes everything below already; leave prefix out")
            pattern = pattern.without_slash()
        refusal = self._converters.refusal
        leaf = Leaf(route, pattern, number, refusal)
        trees.routes.insert(leaf)
        if isinstance(route.app, HasTable):
            trees.twins.insert(leaf)
        twin = pattern if route.prefix else pattern.twin()
        # A mounted app's root without its slash is its root, unless the route asks for a redirect.
        if twin is not None and route.slash == "redirect":
            trees.twins.insert(Leaf(route, twin, number, refusal, turn=True))
        elif twin is not None and not route.prefix and (route.slash == "both" or not twin.segments):
            trees.routes.insert(Leaf(route, twin, number, refusal))
        return leaf

    @property
    def by_host(self) -> bool:
        """Whether any route asks for a host, so that the Host field has to be read."""
        return not self._hosts.only_any or any(router.table.by_host for router in self.nested)

    def resolve(self, method: str, path: str, host: tuple[str, str] = ("", "")) -> Decision:
        """Decide on a request: `path` as of target.matching_path(), `host` as of hosts.request_host()."""
        if path and path[0] != "/":
            # RFC 9110 9.3.7: OPTIONS * asks about the server, not about a resource.
            return NotAllowed(_complete(self._methods_anywhere())) if (method, path) == ("OPTIONS", "*") else None
        odd = not path.isascii() and SURROGATES.search(path) is not None
        query = _Query(path.split("/"), method, host, odd)
        found = self.search(query)
        if found is not None:
            return found
        query.twins = True
        turn = self.search(query) if method in ("GET", "HEAD") else None
        if turn is not None:
            return Redirect(add_slash=turn.route.prefix or turn.route.rule.endswith("/"))
        allowed = self.allowed(query)
        return NotAllowed(_complete(allowed)) if allowed else None

    def search(self, query: _Query) -> Match | None:
        """The best match over the hosts that match; for routers only."""
        for trees in self._hosts.candidates(query.host):
            found: Match | None = search(trees.twins if query.twins else trees.routes, 1, query)
            if found is not None:
                return found
        return None

    def allowed(self, query: _Query) -> set[str]:
        """Every method that a route or its redirecting twin takes on this path, through nested routers."""
        methods: set[str] = set()
        for trees in self._hosts.candidates(query.host):
            for leaf in (*every(trees.routes, 1, query), *every(trees.twins, 1, query)):
                if leaf.values(query.parts, query.odd) is not None:
                    methods |= self._methods_of(leaf, query)
        return methods

    def _methods_of(self, leaf: Leaf, query: _Query) -> frozenset[str] | set[str]:
        nested = leaf.route.app
        if not isinstance(nested, HasTable) or leaf.turn:
            return leaf.methods if leaf.methods is not None else _ANY
        inner = query.table_of(nested).allowed(query.below(leaf))
        if leaf.methods is None:
            return inner
        return leaf.methods if inner >= _ANY else inner & leaf.methods

    def _methods_anywhere(self) -> set[str]:
        methods: set[str] = set()
        for route in self.routes:
            if isinstance(route.app, HasTable):
                methods |= route.app.table._methods_anywhere()
            else:
                methods |= route.method_set or _ANY
        return methods


def _complete(methods: set[str]) -> tuple[str, ...]:
    return tuple(sorted((methods | {"OPTIONS"}) - _ANY))
