"""Compare WSGI servers: `python bench/run.py [--servers A,B] [--workloads X,Y] [--seconds N] [--rounds N]`.

`python bench/run.py layers`, `routes`, `micro`, `lints`, `gateways`, `proxies`, `client_bench` and `xslt` run the
program of that name.

One core for the server, one for wrk; all servers of a workload are started and checked first, then measured in
interleaved rounds, so that a noisy minute hits all of them. README.md tells what is measured and the rules of fairness.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client import idle_connections, verify, wrk
from process import BenchError, Running, free_port
from servers import SERVERS, Plan, Server
from table import Result, load_table, start_table
from workloads import WORKLOADS, Workload

HERE = Path(__file__).parent
RESULTS = HERE / "results"
REFERENCE = "wsgikit"
ALONE = ("layers", "routes", "micro", "lints", "gateways", "proxies", "client_bench", "xslt")
"""Programs beside this one, each with options of its own."""
WARM_UP = 1.0  # seconds; wrk counts in whole seconds


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How to measure: which cores, how long, how often."""

    server_core: int
    client_core: int
    seconds: float
    rounds: int


def main(arguments: Sequence[str]) -> int:
    """Compare, or run one of the programs beside this one; the exit status."""
    if arguments and arguments[0] in ALONE:
        path = HERE / f"{arguments[0]}.py"
        sys.argv = [str(path), *arguments[1:]]
        runpy.run_path(str(path), run_name="__main__")
        return 0
    with tempfile.TemporaryDirectory(prefix="wsgikit-bench-") as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder  # of the servers, too: nothing of theirs stays behind
        return compare(parse(arguments))


def compare(options: argparse.Namespace) -> int:
    setup = Setup(
        server_core=options.server_core, client_core=options.client_core, seconds=options.seconds, rounds=options.rounds
    )
    servers = chosen(SERVERS, options.servers, "server")
    workloads = chosen(WORKLOADS, options.workloads, "workload")
    if shutil.which("wrk") is None:
        print("wrk is not installed (apt-get install wrk)", file=sys.stderr)
        return 1
    raise_file_limit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits it ignored
    results: list[Result] = []
    started = time.time()
    status = 0
    try:
        for workload in workloads:
            results += measure(workload, servers, setup)
    except KeyboardInterrupt:
        print("\nstopped; the workloads that were complete are kept", file=sys.stderr)
        status = 130
    path = write(results, servers, setup, started, options.json)
    print(f"\n{time.time() - started:.0f} s; figures of every round in {path}")
    return status


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = rounds_parser("run.py", "Compare WSGI servers on this machine.", ("the servers", "wrk"))
    add_names(parser, "--servers", SERVERS)
    add_names(parser, "--workloads", WORKLOADS)
    parser.add_argument("--json", type=Path, help="where the figures go (default bench/results/TIME.json)")
    return parser.parse_args(arguments)


def rounds_parser(program: str, description: str, sides: tuple[str, str]) -> argparse.ArgumentParser:
    """The options of every program that goes by rounds. `sides`: what runs on the one core, and on the other."""
    cores = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(prog=f"bench/{program}", description=description)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one round (whole seconds; default 3)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each with each workload (default 5)")
    parser.add_argument("--server-core", type=int, default=cores[0], help=f"core of {sides[0]}")
    parser.add_argument("--client-core", type=int, default=cores[-1], help=f"core of {sides[1]}")
    return parser


def add_names(parser: argparse.ArgumentParser, option: str, everything: Sequence[Any]) -> None:
    """An option that takes some of these names; see `chosen`."""
    parser.add_argument(option, help=f"comma-separated: {', '.join(each.name for each in everything)}")


def chosen(everything: Sequence[Any], names: str | None, kind: str) -> list[Any]:
    if names is None:
        return list(everything)
    known = {item.name: item for item in everything}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in known]:
        raise SystemExit(f"unknown {kind} {', '.join(unknown)}; there are: {', '.join(known)}")
    return [known[name] for name in wanted]


