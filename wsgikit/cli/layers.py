"""What a table of the file puts around an app, and what stands inside where the table names no app.

Owns the way from `use` lists to a Stack, and from mistakes to their place in the file. Must not load apps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError, Mistakes

if TYPE_CHECKING:
    from wsgikit.config.structure import Entry, MountEntry, RouteEntry, UseEntry
    from wsgikit.middleware import Stack

App = Callable[..., Iterable[bytes]]

# middleware that answers requests by itself (all, or those it knows) says so by one of these traits
_ANSWERING = frozenset(("terminal", "answers"))


class NoApp:
    """Stands inside the layers of a table without an app: what no layer has answered is not found."""

    def __init__(self, entry: MountEntry | RouteEntry) -> None:
        self.entry = entry

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        from wsgikit.middleware.answer import answer

        return answer(environ, start_response, 404)

    def describe(self) -> str:
        """The layers that answer in place of an app."""
        return ", ".join(use.middleware for use in self.entry.use)


def nothing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Stands where an app cannot be made, while mistakes are looked for; nobody calls it."""
    raise ConfigError("this app could not be made")


def wrapped(app: App, uses: Iterable[UseEntry]) -> App:
    """Put middleware around an app, the first outermost. ConfigError tells every mistake with its place in the file."""
    entries = tuple(uses)
    if not entries:
        return app
    from wsgikit.middleware.stack import Stack
    from wsgikit.middleware.stack_options import table_use

    mistakes, layers = Mistakes(), []
    for use in entries:
        with mistakes:
            layers.append(table_use(use.middleware, use.options, f"{use.place()}: "))
    made = app
    # wrong ones are left out, so that the others are found to be wrong, too
    with mistakes:
        made = Stack(app, layers, order="ignore")
        _warn(made, entries[0])
    mistakes.stop()
    if isinstance(app, NoApp) and not any(layer.traits & _ANSWERING for layer in layers):
        text = (
            "there is neither 'app' nor 'upstream', and no middleware in 'use' answers by itself (as forward, static, "
            "cgi-directory, health, status and cascade do)"
        )
        raise placed(ConfigError(text), app.entry)
    return made


def _warn(stack: Stack, first: UseEntry) -> None:
    """A warning for layers in the wrong order. It names the line of the file, not one of ours."""
    from warnings import warn_explicit

    from wsgikit.middleware.stack import StackOrderWarning
    from wsgikit.middleware.stack_order import problems

    file, _, line = first.place().rpartition(":")
    where = (file, int(line)) if file else (line, 1)
    for problem in problems([layer.use for layer in stack.layers]):
        warn_explicit(problem, StackOrderWarning, *where)


@contextmanager
def at(entry: Entry) -> Iterator[None]:
    """What is wrong within the block is wrong in this table of the file."""
    try:
        yield
    except ConfigError as error:
        raise placed(error, entry) from error.__cause__


def placed(error: ConfigError, entry: Entry) -> ConfigError:
    """An error, each of its mistakes with its place in the file."""
    file = entry.place().rpartition(":")[0] or entry.place()

    def put(one: ConfigError) -> ConfigError:
        return one if str(one).startswith(file) else ConfigError(f"{entry.place(*one.way)}: {one}", one.way)

    return error.each(put)
