"""The server under test: how it is started, when it counts as ready, and every way in which that can go wrong.

It owns the temporary directory with the copy of the probe, the control line and the process. It knows no case.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from wsgikit.errors import ConfigError, WsgikitError
from wsgikit.testing import Address, ProcessLimits, ServerProcess, ServerStartError
from wsgikit.validators.server import certificate
from wsgikit.validators.server.control import Control
from wsgikit.validators.server.probe.control import FILE, VARIABLE
from wsgikit.validators.server.trial import Exchange, Site, Trial

PACKAGE = "wsgi_probe"
APP = f"{PACKAGE}:application"
FILE_FORM = "wsgi_probe_file.py"
_PROBE = Path(__file__).parent / "probe"


class TargetError(WsgikitError):
    """The target cannot be judged. `reason` is a stable word, `output` what the server printed."""

    def __init__(self, reason: str, message: str, output: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.output = output


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A command with marks, or the URL of a server that runs the probe already.

    Marks: {host} {port} or {socket}, {app} (module:name), {module}, {file} (a file that defines `application`),
    {directory} (where both lie), {cert} and {key} (for TLS). `ready` is the time in seconds it may take to start.
    """

    command: tuple[str, ...] = ()
    url: str = ""
    name: str = ""
    probe_directory: str = ""
    ready: float = 20.0

    def __post_init__(self) -> None:
        if bool(self.command) == bool(self.url):
            raise ConfigError("check server wants either a command behind `--` or --url, not both and not neither")
        if self.url and urlsplit(self.url).scheme not in ("http", "https", "unix"):
            raise ConfigError(f"--url {self.url}: write http://host:port, https://host:port or unix:///path")

    @property
    def title(self) -> str:
        """What reports call it."""
        return self.name or self.url or " ".join(" ".join(self.command).split())

    @property
    def startable(self) -> bool:
        return bool(self.command)

    @property
    def parallel(self) -> bool:
        """Whether several can run side by side: each needs an address of its own."""
        text = " ".join(self.command)
        return "{port}" in text or "{socket}" in text

    @property
    def tls(self) -> bool:
        return "{cert}" in " ".join(self.command) or self.url.startswith("https:")