def raise_file_limit() -> None:
    """2,000 idle connections need as many descriptors, here and (inherited) in the server."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def measure(workload: Workload, servers: Sequence[Server], setup: Setup) -> list[Result]:
    results = [Result(server=server.name, workload=workload.name) for server in servers]
    print(f"\n{workload.title}", flush=True)
    pairs = []
    for server, result in zip(servers, results, strict=True):
        if server.installed:
            pairs.append((server, result))
        else:
            result.failed = "not installed"
    if workload.kind == "startup":
        start_ups(workload, pairs, setup)
        print("\n".join(start_table(results)), flush=True)
    else:
        loads(workload, pairs, setup)
        print("\n".join(load_table(results, REFERENCE)), flush=True)
    return results


def loads(workload: Workload, pairs: list[tuple[Server, Result]], setup: Setup) -> None:
    """Start and check every server, then the rounds, each in another order."""
    with ExitStack() as stack:
        running = []
        for server, result in pairs:
            try:
                running.append((launch(workload, server, setup, stack), result))
            except BenchError as error:
                result.failed = str(error)
        for number in range(setup.rounds + 1):
            for process, result in turn(running, number):
                if not result.failed:
                    attempt(workload, process, result, setup, warm_up=number == 0)


def turn(items: list[Any], number: int) -> list[Any]:
    """The items, beginning with another one each time, so that none always follows the same neighbour."""
    first = number % len(items) if items else 0
    return items[first:] + items[:first]


def launch(workload: Workload, server: Server, setup: Setup, stack: ExitStack) -> Running:
    port = free_port()
    command = server.command(plan(workload, port))
    process = Running(command, port, setup.server_core)
    stack.callback(process.stop)
    process.wait()
    verify(workload, port)
    return process


def plan(workload: Workload, port: int) -> Plan:
    return Plan(app=workload.app, port=port, threads=workload.threads, connections=workload.connections)


def attempt(workload: Workload, process: Running, result: Result, setup: Setup, *, warm_up: bool) -> None:
    try:
        if warm_up:
            wrk(workload, process.port, WARM_UP, setup.client_core)
        else:
            one_round(workload, process, result, setup)
    except (BenchError, subprocess.TimeoutExpired) as error:
        ended = process.popen.poll()
        result.failed = f"ended with status {ended}: {process.last_words()}" if ended is not None else str(error)


def one_round(workload: Workload, process: Running, result: Result, setup: Setup) -> None:
    with idle_connections(workload.idle, process.port):
        before = process.cpu()
        figures = wrk(workload, process.port, setup.seconds, setup.client_core)
        spent = process.cpu() - before
        result.memory = {name: round(value, 2) for name, value in process.memory().items()}
    result.rate.append(round(figures["requests"] / figures["microseconds"] * 1e6, 1))
    result.p50.append(figures["p50"] / 1000)
    result.p99.append(figures["p99"] / 1000)
    result.cpu.append(round(spent / figures["requests"] * 1e6, 2))


def start_ups(workload: Workload, pairs: list[tuple[Server, Result]], setup: Setup) -> None:
    """From the launch of the command to its first 200, with warm file caches; then the memory of the tree."""
    os.sched_setaffinity(0, {setup.client_core})
    for number in range(setup.rounds + 1):
        for server, result in pairs:
            if not result.failed:
                one_start(workload, server, result, setup, warm_up=number == 0)


def one_start(workload: Workload, server: Server, result: Result, setup: Setup, *, warm_up: bool) -> None:
    port = free_port()
    process = Running(server.command(plan(workload, port)), port, setup.server_core)
    try:
        seconds = process.wait()
        spent = process.cpu()
        verify(workload, port)
        if not warm_up:
            memory = process.memory()
            result.start.append(round(seconds * 1000, 2))
            result.cpu.append(spent * 1e6)
            result.worker.append(round(memory["worker_rss"], 2))
            result.memory = {name: round(value, 2) for name, value in memory.items()}
    except BenchError as error:
        result.failed = str(error)
    finally:
        process.stop()


def write(results: list[Result], servers: Sequence[Server], setup: Setup, started: float, path: Path | None) -> Path:
    path = path or RESULTS / time.strftime("%Y%m%d-%H%M%S.json", time.localtime(started))
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
        "machine": machine(),
        "setup": vars(setup),
        "servers": {server.name: {"version": server.version, "note": server.note} for server in servers},
        "results": [result.as_json() for result in results],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def machine() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text().split("\n")
    model = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": model[0] if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
