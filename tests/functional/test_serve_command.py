"""`wsgikit serve` as a person types it: where options come from, what is said when something is wrong, reloading."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from waiting import wait_for

import wsgikit
from wsgikit.errors import ConfigError
from wsgikit.testing import ServerProcess

APPS = """
import os, sys

def said(text):
    def app(environ, start_response):
        body = text.format(**environ).encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]
    return app

app = said("app at {SCRIPT_NAME}|{PATH_INFO}")
other = said("other at {SCRIPT_NAME}|{PATH_INFO}")

def create(name, times=1):
    return said(name * times + os.environ.get("SUFFIX", ""))

def environment(environ, start_response):
    return said(os.getcwd() + " " + os.environ.get("SUFFIX", "none"))(environ, start_response)

def wrong(environ, start_response):
    start_response("200", [])
    return [b""]

def born(info):
    with open("born", "a") as file:
        file.write(f"{info.generation}\\n")

def gone(info):
    with open("gone", "a") as file:
        file.write(f"{info.pid}\\n")
"""
Serve = Callable[..., ServerProcess]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site_x.py").write_text(APPS)
    (tmp_path / "broken_x.py").write_text("import site_x\n\nsite_x.nothing()\n")
    return tmp_path


@pytest.fixture
def serve(folder: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(*typed: str) -> ServerProcess:
            command = [sys.executable, "-m", "wsgikit", "serve", "-b", "{host}:{port}", *typed]
            return stack.enter_context(ServerProcess(command, cwd=folder))

        yield start


def get(server: ServerProcess, path: str = "/") -> str:
    try:
        with urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as response:
            text: str = response.read().decode()
    except HTTPError as error:
        with error:
            return str(error.code)
    return text


def failing(folder: Path, *typed: str, command: str = "serve") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "wsgikit", *command.split(), *typed],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.returncode, done.stdout + done.stderr


def test_an_app_by_its_name(serve: Serve) -> None:
    assert get(serve("site_x:app"), "/x") == "app at |/x"


def test_a_factory_with_arguments_and_an_environment(serve: Serve) -> None:
    assert get(serve("site_x:create('a', times=3)", "-e", "SUFFIX=!")) == "aaa!"


def test_mounts_from_the_command_line(serve: Serve) -> None:
    server = serve("site_x:app", "--mount", "/other=site_x:other", "--mount", "127.0.0.1/host=site_x:create('h')")
    assert get(server, "/x") == "app at |/x"
    assert get(server, "/other/x") == "other at /other|/x"
    assert get(server, "/host") == "h"


def test_the_folder_of_the_apps_can_be_elsewhere(serve: Serve, folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    (folder / "site_x.py").rename(inner / "site_x.py")
    assert get(serve("site_x:environment", "--chdir", "inner", "-e", "SUFFIX=set")) == f"{inner} set"


def test_a_pyproject_can_say_everything_and_what_is_typed_wins(serve: Serve, folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.wsgikit]\napp = 'site_x:other'\nbind = '127.0.0.1:1'\n")
    assert get(serve(), "/x") == "other at |/x"


def test_platforms_say_the_port(folder: Path) -> None:
    shell = f"PORT={{port}} exec {sys.executable} -m wsgikit serve site_x:app"
    with ServerProcess(["/bin/sh", "-c", shell], cwd=folder) as server:
        assert get(server) == "app at |/"
        server.wait_for_output(f"listening on http://0.0.0.0:{server.port}")


def test_hup_reads_the_file_again(serve: Serve, folder: Path) -> None:
    toml = folder / "wsgikit.toml"
    toml.write_text("[[mount]]\napp = 'site_x:app'\n")
    server = serve()
    assert get(server, "/o") == "app at |/o"
    toml.write_text("[[mount]]\napp = 'site_x:app'\n[[mount]]\npath = '/o'\napp = 'site_x:other'\n")
    server.signal(signal.SIGHUP)
    wait_for(lambda: get(server, "/o") == "other at /o|")


def test_a_reload_with_a_mistake_keeps_what_runs(serve: Serve, folder: Path) -> None:
    toml = folder / "wsgikit.toml"
    toml.write_text("app = 'site_x:app'\n")
    server = serve()
    toml.write_text("app = 'site_x:app'\nthread = 3\n")
    server.signal(signal.SIGHUP)
    wait_for(lambda: "wsgikit.toml:2: unknown option 'thread'; did you mean 'threads'?" in server.output)
    assert get(server) == "app at |/"


def test_hooks_run_where_the_apps_are(serve: Serve, folder: Path) -> None:
    server = serve("site_x:app", "--on-worker-start", "site_x:born", "--on-worker-exit", "site_x:gone")
    get(server)  # the address is open before the first worker is
    assert (folder / "born").read_text() == "1\n"
    server.stop()
    assert (folder / "gone").read_text().strip().isdigit()


def test_the_access_log_is_written_and_reopened(serve: Serve, folder: Path) -> None:
    server = serve("site_x:app", "--access-logfile", "access.log", "--access-logformat", "json")
    log = folder / "access.log"
    get(server, "/first")
    wait_for(lambda: log.read_text().count("\n") == 1)
    assert json.loads(log.read_text())["target"] == "/first"
    log.rename(folder / "access.log.1")
    server.signal(signal.SIGUSR1)
    wait_for(log.exists)
    wait_for(lambda: get(server, "/second") != "" and "/second" in log.read_text())


def test_lint_complains_about_the_app(serve: Serve) -> None:
    server = serve("site_x:wrong", "--lint")
    get(server)
    server.wait_for_output("WSGI-")


def test_ctrl_c_is_quiet(serve: Serve) -> None:
    server = serve("site_x:app")
    server.signal(signal.SIGINT)
    assert server.wait(15) == 0
    assert "Traceback" not in server.output


def test_an_app_that_raises_ends_the_start_with_its_own_frames(folder: Path) -> None:
    status, output = failing(folder, "-b", "127.0.0.1:0", "broken_x:app")
    assert status == 3
    assert output.count("  File ") == 1
    assert 'broken_x.py", line 3, in <module>' in output
    assert "importing 'broken_x' failed: AttributeError: module 'site_x' has no attribute 'nothing'" in output


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["site_x:app", "--threads", "many"], "wsgikit: command line: --threads = 'many': must be a whole number"),
        (["site_x:app", "--worker-class", "gthread"], "unknown argument '--worker-class': all workers are threads"),
        (["site_x:app", "--host", "0.0.0.0", "--port", "80"], "unknown argument '--host': write --bind HOST:PORT"),
        (["site_x:app", "--trheads", "4"], "unknown argument '--trheads'; did you mean '--threads'?"),
        (["site_x:app", "-b", "nowhere:port"], "bind 'nowhere:port'"),
        (["site_x:app", "--mount", "shop"], "command line: --mount 'shop': write /path=package.module:app"),
        (["site_x:app", "--keyfile", "site_x.py"], "keyfile has no use without certfile"),
        (["site_x:app", "--certfile", "nothing.pem"], "there is no file"),
        ([], "nothing to serve: there is no wsgikit.toml here; name an app, package.module:app"),
    ],
)
def test_a_wrong_command_line_is_one_line(folder: Path, typed: list[str], said: str) -> None:
    status, output = failing(folder, *typed)
    assert status == 2
    assert said in output
    assert "Traceback" not in output


def test_check_config_says_all_is_well_or_what_is_not(folder: Path) -> None:
    toml = folder / "wsgikit.toml"
    toml.write_text("threads = 3\n[[mount]]\napp = 'site_x:app'\n")
    assert failing(folder, command="check config") == (0, "wsgikit.toml: 1 option, 1 mount; no mistakes found\n")
    toml.write_text("threads = 3\n[[mount]]\napp = 'site_x:ap'\n[[mount]]\npath = '/x'\napp = 'site_x:other'\n")
    status, output = failing(folder, command="check config")
    assert status == 2
    assert "wsgikit.toml:3: 'site_x:ap': module 'site_x'" in output
    assert "did you mean 'app'?" in output
    assert output.count("\n") == 1
    assert failing(folder, "--no-load", command="check config")[0] == 0
    toml.write_text("[[mount]]\napp = 'site_x:ap'\n")
    assert failing(folder, command="check config")[1].count("\n") == 1
    toml.write_text("threads = 0\nwrokers = 2\n")
    assert failing(folder, "wsgikit.toml", command="check config") == (
        2,
        "wsgikit: wsgikit.toml:1: threads = 0: must be a whole number from 1 to 4096\n"
        "wsgikit.toml:2: unknown option 'wrokers'; did you mean 'workers'?\n",
    )


def test_check_config_finds_the_mistakes_of_every_layer_at_once(folder: Path) -> None:
    (folder / "wsgikit.toml").write_text(
        "[[mount]]\napp = 'site_x:app'\n[[mount.use]]\nmiddleware = 'comprss'\n"
        "[[mount]]\npath = '/a'\napp = 'site_x:ap'\n[[mount.use]]\nmiddleware = 'compress'\nlvl = 5\n"
        "[[mount]]\npath = '/b'\nupstream = 'u'\n[upstream.u]\nendpoints = ['10.0.0.1']\n"
    )
    status, output = failing(folder, command="check config")
    said = ["wsgikit.toml:3: unknown middleware 'comprss'", "wsgikit.toml:7: 'site_x:ap'",
            "wsgikit.toml:8: compress has no option 'lvl'", "wsgikit.toml:15: [upstream.u] '10.0.0.1'"]  # fmt: skip
    assert status == 2
    assert [text for text in said if text not in output] == []
    assert output.count("\n") == len(said), output


def test_check_config_looks_at_upstreams_also_where_nothing_is_loaded(folder: Path) -> None:
    toml = folder / "wsgikit.toml"
    toml.write_text(
        "[[mount]]\nupstream = 'u'\n[upstream.u]\nendpoints = ['http://127.0.0.1:1']\nretry = { attmpts = 2 }\n"
    )
    for typed in ([], ["--no-load"]):
        status, output = failing(folder, *typed, command="check config")
        assert status == 2
        assert "wsgikit.toml:5: [upstream.u] " in output
        assert "attmpts" in output
    toml.write_text(toml.read_text().replace("attmpts", "attempts"))
    assert failing(folder, command="check config") == (0, "wsgikit.toml: 1 mount, 1 upstream; no mistakes found\n")


def test_mounts_without_an_app(folder: Path, serve: Serve) -> None:
    (folder / "public").mkdir()
    (folder / "public" / "a.txt").write_text("a file")
    static = "use = [{ middleware = 'request-id' }, { middleware = 'static', directory = 'public' }]\n"
    (folder / "wsgikit.toml").write_text(
        f"[[mount]]\npath = '/files'\n{static}[[mount]]\npath = '/inner'\ngroup = 'g'\n{static}[group.g]\nworkers = 1\n"
    )
    server = serve()
    assert [get(server, f"/{path}/a.txt") for path in ("files", "inner")] == ["a file", "a file"]
    assert get(server, "/inner/b.txt") == "404"
    wait_for(lambda: "/files  request-id, static\n" in server.output)


def test_serve_from_python(folder: Path) -> None:
    (folder / "run_x.py").write_text(
        "import sys, wsgikit, site_x\n"
        "app = site_x.create('from python')\n"
        "sys.exit(wsgikit.serve(app, bind=f'127.0.0.1:{sys.argv[1]}', threads=2, timeout='9s'))\n"
    )
    with ServerProcess([sys.executable, "run_x.py", "{port}"], cwd=folder) as server:
        assert get(server) == "from python"
        server.signal(signal.SIGTERM)
        assert server.wait(15) == 0
        wait_for(lambda: "stopping" in server.output)


def test_a_wrong_option_from_python_is_an_exception() -> None:
    with pytest.raises(ConfigError, match=r"serve\(\): unknown option 'thread'; did you mean 'threads'?"):
        wsgikit.serve("site_x:app", thread=2)
    with pytest.raises(ConfigError, match=r"serve\(\): threads = '2': must be a whole number"):
        wsgikit.serve("site_x:app", threads="2")


def test_the_server_of_every_tutorial(folder: Path) -> None:
    (folder / "tutorial_x.py").write_text(
        "import sys, site_x\n"
        "from wsgikit import make_server\n"
        "with make_server('127.0.0.1', int(sys.argv[1]), site_x.app) as server:\n"
        "    server.serve_forever()\n"
    )
    with ServerProcess([sys.executable, "tutorial_x.py", "{port}"], cwd=folder) as server:
        assert get(server, "/x") == "app at |/x"
