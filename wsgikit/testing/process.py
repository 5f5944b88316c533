"""A server as a child process: started by its command, watched until it accepts, stopped with all its offspring.

It owns the process group, the captured output and the temporary directory. It speaks no HTTP: whether what listens
there is the right server is the caller's question.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from wsgikit.errors import WsgikitError
from wsgikit.testing.client import Address
from wsgikit.testing.ports import LOOPBACK, accepts, free_port
from wsgikit.testing.processtree import MARK, kill_marked, listening_of_group

_POLL = 0.02
_LOOKS = 15


class ServerStartError(WsgikitError):
    """The command could not be run, exited, or did not listen in time. `reason` is one of "not-found", "exited",
    "not-listening"; `output` is what it printed."""

    def __init__(self, reason: str, message: str, output: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.output = output


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessLimits:
    """`ready` and `stop` are seconds, `output` bytes of stdout and stderr together (first and last half are kept)."""

    ready: float = 20.0
    stop: float = 5.0
    output: int = 256 * 1024


class ServerProcess:
    """Runs `command` with `{host}`, `{port}`, `{app}` and `{socket}` replaced in every argument.

    `{port}` is a free port on 127.0.0.1; a command with `{socket}` gets a path for a Unix socket instead, and
    `address` is that path. `env` is added to ours; a value of None takes the variable away. The process runs in a
    session of its own, so that stopping it reaches all its children; those which leave the session are found by a mark
    in their environment (Linux).

        with ServerProcess(["gunicorn", "-b", "{host}:{port}", "{app}"], app="shop:app") as server:
            RawClient(server.address).send(...)

    As a fixture:

        @pytest.fixture
        def server():
            with ServerProcess([...], app="shop:app") as process:
                yield process
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        app: str = "",
        env: Mapping[str, str | None] | None = None,
        cwd: str | Path | None = None,
        limits: ProcessLimits | None = None,
    ) -> None:
        self.command = list(command)
        self.app = app
        self.limits = limits or ProcessLimits()
        self.host = LOOPBACK
        self.port = 0
        self.address: Address = (self.host, 0)
        self._env = dict(env or {})
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._output = _Capture(self.limits.output)
        self._directory: str | None = None
        self._token = ""
        self._stopped = False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<ServerProcess {' '.join(self.command)!r} pid {self.pid} at {self.address}>"

    @property
    def pid(self) -> int:
        """Of the process that the command started; 0 when it was never started."""
        return self._process.pid if self._process else 0

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """What it has written to stdout and stderr so far; the middle is left out when there is too much."""
        return self._output.text()

    def start(self) -> Self:
        """Starts it and waits until it accepts. Raises ServerStartError; nothing runs any more then."""
        try:
            self._spawn()
            self._wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def signal(self, number: int) -> None:
        """Sends a signal to the process that the command started, not to its children."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self, timeout: float) -> int | None:
        """Its exit status, or None when it still runs after `timeout` seconds."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def wait_for_output(self, text: str, *, times: int = 1, timeout: float = 20.0) -> str:
        """`output`, once `text` is in it `times` times. Raises TimeoutError, with the output, after `timeout` seconds.

        What a server prints about a request may come after the response: another pipe, and another thread reads it.
        """
        if not self._output.wait_for(text, times, timeout):
            raise TimeoutError(f"{text!r} was not printed {times}x within {timeout:g} s:\n{self.output}")
        return self.output

    def stop(self) -> None:
        """TERM, `limits.stop` seconds of patience, then KILL for the whole group. May be called twice."""
        if not self._stopped:
            self._stopped = True
            if self._process is not None:
                self._end(self._process)
            else:
                self._end_unknown()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(self.limits.stop)
            except subprocess.TimeoutExpired:
                pass
        _kill_group(process.pid)
        kill_marked(self._token)
        process.wait()
        self._output.finish()

    def _end_unknown(self) -> None:
        """A signal's exception came when a child had begun, perhaps, and before we knew of it.

        Its mark is not to be seen in its first moments: exec(2) lets us go on before it has set up the environment.
        """
        for _ in range(_LOOKS if self._token else 0):
            if kill_marked(self._token):
                return
            time.sleep(_POLL)

    def _spawn(self) -> None:
        self._token, self._stopped = secrets.token_hex(12), False
        arguments = self._arguments()
        environment = {**os.environ, **{key: value for key, value in self._env.items() if value is not None}}
        for key in [key for key, value in self._env.items() if value is None]:
            environment.pop(key, None)
        environment[MARK] = self._token
        try:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self._cwd,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise ServerStartError("not-found", f"cannot run {arguments[0]!r}: {error.strerror}") from error
        if self._process.stdout is not None:
            self._output.follow(self._process.stdout)

    def _arguments(self) -> list[str]:
        template = "\0".join(self.command)
        if "{socket}" in template:
            self._directory = tempfile.mkdtemp(prefix="wsgikit-", dir=_short_directory())
            self.address = str(Path(self._directory, "server.sock"))
        else:
            self.port = free_port(self.host)
            self.address = (self.host, self.port)
        values = {
            "{host}": self.host,
            "{port}": str(self.port),
            "{app}": self.app,
            "{socket}": self.address if isinstance(self.address, str) else "",
        }
        for mark, value in values.items():
            template = template.replace(mark, value)
        return template.split("\0")

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + self.limits.ready
        while time.monotonic() < deadline:
            if accepts(self.address):
                return
            if not self.alive:
                self._output.settle()
                raise ServerStartError(
                    "exited", f"the command exited with status {self.returncode} before it listened", self.output
                )
            time.sleep(_POLL)
        raise ServerStartError("not-listening", self._silence(), self.output)

    def _silence(self) -> str:
        elsewhere = listening_of_group(self.pid)
        where = f"; it listens on {', '.join(elsewhere)}" if elsewhere else ""
        return f"nothing accepted on {self._place()} within {self.limits.ready:g} s{where}"

    def _place(self) -> str:
        return self.address if isinstance(self.address, str) else f"{self.address[0]}:{self.address[1]}"


