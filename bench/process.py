"""Server processes: start one pinned to a core, wait for its first answer, account for its tree, stop it.

Linux only: /proc and sched_setaffinity.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
APPS = Path(__file__).parent / "apps"
START_SECONDS = 20.0
STOP_SECONDS = 3.0
PROBE = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


class BenchError(Exception):
    """Why a server cannot be measured; the text goes into the table."""


class Running:
    """One started server and all processes below it."""

    def __init__(self, command: list[str], port: int, core: int) -> None:
        self.port = port
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        environ = {**os.environ, "PYTHONPATH": str(APPS), "PYTHONWARNINGS": "ignore"}
        self.launched = time.perf_counter()
        self.popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env=environ,
            cwd=APPS,  # `python -m` puts the working directory on the import path
            start_new_session=True,  # stop() ends the whole group
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )

    def wait(self) -> float:
        """Poll until a request is answered with 200; return the seconds since the launch."""
        deadline = self.launched + START_SECONDS
        while not answers(self.port):
            if self.popen.poll() is not None:
                raise BenchError(f"ended with status {self.popen.returncode} at the start: {self.last_words()}")
            if time.perf_counter() > deadline:
                raise BenchError(f"no answer within {START_SECONDS:g} s: {self.last_words()}")
            time.sleep(0.001)
        return time.perf_counter() - self.launched

    def last_words(self) -> str:
        self.log.seek(0)
        lines = self.log.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")[:160]

    def stop(self) -> None:
        """TERM to the group, KILL when it does not go; always leaves no process."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGTERM)
        try:
            self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        self.log.close()

    def pids(self) -> list[int]:
        """The process group: every server here keeps its workers in it."""
        return [pid for pid, fields in processes() if int(fields[2]) == self.popen.pid]

    def cpu(self) -> float:
        """Seconds of user and system time, of living processes and of those they have waited for."""
        total = 0
        for _, fields in processes():
            if int(fields[2]) == self.popen.pid:
                total += sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
        return total / TICKS

    def memory(self) -> dict[str, float]:
        """MiB: proportional share (PSS, which other processes of this Python lower) and resident set of the tree and
        of its largest process, the worker."""
        sizes = [memory_of(pid) for pid in self.pids()]
        shares, resident = [share for share, _ in sizes], [rss for _, rss in sizes]
        return {
            "pss": sum(shares),
            "rss": sum(resident),
            "worker_pss": max(shares, default=0.0),
            "worker_rss": max(resident, default=0.0),
        }


def processes() -> Iterator[tuple[int, list[str]]]:
    """Each process with the fields of /proc/PID/stat after the name: state, parent, group, ... (proc(5))."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                stat = Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            yield int(entry), stat.rpartition(")")[2].split()


def memory_of(pid: int) -> tuple[float, float]:
    """(PSS, RSS) in MiB; zeros when the process has gone."""
    try:
        lines = Path("/proc", str(pid), "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    values = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines[1:] if ":" in line}
    return values.get("Pss", 0.0), values.get("Rss", 0.0)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as conn:
            conn.sendall(PROBE)
            return conn.recv(64).startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
