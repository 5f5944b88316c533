"""PasteDeploy: its middleware in our stacks, its apps and its files on our server.

    [[mount.use]]                                    # in wsgikit.toml, or Use("egg:Paste#gzip", compression_level=5)
    middleware = "egg:Paste#gzip"
    compression_level = 5

    wsgikit serve production.ini                     # the pipeline and the logging of a Pyramid project's file
    wsgikit serve production.ini#admin

`egg:Project#name` is looked up among the installed entry points (`paste.filter_app_factory`, `paste.filter_factory`,
`paste.app_factory`; `#main` when no name is given) and needs no PasteDeploy. Options reach such factories as texts, as
from an INI file. A file needs PasteDeploy (`pip install PasteDeploy`).

Owns the translation between the two worlds. Must not know servers: `use = egg:wsgikit#main` is `wsgikit.cli.paste`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError, LoadError
from wsgikit.loader import nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from wsgiref.types import WSGIApplication

__all__ = ["egg_app", "egg_filter", "load_ini", "setup_logging"]

_FILTERS = ("paste.filter_app_factory", "paste.filter_factory")


def egg_filter(name: str, place: str = "") -> Callable[..., WSGIApplication]:
    """A factory `f(app, **options)` for the filter "egg:Project#name". ConfigError: there is none."""
    point = _entry_point(name, _FILTERS, place)

    def factory(app: WSGIApplication, **options: Any) -> WSGIApplication:
        made: WSGIApplication
        if point.group == "paste.filter_app_factory":
            made = point.load()(app, {}, **_as_texts(options))
        else:
            made = point.load()({}, **_as_texts(options))(app)
        return made

    factory.__name__ = name
    return factory


def egg_app(name: str, **options: Any) -> WSGIApplication:
    """The app that "egg:Project#name" makes. LoadError: there is none, or its factory failed."""
    try:
        point = _entry_point(name, ("paste.app_factory",), "")
    except ConfigError as error:
        raise LoadError(str(error)) from None
    try:
        app: WSGIApplication = point.load()({}, **_as_texts(options))
    except (Exception, SystemExit) as error:
        raise LoadError(f"{name!r}: {type(error).__name__}: {error}") from error
    return app


def load_ini(source: str, defaults: Mapping[str, str] | None = None, *, logging: bool = True) -> WSGIApplication:
    """The app of a Paste file, "production.ini" or "production.ini#name", after setting up its logging sections.

    defaults: values for `%(name)s` in the file, as `pserve FILE name=value` has them. LoadError names the file and
    what is wrong with it.
    """
    path, name = _split(source)
    deploy = _paste_deploy(source)
    if logging:
        setup_logging(path, defaults)
    try:
        app: WSGIApplication = deploy.loadapp(f"config:{path}", name=name, global_conf=dict(defaults or {}))
    except Exception as error:
        raise LoadError(f"{source!r}: {type(error).__name__}: {error}") from error
    return app


def setup_logging(path: str, defaults: Mapping[str, str] | None = None) -> bool:
    """Apply `[loggers]`, `[handlers]` and `[formatters]` of a Paste file; False when it has none.

    `%(here)s` and `%(__file__)s` stand for the file's folder and path, as under pserve. Loggers that exist already
    stay switched on, the server's among them.
    """
    from configparser import ConfigParser, Error
    from logging.config import fileConfig

    path = os.path.abspath(path)
    parser = ConfigParser({**(defaults or {}), "here": os.path.dirname(path), "__file__": path})
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
        if not parser.has_section("loggers"):
            return False
        fileConfig(parser, disable_existing_loggers=False)
    except (Error, OSError, ValueError, KeyError, RuntimeError) as error:
        raise LoadError(f"{path!r}, logging sections: {type(error).__name__}: {error}") from error
    return True


def _split(source: str) -> tuple[str, str]:
    path, _, name = source.partition("#")
    path = os.path.abspath(path)
    if not os.path.isfile(path):
        raise LoadError(f"{source!r}: there is no file {path}")
    return path, name or "main"


def _paste_deploy(source: str) -> Any:
    try:
        from paste import deploy
    except ImportError:
        text = f"{source!r} is a Paste file and needs PasteDeploy: pip install PasteDeploy"
        raise LoadError(text) from None  # it says all; a traceback is for what apps raise
    return deploy


def _entry_point(name: str, groups: tuple[str, ...], place: str) -> EntryPoint:
    from importlib.metadata import PackageNotFoundError, distribution

    project, _, wanted = name.removeprefix("egg:").partition("#")
    wanted = wanted or "main"
    try:
        points = [point for point in distribution(project).entry_points if point.group in groups]
    except (PackageNotFoundError, ValueError):
        raise ConfigError(f"{place}{name}: no project {project!r} is installed; pip install {project}") from None
    for point in points:
        if point.name == wanted:
            return point
    names = sorted(point.name for point in points)
    hint = nearest(wanted, names) or (f"; it has {', '.join(names)}" if names else "; it has none")
    raise ConfigError(f"{place}{name}: {project} has no {' or '.join(groups)} named {wanted!r}{hint}")


def _as_texts(options: Mapping[str, Any]) -> dict[str, Any]:
    """As an INI file would say it: Paste's factories parse texts themselves."""

    def text(value: Any) -> Any:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return str(value)
        if isinstance(value, (list, tuple)):
            return "\n".join(map(str, value))
        return value

    return {name: text(value) for name, value in options.items()}