class _Capture:
    """Keeps the first and the last half of what a pipe delivers, and always drains it, so that nobody blocks."""

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self._first = bytearray()
        self._last = bytearray()
        self._lost = 0
        self._more = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pipe: IO[bytes] | None = None

    def follow(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._thread = threading.Thread(target=self._drain, args=(pipe.fileno(),), daemon=True)
        self._thread.start()

    def _drain(self, descriptor: int) -> None:
        while True:
            try:
                data = os.read(descriptor, 65536)
            except OSError:
                return
            if not data:
                return
            self._add(data)

    def _add(self, data: bytes) -> None:
        with self._more:
            room = self._half - len(self._first)
            self._first += data[: max(room, 0)]
            self._last += data[max(room, 0) :]
            excess = len(self._last) - self._half
            if excess > 0:
                del self._last[:excess]
                self._lost += excess
            self._more.notify_all()

    def wait_for(self, text: str, times: int, timeout: float) -> bool:
        with self._more:
            return self._more.wait_for(lambda: self.text().count(text) >= times, timeout)

    def settle(self) -> None:
        """Waits a moment for the last words of a process that has exited."""
        if self._thread is not None:
            self._thread.join(1.0)

    def finish(self) -> None:
        """The writers are dead: read the rest and close."""
        if self._thread is not None:
            self._thread.join(2.0)
        if self._pipe is not None:
            self._pipe.close()
        self._thread = self._pipe = None

    def text(self) -> str:
        with self._more:
            gap = f"\n[... {self._lost} bytes left out ...]\n".encode() if self._lost else b""
            return (bytes(self._first) + gap + bytes(self._last)).decode("utf-8", "replace")


def _short_directory() -> str:
    """Where temporary files go, unless a socket's path there would not fit into the 108 bytes of `sun_path`."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) < 70 or not os.path.isdir("/tmp") else "/tmp"


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
