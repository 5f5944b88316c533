"""Build a URL from a route's name and values, and prove that it routes back.

Owns: quoting of what a converter's `to_url` gives, and the proof. Must not know requests.

Werkzeug's `to_url` leaves a slash in one-segment values, and some converters do not quote at all; and another rule may
take the URL that one rule builds. So each URL is matched in the table before it is given out: it leads to the route it
was built from, with the texts it was built from, or BuildError says why not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from wsgikit.errors import WsgikitError
from wsgikit.middleware.router.convert import nearest
from wsgikit.middleware.router.hosts import parse_pattern
from wsgikit.middleware.router.leaf import Leaf
from wsgikit.middleware.router.pattern import Pattern, Variable
from wsgikit.middleware.router.table import HasTable, Match, Table
from wsgikit.middleware.router.target import SAFE_IN_PATH, decode_keeping_slashes, local_reference


class BuildError(WsgikitError, LookupError):
    """No URL can be built: unknown name, missing or unknown values, or a URL that would not route back."""


def build(table: Table, name: str, values: Mapping[str, Any], *, script_name: str = "", query: Any = None) -> str:
    """A path-absolute reference to the route `name` ("outer:inner" through nested routers).

    `values` are the rule's variables, by name. `script_name` is the environ's SCRIPT_NAME where the router runs.
    `query` is a mapping or pairs. Of several routes with one name, the first whose variables are these is used.
    Raises BuildError.
    """
    path, chain = _path(table, name, dict(values))
    _prove(table, path, chain)
    script = quote(script_name.rstrip("/"), safe=SAFE_IN_PATH, encoding="latin-1")
    return local_reference(script + path, urlencode(query, doseq=True) if query else "")


Chain = tuple[tuple[Leaf, Mapping[str, Any]], ...]


def _path(table: Table, name: str, values: dict[str, Any]) -> tuple[str, Chain]:
    outer, _, inner = name.partition(":")
    reasons = []
    for leaf in table.leaves:
        if outer and leaf.route.name == outer:
            try:
                return _inner_path(leaf, inner, values) if inner else (_leaf_path(leaf, values), ((leaf, values),))
            except BuildError as error:
                reasons.append(str(error))
    if reasons:
        raise BuildError("; ".join(reasons))
    names = {leaf.route.name for leaf in table.leaves if leaf.route.name}
    raise BuildError(f"no route is called {outer!r}{nearest(outer, names) if names else '; no route here has a name'}")


def _inner_path(leaf: Leaf, inner: str, values: dict[str, Any]) -> tuple[str, Chain]:
    nested = leaf.route.app
    if not isinstance(nested, HasTable):
        raise BuildError(f"route {leaf.route.name!r} is no nested router, so it has no {inner!r}")
    mine = {variable.name: values[variable.name] for variable in leaf.above.variables if variable.name in values}
    rest, chain = _path(nested.table, inner, {key: value for key, value in values.items() if key not in mine})
    prefix = _checked(leaf.above, mine) if leaf.above.segments else ""
    return prefix.rstrip("/") + rest, ((leaf, mine), *chain)


def _leaf_path(leaf: Leaf, values: Mapping[str, Any]) -> str:
    defaults = leaf.route.defaults
    wanted = {variable.name for variable in leaf.pattern.variables}
    unknown = [key for key in values.keys() - wanted if key not in defaults or defaults[key] != values[key]]
    if unknown:
        names = ", ".join(sorted(unknown))
        raise BuildError(
            f"rule {leaf.pattern.rule!r}: it has no variable {names}; what belongs in the query goes there"
        )
    return _checked(leaf.pattern, values)


def _checked(pattern: Pattern, values: Mapping[str, Any]) -> str:
    rule = pattern.rule
    if missing := sorted({variable.name for variable in pattern.variables} - values.keys()):
        raise BuildError(f"rule {rule!r}: no value for {', '.join(missing)}")
    path = "/" + "/".join(_segments(pattern, values))
    for segment in path.split("/"):
        if segment.replace("%2E", ".").replace("%2e", ".") in (".", ".."):
            raise BuildError(
                f"rule {rule!r}: clients resolve the segment {segment!r} in {path!r}, it cannot be a value"
            )
    return path


def _prove(table: Table, path: str, chain: Chain) -> None:
    leaf = chain[0][0]
    methods = leaf.methods if len(chain) == 1 else chain[-1][0].methods
    method = "GET" if methods is None or "GET" in methods else min(methods)
    decided = table.resolve(method, decode_keeping_slashes(path), _sample_host(leaf.route.host))
    match = decided if isinstance(decided, Match) else None
    for leaf, values in chain:
        if match is None or match.leaf.route is not leaf.route:
            taken = f"it goes to {match.template!r}" if match else "nothing takes it"
            raise BuildError(f"rule {leaf.pattern.rule!r}: {path!r} would not route back, {taken}")
        for variable in leaf.pattern.variables:
            if variable.name in values and not _same(variable, values[variable.name], match.values[variable.name]):
                raise BuildError(
                    f"rule {leaf.pattern.rule!r}: {path!r} would come back with {variable.name}="
                    f"{match.values[variable.name]!r} in place of {values[variable.name]!r}"
                )
        match = match.inner


def _same(variable: Variable, given: Any, came_back: Any) -> bool:
    """Whether two values give one text; a converter whose to_url does not take what to_python makes is believed."""
    try:
        return bool(given == came_back or variable.converter.to_url(given) == variable.converter.to_url(came_back))
    except (ValueError, TypeError, AttributeError):
        return True


def _sample_host(pattern: str) -> tuple[str, str]:
    host = parse_pattern(pattern)
    if host.startswith("["):
        name, _, port = host.partition("]")
        return name + "]", port.removeprefix(":")
    name, _, port = host.partition(":")
    return ("sample" + name if name.startswith(".") else name), port


def _segments(pattern: Pattern, values: Mapping[str, Any]) -> list[str]:
    return [
        "".join(
            quote(piece, safe=SAFE_IN_PATH)
            if isinstance(piece, str)
            else _value(pattern.rule, piece, values[piece.name])
            for piece in segment.pieces
        )
        for segment in pattern.segments
    ]


def _value(rule: str, variable: Variable, value: Any) -> str:
    """The value in percent-encoded form, one that decodes to what the converter's regex takes."""
    try:
        text = variable.converter.to_url(value)
    except (ValueError, TypeError, AttributeError) as error:
        raise BuildError(f"rule {rule!r}: {variable.name}={value!r}: {error}") from error
    # to_url should quote, and mostly does; what it left bare is quoted here, and its own escapes are kept.
    for safe in (SAFE_IN_PATH + "%", SAFE_IN_PATH):
        try:
            quoted = quote(text, safe=safe)
        except UnicodeEncodeError as error:
            raise BuildError(f"rule {rule!r}: {variable.name}={value!r} is not text") from error
        if variable.converter.part_isolating:
            quoted = quoted.replace("/", "%2F")
        if re.fullmatch(variable.regex, decode_keeping_slashes(quoted)):
            return quoted
    raise BuildError(f"rule {rule!r}: {variable.name}={value!r} gives {text!r}, which the rule does not match")
