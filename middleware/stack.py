"""`Stack`: an app in its middleware, outermost first, built once and frozen.

    app = Stack(
        app,
        [
            Use(RequestId),
            Use(Compress, level=5),
            Use(RateLimit, rate="5/s", when=path("/api")),
        ],
    )

A request goes through the list from top to bottom. `Use` names a factory (a class or function that takes the app
first) and its options; an editor completes them and a type checker checks them, as they are the factory's own. Wrong
options are refused when the `Use` is made, with the nearest name. A factory may be named by text, too: an entry point
of the group `wsgikit.middleware` ("compress"), `package.module:factory`, or PasteDeploy's "egg:Project#name".

`when=` puts a layer around some requests only; the others go straight to the next layer. See
`wsgikit.middleware.conditions`.

A stack is an app, so stacks nest, and lists of `Use` nest in lists. `describe()` tells what is in it, `layers` gives
it to programs, `problems` says which layers stand in the wrong order and why (also a `StackOrderWarning`; with
`order="raise"` a ConfigError). `between(seam)` is the same stack with something at every seam, e.g. a Lint.

Every middleware of wsgikit can be taken out without breaking the app: what it puts into the environ only informs.

In `wsgikit.toml` a mount or route needs no app where a layer answers by itself (forward, status; static, cgi-directory,
health, cascade). A class of yours says so by `traits = frozenset({"answers"})`; see `wsgikit.middleware.stack_order`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeAlias, overload

from wsgikit.errors import ConfigError, Mistakes, WsgikitError
from wsgikit.middleware.amounts import choice
from wsgikit.middleware.conditions import Predicate, described, header, host, method, path

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    Uses: TypeAlias = Sequence["Use[...] | Sequence[Use[...]]"]
    Seam: TypeAlias = Callable[[WSGIApplication, str], WSGIApplication]

__all__ = ["Layer", "Stack", "StackOrderWarning", "Use", "header", "host", "method", "path"]

P = ParamSpec("P")


class StackOrderWarning(UserWarning):
    """Two layers of a stack stand in an order in which one of them cannot do its work."""


class Layer(NamedTuple):
    """One layer of a built stack: `app` is the layer with all that is below it, `inner` what it calls."""

    name: str
    use: Use[...]
    app: WSGIApplication
    inner: WSGIApplication


class Use(Generic[P]):
    """One middleware with its options, and optionally the requests it is for. Frozen.

    ConfigError: the factory does not know an option, or one is missing. `place` is put before every message
    ("wsgikit.toml:12: ").
    """

    __slots__ = ("args", "factory", "name", "options", "place", "when")

    @overload
    def __init__(
        self, factory: Callable[Concatenate[WSGIApplication, P], WSGIApplication], *args: P.args, **options: P.kwargs
    ) -> None: ...

    # PEP 612 knows no keyword between *args and **kwargs: with `when` the options are checked at run time alone
    @overload
    def __init__(
        self, factory: Callable[..., WSGIApplication], *args: Any, when: Predicate, **options: Any
    ) -> None: ...

    @overload
    def __init__(self, factory: str, *args: Any, when: Predicate | None = None, **options: Any) -> None: ...

    def __init__(self, factory: Any, *args: Any, **options: Any) -> None:
        self._set(factory, args, options.pop("when", None), options, "")

    @classmethod
    def at(cls, place: str, factory: Any, options: dict[str, Any], when: Predicate | None = None) -> Use[...]:
        """A `Use` from a file: errors name the place."""
        made: Use[...] = cls.__new__(cls)
        made._set(factory, (), when, options, place)
        return made

    def _set(self, factory: Any, args: Any, when: Any, options: dict[str, Any], place: str) -> None:
        from wsgikit.middleware.stack_options import bind, resolve

        if isinstance(factory, str):
            factory, name = resolve(factory, place), factory
        else:
            name = getattr(factory, "__name__", type(factory).__name__)
        if not callable(factory):
            raise ConfigError(f"{place}middleware {factory!r} is not callable")
        if when is not None and not callable(when):
            raise ConfigError(f"{place}{name}: when = {when!r}: has to be callable, such as path('/api')")
        values = {
            "factory": factory,
            "args": args,
            "options": bind(factory, name, args, options, place),
            "when": when,
            "name": name,
            "place": place,
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)

    if TYPE_CHECKING:
        factory: Callable[..., WSGIApplication]
        args: tuple[Any, ...]
        options: dict[str, Any]
        when: Predicate | None
        name: str
        place: str

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Use cannot be changed: make another one")

    def __call__(self, app: WSGIApplication) -> WSGIApplication:
        """The middleware around `app`. ConfigError: it refuses its options."""
        try:
            layer = self.factory(app, *self.args, **self.options)
        except WsgikitError as error:
            if not self.place:
                raise
            raise self._named(error) from error
        if not callable(layer):
            raise ConfigError(f"{self.place}{self.name} made {layer!r}, which is no WSGI app")
        return layer if self.when is None else _Branch(self.when, layer, app)

    def _named(self, error: WsgikitError) -> ConfigError:
        """The error with the place of this layer, and its name, before each of its mistakes."""
        whole = error if isinstance(error, ConfigError) else ConfigError(str(error))
        return whole.each(lambda one: ConfigError(f"{self.place}{self.name}: {one}"))

    @property
    def traits(self) -> frozenset[str]:
        """What the order rules go by; see `wsgikit.middleware.stack_order`."""
        return frozenset(getattr(self.factory, "traits", ()))

    def __repr__(self) -> str:
        secrets = getattr(self.factory, "secrets", ())
        options = ((name, "..." if name in secrets else repr(value)) for name, value in self.options.items())
        shown = [*map(repr, self.args), *(f"{name}={text}" for name, text in options)]
        if self.when is not None:
            shown.append(f"when={described(self.when)}")
        return f"{self.name}({', '.join(shown)})"


class _Branch:
    """A layer for some requests only."""

    __slots__ = ("_inner", "_layer", "_when", "app")

    def __init__(self, when: Predicate, layer: WSGIApplication, inner: WSGIApplication) -> None:
        self._when = when
        self._inner = inner
        self.app = layer  # the name under which validators follow a chain of layers

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return (self.app if self._when(environ) else self._inner)(environ, start_response)


class Stack:
    """A WSGI app: `app` in the layers that `uses` names, outermost first.

    order: what to do about layers in the wrong order: "warn", "raise" (ConfigError) or "ignore".
    """

    __slots__ = ("_entry", "_order", "_uses", "app", "layers", "problems")

    app: WSGIApplication
    layers: tuple[Layer, ...]
    problems: tuple[str, ...]
    _entry: WSGIApplication
    _uses: tuple[Use[...], ...]
    _order: str

    def __init__(self, app: WSGIApplication, uses: Uses = (), *, order: str = "warn") -> None:
        if not callable(app):
            raise ConfigError(f"Stack: {app!r} is no WSGI app; the app comes first, then the list of Use(...)")
        flat = tuple(_flat(uses))
        entry, layers = _build(app, flat, None)
        self._set(app, flat, entry, layers, choice(order, "order", ("warn", "raise", "ignore")))
        _tell(self.problems, order)

    def _set(
        self, app: WSGIApplication, uses: tuple[Use[...], ...], entry: WSGIApplication, layers: list[Layer], order: str
    ) -> None:
        from wsgikit.middleware.stack_order import problems

        inner: tuple[Layer, ...] = app.layers if isinstance(app, Stack) else ()
        everything = (*layers, *inner)
        found = () if order == "ignore" else tuple(problems([layer.use for layer in everything]))
        for name, value in (
            ("app", app),
            ("layers", everything),
            ("problems", found),
            ("_entry", entry),
            ("_uses", uses),
            ("_order", order),
        ):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Stack cannot be changed: make another one")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._entry(environ, start_response)

    def between(self, seam: Seam) -> Stack:
        """The same stack with `seam(app, name)` around the app and around every layer; `name` says what it is around.

        The factories are called again, so a middleware that keeps counts starts new ones.
        """
        app = self.app.between(seam) if isinstance(self.app, Stack) else seam(self.app, named(self.app))
        entry, layers = _build(app, self._uses, seam)
        made = Stack.__new__(Stack)
        made._set(app, self._uses, entry, layers, "ignore")
        return made

    def describe(self) -> str:
        """One line a layer, outermost first, then the app."""
        innermost = self.app
        while isinstance(innermost, Stack):
            innermost = innermost.app
        return "\n".join([*(repr(layer.use) for layer in self.layers), f"-> {named(innermost)}"])

    def __repr__(self) -> str:
        return f"<Stack of {len(self.layers)} around {named(self.app)}>"


def named(app: Any) -> str:
    """How to call an app in a message: module:name of it or of its class."""
    if isinstance(app, Stack):
        return repr(app)
    thing = app if hasattr(app, "__qualname__") else type(app)
    return f"{thing.__module__}:{thing.__qualname__}"


def _build(app: WSGIApplication, uses: tuple[Use[...], ...], seam: Seam | None) -> tuple[WSGIApplication, list[Layer]]:
    layers, mistakes, made = [], Mistakes(), app
    for use in reversed(uses):
        with mistakes:
            made = use(app)
        if seam is not None:
            made = seam(made, use.name)
        layers.append(Layer(use.name, use, made, app))
        app = made
    mistakes.found.reverse()
    mistakes.stop()
    return app, layers[::-1]


def _flat(uses: Any) -> Iterable[Use[...]]:
    for use in uses:
        if isinstance(use, Use):
            yield use
        elif isinstance(use, (list, tuple)):
            yield from _flat(use)
        else:
            raise ConfigError(f"Stack: {use!r} stands in the list of layers; write Use({named(use)}, ...)")


def _tell(problems: tuple[str, ...], order: str) -> None:
    if order == "raise" and problems:
        raise ConfigError("\n".join(problems))
    for problem in problems:
        warnings.warn(problem, StackOrderWarning, stacklevel=3)
