"""`wsgikit check app` as a command: what it prints, what it exits with, and targets that misbehave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from wsgikit.cli.main import run as main

APPS = """
import os, subprocess, sys, threading, time

PLAIN = [("Content-Type", "text/plain")]

def good(environ, start_response):
    start_response("200 OK", list(PLAIN))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"hello"]

def bad(environ, start_response):
    start_response("200 OK", [("Connection", "close")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"hello"]

def greedy(environ, start_response):
    environ["wsgi.input"].read(10 ** 6)
    return good(environ, start_response)

def site(environ, start_response):
    pages = {"/": b'<a href="/two?q=1">x</a><a href="http://elsewhere.example/">', "/two": b"<a href=/bad>"}
    start_response("200 OK" if environ.get("PATH_INFO") != "/bad" else "200", [("Content-Type", "text/html")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [pages.get(environ.get("PATH_INFO"), b"")]

def exits(environ, start_response):
    os._exit(0)

def leaves(environ, start_response):
    sys.exit("enough")

def leaves_sometimes(environ, start_response):
    return (leaves if environ.get("PATH_INFO") == "/leave" else good)(environ, start_response)

def hangs(environ, start_response):
    time.sleep(60)

def crashes(environ, start_response):
    import ctypes
    ctypes.string_at(0)

def speechless(environ, start_response):
    class Error(Exception):
        def __str__(self):
            raise ValueError
        __repr__ = __str__
    raise Error

def endless_links(environ, start_response):
    time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "text/html"), ("Connection", "close")])
    return [b"<a href=/%d>" % (int(environ.get("PATH_INFO", "/")[1:] or 0) + 1)]

def prints(environ, start_response):
    print("rubbish")
    os.write(1, b"more rubbish" * 1000)
    return good(environ, start_response)

def floods(environ, start_response):
    start_response("200 OK", list(PLAIN))
    if environ["REQUEST_METHOD"] != "HEAD":
        for _ in range(100):
            yield bytes(1024 * 1024)

def raises(environ, start_response):
    raise RuntimeError("always")

def spawns(environ, start_response, **options):
    child = subprocess.Popen(["sleep", "300"], **options)
    with open("child.tmp", "w") as file:
        file.write(str(child.pid))
    os.rename("child.tmp", "child.pid")
    time.sleep(60)

def spawns_a_session(environ, start_response):
    spawns(environ, start_response, start_new_session=True)

def lingers(environ, start_response):
    threading.Thread(target=time.sleep, args=(300,)).start()
    return good(environ, start_response)

number = 7
"""


def run(folder: Path, *arguments: str, body: bytes = b"") -> subprocess.CompletedProcess[str]:
    """The real command."""
    environ = {key: value for key, value in os.environ.items() if key != "GITHUB_STEP_SUMMARY"}
    done = subprocess.run(
        [sys.executable, "-m", "wsgikit", "check", "app", *arguments],
        cwd=folder, env=environ, input=body, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same command in this process, which saves its start; the target has a process of its own all the same."""
    out, err = StringIO(), StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        try:
            status = main(["check", "app", *arguments])
        except SystemExit as error:
            status = int(str(error.code))
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apps")
    (folder / "apps.py").write_text(APPS)
    (folder / "broken.py").write_text("import no_such_module_anywhere\n")
    (folder / "sleepy.py").write_text("import time\ntime.sleep(60)\n")
    return folder


def test_a_good_app_is_clean(folder: Path) -> None:
    done = run(folder, "apps:good", "--profile", "pedantic")

    assert done.returncode == 0, done.stdout
    assert "FAIL" not in done.stdout
    assert done.stderr == ""


def test_a_bad_app_is_found_with_place_and_reproducer_that_works(folder: Path) -> None:
    done = run(folder, "apps:bad", "--method", "GET", "--format", "json")
    results = {one["rule"]: one for one in json.loads(done.stdout)["results"] if one["verdict"] == "FAIL"}

    assert done.returncode == 1
    assert set(results) == {"WSGI-A18", "WSGI-A19"}
    finding = results["WSGI-A18"]["findings"][0]
    assert finding["location"]["path"] == str(folder / "apps.py")
    command = finding["reproducer"]["command"].split()
    assert command[:4] == ["wsgikit", "check", "app", "apps:bad"]
    again = run(folder, *command[3:])
    assert again.returncode == 1
    assert "WSGI-A18" in again.stdout
    assert "WSGI-A19" not in again.stdout


