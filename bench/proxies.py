"""Compare gateways: `python bench/proxies.py [--proxies A,B] [--seconds N] [--rounds N]`.

The proxy has one core; the upstream (nginx, one process) and wrk share the other. All proxies of a workload are started
and checked first, then measured in interleaved rounds. The Python ones all run on our server, with the same options, so
that it is proxies that are compared. CPU is the proxy's own, for a request: the figure to trust on a busy machine.
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
from workloads import HELLO, SIXTEEN, Workload

MIB = SIXTEEN * 65536
CONNECTIONS = 16
WORKLOADS = (
    Workload(name="small", title="14 bytes down", app="", expect=HELLO, connections=CONNECTIONS, target="/small"),
    Workload(name="down", title="1 MiB down", app="", expect=MIB, connections=CONNECTIONS, target="/mib"),
    Workload(name="up", title="1 MiB up", app="", expect=HELLO, connections=CONNECTIONS, target="/small", body=MIB),
)
_NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
 access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000000; client_max_body_size 0;
 client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
 uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
 {block}
}}
"""
_UPSTREAM = """server {{ listen 127.0.0.1:{port} backlog=1024; location = /small {{ return 200 "Hello, World!\\n"; }}
 location = / {{ return 200 "up"; }}
 location / {{ root {folder}; }} }}"""
_PROXY = """upstream up {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}
 server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ proxy_pass http://up; proxy_http_version 1.1;
 proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
 proxy_request_buffering off; }} }}"""
_HAPROXY = """global
 maxconn 4096
 nbthread 1
defaults
 mode http
 timeout client 30s
 timeout server 30s
 timeout connect 5s
 http-reuse always
listen front
 bind 127.0.0.1:{port}
 option forwardfor
 server up 127.0.0.1:{upstream}
"""


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """One gateway: `command(port, upstream, folder)`; `needs` is a program or module that has to be there."""

    name: str
    command: Callable[[int, int, Path], list[str]]
    needs: str = ""

    @property
    def installed(self) -> bool:
        import importlib.util

        return not self.needs or bool(shutil.which(self.needs)) or importlib.util.find_spec(self.needs) is not None


def on_wsgikit(name: str) -> Callable[[int, int, Path], list[str]]:
    def command(port: int, upstream: int, folder: Path) -> list[str]:
        bind = ["-b", f"127.0.0.1:{port}", "--threads", str(CONNECTIONS), "--body", "stream"]
        serve = [sys.executable, "-m", "wsgikit", "serve", f"proxying:{name}", *bind, "--timeout", "60"]
        return ["env", f"BENCH_UPSTREAM=http://127.0.0.1:{upstream}", *serve]

    return command


def nginx(port: int, upstream: int, folder: Path) -> list[str]:
    folder = folder / "nginx"
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, block=_PROXY.format(port=port, upstream=upstream)))
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def haproxy(port: int, upstream: int, folder: Path) -> list[str]:
    (folder / "haproxy.cfg").write_text(_HAPROXY.format(port=port, upstream=upstream))
    return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]


PROXIES = (
    Proxy(name="wsgikit", command=on_wsgikit("forward")),
    Proxy(name="WSGIProxy2", command=on_wsgikit("wsgiproxy"), needs="wsgiproxy"),
    Proxy(name="werkzeug", command=on_wsgikit("werkzeug"), needs="werkzeug"),
    Proxy(name="nginx", command=nginx, needs="nginx"),
    Proxy(name="haproxy", command=haproxy, needs="haproxy"),
)


@dataclass
class Result:
    rate: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    failed: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    proxies = chosen(PROXIES, options.proxies, "proxy")
    workloads = chosen(WORKLOADS, options.workloads, "workload")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is stopped
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wsgikit-bench-")))
        folder.chmod(0o755)
        nginx_port, sink_port = start_upstreams(folder, options.client_core, stack)
        for workload in workloads:
            # nginx answers an upload before it has read it
            upstream = sink_port if workload.body else nginx_port
            results = measure(workload, proxies, upstream, folder, options)
            print("\n".join(["", workload.title, "", *table(results)]), flush=True)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = rounds_parser("proxies.py", "Compare gateways on this machine.", ("the proxy", "upstream and wrk"))
    add_names(parser, "--proxies", PROXIES)
    add_names(parser, "--workloads", WORKLOADS)
    return parser.parse_args(arguments)


def start_upstreams(folder: Path, core: int, stack: ExitStack) -> tuple[int, int]:
    """Ports of an nginx for downloads and of `sink.py` for uploads, both on one core with wrk."""
    port, sink = free_port(), free_port()
    place = folder / "upstream"
    place.mkdir()
    (place / "mib").write_bytes(MIB)
    block = _UPSTREAM.format(port=port, folder=place)
    (place / "nginx.conf").write_text(_NGINX.format(folder=place, block=block))
    drain = [sys.executable, str(Path(__file__).with_name("sink.py")), str(sink)]
    commands = (["nginx", "-p", str(place), "-c", str(place / "nginx.conf")], drain)
    for command, each in zip(commands, (port, sink), strict=True):
        process = Running(command, each, core)
        stack.callback(process.stop)
        process.wait()
    return port, sink


def measure(
    workload: Workload, proxies: Sequence[Proxy], upstream: int, folder: Path, options: argparse.Namespace
) -> dict[str, Result]:
    results = {proxy.name: Result() for proxy in proxies}
    running: list[tuple[Running, Result]] = []
    with ExitStack() as stack:
        for proxy in proxies:
            try:
                running.append((launch(proxy, workload, upstream, folder, options, stack), results[proxy.name]))
            except BenchError as error:
                results[proxy.name].failed = str(error)
        for number in range(options.rounds + 1):
            for process, result in turn(running, number):
                if not result.failed:
                    one_round(workload, process, result, options, warm_up=number == 0)
    return results


def launch(
    proxy: Proxy, workload: Workload, upstream: int, folder: Path, options: argparse.Namespace, stack: ExitStack
) -> Running:
    if not proxy.installed:
        raise BenchError("not installed")
    port = free_port()
    process = Running(proxy.command(port, upstream, folder), port, options.server_core)
    stack.callback(process.stop)
    process.wait()
    verify(workload, port)
    return process


def one_round(
    workload: Workload, process: Running, result: Result, options: argparse.Namespace, *, warm_up: bool
) -> None:
    try:
        before = process.cpu()
        figures = wrk(workload, process.port, 1.0 if warm_up else options.seconds, options.client_core)
    except (BenchError, subprocess.TimeoutExpired) as error:
        result.failed = str(error)
        return
    if not warm_up:
        result.rate.append(figures["requests"] / figures["microseconds"] * 1e6)
        result.p50.append(figures["p50"] / 1000)
        result.p99.append(figures["p99"] / 1000)
        result.cpu.append((process.cpu() - before) / figures["requests"] * 1e6)


def table(results: dict[str, Result]) -> list[str]:
    lines = ["| proxy | requests/s | lowest | wsgikit is | p50 ms | p99 ms | CPU us |", "|---|---|---|---|---|---|---|"]
    ours = results.get("wsgikit")
    for name, result in results.items():
        if result.failed or not result.rate:
            lines.append(f"| {name} | {result.failed or 'not measured'} | | | | | |")
            continue
        rate = median(result.rate)
        ratio = f"{median(ours.rate) / rate:.2f} x" if ours and ours.rate else ""
        figures = f"{median(result.p50):.2f} | {median(result.p99):.2f} | {median(result.cpu):.0f}"
        lines.append(f"| {name} | {rate:,.0f} | {min(result.rate):,.0f} | {ratio} | {figures} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
