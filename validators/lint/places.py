"""Where in the source something happened: the line that called the lint, a frame, or the definition of an app."""

from __future__ import annotations

import functools
import sys
from types import CodeType, FrameType
from typing import Any

from wsgikit.validators.report.model import Location

_OURS = "wsgikit.validators.lint."


def caller() -> Location | None:
    """The nearest line of the stack that is not the lint's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not frame.f_globals.get("__name__", "").startswith(_OURS):
            return place_of(frame)
        frame = frame.f_back
    return None


def place_of(frame: FrameType) -> Location:
    """File, line and function of a frame."""
    return Location(frame.f_code.co_filename, max(frame.f_lineno or 1, 1), frame.f_code.co_qualname)


def definition(app: Any) -> Location | None:
    """The first line of the function, method or class that an app is. None for what is not written in Python."""
    while isinstance(app, functools.partial):
        app = app.func
    for found in (app, type(app).__call__, getattr(app, "__init__", None)):
        code = getattr(found, "__code__", None)
        if isinstance(code, CodeType):
            return Location(code.co_filename, code.co_firstlineno, code.co_qualname)
    return None
