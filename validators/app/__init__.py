"""`wsgikit check app`: an in-process server that is hostile but legal, and what an app's reactions to it mean.

from wsgikit.validators.app import Request, Settings, check_app
report = check_app(app, "pkg.mod:app", Settings(requests=(Request(target="/login"),)))
"""

from __future__ import annotations

from wsgikit.validators.app.check import AppCheck, check_app
from wsgikit.validators.app.request import Request
from wsgikit.validators.app.session import METHODS, Settings

__all__ = ["METHODS", "AppCheck", "Request", "Settings", "check_app"]
