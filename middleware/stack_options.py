"""Middleware by name, and options against a factory's signature.

Owns how `middleware = "compress"` in a file becomes a factory (entry point, `package.module:factory`, or PasteDeploy's
`egg:Project#name`), how options are checked before the factory is called, and the errors about both. Must not know
files: `place` is text to put before a message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError, LoadError, Mistakes
from wsgikit.loader import load, nearest
from wsgikit.middleware import NAMES
from wsgikit.middleware.conditions import from_table

if TYPE_CHECKING:
    from inspect import Parameter, Signature

    from wsgikit.middleware.stack import Use

__all__ = ["bind", "from_tables", "resolve", "table_use"]

GROUP = "wsgikit.middleware"
_UNION = re.compile(r"\s*\|\s*(?![^\[]*\])")
_VARIABLE = re.compile(r"\$(\$|\{([A-Za-z_][A-Za-z0-9_]*)\})")
# What a TOML value may be for an option that is annotated so. Other annotations are left to the factory.
_ANNOTATED: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "str": ((str,), "a text"),
    "Amount": ((int, float, str), "a number or a text such as '10MiB', '30s'"),
    "Key": ((str,), "a text"),
    "Sequence[str]": ((list, tuple), "a list of texts"),
    "Iterable[str]": ((list, tuple), "a list of texts"),
    "Sequence": ((list, tuple), "a list"),
    "Iterable": ((list, tuple), "a list"),
    "Mapping": ((dict,), "a table"),
    "Callable": ((), ""),
    "None": ((type(None),), "nothing"),
}


def resolve(name: str, place: str = "") -> Callable[..., Any]:
    """The factory that a text names. ConfigError names the nearest entry point; LoadError comes from the loader."""
    if name.startswith("egg:"):
        from wsgikit.middleware.paste import egg_filter

        return egg_filter(name, place)
    if ":" in name:
        return _loaded(name, place)
    wanted = name.replace("_", "-")
    # our own first: reading what is installed takes milliseconds
    known = NAMES if wanted in NAMES else _entry_points()
    if wanted not in known:
        hint = nearest(wanted, known) or f"; known are {', '.join(sorted(known))}"
        raise ConfigError(f"{place}unknown middleware {name!r}{hint} (others: package.module:factory)")
    return _loaded(known[wanted], place)


def _loaded(name: str, place: str) -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = load(name)
    except LoadError as error:
        raise ConfigError(f"{place}{error}") from error
    if not callable(found):
        raise ConfigError(f"{place}{name} is {found!r}, which is no middleware: it cannot be called")
    return found


def _entry_points() -> dict[str, str]:
    """Short names of all installed middleware; wsgikit's own also where it runs from a checkout."""
    from importlib.metadata import entry_points

    found = {point.name.replace("_", "-"): point.value for point in entry_points(group=GROUP)}
    return {**found, **NAMES}


def bind(
    factory: Callable[..., Any], name: str, args: tuple[Any, ...], options: dict[str, Any], place: str
) -> dict[str, Any]:
    """`options` if the factory can be called with an app, `args` and them; ConfigError says what is wrong."""
    signature = _signature(factory)
    if signature is None:
        return options
    parameters = list(signature.parameters.values())
    named = {p.name: p for p in parameters[1 + len(args) :] if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    mistakes = Mistakes()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for option in options:
            if option not in named:
                hint = nearest(option, named) or (f"; it has {', '.join(named)}" if named else "; it has none")
                mistakes.found.append(ConfigError(f"{place}{name} has no option {option!r}{hint}"))
    missing = [option for option, p in named.items() if p.default is p.empty and option not in options]
    if missing:
        mistakes.found.append(ConfigError(f"{place}{name} needs {', '.join(map(repr, missing))}"))
    mistakes.stop()
    try:
        signature.bind(None, *args, **options)
    except TypeError as error:
        raise ConfigError(f"{place}{name} cannot be called so: {error}") from None
    return options


def _signature(factory: Callable[..., Any]) -> Signature | None:
    from inspect import signature

    try:
        return signature(factory)
    except (TypeError, ValueError):  # some callables written in C have none
        return None


def from_tables(
    tables: Iterable[Mapping[str, Any]], *, place: str = "", environ: Mapping[str, str] | None = None
) -> list[Use[...]]:
    """`[[mount.use]]` tables, outermost first, as `Use` objects: {"middleware": "compress", "level": 5}.

    place: what is put before every message ("wsgikit.toml: "). environ: where `${NAME}` in texts is looked up
    (default: os.environ); `$$` is a dollar sign.
    """
    found = []
    for number, table in enumerate(tables, 1):
        here = f"{place}use[{number}]: "
        values = _expanded(dict(table), os.environ if environ is None else environ, here)
        name = values.pop("middleware", None)
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{here}needs 'middleware', a short name or package.module:factory")
        found.append(table_use(name, values, here))
    return found


def table_use(name: str, options: Mapping[str, Any], place: str = "") -> Use[...]:
    """One `[[mount.use]]` table, already expanded, as a `Use`. ConfigError tells every mistake, after `place`."""
    from wsgikit.middleware.stack import Use

    factory = resolve(name, place)
    values = dict(options)
    table = values.pop("when", None)
    if table is not None and not isinstance(table, Mapping):
        raise ConfigError(f'{place}when = {table!r}: a table such as {{ path = "/api" }}')
    mistakes = Mistakes()
    signature = _signature(factory)
    if signature is not None:
        with mistakes:
            bind(factory, name, (), values, place)
        for option, value in values.items():
            if option in signature.parameters:
                with mistakes:
                    _check_kind(signature.parameters[option], value, f"{place}{name}: ")
    when = None
    if table is not None:
        with mistakes:
            when = from_table(table, place)
    mistakes.stop()
    return Use.at(place, factory, values, when)


def _check_kind(parameter: Parameter, value: Any, place: str) -> None:
    """TOML has kinds of its own: refuse a text where a number is needed before the factory stumbles over it."""
    if not isinstance(parameter.annotation, str):
        return
    parts = _UNION.split(parameter.annotation.strip())
    kinds = [_ANNOTATED.get(part) or _ANNOTATED.get(part.partition("[")[0]) for part in parts]
    if None in kinds:
        return
    known = [kind for kind in kinds if kind is not None]
    # bool is an int for Python, but `level = true` is a mistake
    if any(type(value) in types for types, _ in known):
        return
    allowed = " or ".join(text for types, text in known if text and types != (type(None),))
    raise ConfigError(f"{place}{parameter.name} = {value!r}: {allowed} is needed")


def _expanded(value: Any, environ: Mapping[str, str], place: str) -> Any:
    if isinstance(value, dict):
        return {key: _expanded(inner, environ, place) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expanded(inner, environ, place) for inner in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        name = match[2]
        if name is None:
            return "$"
        if name not in environ:
            raise ConfigError(f"{place}the environment has no variable {name!r}")
        return environ[name]

    return _VARIABLE.sub(variable, value)
