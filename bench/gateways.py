"""Compare the wires behind nginx: `python bench/gateways.py [--servers A,B] [--workloads X,Y] ...`.

An app over http, uwsgi, fastcgi and scgi, on our server and on others, each behind an nginx of its own. The app has one
core; nginx (one process) and wrk share the other, so that requests/s ends where nginx does. CPU is that of the app
server's processes for a request, nginx's apart: the figure to trust. nginx keeps connections where the wire can (http
and fastcgi); uwsgi and scgi have a connection for each request by their nature.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from client import verify, wrk
from process import BenchError, Running, free_port
from run import add_names, chosen, rounds_parser, turn
from servers import BACKLOG, HERE, KEEP_ALIVE, LIMIT, python
from workloads import BROWSER, HELLO, SIXTEEN, Workload

THREADS = 8
CONNECTIONS = 32
BODY = SIXTEEN * 6400
WORKLOADS = (
    Workload(name="small", title="14 bytes", app="hello:app", expect=HELLO, threads=THREADS),
    Workload(
        name="browser", title="14 bytes, a browser's 12 fields", app="hello:app", expect=HELLO, threads=THREADS,
        headers=BROWSER,
    ),
    Workload(name="echo", title="100 KiB POST echo", app="echo:app", expect=BODY, body=BODY, threads=THREADS),
)  # fmt: skip
_NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
 access_log off; tcp_nodelay on; keepalive_requests 1000000000; client_max_body_size 0; client_body_buffer_size 256k;
 client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
 uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
 upstream app {{ server 127.0.0.1:{app}; {keep} }}
 server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ {wire}_pass {scheme}app; {buffers} {lines} }} }}
}}
"""
_KEEP = "keepalive 64; keepalive_requests 1000000000;"
_LINES = {
    "proxy": """proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
 proxy_set_header X-Forwarded-For $remote_addr;""",
    "fastcgi": "fastcgi_keep_conn {keeps}; include /etc/nginx/fastcgi_params;",
    "uwsgi": "include /etc/nginx/uwsgi_params;",
    "scgi": "include /etc/nginx/scgi_params;",
}


@dataclass(frozen=True, kw_only=True)
class Backend:
    """An app server on one wire. `module` must be importable for it to count as installed.

    `keeps`: it leaves connections open where nginx asks for that (http and fastcgi).
    """

    name: str
    wire: str
    module: str
    command: Callable[[str, int], list[str]]
    keeps: bool = True

    @property
    def installed(self) -> bool:
        import importlib.util

        return importlib.util.find_spec(self.module) is not None


def on_wsgikit(wire: str) -> Callable[[str, int], list[str]]:
    def command(app: str, port: int) -> list[str]:
        return python("wsgikit", "serve", app, "-b", f"{wire}://127.0.0.1:{port}", "-w", 1, "--threads", THREADS)

    return command


def on_uwsgi(option: str) -> Callable[[str, int], list[str]]:
    # http11-socket: a thread stays with its connection, and nginx has one for each of wrk's
    threads = CONNECTIONS if option == "http11-socket" else THREADS

    def command(app: str, port: int) -> list[str]:
        options = (f"--{option}", f"127.0.0.1:{port}", "--processes", 1, "--threads", threads, "--master", "--need-app")
        limits = ("--listen", BACKLOG, "--disable-logging", "--die-on-term", "--tcp-nodelay")
        module = ("--wsgi", app, "--pythonpath", HERE / "apps", "--virtualenv", sys.prefix)
        return [str(Path(sys.executable).parent / "uwsgi"), *map(str, (*options, *limits, *module))]

    return command


def on_gunicorn(protocol: str) -> Callable[[str, int], list[str]]:
    def command(app: str, port: int) -> list[str]:
        options = ("-k", "gthread", "-w", 1, "--threads", THREADS, "--worker-connections", LIMIT, "--backlog", BACKLOG)
        quiet = ("--log-level", "warning", "--no-control-socket", "--keep-alive", KEEP_ALIVE)
        parser = ("--http-parser", "python") if protocol == "http" else ("--protocol", protocol)
        return python("gunicorn", app, "-b", f"127.0.0.1:{port}", *options, *quiet, *parser)

    return command


def on_flup(kind: str) -> Callable[[str, int], list[str]]:
    def command(app: str, port: int) -> list[str]:
        return [sys.executable, str(HERE / "launch.py"), kind, app, str(port), str(THREADS)]

    return command


BACKENDS = (
    *(
        Backend(name=f"wsgikit-{wire}", wire=wire, module="wsgikit.cli.serve", command=on_wsgikit(wire))
        for wire in ("http", "uwsgi", "fastcgi", "scgi")
    ),
    *(
        Backend(
            name=f"uWSGI-{wire}",
            wire=wire,
            module="uwsgidecorators",
            command=on_uwsgi(option),
            keeps=wire != "fastcgi",  # it closes after each answer, and a POST may meet that
        )
        for wire, option in (
            ("http", "http11-socket"), ("uwsgi", "socket"), ("fastcgi", "fastcgi-socket"), ("scgi", "scgi-socket")
        )
    ),
    *(
        Backend(name=f"gunicorn-{wire}", wire=wire, module="gunicorn", command=on_gunicorn(wire))
        for wire in ("http", "uwsgi")
    ),
    *(
        Backend(name=f"flup-{wire}", wire=wire, module="flup", command=on_flup(f"flup_{wire}"))
        for wire in ("fastcgi", "scgi")
    ),
)  # fmt: skip


