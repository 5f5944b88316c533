"""What the file adds, replaces and takes away is in force in every worker after HUP, and no request sees an error.

Nor does a reload make anything worse: what cannot be imported any more leaves the old workers in place.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

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
            settled(server, changed="new", gone="404")
        finally:
            stop.set()
            client.join(20)
        assert get(server, "/new/x")[1].startswith("added ")
    assert not wrong


def settled(server: ServerProcess, **wanted: str) -> None:
    """Wait until every answer in a row is from the new code: the old workers are gone then.

    wanted: path to how its answer begins, or to its status.
    """

    def new(path: str, begins: str) -> bool:
        status, text = get(server, "/" + path)
        return text.startswith(begins + " ") or str(status) == begins

    deadline, in_a_row = time.monotonic() + 20, 0
    while in_a_row < 20:
        assert time.monotonic() < deadline, server.output
        in_a_row = in_a_row + 1 if all(new(*item) for item in wanted.items()) else 0


# An app whose import fails, and one whose import does not: rewritten while the server runs, so nothing is compiled.
UNCACHED = {"PYTHONDONTWRITEBYTECODE": "1"}
COMMAND = [sys.executable, "-m", "wsgikit", "serve", "-b", "{host}:{port}"]
GOOD = "from reloaded import make\napp = make({!r})\n"
BROKEN = "raise RuntimeError('broken on purpose')\n"


def site(folder: Path, *names: str, top: str = "") -> None:
    """A configuration with a mount for each name, whose app is in a module of its own."""
    (folder / "reloaded.py").write_text(APPS)
    rows = (f"[[mount]]\npath = '/{name}'\napp = 'site_{name}:app'\n" for name in names)
    (folder / "wsgikit.toml").write_text(f"threads = 2\n{top}\n" + "".join(rows))


def code(folder: Path, name: str, text: str) -> None:
    (folder / f"site_{name}.py").write_text(text)


def reload(server: ServerProcess, *, refused: bool = False) -> None:
    """HUP, and wait for what comes of it."""
    said = "reload failed, the running workers stay" if refused else "reloaded: "
    before = server.output.count(said)
    server.signal(signal.SIGHUP)
    server.wait_for_output(said, times=before + 1)


def all_ready(server: ServerProcess) -> None:
    server.wait_for_output("started: ")


@pytest.mark.parametrize("top", ["workers = 2", "workers = 1\npreload = true"], ids=["plain", "preload"])
def test_a_mount_that_worked_and_fails_now_refuses_the_reload(tmp_path: Path, top: str) -> None:
    site(tmp_path, "a", "b", top=top)
    code(tmp_path, "a", GOOD.format("a1"))
    code(tmp_path, "b", GOOD.format("b1"))
    with ServerProcess(COMMAND, env=UNCACHED, cwd=tmp_path) as server:
        assert get(server, "/b")[1].startswith("b1 ")
        all_ready(server)  # a worker that still starts would load what comes now
        code(tmp_path, "a", GOOD.format("a2"))
        code(tmp_path, "b", BROKEN)
        reload(server, refused=True)
        server.wait_for_output("RuntimeError: broken on purpose")
        assert [get(server, path)[1][:3] for path in ("/a", "/b")] == ["a1 ", "b1 "]
        code(tmp_path, "b", GOOD.format("b2"))
        reload(server)
        settled(server, a="a2", b="b2")


def test_a_mount_that_failed_before_may_fail_again_and_a_new_one_may_not(tmp_path: Path) -> None:
    site(tmp_path, "a", "b")
    code(tmp_path, "a", GOOD.format("a1"))
    code(tmp_path, "b", BROKEN)
    code(tmp_path, "c", BROKEN)
    with ServerProcess(COMMAND, env=UNCACHED, cwd=tmp_path) as server:
        assert (get(server, "/a")[0], get(server, "/b")[0]) == (200, 503)
        code(tmp_path, "a", GOOD.format("a2"))
        reload(server)
        settled(server, a="a2", b="503")
        site(tmp_path, "a", "b", "c")
        reload(server, refused=True)
        assert get(server, "/c")[0] == 404
        code(tmp_path, "b", GOOD.format("b3"))
        code(tmp_path, "c", GOOD.format("c3"))
        reload(server)
        settled(server, b="b3", c="c3")
        code(tmp_path, "b", BROKEN)  # it works now, so that it may not fail from here on
        reload(server, refused=True)
        settled(server, b="b3")  # a worker from before b worked may still have been about to leave


def test_the_only_app_may_become_one_of_several_but_not_fail(tmp_path: Path) -> None:
    site(tmp_path, "a")
    code(tmp_path, "a", GOOD.format("a1"))
    code(tmp_path, "b", GOOD.format("b1"))
    with ServerProcess(COMMAND, env=UNCACHED, cwd=tmp_path) as server:
        assert get(server, "/a")[1][:3] == "a1 "
        code(tmp_path, "a", BROKEN)
        reload(server, refused=True)
        site(tmp_path, "a", "b")
        reload(server, refused=True)
        assert get(server, "/a")[1][:3] == "a1 "


def test_a_worker_that_takes_anothers_place_serves_what_it_can(tmp_path: Path) -> None:
    site(tmp_path, "a", "b")
    code(tmp_path, "a", GOOD.format("a1"))
    code(tmp_path, "b", GOOD.format("b1"))
    with ServerProcess(COMMAND, env=UNCACHED, cwd=tmp_path) as server:
        all_ready(server)
        first = int(get(server, "/a")[1].split()[1])
        code(tmp_path, "b", BROKEN)
        os.kill(first, signal.SIGKILL)
        settled(server, a="a1", b="503")
        assert int(get(server, "/a")[1].split()[1]) != first


@pytest.mark.parametrize(
    ("top", "a", "said"),
    [
        ("on_import_error = 'stop'", GOOD.format("a"), "wsgikit.toml:8: importing 'site_b' failed: RuntimeError"),
        ("", BROKEN, "no app can be imported; the first: wsgikit.toml:5: importing 'site_a' failed: RuntimeError"),
    ],
)
def test_a_start_that_is_to_fail_does(tmp_path: Path, top: str, a: str, said: str) -> None:
    site(tmp_path, "a", "b", top=top)
    code(tmp_path, "a", a)
    code(tmp_path, "b", BROKEN)
    command = [sys.executable, "-m", "wsgikit", "serve", "-b", "127.0.0.1:0"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=30)
    assert ended.returncode == 3
    assert "cannot start: " in ended.stderr
    assert said in ended.stderr
    assert "broken on purpose" in ended.stderr
