"""The parts of `check server` that need no server: reproducers, the control line, verdicts from several tries."""

from __future__ import annotations

import io
import json
import shlex
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wsgikit.validators.server.probe as probe
from wsgikit.errors import ConfigError
from wsgikit.testing.vectors import VECTORS, App, Vector
from wsgikit.validators.report import Finding, Verdict
from wsgikit.validators.server import Plan, Target
from wsgikit.validators.server.case import Case
from wsgikit.validators.server.control import Control
from wsgikit.validators.server.lane import Lane, _concluded
from wsgikit.validators.server.observing import planned
from wsgikit.validators.server.probe import call as probe_call
from wsgikit.validators.server.probe import control as line
from wsgikit.validators.server.reproduce import endpoint_source, literal, reproducer, reproduction
from wsgikit.validators.server.runner import chosen_cases, judged_rules
from wsgikit.validators.server.target import PACKAGE, write_probe
from wsgikit.validators.server.trial import Site
from wsgikit.wire.http11 import DEFAULT_LIMITS, parse_head

ODD = b"GET /%41 HTTP/1.1\r\nX: a'b\\\t\x00\xff$HOME\r\n\r\n"


def test_the_printf_line_prints_those_bytes() -> None:
    command = reproducer(ODD).command
    assert command.endswith("| nc -w 3 127.0.0.1 8000")
    printed = subprocess.run(["sh", "-c", command.partition(" | ")[0]], capture_output=True, check=True)
    assert printed.stdout == ODD


def test_long_bytes_become_python() -> None:
    raw = b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n"
    assert literal(raw) == "b'GET /' + b'a' * 9000 + b' HTTP/1.1\\r\\n\\r\\n'"
    assert eval(literal(raw)) == raw
    assert eval(literal(b"")) == b""
    command = reproducer(raw, place=("127.0.0.1", 4711)).command
    assert command.startswith("python3 -c ")
    assert "4711" in command
    assert len(command) < 250


def test_places() -> None:
    assert "nc -w 3 -U /run/x.sock" in reproducer(b"x", place="/run/x.sock").command
    assert "openssl s_client -quiet -connect 127.0.0.1:8000" in reproducer(b"x", tls=True).command
    assert "wrap_socket" in reproducer(b"x" * 4000 + b"y" * 900, tls=True).command
    assert reproducer(b"").command == ""


def test_the_line_that_starts_the_server_is_quoted_for_the_shell() -> None:
    line = reproduction(["my server", "-c", "a='b c'", "{host}:{port}", "{app}"])
    _, _, started = line.partition("PYTHONPATH=probe ")
    assert shlex.split(started) == ["my server", "-c", "a='b c'", "127.0.0.1:8000", "wsgi_probe:application"]
    assert "openssl req" in reproduction(["serve", "{cert}", "{key}"])
    assert reproduction(["serve", "{socket}"]).endswith(" serve probe/server.sock")


def test_the_app_half_is_the_source_of_the_endpoint() -> None:
    assert "def late_start(call: Call)" in reproducer(b"x", "late-start").script
    assert endpoint_source("no-such") == ""


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    control = Control()
    monkeypatch.setenv(line.VARIABLE, control.address)
    yield control
    control.close()


def called(control: Control, identifier: str, **environ: Any) -> dict[str, Any]:
    facts = {"environ": probe_call.snapshot(environ)}
    return line.send({"call": identifier, "event": "called", "data": facts})


def test_reports_arrive_in_order(control: Control) -> None:
    control.plan = {"reads": False}
    assert called(control, "a", PATH_INFO="/x", number=5) == {"plan": {"reads": False}}
    line.send({"call": "a", "event": "closed", "data": {"times": 1}})
    (seen,) = control.calls()
    assert seen.environ == {"PATH_INFO": "/x", "number": "5"}
    assert seen.types["number"] == "builtins.int"
    assert seen.first("closed") == {"times": 1}
    assert seen.first("none") is None
    assert "called -> closed(times=1)" in seen.story()


def test_calls_of_another_trial_are_dropped(control: Control) -> None:
    called(control, "early")
    control.begin()
    line.send({"call": "early", "event": "closed"})
    control.tag = "t2"
    called(control, "late", HTTP_X_TRIAL="t1")
    called(control, "ours", HTTP_X_TRIAL="t2")
    called(control, "untold")
    assert [seen.id for seen in control.calls()] == ["ours", "untold"]


def test_gates_open_and_give_up(control: Control) -> None:
    passed: list[bool] = []
    thread = threading.Thread(target=lambda: passed.append(line.gate("one")))
    thread.start()
    control.open("one")
    thread.join(5)
    assert passed == [True]
    assert line.gate("never", 0.01) is False
    waiting = threading.Thread(target=lambda: passed.append(line.gate("two")))
    waiting.start()
    while waiting.is_alive():
        control.begin()
        waiting.join(0.01)
    assert passed == [True, False]


