"""The seams of a middleware stack: finds where one layer calls the next, and puts something there.

A stack that offers `between(seam)` (ours does) is taken at its word. Other layers are followed through the attributes
and closure variables that middleware usually keeps the next app in. Where the view ends is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from types import CellType, FunctionType
from typing import Any

# Under these names the middleware of the world keeps the next app: Werkzeug, Paste, WebOb, WhiteNoise, Flask, Django.
NAMES = ("app", "wsgi_app", "application", "wsgi_application", "_app", "_wsgi_app", "_application", "wrapped", "inner")
# And under these several of them.
MANY = ("mounts", "apps", "applications")
# A chain longer than this goes in a circle.
_DEPTH = 100


@dataclass(eq=False)
class Seam:
    """One place where `outer` calls `name`. `outer` is None for the server's own call."""

    name: str
    outer: Seam | None = None
    around: Any = None
    inner: list[Seam] = field(default_factory=list)


Wrap = Callable[[Any, Seam], Any]


class Opened:
    """A stack with something at each seam.

    `entry` is the app to call, `seams` all of them, the outermost first; `unseen` says where the view ends.
    """

    def __init__(self, app: Any, wrap: Wrap) -> None:
        self.seams: list[Seam] = []
        self.unseen: list[str] = []
        self._wrap = wrap
        self._undo: list[Callable[[], None]] = []
        self._known: set[int] = set()
        self.entry = self._open(app, None, named(app))

    def close(self) -> None:
        """Put every layer back as it was."""
        while self._undo:
            self._undo.pop()()

    def _open(self, app: Any, outer: Seam | None, name: str) -> Any:
        between = getattr(app, "between", None)
        if callable(between) and hasattr(app, "layers"):
            return self._open_stack(app, between, outer)
        seam = self._seam(name, outer)
        self._follow(app, seam)
        return self._wrap(app, seam)

    def _seam(self, name: str, outer: Seam | None) -> Seam:
        seam = Seam(name, outer)
        self.seams.append(seam)
        if outer is not None:
            outer.inner.append(seam)
        return seam

    def _open_stack(self, app: Any, between: Callable[..., Any], outer: Seam | None) -> Any:
        """The stack builds itself anew and calls us innermost first."""
        found: list[tuple[Seam, Any]] = []

        def seam_around(layer: Any, name: str) -> Any:
            seam = Seam(name)
            if not found:
                self._follow(layer, seam)
            found.append((seam, layer))
            return self._wrap(layer, seam)

        entry = between(seam_around)
        at = len(self.seams) - len(self._below(found))
        for seam, _ in found:  # innermost first, so each goes before the ones below it
            self.seams.insert(at, seam)
        for (inner, _), (seam, _) in pairwise(found):
            inner.outer = seam
            seam.inner.append(inner)
        if outer is not None and found:
            found[-1][0].outer = outer
            outer.inner.append(found[-1][0])
        return entry

    @staticmethod
    def _below(found: list[tuple[Seam, Any]]) -> list[Seam]:
        """The seams that were found under the stack's own app."""
        below: list[Seam] = []
        waiting = list(found[0][0].inner) if found else []
        while waiting:
            seam = waiting.pop()
            below.append(seam)
            waiting += seam.inner
        return below

    def _follow(self, layer: Any, seam: Seam) -> None:
        if id(layer) in self._known or len(self._known) > _DEPTH:
            return
        self._known.add(id(layer))
        places = list(_places(layer))
        for name, value, put in places:
            inner = self._open(value, seam, named(value) if named(value) != seam.name else f"{seam.name}.{name}")
            if _try(put, inner):
                self._undo.append(partial(put, value))
            else:
                self.unseen.append(f"{seam.name} keeps its {name} where it cannot be replaced")
                self._drop(seam)
        if not places:
            self.unseen.append(f"what is below {seam.name}, which is taken for the app")

    def _drop(self, seam: Seam) -> None:
        """The seams below this one are not called: forget them."""
        for inner in seam.inner:
            self._drop(inner)
            self.seams.remove(inner)
        seam.inner.clear()


def _places(layer: Any) -> Iterator[tuple[str, Any, Callable[[Any], None]]]:
    """Where a layer keeps the next one: name, value, and how to put another there."""
    if isinstance(layer, FunctionType):
        for name, cell in zip(layer.__code__.co_freevars, layer.__closure__ or (), strict=True):
            if name in NAMES and callable(_content(cell)):
                yield name, cell.cell_contents, partial(setattr, cell, "cell_contents")
        return
    for name in NAMES:
        value = _own(layer, name)
        if callable(value):
            yield name, value, partial(_set, layer, name)
    for name in MANY:
        several = _own(layer, name)
        for key, value in _pairs(several):
            if callable(value):
                yield f"{name}[{key!r}]", value, partial(several.__setitem__, key)


def _pairs(several: Any) -> list[tuple[Any, Any]]:
    if isinstance(several, dict):
        return list(several.items())
    return list(enumerate(several)) if isinstance(several, list) else []


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _own(layer: Any, name: str) -> Any:
    """The layer's own attribute: one of its class is a method, and the end of the chain."""
    own = getattr(layer, "__dict__", {})
    if name in own:
        return own[name]
    slotted = any(name in getattr(kind, "__slots__", ()) for kind in type(layer).__mro__)
    return getattr(layer, name, None) if slotted else None


def _set(layer: Any, name: str, value: Any) -> None:
    try:
        setattr(layer, name, value)
    except (AttributeError, TypeError):
        object.__setattr__(layer, name, value)  # frozen after __init__; this is a test, and it is put back


def _try(put: Callable[[Any], None], value: Any) -> bool:
    try:
        put(value)
    except (AttributeError, TypeError):
        return False
    return True


def named(app: Any) -> str:
    """What to call a layer."""
    own = getattr(app, "__qualname__", None) or type(app).__qualname__
    return str(own).replace("<locals>.", "")
