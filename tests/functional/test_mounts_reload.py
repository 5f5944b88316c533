"""What the file adds, replaces and takes away is in force in every worker after HUP, and no request sees an error."""

from __future__ import annotations

import signal
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

from wsgikit.testing import ServerProcess

APPS = """
import os
def make(name):
    def app(environ, start_response):
        body = f"{name} {os.getpid()} {environ['PATH_INFO']}".encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]
    return app
"""


def mounts(**apps: str) -> str:
    return "\n".join(f"[[mount]]\npath = '/{path}'\napp = \"reloaded:make('{name}')\"" for path, name in apps.items())


def get(server: ServerProcess, path: str) -> tuple[int, str]:
    connection = HTTPConnection(str(server.address[0]), int(server.address[1]), timeout=20)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_the_file_and_hup_change_the_mounts_of_every_worker(tmp_path: Path) -> None:
    (tmp_path / "reloaded.py").write_text(APPS)
    config = tmp_path / "wsgikit.toml"
    config.write_text("workers = 2\nthreads = 2\n" + mounts(kept="kept", changed="old", gone="gone"))
    command = [sys.executable, "-m", "wsgikit", "serve", "-b", "{host}:{port}"]
    wrong: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask(server: ServerProcess) -> None:
        while not stop.is_set():
            status, text = get(server, "/kept/x")
            if status != 200 or not text.startswith("kept "):
                wrong.append((status, text))

    with ServerProcess(command, env={}, cwd=tmp_path) as server:
        assert get(server, "/changed/x")[1].startswith("old ")
        assert get(server, "/new/x")[0] == 404
        client = threading.Thread(target=ask, args=(server,))
        client.start()
        try:
            config.write_text("workers = 2\nthreads = 2\n" + mounts(kept="kept", changed="new", new="added"))
            server.signal(signal.SIGHUP)
            settled(server)
        finally:
            stop.set()
            client.join(20)
        assert get(server, "/new/x")[1].startswith("added ")
    assert not wrong


def settled(server: ServerProcess) -> None:
    """Wait until every answer in a row comes from the new table: the old workers are gone then."""
    deadline, in_a_row = time.monotonic() + 20, 0
    while in_a_row < 20:
        assert time.monotonic() < deadline, server.output
        new = get(server, "/changed/x")[1].startswith("new ") and get(server, "/gone/x")[0] == 404
        in_a_row = in_a_row + 1 if new else 0
