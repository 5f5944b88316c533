"""Werkzeug's converters, made from their names in a rule.

Owns: the only import of werkzeug in the router, on first use. Must not know segments or precedence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.router.sharing import PATH


class NotText(Exception):
    """A variable's bytes are not UTF-8, so that the rule does not match."""


class Converters:
    """Named converter classes; `own` adds to Werkzeug's default ones, or replaces them.

    A class gets the arguments that Werkzeug gives it, the first a `werkzeug.routing.Map` with these converters.
    """

    def __init__(self, own: Mapping[str, Any] | None = None) -> None:
        self._own = dict(own or {})
        self._classes: dict[str, Any] = {}
        self._map: Any = None
        self._made: dict[tuple[str, str], Any] = {}
        # Nothing is caught as a refusal before there is a converter that could refuse.
        self.refusal: tuple[type[Exception], ...] = ()

    def make(self, rule: str, name: str, arguments: str) -> Any:
        """An instance of the converter, one for each way it is written in the table's rules.

        ConfigError names the rule, and the nearest converter to an unknown one.
        """
        if (name, arguments) not in self._made:
            self._made[name, arguments] = self._instance(rule, name, arguments)
        return self._made[name, arguments]

    def _instance(self, rule: str, name: str, arguments: str) -> Any:
        if self._map is None:
            self._load()
        if name not in self._classes:
            raise ConfigError(f"rule {rule!r}: no converter {name!r}{nearest(name, self._classes)}")
        from werkzeug.routing.rules import parse_converter_args

        try:
            args, kwargs = parse_converter_args(arguments) if arguments.strip() else ((), {})
            return self._classes[name](self._map, *args, **kwargs)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"rule {rule!r}: converter {name}({arguments}): {error}") from error

    def is_plain(self, declared: str | None, converter: Any) -> bool:
        """Whether it takes any text: `<name>`, `<string:name>`, or Werkzeug's string class by another name."""
        from werkzeug.routing.converters import BaseConverter, UnicodeConverter

        return declared in (None, "default", "string") or type(converter) in (BaseConverter, UnicodeConverter)

    def conversion(self, converter: Any) -> Callable[[str], Any] | None:
        """`to_python`; None when the class does not override it, so that it need not be called."""
        from werkzeug.routing.converters import BaseConverter

        plain = type(converter).to_python is BaseConverter.to_python and "to_python" not in vars(converter)
        return None if plain else converter.to_python

    def regex(self, converter: Any) -> str:
        """The converter's own regex; Werkzeug's for `path` is let over newlines, which a path may hold as %0A."""
        from werkzeug.routing.converters import PathConverter

        regex = str(converter.regex)
        return PATH if regex == PathConverter.regex else regex

    def _load(self) -> None:
        try:
            from werkzeug.routing import Map, ValidationError
            from werkzeug.routing.converters import DEFAULT_CONVERTERS
        except ImportError:
            raise ConfigError(
                "a rule with <variables> needs Werkzeug's converters: pip install werkzeug (rules without work)"
            ) from None  # it says all; a traceback is for what apps raise
        self._classes = {**DEFAULT_CONVERTERS, **self._own}
        self._map = Map(converters=self._own)
        self.refusal = (NotText, ValidationError)


def nearest(name: str, known: Any) -> str:
    """ "; did you mean 'x'?" for the nearest known name, else the list of known ones."""
    import difflib  # only for an error's message

    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(sorted(known))}"
