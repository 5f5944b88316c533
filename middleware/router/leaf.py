"""Leaf: one way a route can match, and what it takes from the path.

Owns: conversion of captured text, refusal, how much of the path is consumed. Must not know the tree above it.

A path comes here as `parts`, its text split at slashes; `parts[0]` is the empty text before the first one, so that the
n-th segment of a rule stands at `parts[n]`, counted from 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.router.convert import NotText
from wsgikit.middleware.router.pattern import CATCH_ALL, STATIC, Pattern, Segment, Variable
from wsgikit.middleware.router.route import Route
from wsgikit.middleware.router.target import ENCODED_SLASH, SURROGATES, wire_length

Convert = Callable[[str], Any]
Test = Callable[[str], "re.Match[str] | None"]
# index of the first part, of the one after the last (None: to the end), test, (group, variable) pairs
Refusal = tuple[type[Exception], ...]
Grouped = tuple[int, int | None, Test, tuple[tuple[str, Variable], ...]]


# A client may repeat any other method with a changed body or not at all; a preflight must not be redirected.
_REDIRECTED = frozenset({"GET", "HEAD"})

_NO_DEFAULTS: dict[str, Any] = {}


class Leaf:
    """A route in one of its forms: its own, or its twin with a trailing slash more or less. Immutable.

    turn     this form is only there to send the client to the route's own form
    order    precedence among the leaves that match one path, least first
    prefix   it takes what is below it too
    bare     a prefix that matches with nothing below it, not even a slash
    tail     test for the rest of the path, for a rule that ends in a catch-all
    methods  None is any
    """

    __slots__ = (
        "_defaults",
        "_grouped",
        "_keep",
        "_refusal",
        "_single",
        "bare",
        "methods",
        "order",
        "pattern",
        "prefix",
        "route",
        "tail",
        "turn",
    )

    def __init__(self, route: Route, pattern: Pattern, number: int, refusal: Refusal, *, turn: bool = False) -> None:
        self.route = route
        self.pattern = pattern
        self.turn = turn
        self.methods = (route.method_set or _REDIRECTED) & _REDIRECTED if turn else route.method_set
        self.prefix = route.prefix and not turn
        # A prefix stands where a catch-all without text would.
        self.order = (pattern.key + (((CATCH_ALL, 0),) if self.prefix else ()), number)
        self.tail = segment_test(pattern.segments[-1], pattern.rule) if pattern.catch_all else None
        self.bare = route.slash != "redirect"
        self._keep = _parts_consumed(route, pattern)
        self._refusal = refusal
        self._defaults = dict(route.defaults) or _NO_DEFAULTS
        self._single = tuple(_single(pattern))
        self._grouped = tuple(_grouped(pattern))

    def values(self, parts: list[str], odd: bool) -> dict[str, Any] | None:
        """The variables, converted; None when a converter refuses.

        `odd`: some part has an encoded slash, or bytes that are not UTF-8.
        """
        values = self._defaults.copy()
        try:
            for name, index, convert in self._single:
                text = parts[index]
                if odd:
                    text = _cleaned(text, spans=False)
                values[name] = text if convert is None else convert(text)
            if self._grouped:
                self._add_grouped(values, parts, odd)
        except self._refusal:
            return None
        return values

    def _add_grouped(self, values: dict[str, Any], parts: list[str], odd: bool) -> None:
        for start, end, test, variables in self._grouped:
            match = test("/".join(parts[start:end]))
            if match is None:
                raise NotText
            for group, variable in variables:
                text = match[group]
                if odd:
                    text = _cleaned(text, spans=not variable.converter.part_isolating)
                values[variable.name] = text if variable.convert is None else variable.convert(text)

    def texts(self, parts: list[str]) -> dict[str, str]:
        """The variables as they stand in a path that matches, not converted."""
        texts = {name: parts[index] for name, index, _ in self._single}
        for start, end, test, variables in self._grouped:
            match = test("/".join(parts[start:end]))
            if match is not None:
                texts.update((variable.name, match[group]) for group, variable in variables)
        return texts

    def consumed(self, parts: list[str]) -> int:
        """How many characters of PATH_INFO the rule stands for."""
        return wire_length(self._consumed_text(parts))

    def below(self, parts: list[str]) -> list[str]:
        """The parts that a router nested here sees: those of PATH_INFO after the shift."""
        return "/".join(parts)[len(self._consumed_text(parts)) :].split("/")

    def _consumed_text(self, parts: list[str]) -> str:
        return "/".join(parts if self._keep is None else parts[: self._keep]).rstrip("/")

    @property
    def above(self) -> Pattern:
        """The part of the pattern that stands before what a nested router sees."""
        return (
            self.pattern
            if self._keep is None
            else Pattern(self.pattern.rule, self.pattern.segments[: max(self._keep - 1, 0)])
        )

    @property
    def prefix_template(self) -> str:
        """The text of `above` in the rule."""
        if self._keep is None or self.route.prefix:
            return self.pattern.rule.rstrip("/") if self._keep != 0 else ""
        return self.pattern.rule[: self.pattern.rule.rindex("/<")] if self._keep else ""


def segment_test(segment: Segment, rule: str) -> Test:
    """`fullmatch` of the segment with a group for each variable; ConfigError when a converter's regex is not one."""
    try:
        return re.compile(segment.regex(groups=True)).fullmatch
    except re.error as error:
        raise ConfigError(f"rule {rule!r}: a converter's regex cannot stand beside others here: {error}") from error


def _single(pattern: Pattern) -> Iterator[tuple[str, int, Convert | None]]:
    for index, segment in enumerate(pattern.segments, 1):
        if len(segment.pieces) == 1 and segment.kind not in (STATIC, CATCH_ALL):
            (variable,) = segment.variables
            yield variable.name, index, variable.convert


def _grouped(pattern: Pattern) -> Iterator[Grouped]:
    for index, segment in enumerate(pattern.segments, 1):
        if segment.kind == CATCH_ALL or (segment.variables and len(segment.pieces) > 1):
            groups = tuple((f"v{number}", variable) for number, variable in enumerate(segment.variables))
            end = None if segment.kind == CATCH_ALL else index + 1
            yield index, end, segment_test(segment, pattern.rule), groups


def _cleaned(text: str, spans: bool) -> str:
    text = text.replace(ENCODED_SLASH, "/")
    if not spans and SURROGATES.search(text):
        raise NotText
    return text


def _parts_consumed(route: Route, pattern: Pattern) -> int | None:
    """Number of parts, `parts[0]` included; None is all of them, 0 is nothing at all."""
    if not route.strip:
        return 0
    if route.prefix:
        return len(pattern.segments) + 1
    if pattern.catch_all and len(pattern.segments[-1].pieces) == 1:
        return len(pattern.segments)
    return None