def test_a_should_fails_only_when_asked(folder: Path) -> None:
    arguments = ("apps:greedy", "--method", "POST", "--body", "-")
    mild = run(folder, *arguments, body=b"x=1")
    strict = run(folder, *arguments, "--fail-on", "should", body=b"x=1")

    assert (mild.returncode, strict.returncode) == (0, 1)
    assert "WARN         WSGI-A42" in mild.stdout


def test_links_are_followed(folder: Path) -> None:
    alone = check(folder, "apps:site", "--method", "GET")
    crawled = check(folder, "apps:site", "--method", "GET", "--crawl", "5")

    assert alone.returncode == 0, alone.stdout
    assert crawled.returncode == 1
    assert "(GET /bad" in crawled.stdout
    assert "2 more URLs came from the app's own links" in crawled.stdout


def test_urls_come_from_a_file(folder: Path) -> None:
    (folder / "urls.txt").write_text("# pages\n/\nGET /bad\n\n")
    done = check(folder, "apps:site", "--urls", "urls.txt", "--method", "GET")

    assert done.returncode == 1
    assert "WSGI-A07" in done.stdout


def test_deviations_are_declared_in_a_file(folder: Path) -> None:
    (folder / "expect.toml").write_text(
        "".join(f'[[expect]]\nid = "{name}"\nreason = "old client"\n' for name in ("A18", "A19", "A04"))
    )
    done = check(folder, "apps:bad", "--method", "GET", "--expect", "expect.toml")

    assert done.returncode == 0
    assert "DEVIATION    WSGI-A18" in done.stdout
    assert "unexpected pass: WSGI-A04" in done.stdout


def test_every_format_is_written(folder: Path) -> None:
    formats = ("text", "json", "junit", "github", "sarif", "html")
    outputs = [f"--output={name}={folder / ('out.' + name)}" for name in formats]
    done = check(folder, "apps:bad", "--method", "GET", *outputs)

    assert done.returncode == 1
    assert all((folder / f"out.{name}").stat().st_size > 100 for name in formats)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("apps:exits", "the target's process ended with exit status 0 during: GET /"),
        ("apps:hangs", "GET / was not answered within 0.5 s"),
        ("apps:crashes", "the target's process was killed by SIGSEGV during: GET /"),
        ("apps:leaves", "SystemExit: enough"),
        ("apps:raises", "the app raised an error for every request"),
        ("apps:speechless", "the app raised Error: its str() fails"),
        ("apps:nothing", "has no attribute 'nothing'"),
        ("apps:number", "is an int, and a WSGI application must be callable"),
        ("nowhere:app", "no module 'nowhere'"),
        ("broken:app", "no module named 'no_such_module_anywhere'"),
        ("sleepy:app", "no end within 1.5 s; the last thing under way: importing the target"),
    ],
)
def test_a_target_that_misbehaves_ends_in_a_clear_verdict(folder: Path, target: str, said: str) -> None:
    # short only for who waits for it: on a busy machine an import alone can take a second
    patience = "0.5" if target == "apps:hangs" else "20"
    timeout = "1.5" if target == "sleepy:app" else "40"
    done = check(folder, target, "--patience", patience, "--timeout", timeout)

    assert done.returncode == 3, done.stdout
    assert said in done.stdout
    assert (target == "broken:app") is ('broken.py", line 1' in done.stdout), "the line that failed to import"


def test_an_app_that_exits_is_judged_and_its_neighbours_too(folder: Path) -> None:
    done = check(
        folder, "apps:leaves_sometimes", "--path", "/leave", "--path", "/", "--method", "GET", "--format", "json"
    )
    report = json.loads(done.stdout)

    assert done.returncode == 0
    assert report["aborted"] == ""
    results = {row["rule"]: row for row in report["results"]}
    assert results["WSGI-A38"]["findings"][0]["detail"] == "the app raised SystemExit: enough"
    assert results["WSGI-A02"]["verdict"] == "PASS"
    assert "Traceback" not in check(folder, "apps:leaves").stdout


def test_what_was_found_when_the_time_is_up_is_reported(folder: Path) -> None:
    done = check(folder, "apps:endless_links", "--crawl", "100000", "--timeout", "4")

    assert "no end within 4 s; the last thing under way: GET /" in done.stdout
    assert "the app sends the hop-by-hop header Connection" in done.stdout
    assert done.returncode == 1


def test_what_a_target_prints_does_not_reach_the_report(folder: Path) -> None:
    done = check(folder, "apps:prints", "--method", "GET", "--format", "json")

    assert done.returncode == 0
    assert json.loads(done.stdout)["summary"]["FAIL"] == 0


