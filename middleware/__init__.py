"""WSGI middleware: stacks, routing, mounting, and what a site needs every day.

    from wsgikit.middleware import Stack, Use, Compress, RequestId, path

Each module is one middleware and its docstring is its manual page. All of them run on every WSGI server; what is
better under wsgikit's own (limits that count over all workers, files without a thread) the page says. Names are
imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgikit.middleware.conditions import header as header
    from wsgikit.middleware.conditions import host as host
    from wsgikit.middleware.conditions import method as method
    from wsgikit.middleware.conditions import path as path
    from wsgikit.middleware.stack import Stack as Stack
    from wsgikit.middleware.stack import Use as Use

# Short names for `[[mount.use]]`; the same as the entry points of the group "wsgikit.middleware" in pyproject.toml.
NAMES: dict[str, str] = {}

_HOMES = {
    "Stack": "wsgikit.middleware.stack",
    "Use": "wsgikit.middleware.stack",
    "header": "wsgikit.middleware.conditions",
    "host": "wsgikit.middleware.conditions",
    "method": "wsgikit.middleware.conditions",
    "path": "wsgikit.middleware.conditions",
    **{value.partition(":")[2]: value.partition(":")[0] for value in NAMES.values()},
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'wsgikit.middleware' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