def test_strangers_are_not_listened_to(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    host, port, _ = control.address.split(" ")
    monkeypatch.setenv(line.VARIABLE, f"{host} {port} wrong")
    assert called(control, "a") == {}
    assert control.calls() == []


def test_without_a_driver_the_probe_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(line.VARIABLE, raising=False)
    assert line.address() is None
    assert line.send({"call": "x"}) == {}
    assert line.gate("x") is False
    monkeypatch.setenv(line.VARIABLE, "127.0.0.1 1 token")
    assert line.send({"call": "x"}) == {}


@pytest.mark.parametrize("vector", [one for one in VECTORS if one.app != App()], ids=lambda one: one.id)
def test_a_request_for_pasting_tells_the_app_what_to_do(vector: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(line.VARIABLE, raising=False)
    app = vector.app
    blocks = [block.decode("latin-1") for block in app.blocks]
    plan = {"reads": app.reads, "status": app.status, "blocks": blocks, "length": app.length}
    head = parse_head(planned(vector.raw, plan), 0, DEFAULT_LIMITS)
    assert head is not None
    variables = {name.decode().upper().replace("-", "_"): value.decode("latin-1") for name, value in head.fields}
    environ = {"PATH_INFO": "/", "wsgi.input": io.BytesIO(), "HTTP_X_PROBE_PLAN": variables["X_PROBE_PLAN"]}
    started: list[Any] = []

    body = probe.application(environ, lambda *head: started.append(head))

    assert b"".join(body) == b"".join(app.blocks)
    ((status, headers),) = started
    assert status == app.status
    assert ("Content-Length" in dict(headers)) is app.length


def test_a_written_probe_finds_the_driver_by_its_file(tmp_path: Path, control: Control) -> None:
    write_probe(tmp_path, control.address, f"{PACKAGE}:instance_app")
    code = "import wsgi_probe_file as f, json; print(json.dumps([type(f.application).__name__, f.__name__]))"
    code += "\nfrom wsgi_probe import control; print(json.dumps(control.send({'gate': 'x', 'seconds': 0.01})))"
    done = subprocess.run(
        ["python3", "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert json.loads(first)[0] == "InstanceApp"
    assert json.loads(second) == {"open": False}


def finding(verdict: Verdict, detail: str = "seen") -> Finding:
    return Finding(rule="WSGI-S09", verdict=verdict, detail=detail, case="x")


P, F, W, I = Verdict.PASS, Verdict.FAIL, Verdict.WARN, Verdict.INCONCLUSIVE  # noqa: E741


@pytest.mark.parametrize(
    ("timing", "tries", "verdict"),
    [
        (False, [P], P),
        (False, [F, F], F),
        (False, [F, W], W),
        (False, [F, P], I),
        (False, [I, I], I),
        (True, [F, F, F], F),
        (True, [F, P, P], P),
        (True, [F, F, P], I),
        (True, [F, P, F], I),
        (True, [I, W, W], W),
        (True, [I, F, P], I),
        (True, [I, I, F], I),
        (False, [I, F], I),
        (False, [F], F),
    ],
)
def test_only_agreement_makes_a_fail(timing: bool, tries: list[Verdict], verdict: Verdict) -> None:
    case = Case(chosen_cases(Plan(rules=("S09",)))[0].rule, "x", lambda trial: None, timing)
    found = _concluded(case, [finding(one) for one in tries])
    assert found.verdict is verdict
    if verdict is I and len(set(tries)) > 1:
        assert "ended differently" in found.reason


class Dying:
    """A server whose sockets are closed, and whose process takes a moment longer."""

    def __init__(self, control: Control, seconds: float) -> None:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            self.site = Site(address=gone.getsockname(), control=control, patience=0.3)
        self.process = subprocess.Popen(["sleep", str(seconds)])  # which starts at once, on a busy machine too

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ends(self, timeout: float) -> bool:
        try:
            return self.process.wait(timeout) is not None
        except subprocess.TimeoutExpired:
            return False

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize(("seconds", "verdict", "words"), [(0.1, F, "the server ended"), (60.0, I, "answered nothing")])
def test_a_crash_is_waited_for(control: Control, seconds: float, verdict: Verdict, words: str) -> None:
    running: Any = Dying(control, seconds)
    lane = Lane(Target(command=("none",)), running)
    found = lane._after_trouble(running, finding(I))
    assert found.verdict is verdict
    assert words in found.detail
    assert not running.alive


def test_plans_choose_rules_of_servers_only() -> None:
    assert {one.role for one in judged_rules(Plan())} == {"server", "http"}
    assert [one.id for one in judged_rules(Plan(rules=("S13", "A01")))] == ["WSGI-S13"]
    assert not [case for case in chosen_cases(Plan(profile="recommended")) if case.rule.role == "http"]
    assert {case.rule.key for case in chosen_cases(Plan(rules=("H25",)))} == {"H25"}


@pytest.mark.parametrize(
    "wrong", [{}, {"command": ("x",), "url": "http://a"}, {"url": "gopher://a"}, {"url": "127.0.0.1:80"}]
)
def test_wrong_targets(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Target(**wrong)


def test_targets_tell_about_themselves() -> None:
    target = Target(command=("s", "-b", "{host}:{port}", "{app}"))
    assert (target.title, target.startable, target.parallel, target.tls) == (
        "s -b {host}:{port} {app}",
        True,
        True,
        False,
    )
    assert not Target(command=("s", "-b", "127.0.0.1:8000")).parallel
    assert Target(command=("s", "{cert}")).tls
    assert Target(url="https://a", name="mine").title == "mine"
