"""wsgikit: a strict HTTP/1.1 WSGI server, composable middleware, and a validator for PEP 3333.

Names are imported on first use, so that `import wsgikit` costs nothing to those who need one room only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wsgikit.version import __version__

if TYPE_CHECKING:
    from wsgikit.cli.api import make_server, serve
    from wsgikit.wsgi.wrap import wrap

__all__ = ["__version__", "make_server", "serve", "wrap"]

_HOMES = {
    "serve": "wsgikit.cli.api",
    "make_server": "wsgikit.cli.api",
    "wrap": "wsgikit.wsgi.wrap",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'wsgikit' has no attribute {name!r}")
    return getattr(import_module(home), name)
