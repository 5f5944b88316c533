"""The servers as data: how each is started for an app, a port and a number of threads.

Every one gets the set-up its documentation names for production: keep-alive on, access log off, connection limits and
backlog above what the workloads need, as many threads as the workload asks for. Knows nothing about workloads.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
KEEP_ALIVE = 75  # seconds; nginx's default, above the length of any round
LIMIT = 4096  # connections; above the 2,032 of the idle workload
BACKLOG = 1024


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to start: `app` as "module:name" on 127.0.0.1:`port` with `threads` threads for `connections` clients."""

    app: str
    port: int
    threads: int
    connections: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Server:
    """One server. `module` must be importable for it to count as installed; `pure`: written in Python alone."""

    name: str
    module: str
    package: str
    command: Callable[[Plan], list[str]]
    pure: bool = True
    note: str = ""

    @property
    def installed(self) -> bool:
        try:
            return importlib.util.find_spec(self.module) is not None
        except ModuleNotFoundError:
            return False

    @property
    def version(self) -> str:
        try:
            return version(self.package) if self.package else ".".join(map(str, sys.version_info[:3]))
        except PackageNotFoundError:
            return "?"


def wsgikit(plan: Plan) -> list[str]:
    return python("wsgikit", "serve", plan.app, "-b", plan.address, "-w", 1, "--threads", plan.threads)


def gunicorn(kind: str, *more: object) -> Callable[[Plan], list[str]]:
    def command(plan: Plan) -> list[str]:
        threads = ("--threads", plan.threads) if kind == "gthread" else ()
        options = ("-k", kind, "-w", 1, "--keep-alive", KEEP_ALIVE, "--worker-connections", LIMIT, "--backlog", BACKLOG)
        quiet = ("--log-level", "warning", "--no-control-socket")
        return python("gunicorn", plan.app, "-b", plan.address, *options, *threads, *quiet, *more)

    return command


def waitress(plan: Plan) -> list[str]:
    limits = (f"--connection-limit={LIMIT}", f"--backlog={BACKLOG}", "--asyncore-use-poll")
    return python("waitress", f"--listen={plan.address}", f"--threads={plan.threads}", *limits, plan.app)


def granian(plan: Plan) -> list[str]:
    options = ("--interface", "wsgi", "--http", "1", "--no-ws", "--workers", 1, "--blocking-threads", plan.threads)
    limits = ("--backlog", LIMIT, "--log-level", "warning")
    return python("granian", "--host", "127.0.0.1", "--port", plan.port, *options, *limits, plan.app)


def uwsgi(plan: Plan) -> list[str]:
    threads = max(plan.threads, plan.connections)  # a thread stays with its connection: with fewer, clients starve
    options = ("--http11-socket", plan.address, "--processes", 1, "--threads", threads, "--master", "--need-app")
    limits = ("--listen", BACKLOG, "--tcp-nodelay", "--so-keepalive", "--disable-logging", "--die-on-term")
    module = ("--wsgi", plan.app, "--pythonpath", HERE / "apps", "--virtualenv", sys.prefix)
    return [str(Path(sys.executable).parent / "uwsgi"), *map(str, (*options, *limits, *module))]


def library(name: str) -> Callable[[Plan], list[str]]:
    """A server without a command line of its own (or without one that can be set up fairly): `launch.py` starts it."""

    def command(plan: Plan) -> list[str]:
        return [sys.executable, *map(str, (HERE / "launch.py", name, plan.app, plan.port, plan.threads))]

    return command


def python(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, arguments)]


ONE = "one thread whatever is asked for"

SERVERS = (
    Server(name="wsgikit", module="wsgikit.cli.serve", package="wsgikit", command=wsgikit),
    Server(
        name="gunicorn-gthread",
        module="gunicorn",
        package="gunicorn",
        command=gunicorn("gthread", "--http-parser", "python"),
    ),
    Server(
        name="gunicorn-sync",
        module="gunicorn",
        package="gunicorn",
        command=gunicorn("sync", "--http-parser", "python"),
        note=f"{ONE}; no keep-alive",
    ),
    Server(name="waitress", module="waitress", package="waitress", command=waitress),
    Server(name="cheroot", module="cheroot", package="cheroot", command=library("cheroot")),
    Server(
        name="gevent",
        module="gevent",
        package="gevent",
        command=library("gevent"),
        pure=False,
        note="a greenlet a client",
    ),
    Server(
        name="uwsgi",
        module="uwsgidecorators",
        package="uWSGI",
        command=uwsgi,
        pure=False,
        note="http11-socket: a thread for each connection",
    ),
    Server(name="granian", module="granian", package="granian", command=granian, pure=False),
    Server(name="bjoern", module="bjoern", package="bjoern", command=library("bjoern"), pure=False, note=ONE),
    Server(name="fastwsgi", module="_fastwsgi", package="fastwsgi", command=library("fastwsgi"), pure=False, note=ONE),
    Server(name="wsgiref", module="wsgiref", package="", command=library("wsgiref"), note=f"{ONE}; no keep-alive"),
    Server(
        name="werkzeug",
        module="werkzeug",
        package="werkzeug",
        command=library("werkzeug"),
        note="a thread a connection; no keep-alive",
    ),
    Server(name="tornado", module="tornado", package="tornado", command=library("tornado")),
)
