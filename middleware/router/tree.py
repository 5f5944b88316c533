"""The tree of segments in which rules are searched, and the search.

Owns: the order of the search. Must not know hosts, WSGI, or what becomes of a match.

At a node the kinds of segments are tried best first, and a kind that leads nowhere gives way to the next (full
backtracking). Matchers of equal precedence (`<int:a>` and `<uuid:b>`) are all followed, and the least `Leaf.order`
wins, so that the tree always gives the matching rule of least order, whatever other rules it holds. A node is
visited at most once in a search, which bounds the work by the number of rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from wsgikit.middleware.router.leaf import Leaf, segment_test
from wsgikit.middleware.router.pattern import CATCH_ALL, STATIC, Segment

# Regexes that take any segment which is not empty; testing its truth is quicker.
_ANY_TEXT = ("[^/]+", "[^/]{1,}")

Accept = Callable[[str], Any]
Test = str | Accept | None  # this text, what a regex takes, any text


class Query(Protocol):
    """What a search needs to know of a request; `accept` says what a leaf makes of it, None for "go on"."""

    parts: list[str]
    count: int
    method: str

    def accept(self, leaf: Leaf) -> Any: ...


class Node:
    """One segment deep. Mutable while `insert` builds the tree, never after `finish`.

    static  segment text -> node
    groups  matchers of one precedence each, best first: (accept, node) pairs; accept None takes any text
    sole    the only matcher, when nothing else can be tried at this node after static text
    lone    nothing but static text here
    ends    leaves for a path that ends here
    tails   leaves that take the rest of the path, whatever it is
    only    the only leaf below this node, with its `tests` of the segments on the way, which stand for the nodes
    """

    __slots__ = ("_open", "ends", "groups", "lone", "only", "sole", "static", "tails", "tests")

    def __init__(self) -> None:
        # Empty ones are shared: a table of thousands of routes is searched at the speed of the processor's caches.
        self.static: dict[str, Node] = _NO_NODES
        self.groups: tuple[tuple[tuple[Accept | None, Node], ...], ...] = ()
        self.sole: tuple[Accept | None, Node] | None = None
        self.lone = False
        self.ends: tuple[Leaf, ...] = ()
        self.tails: tuple[Leaf, ...] = ()
        self.only: Leaf | None = None
        self.tests: tuple[Test, ...] = ()
        self._open: dict[tuple[tuple[int, int], str], tuple[Accept | None, Node]] | None = None

    def insert(self, leaf: Leaf, depth: int = 0) -> None:
        """Add a leaf below this node, which stands for the first `depth` segments of its rule."""
        segments = leaf.pattern.segments
        if (depth == len(segments) and leaf.prefix) or (depth < len(segments) and segments[depth].kind == CATCH_ALL):
            self.tails += (leaf,)
        elif depth == len(segments):
            self.ends += (leaf,)
        elif segments[depth].kind == STATIC:
            if self.static is _NO_NODES:
                self.static = {}
            self.static.setdefault(segments[depth].text, Node()).insert(leaf, depth + 1)
        else:
            self._matcher(segments[depth], leaf.pattern.rule).insert(leaf, depth + 1)

    def _matcher(self, segment: Segment, rule: str) -> Node:
        regex = segment.regex(groups=False)
        key = segment.key, "" if regex in _ANY_TEXT else regex
        if self._open is None:
            self._open = {}
        if key not in self._open:
            # Compiled with groups too, so that a regex that works alone and not beside others is found out here.
            segment_test(segment, rule)
            self._open[key] = (re.compile(regex).fullmatch if key[1] else None), Node()
        return self._open[key][1]

    def finish(self, shared: dict[tuple[Test, ...], tuple[Test, ...]]) -> None:
        """Put everything in its final order. `shared`: one tuple for all rules with the same tests on their way."""
        matchers = self._open or {}
        self._open = None
        keys = sorted({key for key, _ in matchers})
        self.groups = tuple(tuple(pair for (key, _), pair in matchers.items() if key == wanted) for wanted in keys)
        self.ends = tuple(sorted(self.ends, key=_order))
        self.tails = tuple(sorted(self.tails, key=_order))
        self.lone = not self.groups and not self.tails
        if len(self.groups) == 1 and len(self.groups[0]) == 1 and not self.tails:
            self.sole = self.groups[0][0]
        for node in (*self.static.values(), *(node for _, node in matchers.values())):
            node.finish(shared)
        self._straighten(shared)

    def _straighten(self, shared: dict[tuple[Test, ...], tuple[Test, ...]]) -> None:
        """Put one leaf with its tests in the place of nodes that lead nowhere else."""
        ways: list[tuple[Test, Node]] = [*self.static.items(), *(pair for group in self.groups for pair in group)]
        if len(ways) != 1 or self.ends or self.tails:
            return
        test, below = ways[0]
        leaf = below.only or (below.ends[0] if below.lone and not below.static and len(below.ends) == 1 else None)
        if leaf is not None:
            tests = (test, *below.tests)
            self.only, self.tests = leaf, shared.setdefault(tests, tests)
            self.static, self.groups, self.sole = _NO_NODES, (), None


_NO_NODES: dict[str, Node] = {}


def _order(leaf: Leaf) -> Any:
    return leaf.order


def search(node: Node, depth: int, query: Query) -> Any:
    """What `query.accept` made of the leaf of least order that matches `parts[depth:]`; None without one."""
    parts, count = query.parts, query.count
    while depth < count:
        if node.only is not None:
            taken = node.only.methods is None or query.method in node.only.methods
            return query.accept(node.only) if taken and _along(node.tests, parts, depth) else None
        part = parts[depth]
        depth += 1
        child = node.static.get(part)
        if node.lone:
            if child is None:
                return None
            node = child
            continue
        if child is not None:
            found = search(child, depth, query)
            if found is not None:
                return found
        if node.sole is None:
            return _branch(node, depth, query)
        accept, node = node.sole
        if not (part if accept is None else accept(part)):
            return None
    for leaf in node.ends:
        if leaf.methods is None or query.method in leaf.methods:
            found = query.accept(leaf)
            if found is not None:
                return found
    return _tails(node, depth, query) if node.tails else None


def _along(tests: tuple[Test, ...], parts: list[str], depth: int) -> bool:
    """Whether the tests are those of all parts from `depth` on."""
    if len(parts) - depth != len(tests):
        return False
    for test in tests:
        part = parts[depth]
        depth += 1
        if test.__class__ is str:
            if part != test:
                return False
        elif not (part if test is None else test(part)):  # type: ignore[operator]
            return False
    return True


def _branch(node: Node, depth: int, query: Query) -> Any:
    part = query.parts[depth - 1]
    for group in node.groups:
        best = None
        for accept, child in group:
            if part if accept is None else accept(part):
                found = search(child, depth, query)
                if found is not None and (best is None or found.order < best.order):
                    best = found
        if best is not None:
            return best
    return _tails(node, depth - 1, query)


def _tails(node: Node, depth: int, query: Query) -> Any:
    rest = "/".join(query.parts[depth:]) if depth < query.count else None
    for leaf in node.tails:
        if (leaf.methods is None or query.method in leaf.methods) and _takes(leaf, rest):
            found = query.accept(leaf)
            if found is not None:
                return found
    return None


def _takes(leaf: Leaf, rest: str | None) -> bool:
    """Whether a leaf of `tails` takes the rest of the path; None is no rest at all, not even a slash."""
    if leaf.tail is None:
        return leaf.bare or rest is not None
    return rest is not None and leaf.tail(rest) is not None


def every(node: Node, depth: int, query: Query) -> Iterator[Leaf]:
    """Every leaf that matches `parts[depth:]`, whatever its methods, in no order."""
    if node.only is not None:
        if _along(node.tests, query.parts, depth):
            yield node.only
    elif depth == query.count:
        yield from node.ends
    else:
        part = query.parts[depth]
        if part in node.static:
            yield from every(node.static[part], depth + 1, query)
        for group in node.groups:
            for accept, child in group:
                if part if accept is None else accept(part):
                    yield from every(child, depth + 1, query)
    rest = "/".join(query.parts[depth:]) if depth < query.count else None
    yield from (leaf for leaf in node.tails if _takes(leaf, rest))
