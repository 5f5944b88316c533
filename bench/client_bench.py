"""Our client beside others: `python bench/client_bench.py [--rounds N]`.

One thread asks an nginx on the other core, over one kept connection, and reads the answer as it arrives: 14 bytes, and
1 MiB. Rounds are interleaved, each begins with another client. CPU is this thread's (time.thread_time), system calls
included, and the figure to trust on a busy machine. The bare socket neither builds nor parses anything: the floor.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from proxies import MIB, start_upstreams
from workloads import HELLO

Ask = Callable[[str], int]
SIZES = {"/small": len(HELLO), "/mib": len(MIB)}
BLOCK = 65536


def bare(port: int) -> Ask:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(path: str) -> int:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        data = sock.recv(BLOCK)
        body = len(data) - data.index(b"\r\n\r\n") - 4
        while body < SIZES[path]:
            body += len(sock.recv(BLOCK))
        return body

    return ask


def wsgikit(port: int) -> Ask:
    from wsgikit.client import Client

    client = Client(f"http://127.0.0.1:{port}")

    def ask(path: str) -> int:
        with client.get(path.encode(), (b"Accept", b"*/*")) as response:
            return sum(map(len, response))

    return ask


def urllib3(port: int) -> Ask:
    from urllib3 import HTTPConnectionPool

    pool = HTTPConnectionPool("127.0.0.1", port)

    def ask(path: str) -> int:
        response = pool.urlopen("GET", path, preload_content=False, decode_content=False, retries=False, redirect=False)
        size = sum(map(len, response.stream(BLOCK, decode_content=False)))
        response.release_conn()
        return size

    return ask


def requests(port: int) -> Ask:
    from requests import Session

    session = Session()
    session.trust_env = False

    def ask(path: str) -> int:
        with session.get(f"http://127.0.0.1:{port}{path}", stream=True, allow_redirects=False) as response:
            return sum(map(len, response.iter_content(BLOCK)))

    return ask


def httpx(port: int, module: str = "httpx") -> Ask:
    client = __import__(module).Client(trust_env=False)

    def ask(path: str) -> int:
        with client.stream("GET", f"http://127.0.0.1:{port}{path}") as response:
            return sum(map(len, response.iter_raw()))

    return ask


def httpx2(port: int) -> Ask:
    return httpx(port, "httpx2")


CLIENTS: dict[str, Callable[[int], Ask]] = {
    make.__name__: make for make in (bare, wsgikit, urllib3, requests, httpx, httpx2)
}


def measure(asks: dict[str, Ask], path: str, count: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """By client: (requests a second, microseconds of CPU a request) of each round."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in asks}
    names = list(asks)
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            ask = asks[name]
            cpu, wall = time.thread_time(), time.perf_counter()
            for _ in range(count):
                if ask(path) != SIZES[path]:
                    raise SystemExit(f"{name}: a wrong answer to {path}")
            cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
            if number:  # the first round warms up
                found[name].append((count / wall, cpu / count * 1e6))
    return found


def table(found: dict[str, list[tuple[float, float]]]) -> list[str]:
    lines = ["| client | requests/s | CPU us | its CPU / ours |", "|---|---|---|---|"]
    ours = median(cpu for _, cpu in found["wsgikit"])
    for name, rounds in found.items():
        rate, cpu = (median(values) for values in zip(*rounds, strict=True))
        lines.append(f"| {name} | {rate:,.0f} | {cpu:.0f} | {cpu / ours:.2f} |")
    return lines


def main() -> int:
    cores = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description="Compare HTTP clients on this machine.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--count", type=int, default=400, help="small requests a round; a tenth of it of 1 MiB")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wsgikit-bench-")))
        folder.chmod(0o755)
        port, _ = start_upstreams(folder, cores[-1], stack)
        os.sched_setaffinity(0, {cores[0]})
        asks = {}
        for name, make in CLIENTS.items():
            try:
                asks[name] = make(port)
            except ImportError:
                print(f"{name} is not installed", file=sys.stderr)
        for title, path, count in (
            ("14 bytes", "/small", options.count),
            ("1 MiB", "/mib", max(1, options.count // 10)),
        ):
            print("\n".join(["", title, "", *table(measure(asks, path, count, options.rounds))]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