def test_a_flood_is_cut_off(folder: Path) -> None:
    done = check(folder, "apps:floods", "--method", "GET")

    assert done.returncode == 0
    assert "bodies of more than 16 MiB were cut off" in done.stdout


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.02)
    return not _alive(pid)


@pytest.mark.parametrize("target", ["apps:spawns", "apps:spawns_a_session"])
def test_nothing_stays_behind(folder: Path, target: str) -> None:
    check(folder, target, "--patience", "0.5")
    assert gone(int((folder / "child.pid").read_text()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_behind_when_the_check_is_killed(folder: Path, number: int) -> None:
    (folder / "child.pid").unlink(missing_ok=True)
    command = [sys.executable, "-m", "wsgikit", "check", "app", "apps:spawns", "--patience", "60"]
    checking = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (folder / "child.pid").exists():
        time.sleep(0.02)
    checking.send_signal(number)

    assert checking.wait(10) == -number
    assert gone(int((folder / "child.pid").read_text()))


def test_threads_of_the_target_do_not_keep_the_process(folder: Path) -> None:
    assert check(folder, "apps:lingers", "--method", "GET").returncode == 0


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--path", "x"), "a path begins with a slash"),
        (("--header", "x"), "write 'Name: value'"),
        (("--select", "A99"), "no rule named 'A99'"),
        (("--body", "nowhere"), "--body nowhere"),
        (("--urls", "nowhere"), "--urls nowhere"),
        (("--output", "pdf=x"), "write FORMAT=FILE"),
        (("--expect", "nowhere"), "nowhere"),
        (("--patience", "0"), "--patience 0"),
        (("--threads", "0"), "--threads 0"),
        (("--profile", "strict"), "strict"),
    ],
)
def test_mistakes_of_usage_exit_with_2_and_say_what_to_write(
    folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = check(folder, "apps:good", *arguments)

    assert done.returncode == 2
    assert said in done.stderr


STACK = """
from wsgikit.middleware.basic_auth import BasicAuth
from wsgikit.middleware.request_id import RequestId
from wsgikit.middleware.stack import Stack, Use

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"hello"]

class Meddler:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        def start(status, headers, *exc_info):
            return start_response(status, [*headers, ("Upgrade", "x")], *exc_info)
        return [b"".join(self.app(environ, start))]

class Quiet(Meddler):
    def __call__(self, environ, start_response):
        return self.app(environ, start_response)

def blind(inner):
    def middleware(environ, start_response, call=inner):
        return call(environ, start_response)
    return middleware

ours = Stack(app, [Use(RequestId), Use(Meddler), Use(Quiet)])
theirs = Quiet(Meddler(Quiet(app)))
hidden = Quiet(blind(Meddler(app)))
guarded = Stack(app, [Use(BasicAuth, users={"ada": "plain:x"})])
"""


@pytest.mark.parametrize("target", ["ours", "theirs"])
def test_between_names_the_layer_at_fault_and_not_the_app(folder: Path, target: str) -> None:
    (folder / "stack.py").write_text(STACK)
    done = check(folder, f"stack:{target}", "--between", "--format", "json")
    document = json.loads(done.stdout)
    broken = {one["rule"]: one["findings"] for one in document["results"] if one["verdict"] == "FAIL"}

    assert done.returncode == 1
    assert set(broken) == {"WSGI-A18", "WSGI-M07", "WSGI-M10"}
    assert {one["layer"] for found in broken.values() for one in found} == {"Meddler"}
    layers = document["facts"]["layers"].split(" > ")
    assert layers[1:3] == ["Meddler", "Quiet"]
    assert layers[-1] in ("app", "stack:app")


def test_between_passes_nothing_that_it_never_reached(folder: Path) -> None:
    (folder / "stack.py").write_text(STACK)
    strange, known = (
        check(folder, "stack:guarded", "--between", "--format", "json", *more)
        for more in ((), ("--header", "Authorization: Basic YWRhOng="))
    )

    assert "never called: stack:app" in json.loads(strange.stdout)["notes"][-1]
    assert not any("never called" in note for note in json.loads(known.stdout)["notes"])
    skipped = {one["rule"] for one in json.loads(known.stdout)["results"] if one["verdict"] == "SKIP"}
    assert {"WSGI-A42", "WSGI-A46"} <= skipped


def test_between_says_which_seams_it_cannot_see(folder: Path) -> None:
    (folder / "stack.py").write_text(STACK)
    done = check(folder, "stack:hidden", "--between")

    assert "note: not seen: what is below blind.middleware, which is taken for the app" in done.stdout
    assert "[blind.middleware]" in done.stdout
