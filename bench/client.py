"""The client's side: check that a server answers a workload rightly, load it with wrk, hold idle connections."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from process import BenchError
from workloads import Workload

HERE = Path(__file__).parent
TIMEOUT = 5.0  # seconds a single answer may take when nothing else goes on
IDLE_SECONDS = 15.0  # to open all idle connections; the slowest that works here takes 2
STARVED = "1s"  # under load; wrk looks every so often, so that rounds of 2 s and more find clients never served


def verify(workload: Workload, port: int) -> None:
    """Two requests, on one connection where the server keeps it: status and every byte must be right."""
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        for _ in range(2):
            conn.request(workload.method, workload.target, workload.body or None, dict(workload.headers))
            response = conn.getresponse()
            body = response.read()
            if response.status != 200:
                raise BenchError(f"status {response.status}")
            if body != workload.expect:
                raise BenchError(f"wrong body: {len(body)} bytes, {len(workload.expect)} expected")
    except (OSError, http.client.HTTPException) as error:
        raise BenchError(f"{type(error).__name__}: {error}") from error
    finally:
        conn.close()


def wrk(workload: Workload, port: int, seconds: float, core: int) -> dict[str, float]:
    """One round. Returns wrk's figures (microseconds); raises BenchError when an answer was not 2xx or was lost."""
    binary = shutil.which("wrk")
    if binary is None:
        raise SystemExit("wrk is not installed (apt-get install wrk)")
    fields = [part for name, value in workload.headers for part in ("-H", f"{name}: {value}")]
    size = ("-t", "1", "-c", str(workload.connections), "-d", f"{max(1, round(seconds))}s", "--timeout", STARVED)
    url = f"http://127.0.0.1:{port}{workload.target}"
    with body_file(workload.body) as environ:
        done = subprocess.run(
            [binary, *size, *fields, "-s", str(HERE / "load.lua"), url],
            capture_output=True,
            text=True,
            timeout=seconds + 20,
            env={**os.environ, **environ},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    figures = [line for line in done.stdout.split("\n") if line.startswith("BENCH ")]
    if not figures:
        raise BenchError(f"wrk: {(done.stderr or done.stdout).strip()[-120:]}")
    result: dict[str, float] = json.loads(figures[0].removeprefix("BENCH "))
    check(result)
    return result


def check(result: dict[str, float]) -> None:
    wrong = [
        f"{int(result[kind])} {kind}" for kind in ("status", "connect", "read", "write", "timeout") if result[kind]
    ]
    if wrong:
        raise BenchError(f"errors under load: {', '.join(wrong)} of {int(result['requests'])} requests")
    if not result["requests"]:
        raise BenchError("no answer under load")


@contextlib.contextmanager
def body_file(body: bytes) -> Iterator[dict[str, str]]:
    """The environment that tells load.lua what to POST."""
    if not body:
        yield {}
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        yield {"BENCH_BODY": file.name}


@contextlib.contextmanager
def idle_connections(count: int, port: int) -> Iterator[None]:
    """Hold `count` keep-alive connections, each of which has had one answer; all must still be open at the end."""
    held: list[socket.socket] = []
    deadline = time.monotonic() + IDLE_SECONDS
    try:
        for number in range(count):
            held.append(one_idle(port, number))
            if time.monotonic() > deadline:
                raise BenchError(f"took {len(held)} of {count} idle connections in {IDLE_SECONDS:g} s")
        all_open(held)
        yield
        all_open(held)
    finally:
        for conn in held:
            conn.close()


def one_idle(port: int, number: int) -> socket.socket:
    conn = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    try:
        conn.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = b""
        while b"Hello, World!\n" not in answer:
            data = conn.recv(4096)
            if not data:
                raise BenchError(f"idle connection {number + 1} was closed unanswered")
            answer += data
        if b"\r\nconnection: close\r\n" in answer.lower() or not answer.startswith(b"HTTP/1.1 "):
            raise BenchError("keeps no connection alive")
    except OSError as error:
        conn.close()
        raise BenchError(f"idle connection {number + 1}: {type(error).__name__}: {error}") from error
    except BenchError:
        conn.close()
        raise
    conn.setblocking(False)  # for is_closed(): with a timeout, recv() would wait for it whatever the flags
    return conn


def all_open(held: list[socket.socket]) -> None:
    if closed := sum(map(is_closed, held)):
        raise BenchError(f"closed {closed} of {len(held)} idle connections")


def is_closed(conn: socket.socket) -> bool:
    try:
        return conn.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
