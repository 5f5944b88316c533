"""What a specimen is, and the decorators that register one. Knows no specimen."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wsgikit.validators.app.driver import Conduct
from wsgikit.validators.app.request import Request

BROKEN: list[Specimen] = []
LEGAL: list[Specimen] = []


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """A small app, server or middleware that breaks the rule `key`, or, with an empty key, one that breaks none.

    `subject` is an app `(environ, start_response)`; or a server `(lint)`,
    which puts the lint around an app and serves that; or a middleware `(app) -> app`. `implied`
    names rules that cannot but break as well, with the reason. `seen_by` is the front end that finds it: "lint",
    "app" or "middleware". With `factory`, `subject()` makes a fresh app with a memory of its own.
    """

    key: str
    subject: Callable[..., Any]
    request: Request = field(default_factory=Request)
    conduct: Conduct = field(default_factory=Conduct)
    implied: Mapping[str, str] = field(default_factory=dict)
    seen_by: str = "lint"
    factory: bool = False

    @property
    def name(self) -> str:
        """Rule and function name, for test ids."""
        return f"{self.key}-{self.subject.__name__}" if self.key else self.subject.__name__

    @property
    def source(self) -> str:
        """The source text without the decorator."""
        lines = textwrap.dedent(inspect.getsource(self.subject)).splitlines()
        first = next(at for at, line in enumerate(lines) if line.startswith(("def ", "class ")))
        return "\n".join(lines[first:])


def breaks(key: str, **facts: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a subject that breaks one rule."""

    def register(subject: Callable[..., Any]) -> Callable[..., Any]:
        BROKEN.append(Specimen(key=key, subject=subject, **facts))
        return subject

    return register


def legal(**facts: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a subject that breaks nothing."""

    def register(subject: Callable[..., Any]) -> Callable[..., Any]:
        LEGAL.append(Specimen(key="", subject=subject, **facts))
        return subject

    return register
