"""The pytest plugin: fixture `wsgi_lint`, marker `wsgi`, option `--wsgi-strict`.

Every pytest run of an environment that has wsgikit installed loads this module, so it imports nothing but the standard
library's cheapest parts at the top and must not slow a run that does not use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, so that `--strict-markers` runs accept it."""
    config.addinivalue_line("markers", "wsgi(...): how the WSGI apps of this test are linted (see wsgikit)")
