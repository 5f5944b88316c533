"""The validator of PEP 3333: apps, middleware and servers.

    from wsgikit.validators import Lint, LintError, validator

The front ends are `Lint` (a middleware), `wsgikit check app`, `wsgikit check middleware` and `wsgikit check server`.
Names are imported on first use, so that nobody pays for what is not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgikit.validators.lint import Lint, LintError, LintWarning, validator

__all__ = ["Lint", "LintError", "LintWarning", "validator"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wsgikit.validators import lint

    return getattr(lint, name)
