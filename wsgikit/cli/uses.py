"""`[[mount.use]]` to middleware: found by name, options checked against its signature, put around the app.

Owns the errors about them. It must not know any middleware.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from wsgikit import loader
from wsgikit.config.problems import shown
from wsgikit.config.structure import Entry, UseEntry
from wsgikit.errors import ConfigError, LoadError

if TYPE_CHECKING:
    import inspect

App = Callable[..., Iterable[bytes]]
GROUP = "wsgikit.middleware"


def wrapped(app: App, uses: Iterable[UseEntry]) -> App:
    """Put middleware around an app, the first outermost. ConfigError or LoadError names the place in the file."""
    for use in reversed(tuple(uses)):
        app = made(find(use), use.middleware, use, use.options, app)
    return app


def find(use: UseEntry) -> Callable[..., App]:
    """The class or factory that a name stands for: an entry point, or `package.module:factory`."""
    place, name = use.place("middleware"), use.middleware
    try:
        if ":" in name:
            found = loader.load(name)
        else:
            points = entry_points()
            if name not in points:
                hint = loader.nearest(name, points) or f"; known are {', '.join(sorted(points)) or 'none'}"
                raise ConfigError(f"{place}: unknown middleware {name!r}{hint}; any other is package.module:factory")
            found = loader.load(points[name])
    except LoadError as error:
        raise LoadError(f"{place}: {error}") from error.__cause__
    if not callable(found):
        raise ConfigError(f"{place}: middleware {name!r} cannot be called")
    return found  # type: ignore[no-any-return]


def entry_points() -> dict[str, str]:
    """All installed middleware: short name to `package.module:factory`."""
    from importlib.metadata import entry_points as installed

    return {point.name: point.value for point in installed(group=GROUP)}


def made(factory: Callable[..., App], name: str, entry: Entry, options: Mapping[str, Any], *inner: Any) -> App:
    """Call a factory with the options of a table. ConfigError names the option and its line."""
    check_options(factory, name, entry, options, len(inner))
    try:
        app = factory(*inner, **options)
    except ConfigError as error:
        raise ConfigError(f"{entry.place()}: {name}: {error}") from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{entry.place()}: {name}: {type(error).__name__}: {error}") from error
    if not callable(app):
        raise ConfigError(f"{entry.place()}: {name} made {shown(app)}, which is no WSGI application")
    return app


def check_options(factory: Any, name: str, entry: Entry, options: Mapping[str, Any], inner: int) -> None:
    """Refuse an option that the factory does not have, and the lack of one it needs."""
    import inspect

    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return  # written in C, without a signature: the call itself will tell
    known = _options(signature, inner)
    anything = any(part.kind is part.VAR_KEYWORD for part in signature.parameters.values())
    for option in options:
        if option not in known and not anything:
            hint = loader.nearest(option, known) or f"; it has {', '.join(known) or 'none'}"
            raise ConfigError(f"{entry.place(option)}: {name} has no option {option!r}{hint}")
    for option, parameter in known.items():
        if parameter.default is parameter.empty and option not in options:
            raise ConfigError(f"{entry.place()}: {name} needs the option {option!r}")


def _options(signature: inspect.Signature, inner: int) -> dict[str, inspect.Parameter]:
    """What can be given by name, without the first `inner` parameters, which are the app."""
    parameters = list(signature.parameters.values())
    positional = [part for part in parameters if part.kind in (part.POSITIONAL_ONLY, part.POSITIONAL_OR_KEYWORD)]
    taken = {part.name for part in positional[:inner]}
    by_name = (parameters[0].POSITIONAL_OR_KEYWORD, parameters[0].KEYWORD_ONLY) if parameters else ()
    return {part.name: part for part in parameters if part.kind in by_name and part.name not in taken}
