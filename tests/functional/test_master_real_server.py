"""The real command under load: keep-alive clients that never retry lose no request to a reload, a stop or recycling."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from closed_door import needs_a_door
from waiting import wait_for

PATIENCE = 30.0
APP = """
import os
VERSION = {version!r}
def app(environ, start_response):
    body = f"{{VERSION}} {{os.getpid()}}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
STUCK = """
import re

def never_ends():
    re.match("(a+)+$", "a" * 40 + "b")  # and never gives the interpreter lock back

def app(environ, start_response):
    if environ["PATH_INFO"] == "/stuck":
        never_ends()
    start_response("200 OK", [("Content-Length", "4")])
    return [b"well"]
"""


class Server:
    """`wsgikit serve` with an app whose version can be changed."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        self.version("v0")
        self.process: subprocess.Popen[bytes] | None = None

    def version(self, text: str) -> None:
        (self.folder / "shop.py").write_text(APP.format(version=text))

    def start(self) -> None:
        self.logfile = self.folder / f"log{time.monotonic_ns()}"
        with open(self.logfile, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "wsgikit", "serve", "shop:app", "-b", "127.0.0.1:0", *self.options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                # Python tells a compiled file's source by size and whole seconds: too coarse for quick changes.
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                start_new_session=True,
            )
        self.wait_for(r"started: ")
        found = re.search(r"listening on https?://127\.0\.0\.1:([0-9]+)", self.log)
        assert found, self.log
        self.port = int(found[1])

    @property
    def log(self) -> str:
        return self.logfile.read_text()

    def wait_for(self, pattern: str, times: int = 1) -> None:
        deadline = time.monotonic() + PATIENCE
        while len(re.findall(pattern, self.log)) < times:
            assert self.process is not None
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, f"waited in vain for {pattern!r} in:\n{self.log}"
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Clients:
    """Threads that each ask over and over on one connection; a new one only when the server said it closes."""

    def __init__(self, port: int, number: int = 8) -> None:
        self.port = port
        self.failures: list[str] = []
        self.answers: list[str] = []
        self._stop = threading.Event()
        self._server_ends = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def server_ends(self) -> None:
        """From now on a connection may be refused: nobody has taken the request then."""
        self._server_ends.set()

    def finish(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def wait_for_answers(self, number: int) -> None:
        wanted, deadline = len(self.answers) + number, time.monotonic() + PATIENCE
        while len(self.answers) < wanted and not self.failures:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def _run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
                try:
                    connection.connect()
                except ConnectionRefusedError as error:
                    if not self._server_ends.is_set():
                        self.failures.append(repr(error))
                    break
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                self.answers.append(response.read().decode())
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                break
            if response.will_close:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


@pytest.fixture(params=[[], ["--preload"]], ids=["plain", "preload"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, "-w", "2", *request.param)
    yield made
    made.end()


def rounds(few: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rounds", [few, pytest.param(20, marks=pytest.mark.soak)])


@rounds(3)
def test_no_request_is_lost_to_a_reload(server: Server, rounds: int) -> None:
    server.start()
    clients = Clients(server.port)
    try:
        for number in range(1, rounds + 1):
            clients.wait_for_answers(50)
            server.version(f"v{number}")
            server.signal(signal.SIGHUP)
            server.wait_for("reloaded: ", number)
        clients.wait_for_answers(500)
        # A worker that goes may answer its last request late.
        wait_for(lambda: all(answer.startswith(f"v{rounds} ") for answer in clients.answers[-100:]))
    finally:
        clients.finish()
    assert clients.failures == []
    assert server.stop() == 0


@needs_a_door
@rounds(1)
def test_no_request_is_lost_to_a_stop(server: Server, rounds: int) -> None:
    for _ in range(rounds):
        server.start()
        clients = Clients(server.port)
        try:
            clients.wait_for_answers(200)
            clients.server_ends()
            assert server.stop() == 0
        finally:
            clients.finish()
        assert clients.failures == []
        assert "killed" not in server.log


@rounds(4)
def test_no_request_is_lost_to_recycling(server: Server, rounds: int) -> None:
    server.options = (*server.options, "--max-requests", "200")
    server.start()
    clients = Clients(server.port)
    try:
        server.wait_for(r"retires: 200 requests served", rounds)
        clients.wait_for_answers(300)
    finally:
        clients.finish()
    assert clients.failures == []
    assert server.stop() == 0


def test_a_failing_reload_is_logged_and_changes_nothing(server: Server) -> None:
    server.start()
    clients = Clients(server.port, 2)
    try:
        (server.folder / "shop.py").write_text("import no_such_module")
        server.signal(signal.SIGHUP)
        server.wait_for("reload failed, the running workers stay")
        clients.wait_for_answers(20)
    finally:
        clients.finish()
    assert clients.failures == []
    assert {answer.split()[0] for answer in clients.answers} == {"v0"}
    assert "no_such_module" in server.log
    assert server.stop() == 0


def test_certificates_are_read_again_by_a_reload(tmp_path: Path) -> None:
    certificates = Path(__file__).parents[1] / "unit" / "master" / "certificates"
    for name in ("localhost", "shop"):
        for suffix in ("pem", "key"):
            shutil.copy(certificates / f"{name}.{suffix}", tmp_path)
    server = Server(tmp_path, "--certfile", "localhost.pem", "--keyfile", "localhost.key")
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    context.check_hostname = False

    def common_name() -> str:
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as plain, context.wrap_socket(plain) as tls:
            subject = (tls.getpeercert() or {})["subject"]
            return str(subject[0][0][1])  # type: ignore[index]

    try:
        server.start()
        assert common_name() == "localhost"
        (tmp_path / "localhost.pem").write_text("broken")
        server.signal(signal.SIGHUP)
        server.wait_for("reload failed, the running workers stay:\n *tls: cannot use certificate .*localhost.pem")
        assert common_name() == "localhost"
        for suffix in ("pem", "key"):
            os.replace(tmp_path / f"shop.{suffix}", tmp_path / f"localhost.{suffix}")
        server.signal(signal.SIGHUP)
        server.wait_for("reloaded: ")
        deadline = time.monotonic() + PATIENCE  # an old worker may take a last connection
        while common_name() != "shop":
            assert time.monotonic() < deadline
        assert server.stop() == 0
    finally:
        server.end()


def test_a_worker_stuck_in_c_is_replaced_and_its_stacks_are_logged(tmp_path: Path) -> None:
    server = Server(tmp_path, "-w", "1", "--worker-timeout", "1s")
    (tmp_path / "shop.py").write_text(STUCK)
    try:
        server.start()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request("GET", "/stuck")
        with pytest.raises((OSError, http.client.HTTPException)):
            connection.getresponse()
        connection.close()
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"well"
        connection.close()
        assert re.search(r"worker [0-9]+ has been stuck for 1 s", server.log)
        assert "in never_ends" in server.log
    finally:
        server.end()


def test_a_failing_start_shows_the_traceback_and_has_status_3(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("def app(environ, start_response): ...\n1 / 0\n")
    ended = subprocess.run(
        [sys.executable, "-m", "wsgikit", "serve", "shop:app", "-b", "127.0.0.1:0", "-w", "3"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=PATIENCE,
    )
    assert ended.returncode == 3
    assert ended.stderr.count("Traceback") == 1
    assert "1 / 0" in ended.stderr
