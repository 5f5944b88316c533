"""A master with fake workers, started by the tests of the master as a process of its own.

    python fake_server.py CONFIG.json

A fake worker answers one command a connection. It has no threads and no HTTP, so that what a test sees is the master.
The configuration is read again at HUP; the "app" is the text of the file `version`, and "broken" cannot be loaded.
"""

from __future__ import annotations

import json
import logging
import os
import re
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from wsgikit.errors import ConfigError, LoadError
from wsgikit.master.master import Master
from wsgikit.master.plan import GroupPlan, Plan, WorkerSpec
from wsgikit.master.settings import BindSettings, GroupSettings, MasterSettings
from wsgikit.scoreboard.cells import HEARTBEAT, PID, READY, REQUESTS, RETIRING, ROLE, STATE

CONFIG = Path(sys.argv[1])


class FakeWorker:
    """Accepts on all listeners, one connection at a time, and keeps its heartbeat."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.listeners = {listener.sock.fileno(): listener.sock for listener in spec.listeners}
        self.stop_by = float("inf")
        self.aborted = False
        self.served = 0
        self.wake_read, self.wake_write = os.pipe()
        os.set_blocking(self.wake_read, False)
        os.set_blocking(self.wake_write, False)

    def run(self) -> None:
        if self.spec.app == "leaves":
            return
        while self.listeners and not self.aborted:
            self.beat()
            ready, _, _ = select.select([*self.listeners, self.wake_read], [], [], 0.05)
            for fd in ready:
                if fd in self.listeners:
                    self.accept(fd)
            if self.stop_by != float("inf"):
                for fd, sock in list(self.listeners.items()):
                    while self.accept(fd):
                        pass
                    sock.close()
                self.listeners = {}

    def stop(self, grace: float) -> None:
        self.stop_by = time.monotonic() + grace
        os.write(self.wake_write, b"x")

    def abort(self) -> None:
        self.aborted = True
        os.write(self.wake_write, b"x")

    def beat(self) -> None:
        self.spec.slot.cells[HEARTBEAT] = int(time.monotonic() * 1000)

    def accept(self, fd: int) -> bool:
        try:
            connection, _ = self.listeners[fd].accept()
        except BlockingIOError:
            return False
        with connection:
            connection.settimeout(5)
            command = connection.recv(1000).decode().split()
            if command:
                self.served += 1
                self.spec.slot.cells[REQUESTS] = self.served
                answer = getattr(self, "do_" + command[0])(*command[1:])
                connection.sendall(json.dumps(answer).encode())
        return True

    def do_info(self) -> dict[str, Any]:
        info = self.spec.info
        return {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "version": self.spec.app,
            "group": info.group,
            "slot": info.slot,
            "generation": info.generation,
            "uid": os.getuid(),
            "umask": re.findall(r"Umask:\s+([0-7]+)", Path("/proc/self/status").read_text())[0],
            "env": os.environ.get("GROUP_NAME", ""),
            "groups": dict(self.spec.groups),
            "loaded_by": LOADED_BY,
        }

    def do_totals(self) -> int:
        return self.spec.board.totals()[REQUESTS]

    def do_listeners(self) -> list[str]:
        """Listening sockets this process holds, by inode."""
        links = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if name != "99999"
                 and os.path.islink(f"/proc/self/fd/{name}")]  # fmt: skip
        listening = {line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in line}
        return [link for link in links if link.startswith("socket:[") and link[8:-1] in listening]

    def do_pids(self) -> list[int]:
        """Of all workers that are ready."""
        lines = [slot.read() for slot in self.spec.board.live()]
        return [line[PID] for line in lines if line[STATE] in (READY, RETIRING) and not line[ROLE]]

    def do_slots(self) -> list[int]:
        """Of all workers that are ready."""
        lines = [(slot.index, slot.read()) for slot in self.spec.board.live()]
        return [index for index, line in lines if line[STATE] in (READY, RETIRING) and not line[ROLE]]

    def do_taken(self) -> int:
        """Slots of the scoreboard that are in use."""
        return len(list(self.spec.board.live()))

    def do_crash(self) -> None:
        os._exit(7)

    def do_die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def do_retire(self) -> int:
        self.spec.retire("asked for")
        return os.getpid()

    def do_wedge(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        while True:
            time.sleep(60)

    def do_busy(self, path: str) -> int:
        """Until a file is there."""
        deadline = time.monotonic() + 20
        while not os.path.exists(path) and not self.aborted and time.monotonic() < deadline:
            self.beat()
            time.sleep(0.01)
        return os.getpid()

    def do_orphan(self) -> None:
        """A process whose parent ends before it does."""
        if os.fork() == 0:
            if os.fork() == 0:
                time.sleep(0.2)
            os._exit(0)
        os.wait()

    def do_zombies(self) -> int:
        """Children of the first process that have ended and were not waited for, and those still to end."""
        others = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return len([pid for pid in others if pid not in (1, os.getpid())])


LOADED_BY = 0


def load() -> Any:
    global LOADED_BY
    LOADED_BY = os.getpid()
    version = Path(CONFIG.parent, "version").read_text()
    if version == "broken":
        try:
            raise ZeroDivisionError("as the app has it")
        except ZeroDivisionError as error:
            raise LoadError("importing 'shop' failed") from error
    if version == "hangs":
        time.sleep(600)
    if version == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    return version


def start(spec: WorkerSpec) -> None:
    if spec.app == "crashes":
        os._exit(9)
    spec.serve(FakeWorker(spec))


def note(line: str) -> Any:
    def hook(info: Any) -> None:
        with open(Path(CONFIG.parent, "hooks"), "a") as file:
            file.write(f"{line} {info.pid} {info.group} {info.generation}\n")

    return hook


def reopen_logs() -> None:
    with open(Path(CONFIG.parent, "reopened"), "a") as file:
        file.write(f"{os.getpid()}\n")


def plan() -> Plan:
    config = json.loads(CONFIG.read_text())
    settings = MasterSettings(
        on_worker_start=note("start"), on_worker_exit=note("exit"), **{"graceful_timeout": 5.0, **config["settings"]}
    )
    groups = []
    for group in config["groups"]:
        binds = tuple(BindSettings(address=address) for address in group.pop("binds", ()))
        groups.append(GroupPlan(settings=GroupSettings(**group), load=load, start=start, binds=binds))
    return Plan(settings=settings, groups=tuple(groups), reopen_logs=reopen_logs)


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG, format="%(process)d %(levelname)s %(message)s")
    try:
        sys.exit(Master(plan(), reload=plan).run())
    except ConfigError as error:
        print(f"config error: {error}", file=sys.stderr)
        sys.exit(2)
