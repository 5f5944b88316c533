"""The server from Python: `wsgikit.serve(app)` and `wsgikit.make_server(host, port, app)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgikit.workers.simple import SimpleServer

__all__ = ["make_server", "serve"]


def serve(app: Callable[..., Iterable[bytes]] | str = "", /, *, config: str = "", **options: Any) -> int:
    """Serve an app as `wsgikit serve` does: with its own processes, until a signal stops it.

        wsgikit.serve(app, bind="127.0.0.1:8000", workers=2, timeout="30s")

    app: a WSGI application, or its name as `package.module:app`. options: as in docs/options.md, values as in a TOML
    file; the environment (WSGIKIT_*, $PORT, $WEB_CONCURRENCY) holds for those not given. config: path of a
    configuration file; without it none is read. Returns the exit status: 0 after a graceful stop.

    To be called in the main thread, because it takes over the signals; `make_server` runs in any thread. ConfigError: a
    wrong option. LoadError: the app cannot be loaded.
    """
    from wsgikit.cli.launch import serve as run
    from wsgikit.config import sources
    from wsgikit.config.problems import Problems
    from wsgikit.config.resolve import Sources
    from wsgikit.config.table import BY_NAME

    problems = Problems()
    named = {"app": app} if isinstance(app, str) and app else {}
    given = sources.from_call({**named, **options}, BY_NAME, problems)
    problems.stop()
    made = Sources(given, file=config)
    return run(made, None if isinstance(app, str) else app)


def make_server(host: str, port: int, app: Callable[..., Iterable[bytes]], **options: Any) -> SimpleServer:
    """Make a server with the interface of `wsgiref.simple_server.make_server`, in this process and any thread.

    host: "" for all IPv4 interfaces. port: 0 for any free one, then see `server_port`. What is returned has
    `serve_forever()`, `handle_request()`, `shutdown()`, `server_close()`, and is a context manager.
    """
    from wsgikit.workers.simple import make_server as make

    return make(host, port, app, **options)
