"""`wsgikit check middleware`: a middleware between a scripted app and a scripted server, with every event traced.

from wsgikit.validators.sandwich import check_middleware
report = check_middleware(factory, "pkg.mod:factory")
"""

from __future__ import annotations

from wsgikit.validators.sandwich.bench import MiddlewareSettings
from wsgikit.validators.sandwich.check import MiddlewareCheck, check_middleware

__all__ = ["MiddlewareCheck", "MiddlewareSettings", "check_middleware"]
