"""Several apps behind one listener, by host and first path segments; until there is a Mount.

Owns the choice of the app and the move of the path from PATH_INFO to SCRIPT_NAME. Where apps come
from it must not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

App = Callable[..., Iterable[bytes]]

_GONE = b"Not Found\n"


class Prefixes:
    """A WSGI app that hands each request to the app with the longest matching path; a host beats every host.

    `apps` maps (host, path) to an app; an empty host stands for every host, the path "/" for every path.
    """

    def __init__(self, apps: Mapping[tuple[str, str], App]) -> None:
        self._hosts: dict[str, dict[str, App]] = {}
        for (host, path), app in apps.items():
            self._hosts.setdefault(host, {})[path.rstrip("/")] = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        for table in self._tables(environ):
            prefix = path
            while True:
                app = table.get(prefix)
                if app is not None:
                    return app(_shifted(environ, prefix), start_response)
                if not prefix:
                    break
                prefix = prefix[: prefix.rindex("/")] if "/" in prefix else ""
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", str(len(_GONE)))])
        return [_GONE] if environ["REQUEST_METHOD"] != "HEAD" else []

    def _tables(self, environ: dict[str, Any]) -> Iterable[dict[str, App]]:
        host = environ.get("HTTP_HOST", "").lower()
        host = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0].rstrip(".")
        if host in self._hosts:
            yield self._hosts[host]
        _, dot, parent = host.partition(".")
        while dot:
            if f"*.{parent}" in self._hosts:
                yield self._hosts[f"*.{parent}"]
            _, dot, parent = parent.partition(".")
        if "" in self._hosts:
            yield self._hosts[""]


def _shifted(environ: dict[str, Any], prefix: str) -> dict[str, Any]:
    """A copy for the app; what a middleware changes in it must not reach the server's."""
    changed = dict(environ)
    changed["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
    changed["PATH_INFO"] = environ.get("PATH_INFO", "")[len(prefix) :]
    return changed
