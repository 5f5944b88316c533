"""The validator of PEP 3333: apps, middleware and servers.

    from wsgikit.validators import Lint, LintError, validator          # a middleware that watches an app
    from wsgikit.validators import check_app, check_middleware         # what `wsgikit check` does, as functions
    from wsgikit.validators import run_server_tests                    # pytest tests for a server project

Names are imported on first use, so that nobody pays for what is not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgikit.validators.app import check_app
    from wsgikit.validators.lint import Lint, LintError, LintWarning, validator
    from wsgikit.validators.sandwich import check_middleware
    from wsgikit.validators.server import run_server_tests

__all__ = ["Lint", "LintError", "LintWarning", "check_app", "check_middleware", "run_server_tests", "validator"]

_HOMES = {"check_app": "app", "check_middleware": "sandwich", "run_server_tests": "server"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"wsgikit.validators.{_HOMES.get(name, 'lint')}"), name)
