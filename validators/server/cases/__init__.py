"""The cases, by topic. Each module enters its own into `wsgikit.validators.server.case.CASES` when it is imported."""

from __future__ import annotations

import importlib

MODULES = (
    "calling",
    "environ",
    "headers",
    "streams",
    "starting",
    "blocks",
    "closing",
    "length",
    "failing",
    "files",
    "features",
    "vectors",
)


def load() -> None:
    """Imports every module of cases; a second call does nothing."""
    for name in MODULES:
        importlib.import_module(f"{__name__}.{name}")
