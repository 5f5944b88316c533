"""`wsgikit check middleware` as a command."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from wsgikit.cli.main import run as main

MIDDLEWARE = """
import time

class Good:
    def __init__(self, app, *, name="X-Good"):
        self.app, self.name = app, name

    def __call__(self, environ, start_response):
        def start(status, headers, *exc_info):
            return start_response(status, [*headers, (self.name, "yes")], *exc_info)
        return self.app(environ, start)

def joining(app):
    def middleware(environ, start_response):
        return [b"".join(app(environ, start_response))]
    return middleware

def guarded(app):
    def middleware(environ, start_response):
        if environ.get("HTTP_X_KEY") != "open" or environ["PATH_INFO"] != "/door":
            start_response("403 Forbidden", [])
            return []
        return app(environ, start_response)
    return middleware

def hanging(app):
    def middleware(environ, start_response):
        time.sleep(60)
    return middleware

def raising(app):
    def middleware(environ, start_response):
        raise RuntimeError("broken")
    return middleware

def nothing(app):
    return None
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("middleware")
    (folder / "layers.py").write_text(MIDDLEWARE)
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in this process, which saves its start; the target has a process of its own all the same."""
    out, err = StringIO(), StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        try:
            status = main(["check", "middleware", *arguments])
        except SystemExit as error:
            status = int(str(error.code))
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def real(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The real command."""
    command = [sys.executable, "-m", "wsgikit", "check", "middleware", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_a_good_middleware_is_clean(folder: Path) -> None:
    done = real(folder, "layers:Good", "--profile", "pedantic", "-v")

    assert done.returncode == 0, done.stdout
    assert "PASS         WSGI-M06" in done.stdout
    assert "SKIP         WSGI-M21" in done.stdout


def test_short_names_are_known(folder: Path) -> None:
    assert run(folder, "request-id", "--select", "WSGI-M06").returncode == 0


def test_options_reach_the_factory(folder: Path) -> None:
    assert run(folder, "layers:Good", "--set", "name=X Broken").returncode == 1
    assert run(folder, "layers:Good", "--set", "name='X-Fine'").returncode == 0
    wrong = run(folder, "layers:Good", "--set", "nam=x")
    assert "unexpected keyword argument 'nam'" in wrong.stdout
    assert wrong.returncode == 3


def test_a_broken_one_is_found_with_a_script_that_shows_it(folder: Path) -> None:
    done = run(folder, "layers:joining", "--format", "json")
    results = {one["rule"]: one for one in json.loads(done.stdout)["results"] if one["verdict"] == "FAIL"}

    assert done.returncode == 1
    assert {"WSGI-M07", "WSGI-M10"} <= set(results)
    script = results["WSGI-M10"]["findings"][0]["reproducer"]["script"]
    assert len(script.splitlines()) <= 10
    again = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )
    assert again.returncode == 0, again.stderr
    assert "Event(what='app return'" in again.stdout
    assert "Event(what='app close'" not in again.stdout


def test_a_middleware_that_does_not_call_the_app_is_led_to_it(folder: Path) -> None:
    alone = run(folder, "layers:guarded")
    led = run(folder, "layers:guarded", "--path", "/door", "--header", "X-Key: open")

    assert alone.returncode == 3
    assert "never called the app; give --path, --method or --header that lead to it" in alone.stdout
    assert led.returncode == 0, led.stdout


@pytest.mark.parametrize(
    ("target", "said", "status"),
    [
        ("layers:hanging", "was not answered within 0.5 s", 3),
        ("layers:raising", "the middleware raised RuntimeError: broken around a correct app", 1),
        ("layers:nothing", "made NoneType, which cannot be called", 3),
        ("wsgiref.simple_server:demo_app", "is it an app? Then: wsgikit check app", 3),
        ("layers:missing", "has no attribute 'missing'", 3),
    ],
)
def test_one_that_misbehaves_ends_in_a_clear_verdict(folder: Path, target: str, said: str, status: int) -> None:
    done = run(folder, target, "--patience", "0.5")

    assert said in done.stdout
    assert done.returncode == status


@pytest.mark.parametrize("flag", [("--set", "x"), ("--path", "x"), ("--header", "x")])
def test_mistakes_of_usage_exit_with_2(folder: Path, flag: tuple[str, str]) -> None:
    done = run(folder, "layers:Good", *flag)

    assert done.returncode == 2
    assert flag[0] in done.stderr
