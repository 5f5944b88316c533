"""`use = egg:wsgikit#main`: wsgikit's server for PasteDeploy files, under `pserve` and the like.

    [server:main]
    use = egg:wsgikit#main
    bind = 127.0.0.1:6543
    threads = 8
    workers = 2

Owns the translation of an INI section into the server's options. All of docs/options.md can stand there, values as on
the command line; `host` and `port` are understood as waitress's files have them. No other configuration file is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wsgikit.errors import ConfigError

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

__all__ = ["serve"]


def serve(app: WSGIApplication, global_conf: Mapping[str, str] | None = None, **options: str) -> int:
    """Serve `app` until a signal stops it (the protocol paste.server_runner). ConfigError: a wrong option."""
    from wsgikit.cli.launch import serve as run
    from wsgikit.config.problems import Problems
    from wsgikit.config.resolve import Sources
    from wsgikit.config.sources import Given
    from wsgikit.config.table import BY_NAME

    problems, given = Problems(), {}
    for name, value in _with_bind(options).items():
        if name in BY_NAME:
            given[name] = Given(value, _PLACE, name, text=True)
        else:
            problems.unknown(_PLACE, name, BY_NAME, "option")
    problems.stop()
    return run(Sources(given, file=""), app)


_PLACE = "[server] section"


def _with_bind(options: Mapping[str, str]) -> dict[str, str]:
    """`host` and `port` as `bind`."""
    values = dict(options)
    host, port = values.pop("host", ""), values.pop("port", "")
    if host or port:
        if "bind" in values:
            raise ConfigError(f"{_PLACE}: bind says it all; leave out host and port")
        host = host or "127.0.0.1"
        values["bind"] = f"{f'[{host}]' if ':' in host else host}:{port or '8080'}"
    return values
