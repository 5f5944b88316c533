"""`wsgikit check server` as a person runs it: good targets, bad targets, and nothing left behind."""

from __future__ import annotations

import glob
import json
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_for

from wsgikit.testing import ServerProcess, accepts, free_port
from wsgikit.testing.processtree import MARK
from wsgikit.validators.server.runner import Plan
from wsgikit.validators.server.runner import check as run_check
from wsgikit.validators.server.target import Running, Target

ROOT = Path(__file__).parent.parent.parent
TINY = str(ROOT / "tests" / "fakes" / "tiny_server.py")
CORRECT = (sys.executable, TINY, "correct", "{host}", "{port}", "{app}")


def check(*arguments: str, wait: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Runs the command; stdout and stderr as text."""
    command = [sys.executable, "-m", "wsgikit", "check", "server", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=wait, cwd=ROOT, check=False)


def marked_processes(text: str) -> list[str]:
    """Command lines that hold `text`, of processes that a check has started."""
    found = []
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            environment = Path(path).read_bytes()
            command = Path(path).with_name("cmdline").read_bytes()
        except OSError:
            continue
        if MARK.encode() in environment and text.encode() in command:
            found.append(command.replace(b"\0", b" ").decode())
    return found


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No temporary file and no process stays; each test's targets carry its own path in their command."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    yield
    assert list(scratch.iterdir()) == []
    assert marked_processes(str(tmp_path)) == []


def script(tmp_path: Path, source: str) -> tuple[str, ...]:
    """A command that runs `source` with host, port and app as arguments."""
    path = tmp_path / "target.py"
    path.write_text(textwrap.dedent(source))
    return (sys.executable, str(path), "{host}", "{port}", "{app}")


LISTEN = """
    import socket, sys, time
    listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
"""


def test_a_good_server_is_clean() -> None:
    done = check("--select", "S13", "--select", "H48", "--lanes", "1", "-v", "--", *CORRECT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS         WSGI-S13" in done.stdout
    assert "PASS         HTTP-48" in done.stdout


def test_a_broken_server_is_named_with_evidence(tmp_path: Path) -> None:
    command = (sys.executable, TINY, "S31", "{host}", "{port}", "{app}")
    out = tmp_path / "report.json"
    done = check("--select", "S31", "--lanes", "1", "--output", f"json={out}", "--", *command)
    assert done.returncode == 1
    assert "WSGI-S31" in done.stdout
    assert "X-Multi: b, a, c in three lines became 'c'" in done.stdout
    assert "nc -w 3 127.0.0.1 8000" in done.stdout
    found = [one for rule in json.loads(out.read_text())["results"] for one in rule["findings"]]
    finding = next(one for one in found if one["case"] == "repeated-headers")
    assert finding["verdict"] == "FAIL"
    assert "GET /hello HTTP/1.1" in finding["reproducer"]["raw"]


def test_a_should_is_not_a_must() -> None:
    command = (sys.executable, TINY, "S79", "{host}", "{port}", "{app}")
    assert check("--select", "S79", "--lanes", "1", "--", *command).returncode == 0
    assert check("--select", "S79", "--lanes", "1", "--fail-on", "should", "--", *command).returncode == 1


def test_it_works_over_tls_and_over_a_unix_socket(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "wsgikit", "serve", "{app}", "-b", "unix:{socket}", "-w", "1")
    done = check("--select", "S13", "--select", "H48", "--lanes", "1", "--", *command)
    assert done.returncode == 0, done.stdout + done.stderr
    tls = script(
        tmp_path,
        f"""
        import socket, ssl, sys
        sys.path.insert(0, {str(ROOT / "tests" / "fakes")!r})
        from tiny_server import TinyServer
        from wsgi_probe import application
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[4], sys.argv[5])
        server = TinyServer(application, tls=context)
        server.listener.close()
        server.listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
        server.serve()
        """,
    )
    done = check("--profile", "pedantic", "--select", "S34", "--select", "S39", "--lanes", "1", "-v", "--", *tls,
                 "{cert}", "{key}")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS         WSGI-S34" in done.stdout


BAD = {
    "exits": ("print('no such option'); raise SystemExit(4)", "exited", "no such option"),
    "does-not-import": ("import no_such_server_module", "exited", "no_such_server_module"),
    "binds-elsewhere": (
        LISTEN.replace("int(sys.argv[2])", "0") + "    time.sleep(60)",
        "not-listening",
        "it listens on",
    ),
    "never-listens": ("import time; time.sleep(60)", "not-listening", "nothing accepted on"),
    "hangs": (LISTEN + "    time.sleep(60)", "no-app", "the probe app was never called"),
    "prints-rubbish": (
        LISTEN
        + """
    import os
    while True:
        os.write(1, os.urandom(200_000))
        peer, _ = listener.accept()
        peer.sendall(bytes(range(256)) + b"\\r\\n\\r\\n")
        peer.close()
    """,
        "no-app",
        "bad-status-line",
    ),
    "sends-100-megabytes": (
        LISTEN
        + """
    while True:
        peer, _ = listener.accept()
        try:
            peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 104857600\\r\\n\\r\\n")
            for _ in range(100):
                peer.sendall(b"x" * 1048576)
        except OSError:
            pass
        peer.close()
    """,
        "no-app",
        "response-body-too-large",
    ),
    "dies-when-asked": (LISTEN + "    listener.accept()\n    print('goodbye', flush=True)", "exited", "goodbye"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_targets_get_a_clear_verdict_in_time(name: str, tmp_path: Path) -> None:
    source, reason, words = BAD[name]
    started = time.monotonic()
    done = check("--ready", "0.7", "--", *script(tmp_path, source), wait=30.0)
    assert done.returncode == 3, done.stdout + done.stderr
    assert time.monotonic() - started < 20
    assert f"{reason}:" in done.stdout
    assert words in done.stdout
    assert "Traceback" not in done.stderr


def test_an_app_that_does_not_import_is_shown_with_the_servers_words(tmp_path: Path) -> None:
    source = (
        LISTEN
        + """
    while True:
        peer, _ = listener.accept()
        peer.recv(65536)
        print("ModuleNotFoundError: No module named 'wsgi_probe'", flush=True)
        peer.sendall(b"HTTP/1.1 500 Internal Server Error\\r\\nContent-Length: 0\\r\\n\\r\\n")
        peer.close()
    """
    )
    done = check("--ready", "0.7", "--", *script(tmp_path, source))
    assert done.returncode == 3
    assert "500 Internal Server Error" in done.stdout
    assert "No module named 'wsgi_probe'" in done.stdout


def test_usage_errors() -> None:
    assert check("--", "no-such-program-anywhere", "{port}").returncode == 3
    wrong = ([], ["--url", "ftp://x"], ["--url", "http://127.0.0.1:1", "--", "x"], ["--select", "S999", "--", "x"],
             ["--lanes", "0", "--", "x"], ["--output", "nothing=x", "--", "x"])  # fmt: skip
    for arguments in wrong:
        done = check(*arguments)
        assert done.returncode == 2, arguments
        assert done.stderr.count("\n") <= 2
    assert check("--url", f"http://127.0.0.1:{free_port()}").returncode == 3


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            ["gunicorn", "-b", "{host}:{port}", "{app}"],
            "unknown argument '-b': the server's own command goes behind `--`",
        ),
        (["--formt", "json", "--", "x"], "unknown argument '--formt'; did you mean '--format'?"),
        (["--", "gunicorn", "shop:app"], "has neither {port} nor {socket}"),
        (["http://127.0.0.1:8000/"], "write --url http://127.0.0.1:8000/"),
    ],
)
def test_a_command_that_cannot_work_is_refused_at_once(typed: list[str], said: str) -> None:
    done = check(*typed)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_term_stops_the_servers_too(tmp_path: Path, number: int) -> None:
    path = tmp_path / "slow.py"
    fakes = str(Path(TINY).parent)
    path.write_text(f"import runpy, sys\nsys.path.insert(0, {fakes!r})\nrunpy.run_path({TINY!r}, run_name='__main__')")
    command = [sys.executable, "-m", "wsgikit", "check", "server", "--", sys.executable, str(path), *CORRECT[2:]]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    wait_for(lambda: len(marked_processes(str(tmp_path))) >= 2)
    process.send_signal(number)
    assert process.wait(25) == 128 + number


def test_a_signal_while_servers_begin_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of three lanes has just begun when its exception comes."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    begin, begun = threading.Thread.start, []

    def interrupted(thread: threading.Thread) -> None:
        begin(thread)
        if "(_drive)" in thread.name:
            begun.append(thread)
            if len(begun) == 2:
                raise SystemExit(143)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    command = (*CORRECT, str(tmp_path))  # by which it is found again
    with pytest.raises(SystemExit):
        run_check(Target(command=command), Plan(lanes=3))
    assert len(begun) == 2
    assert not any(thread.is_alive() for thread in begun)


def test_a_running_server_by_its_url(tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    assert check("--write-probe", str(probe)).returncode == 0
    env = {"PYTHONPATH": str(probe)}
    with ServerProcess(CORRECT, app="wsgi_probe:application", env=env) as server:
        url = f"http://127.0.0.1:{server.port}"
        done = check("--url", url, "--probe-dir", str(probe), "--select", "S13", "--select", "S01", "-v")
        assert done.returncode == 0, done.stdout
        assert "PASS         WSGI-S13" in done.stdout
        assert "needs a server that can be started" in done.stdout
        assert not (probe / "wsgi_probe" / "control.txt").exists()
        blind = check("--url", url, "--select", "S13", "--select", "H17", "-v")
        assert blind.returncode == 0, blind.stdout
        assert "not through the probe app" in blind.stdout
        assert "PASS         HTTP-17" in blind.stdout
        assert accepts(server.address)


SUITE = """
from wsgikit.validators.server import run_server_tests

