"""The lint: a transparent middleware that finds what an app, and the server that calls it, do against PEP 3333.

    from wsgikit.validators.lint import Lint
    app = Lint(app)                     # app.findings afterwards
    app = Lint(app, on_violation="raise")

Reasons are given with each finding, and `wsgikit rules WSGI-A33` explains the rule.
"""

from __future__ import annotations

from wsgikit.validators.lint.recorder import LintError, LintWarning
from wsgikit.validators.lint.shell import Lint, validator

__all__ = ["Lint", "LintError", "LintWarning", "validator"]