@dataclass
class Lane:
    """A server behind its nginx, and what came of it: figures of each round, or the reason why there are none."""

    backend: Backend
    app: Running | None = None
    front: Running | None = None
    rate: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    nginx: list[float] = field(default_factory=list)
    failed: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    backends = chosen(BACKENDS, options.servers, "server")
    workloads = chosen(WORKLOADS, options.workloads, "workload")
    if missing := [name for name in ("nginx", "wrk") if shutil.which(name) is None]:
        print(f"{missing[0]} is not installed (apt-get install {missing[0]})", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is stopped
    with tempfile.TemporaryDirectory(prefix="wsgikit-bench-") as name:
        Path(name).chmod(0o755)
        for workload in workloads:
            lanes = measure(workload, backends, Path(name), options)
            print("\n".join(["", workload.title, "", *table(lanes)]), flush=True)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = rounds_parser("gateways.py", "Compare the wires behind nginx.", ("the app server", "nginx and wrk"))
    add_names(parser, "--servers", BACKENDS)
    add_names(parser, "--workloads", WORKLOADS)
    return parser.parse_args(arguments)


def measure(workload: Workload, backends: Sequence[Backend], folder: Path, options: argparse.Namespace) -> list[Lane]:
    lanes = [Lane(backend) for backend in backends]
    with ExitStack() as stack:
        for lane in lanes:
            try:
                launch(lane, workload, folder / lane.backend.name, options, stack)
            except BenchError as error:
                lane.failed = str(error)
        for number in range(options.rounds + 1):
            for lane in turn(lanes, number):
                if not lane.failed:
                    one_round(lane, workload, options, warm_up=number == 0)
    return lanes


def launch(lane: Lane, workload: Workload, folder: Path, options: argparse.Namespace, stack: ExitStack) -> None:
    """Start both and check an answer to the byte. The app is asked through nginx, which speaks every wire."""
    if not lane.backend.installed:
        raise BenchError("not installed")
    app, port = free_port(), free_port()
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(nginx(lane.backend, app, port, folder))
    lane.front = Running(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], port, options.client_core)
    stack.callback(lane.front.stop)
    lane.app = Running(lane.backend.command(workload.app, app), port, options.server_core)
    stack.callback(lane.app.stop)
    lane.app.wait()
    verify(workload, port)


def nginx(backend: Backend, app: int, port: int, folder: Path) -> str:
    prefix = "proxy" if backend.wire == "http" else backend.wire
    keeps = backend.keeps and backend.wire in ("http", "fastcgi")
    return _NGINX.format(
        folder=folder,
        app=app,
        port=port,
        wire=prefix,
        scheme="http://" if backend.wire == "http" else "",
        keep=_KEEP if keeps else "",
        buffers=f"{prefix}_buffers 32 8k;",  # room for 100 KiB: no temporary file for any of them
        lines=_LINES[prefix].format(keeps="on" if keeps else "off"),
    )


def one_round(lane: Lane, workload: Workload, options: argparse.Namespace, *, warm_up: bool) -> None:
    app, front = lane.app, lane.front
    if app is None or front is None:
        return
    try:
        before, nginx_before = app.cpu(), front.cpu()
        figures = wrk(workload, app.port, 1.0 if warm_up else options.seconds, options.client_core)
    except (BenchError, subprocess.TimeoutExpired) as error:
        lane.failed = str(error)
        return
    if not warm_up:
        requests = figures["requests"]
        lane.rate.append(requests / figures["microseconds"] * 1e6)
        lane.p50.append(figures["p50"] / 1000)
        lane.p99.append(figures["p99"] / 1000)
        lane.cpu.append((app.cpu() - before) / requests * 1e6)
        lane.nginx.append((front.cpu() - nginx_before) / requests * 1e6)


def table(lanes: Sequence[Lane]) -> list[str]:
    head = ("requests/s", "lowest", "p50 ms", "p99 ms", "CPU us", "least", "nginx us")
    lines = [f"{'':18}" + "".join(f"{name:>11}" for name in head)]
    for lane in lanes:
        lines.append(f"{lane.backend.name:18}" + row(lane))
    return lines


def row(lane: Lane) -> str:
    if lane.failed or not lane.rate:
        return f"    failed: {lane.failed or 'not measured'}"
    cells = (
        f"{median(lane.rate):,.0f}",
        f"{min(lane.rate):,.0f}",
        f"{median(lane.p50):.2f}",
        f"{median(lane.p99):.2f}",
        f"{median(lane.cpu):.1f}",
        f"{min(lane.cpu):.1f}",
        f"{median(lane.nginx):.1f}",
    )
    return "".join(f"{cell:>11}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