test_conformance = run_server_tests({command!r})
"""


def test_a_server_project_gets_one_test_for_each_rule(tmp_path: Path) -> None:
    broken = [sys.executable, TINY, "S31", "{host}", "{port}", "{app}"]
    (tmp_path / "test_suite.py").write_text(SUITE.format(command=broken))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", "-k", "S31 or S13 or S34 or S11"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "PASSED test_suite.py::test_conformance[WSGI-S13]" in done.stdout
    assert "FAILED test_suite.py::test_conformance[WSGI-S31]" in done.stdout
    assert "X-Multi: b, a, c in three lines became 'c'" in done.stdout
    assert "test_conformance[WSGI-S35]" not in done.stdout
    (tmp_path / "wsgikit-expect.toml").write_text('[[expect]]\nid = "WSGI-S31"\nreason = "we like it so"\n')
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "XFAIL test_suite.py::test_conformance[WSGI-S31] - we like it so" in done.stdout


ONE_AT_A_TIME = """
    import importlib, socket, sys
    sys.path[:0] = [{fakes!r}]
    from tiny_server import TinyServer, Connection

    class Single(TinyServer):
        def accepted(self, peer):
            Connection(self, peer).run()  # one thread: the next connection waits until this one has ended

    module, _, name = sys.argv[3].partition(":")
    server = Single(getattr(importlib.import_module(module), name))
    server.listener.close()
    server.listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
    server.serve()
"""


def test_a_server_with_one_thread_is_not_kept_busy_by_the_check_itself(tmp_path: Path) -> None:
    source = textwrap.dedent(ONE_AT_A_TIME).format(fakes=str(ROOT / "tests" / "fakes"))
    with Running(Target(command=script(tmp_path, source))) as running:
        assert running.site.patience == 2.0
