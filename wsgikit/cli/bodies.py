"""How the body of a request is to be read, spooled or streamed, told from its head alone.

Owns the choice by mount and by route. It is made in the I/O thread, before the app runs, so it calls no code of an app:
a router that is the app of a route is not asked. Where a request goes is decided later, by Router and Mount; where the
two might differ (a route whose router passes the request on, a host that a trusted proxy put in) the body is read in
the other way, and every app can live with both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from wsgikit.cli.assemble import mounts_of
from wsgikit.config import build

if TYPE_CHECKING:
    from wsgikit.config.resolve import Config
    from wsgikit.config.structure import MountEntry, RouteEntry
    from wsgikit.wire.http11 import Head

App = Callable[..., Iterable[bytes]]
Choose = Callable[["Head"], str]


def body_mode(config: Config, app: App | None = None, group: str = "") -> Choose | None:
    """What chooses for the workers of a group; None where all bodies are read as `WorkerSettings.body` says.

    What is forwarded, to an upstream or from the front group to another one, is streamed unless its table says `body`.
    """
    default = build.worker_settings(config, group).body
    mounts = [entry for entry in mounts_of(config, app) if not group or entry.group == group]
    routes = () if group else config.routes
    entries: tuple[MountEntry | RouteEntry, ...] = (*mounts, *routes)
    modes = {_mode(entry, group, default) for entry in entries}
    if modes <= {default}:
        return None
    if len(modes) == 1 and [mount.url for mount in mounts] == ["/"]:
        only = modes.pop()
        return lambda head: only
    return _Chooser(config, mounts, routes, group, default)


def _mode(entry: MountEntry | RouteEntry, group: str, default: str) -> str:
    forwarded = entry.upstream or (not group and getattr(entry, "group", ""))
    return entry.body or ("stream" if forwarded else default)


class _Chooser:
    """The tables of Mount and Router once more, with modes in place of apps."""

    def __init__(
        self, config: Config, mounts: Iterable[MountEntry], routes: Iterable[RouteEntry], group: str, default: str
    ) -> None:
        from wsgikit.middleware.mount.points import MountPoint, Points
        from wsgikit.middleware.router.hosts import request_host

        self._default = default
        self._request_host = request_host
        # the port of a Host field without one
        self._scheme = "https" if config.certificates or config.get("certfile") else "http"
        marked = [MountPoint(entry.path, _Marker(_mode(entry, group, default)), host=entry.host) for entry in mounts]
        self._points = Points(marked)
        self._resolve, by_host = self._table(routes)
        self._by_host = by_host or self._points.by_host

    def _table(self, entries: Iterable[RouteEntry]) -> tuple[Callable[[str, str, tuple[str, str]], str] | None, bool]:
        """What decides on routes, None without any, and whether it goes by hosts."""
        routes = tuple(entries)
        if not routes:
            return None, False
        from wsgikit.middleware.router import Match, Route, Table
        from wsgikit.middleware.router.target import decode_keeping_slashes

        table = Table(
            Route(
                entry.rule,
                _Marker(_mode(entry, "", self._default)),
                methods=entry.methods or None,
                host=entry.host,
                slash=entry.slash,
                prefix=entry.prefix,
            )
            for entry in routes
        )

        def resolve(method: str, path: str, host: tuple[str, str]) -> str:
            decision = table.resolve(method, decode_keeping_slashes(path), host)
            if isinstance(decision, Match):
                return _marked(decision.route.app)
            return "" if decision is None else self._default

        return resolve, table.by_host

    def __call__(self, head: Head) -> str:
        path = head.path
        host = ("", "")
        if self._by_host and head.host is not None:
            host = self._request_host({"HTTP_HOST": str(head.host, "latin-1"), "wsgi.url_scheme": self._scheme})
        if self._resolve is not None:
            mode = self._resolve(head.method, str(path, "latin-1"), host)
            if mode:
                return mode
        point = self._points.find(str(unquote_to_bytes(path) if b"%" in path else path, "latin-1"), host)
        return self._default if point is None else _marked(point.app)


class _Marker:
    """Stands for an app in a table that is only asked where a request goes."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise RuntimeError("this table has no apps")


def _marked(app: object) -> str:
    return app.mode if isinstance(app, _Marker) else ""
