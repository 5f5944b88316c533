"""Mount: the WSGI app that hands requests to the app mounted at their path and host.

Owns: the environ a mounted app sees, changes of the table while it runs, and the answers when nothing is mounted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.mount.deferred import Deferred
from wsgikit.middleware.mount.paths import PathPolicy
from wsgikit.middleware.mount.points import MountPoint, Points, WSGIApp, split_place
from wsgikit.middleware.router.answers import StartResponse, answer
from wsgikit.middleware.router.convert import nearest
from wsgikit.middleware.router.hosts import request_host
from wsgikit.middleware.router.target import shift

_ROW_KEYS = ("path", "host", "app", "upstream", "group", "strip", "lazy", "name", "use")


class Mount:
    """Hand requests to apps by host and first segments of the path.

    apps     mapping of "/path", "host/" or "host/path" to WSGI apps, or MountPoint objects
    default  WSGI app for what is mounted nowhere; a bare 404 without it
    dots     what to do with `.` and `..` in a path: "reject" (400), "normalise" or "pass"
    slashes  what to do with `//` in a path: "pass", "merge" or "reject" (400)

    Raises ConfigError. Frozen but for `add`, `remove`, `replace` and `swap`.
    """

    def __init__(
        self,
        apps: Mapping[str, WSGIApp] | Iterable[MountPoint] = (),
        *,
        default: WSGIApp | None = None,
        dots: str = "reject",
        slashes: str = "pass",
    ) -> None:
        self._points = Points(_points(apps))
        self._default = default
        self._policy = PathPolicy(dots, slashes)
        self._changing = threading.Lock()

    @classmethod
    def from_table(
        cls,
        rows: Iterable[Mapping[str, Any]],
        *,
        load: Callable[[str], WSGIApp],
        forward: Callable[[str], WSGIApp | None] | None = None,
        upstream: Callable[[str], WSGIApp] | None = None,
        wrap: Callable[[WSGIApp, Any], WSGIApp] | None = None,
        **options: Any,
    ) -> Mount:
        """A mount from `[[mount]]` rows of wsgikit.toml.

        Keys: `path`, `host`, `app` or `upstream`, `group`, `strip`, `lazy`, `name`, `use`.

        load      makes an app of its name. An app that cannot be loaded answers 503, and is logged with its traceback
        forward   makes the app that forwards to a worker group, whole and unstripped; None for a group that is this
                  process's own, whose app is loaded here
        upstream  makes the app that forwards to an upstream
        wrap      wrap(app, use) puts middleware around an app

        Other options as for Mount. ConfigError names row, key and nearest key; errors of `wrap` are raised as they are.
        """
        made = _Maker(load, forward, upstream, wrap)
        return cls([made.point(f"[[mount]] number {number}", row) for number, row in enumerate(rows, 1)], **options)

    @property
    def points(self) -> tuple[MountPoint, ...]:
        """What is mounted, in order of registration."""
        return tuple(self._points)

    def describe(self) -> str:
        """One line a mount: its place, and what is there."""
        return "\n".join(f"{point.place}  {_named(point.app)}" for point in self._points)

    def add(self, place: str, app: WSGIApp, *, strip: bool = True, name: str = "") -> None:
        """Mount an app at "/path", "host/" or "host/path". ConfigError when there is one already.

        This and the other changes act on their own process, at once, for requests that come later; requests under way
        end where they began. For every worker, change the file and send HUP.
        """
        self._change(_point(place, app, strip, name), there=False)

    def replace(self, place: str, app: WSGIApp, *, strip: bool = True, name: str = "") -> WSGIApp:
        """Put another app in the place of one, which is returned. ConfigError when there is none."""
        return self._change(_point(place, app, strip, name), there=True)

    def remove(self, place: str) -> WSGIApp:
        """Take an app away and return it. ConfigError when there is none."""
        return self._change(_point(place, _nothing, True, ""), there=True, remove=True)

    def swap(self, apps: Mapping[str, WSGIApp] | Iterable[MountPoint]) -> None:
        """Put another table in force with one store. ConfigError, and nothing changes, when it is wrong."""
        points = Points(_points(apps))
        with self._changing:
            self._points = points

    def _change(self, point: MountPoint, *, there: bool, remove: bool = False) -> WSGIApp:
        with self._changing:
            former = self._points.by_key.get(point.key)
            if (former is not None) != there:
                raise ConfigError(f"mount {point.place!r}: there is {'no' if there else 'an'} app")
            self._points = self._points.changed(None if remove else point, point.key)
        return former.app if former else _nothing

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        cleaned = self._policy.applied(environ)
        if cleaned is None:
            return answer(environ, start_response, "400 Bad Request")
        point = self._find(cleaned)
        if point is not None:
            return point.app(_entered(cleaned, point), start_response)
        if self._default is not None:
            return self._default(cleaned, start_response)
        return answer(environ, start_response, "404 Not Found")

    def locate(self, environ: dict[str, Any]) -> tuple[MountPoint, dict[str, Any]] | None:
        """The mount point that would get a request, and the environ it would get; None for no mount point."""
        cleaned = self._policy.applied(environ)
        point = self._find(cleaned) if cleaned is not None else None
        return (point, _entered(cleaned, point)) if cleaned is not None and point is not None else None

    def _find(self, environ: dict[str, Any]) -> MountPoint | None:
        points = self._points
        return points.find(environ.get("PATH_INFO", ""), request_host(environ) if points.by_host else ("", ""))


def _entered(environ: dict[str, Any], point: MountPoint) -> dict[str, Any]:
    """The environ as the mounted app sees it, a copy."""
    environ = dict(environ)
    if point.strip:
        shift(environ, len(point.key[1]))
    if "wsgikit.log" in environ:
        environ["wsgikit.log"]["mount"] = point.name or point.place
    return environ


class _Maker:
    """Rows to mount points."""

    def __init__(self, load: Any, forward: Any, upstream: Any, wrap: Any) -> None:
        self._load = load
        self._forward = forward
        self._upstream = upstream
        self._wrap = wrap

    def point(self, place: str, row: Mapping[str, Any]) -> MountPoint:
        self._check(place, row)
        options = {key: row[key] for key in ("strip", "name", "host") if key in row}
        path = row.get("path", "/")
        where = f"{row.get('host', '')}{path}"
        if row.get("group") and self._forward is not None:
            app = self._forward(row["group"])
            if app is not None:
                # The group's worker mounts the app itself, so it needs the path as it came.
                return MountPoint(path, app, **{**options, "strip": False})
        return MountPoint(path, self._app(row, where), **options)

    def _check(self, place: str, row: Mapping[str, Any]) -> None:
        for key in row:
            if key not in _ROW_KEYS:
                raise ConfigError(f"{place}: unknown key {key!r}{nearest(key, _ROW_KEYS)}")
        if bool(row.get("app")) == bool(row.get("upstream")):
            raise ConfigError(f"{place}: write either app or upstream")
        for key, maker in (("upstream", self._upstream), ("use", self._wrap)):
            if row.get(key) and maker is None:
                raise ConfigError(f"{place}: {key} cannot be given here")

    def _app(self, row: Mapping[str, Any], where: str) -> WSGIApp:
        given = row.get("app")
        app: WSGIApp
        if row.get("upstream"):
            app = self._upstream(row["upstream"])
        elif isinstance(given, str):
            app = deferred = Deferred(lambda: self._load(given), where)
            if not row.get("lazy"):
                deferred.warm()
        else:
            app = row["app"]
        if row.get("use"):
            app = self._wrap(app, row["use"])
        return app


def _points(apps: Mapping[str, WSGIApp] | Iterable[MountPoint]) -> Iterator[MountPoint]:
    if isinstance(apps, Mapping):
        for place, app in apps.items():
            yield _point(place, app, True, "")
    else:
        yield from apps


def _point(place: str, app: WSGIApp, strip: bool, name: str) -> MountPoint:
    host, path = split_place(place)
    return MountPoint(path, app, host=host, strip=strip, name=name)


def _nothing(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    return answer(environ, start_response, "404 Not Found")


def _named(app: Any) -> str:
    if isinstance(app, Deferred):
        return app.name if app.app is None else _named(app.app)
    describe = getattr(app, "describe", None)
    if callable(describe):
        return str(describe()).replace("\n", "; ")
    thing = app if hasattr(app, "__qualname__") else type(app)
    return f"{thing.__module__}:{thing.__qualname__}"
