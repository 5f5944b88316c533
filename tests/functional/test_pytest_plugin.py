"""The pytest plugin in a project of its own: real pytest, real test clients."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

APPS = """
import flask

good = flask.Flask("good")
bad = flask.Flask("bad")

@good.get("/")
def index():
    return "hello"

@good.post("/")
def form():
    return flask.request.form["name"]

@bad.get("/")
def closing():
    return "hello", 200, {"Connection": "close"}

def plain(environ, start_response):
    start_response("200 OK", [("Upgrade", "x")])
    return [b"hello"]

def wordy(environ, start_response):
    environ["wsgi.input"].read(10)
    start_response("200 OK", [])
    return [b"hello"]
"""

TESTS = """
import pytest, webtest, werkzeug.test
from apps import bad, good, plain, wordy

def test_flask_good():
    assert good.test_client().get("/").text == "hello"

def test_flask_bad():
    assert bad.test_client().get("/").text == "hello"

def test_flask_form_good():
    assert good.test_client().post("/", data={"name": "value"}).text == "value"

def test_werkzeug_bad():
    assert werkzeug.test.Client(plain).get("/").text == "hello"

def test_webtest_bad():
    assert webtest.TestApp(plain, lint=False).get("/").text == "hello"

@pytest.mark.wsgi(ignore=["A18"])
def test_ignored():
    werkzeug.test.Client(plain).get("/")

@pytest.mark.wsgi(strict=False)
def test_not_strict():
    werkzeug.test.Client(plain).get("/")

@pytest.mark.wsgi(fail_on="should", strict=True)
def test_should_bad():
    werkzeug.test.Client(wordy).post("/", data=b"abc")

@pytest.mark.wsgi(strict=True)
def test_should_is_no_must():
    werkzeug.test.Client(wordy).post("/", data=b"abc")

def test_fixture_bad(wsgi_lint):
    list(wsgi_lint(plain)({"REQUEST_METHOD": "GET"}, lambda status, headers: None))

def test_client(wsgi_client):
    answer = wsgi_client(good).get("/")
    assert (answer.code, answer.text, answer.header("content-type")) == (200, "hello", "text/html; charset=utf-8")

@pytest.mark.wsgi(profil="http")
def test_typo_bad(wsgi_client):
    pass
"""

DJANGO = """
import urllib.request
import django
from django.conf import settings

settings.configure(
    DEBUG=True, ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["*"],
    STATIC_URL="/static/", MEDIA_URL="/media/",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()

from django.http import HttpResponse
from django.test import LiveServerTestCase
from django.urls import path

def page(request):
    return HttpResponse("hello", headers={"X(Odd": "b"} if "bad" in request.path else {})

urlpatterns = [path("good/", page), path("bad/", page)]

class TestLive(LiveServerTestCase):
    def fetch(self, name):
        with urllib.request.urlopen(f"{self.live_server_url}/{name}/") as response:
            assert response.read() == b"hello"

    def test_live_good(self):
        self.fetch("good")

    def test_live_bad(self):
        self.fetch("bad")

def test_client_good(wsgi_client):
    assert wsgi_client().get("/good/").text == "hello"

def test_client_bad(wsgi_client):
    assert wsgi_client().get("/bad/").text == "hello"
"""


def run_pytest(folder: Path, *arguments: str) -> dict[str, str]:
    """Run pytest in a project; the outcome of each test by name, and the output under ""."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COVERAGE"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-q", "--color=no", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = {"": done.stdout + done.stderr}
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] in ("PASSED", "FAILED", "ERROR"):
            found[words[1].rpartition("::")[2]] = words[0]
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    (tmp_path / "apps.py").write_text(APPS)
    (tmp_path / "test_apps.py").write_text(TESTS)
    (tmp_path / "test_django.py").write_text(DJANGO)
    return tmp_path


def test_strict_fails_each_test_whose_app_breaks_a_must_in_any_client(project: Path) -> None:
    pytest.importorskip("webtest")
    found = run_pytest(project, "--wsgi-strict")
    output = found.pop("")

    assert {name for name, outcome in found.items() if outcome != "PASSED"} == {
        name for name in found if name.endswith("bad")
    }, output
    assert len(found) == 16
    assert "WSGI-A19 the app sends Connection, which decides on the connection (GET /)" in output
    assert "apps.py:" in output
    assert "unexpected keyword argument 'profil'" in output
    # the test fails, not only what its fixture does afterwards
    assert {found["test_fixture_bad"], found["test_client_bad"]} == {"FAILED"}


def test_without_the_option_only_the_fixtures_and_marked_tests_judge(project: Path) -> None:
    pytest.importorskip("webtest")
    found = run_pytest(project)
    output = found.pop("")

    failed = {name for name, outcome in found.items() if outcome != "PASSED"}
    assert failed == {"test_should_bad", "test_fixture_bad", "test_typo_bad", "test_client_bad"}, output


def test_what_a_test_client_warns_of_when_it_is_imported_fails_no_test_without_it(project: Path) -> None:
    for name in ("test_apps.py", "test_django.py"):
        (project / name).unlink()
    (project / "test_other.py").write_text("def test_other(): pass\n")
    (project / "webtest").mkdir()
    (project / "webtest" / "__init__.py").write_text("")
    (project / "webtest" / "app.py").write_text(
        "import warnings\nwarnings.warn('old', DeprecationWarning)\n\nclass TestApp:\n    def do_request(self): pass\n"
    )
    found = run_pytest(project, "--wsgi-strict", "-W", "error")
    assert found["test_other"] == "PASSED", found[""]