def write_probe(directory: Path, address: str = "", app: str = APP) -> None:
    """Puts the probe into `directory`: the package, the file form, and where the driver listens."""
    package = directory / PACKAGE
    shutil.copytree(_PROBE, package, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    (directory / FILE_FORM).write_text(
        "import os, sys\n"
        "sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))\n"
        f"from {PACKAGE} import {app.partition(':')[2]} as application\n",
        encoding="ascii",
    )
    if address:
        (package / FILE).write_text(address, encoding="ascii")


class Running:
    """A server that has been started, or found running, and answers through the probe.

    Use as a context manager; leaving it stops everything and removes every file.
    """

    def __init__(self, target: Target, app: str = APP) -> None:
        self.target = target
        self.app = app
        self.control = Control()
        self.process: ServerProcess | None = None
        self._directory: Path | None = None
        self.site = Site(address=("127.0.0.1", 0), control=self.control)

    def __enter__(self) -> Self:
        try:
            self._start()
            self._wait_for_app()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.process is not None:
            self.process.stop()
        self.control.close()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        elif self.target.probe_directory:
            with contextlib.suppress(OSError):
                Path(self.target.probe_directory, PACKAGE, FILE).unlink()

    @property
    def alive(self) -> bool:
        return self.process is None or self.process.alive

    def ends(self, timeout: float) -> bool:
        """Whether the process is gone, waited for: it takes a crash a moment longer than its sockets to show."""
        return self.process is not None and self.process.wait(timeout) is not None

    @property
    def output(self) -> str:
        return self.process.output if self.process is not None else ""

    def _start(self) -> None:
        tls = certificate.client_context() if self.target.tls else None
        starter = self._another if self.target.startable else None
        if not self.target.startable:
            address = _address(self.target.url)
            if self.target.probe_directory:
                write_probe(Path(self.target.probe_directory), self.control.address)
            self.site = Site(address=address, control=self.control, tls=tls)
            return
        self._directory = Path(tempfile.mkdtemp(prefix="wsgikit-check-"))
        write_probe(self._directory, self.control.address, self.app)
        command = _filled(self.target.command, self._directory, self.app)
        env = {VARIABLE: self.control.address, "PYTHONPATH": _search_path(self._directory)}
        self.process = ServerProcess(
            command, app=self.app, env=env, limits=ProcessLimits(ready=self.target.ready, stop=3.0)
        )
        try:
            self.process.start()
        except ServerStartError as error:
            raise TargetError(error.reason, str(error), error.output) from error
        self.site = Site(address=self.process.address, control=self.control, tls=tls, starter=starter)

    @contextlib.contextmanager
    def _another(self, app: str) -> Iterator[Address]:
        with Running(self.target, f"{PACKAGE}:{app}") as other:
            yield other.site.address

    def _wait_for_app(self) -> None:
        """Until the app has been called once; then how fast the server is decides how patient the trials are."""
        limit = min(self.target.ready, 10.0) if self.target.startable else 1.0
        deadline = time.monotonic() + limit
        last: Exchange | None = None
        while time.monotonic() < deadline and self.alive:
            trial = Trial(replace(self.site, patience=min(5.0, self.target.ready)))
            try:
                last = trial.get("/hello")
                called = bool(trial.wait_calls(1, 0.2))
            except OSError as error:
                last, called = None, False
                if not self.target.startable:
                    raise TargetError("unreachable", f"nothing accepts at {self.target.url}: {error}") from error
            finally:
                # A server with one thread may wait for this end before it takes the next connection.
                trial.close()
            if called:
                self._set_patience()
                return
            time.sleep(0.1)
        self._give_up(last)

    def _give_up(self, last: Exchange | None) -> None:
        if not self.alive and self.process is not None:
            self.process.wait(1.0)
            status = self.process.returncode
            raise TargetError("exited", f"the server exited with status {status} after it had listened", self.output)
        if not self.target.startable and last is not None and last.response is not None:
            self.site = replace(self.site, probed=False)
            return
        seen = last.seen() if last is not None else "no connection"
        raise TargetError(
            "no-app",
            f"the server listens, but the probe app was never called; GET /hello gave: {seen}",
            self.output,
        )

    def _set_patience(self) -> None:
        times = []
        for _ in range(5):
            trial = Trial(self.site)
            started = time.monotonic()
            with contextlib.suppress(OSError), contextlib.closing(trial):  # a wait that was too long is a time as well
                trial.get("/hello")
            times.append(time.monotonic() - started)
        # Two seconds are long for loopback; a slow server, or a busy machine, gets up to six.
        self.site = replace(self.site, patience=min(max(2.0, 40 * statistics.median(times)), 6.0))


def _address(url: str) -> Address:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise ConfigError(f"--url {url}: {error}") from error
    host = parts.hostname or "127.0.0.1"
    try:
        return (socket.gethostbyname(host) if ":" not in host else host, port)
    except OSError as error:
        raise ConfigError(f"--url {url}: {error}") from error


def _filled(command: tuple[str, ...], directory: Path, app: str) -> list[str]:
    """The command with the marks replaced that ServerProcess does not know."""
    marks = {"{file}": str(directory / FILE_FORM), "{directory}": str(directory), "{module}": app.partition(":")[0]}
    if any("{cert}" in part for part in command):
        marks["{cert}"], marks["{key}"] = certificate.write(directory)
    filled = []
    for part in command:
        for mark, value in marks.items():
            part = part.replace(mark, value)
        filled.append(part)
    return filled


def _search_path(directory: Path) -> str:
    inherited = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(filter(None, [str(directory), inherited]))
