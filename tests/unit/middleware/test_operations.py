"""What operators use: maintenance, health, timing, access log, profiler, security headers."""

from __future__ import annotations

import json
import logging
import os
import pstats
import threading
from pathlib import Path
from typing import Any

import pytest
from wsgi_apps import make
from wsgi_gateway import drive, make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware import health as health_module
from wsgikit.middleware import timing as timing_module
from wsgikit.middleware.access_log import AccessLog
from wsgikit.middleware.health import Health
from wsgikit.middleware.maintenance import Maintenance
from wsgikit.middleware.profiler import Profiler
from wsgikit.middleware.proxy_headers import ProxyHeaders
from wsgikit.middleware.request_id import RequestId
from wsgikit.middleware.security_headers import SecurityHeaders
from wsgikit.middleware.stack import Stack, StackOrderWarning, Use
from wsgikit.middleware.timing import Timing


def hello(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


# Maintenance -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Profiler, Health])
def test_what_addresses_may_see_stands_inside_of_who_sets_them(kind: Any) -> None:
    with pytest.warns(StackOrderWarning, match="would see the proxy's address"):
        Stack(hello, [Use(kind), Use(ProxyHeaders)])


def test_a_file_closes_and_opens_the_site(tmp_path: Path) -> None:
    flag = tmp_path / "closed"
    layer = Maintenance(hello, flag=str(flag), allow=["10.0.0.0/8"], message="Back at <noon>.")
    assert drive(layer).body == b"hello"
    flag.touch()
    seen = drive(layer, make_environ(HTTP_ACCEPT="text/html"))
    assert (seen.code, seen.get("Retry-After"), seen.get("Cache-Control")) == (503, "300", "no-store")
    assert b"Back at &lt;noon&gt;." in seen.body
    assert drive(layer, make_environ(REMOTE_ADDR="10.1.1.1")).code == 200
    assert drive(layer, make_environ(path="/-/health")).code == 200
    assert drive(layer, make_environ(path="/-/healthy")).code == 503
    flag.unlink()
    assert drive(layer).code == 200


def test_a_page_of_ones_own_is_for_people(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<h1>closed</h1>")
    layer = Maintenance(hello, on=True, page=str(tmp_path / "page.html"))
    assert drive(layer, make_environ(HTTP_ACCEPT="text/html")).body == b"<h1>closed</h1>"
    assert json.loads(drive(layer, make_environ(HTTP_ACCEPT="application/json")).body)["status"] == 503
    seen = drive(layer, make_environ("HEAD"))
    assert (seen.body, seen.get("Content-Length")) == (b"", "15")


def test_maintenance_needs_a_switch() -> None:
    with pytest.raises(ConfigError, match="has no switch"):
        Maintenance(hello)
    with pytest.raises(ConfigError, match="page: /no/such"):
        Maintenance(hello, on=True, page="/no/such")


# Health ------------------------------------------------------------------------------------------------------------


def test_live_and_ready() -> None:
    checks: dict[str, Any] = {"good": lambda: None, "bad": lambda: False, "worse": lambda: 1 / 0}
    layer = Health(hello, checks=checks)
    log: dict[str, str] = {}
    live = drive(layer, make_environ(path="/-/health", **{"wsgikit.log": log}))
    assert (live.code, json.loads(live.body), log) == (200, {"status": "pass"}, {"route": "/-/health"})
    ready = drive(layer, make_environ(path="/-/ready"))
    assert (ready.code, json.loads(ready.body)) == (503, {"status": "fail"})
    ready = drive(layer, make_environ(path="/-/ready", REMOTE_ADDR="127.0.0.1"))
    assert json.loads(ready.body)["checks"] == {"good": "pass", "bad": "fail", "worse": "fail: ZeroDivisionError"}
    assert drive(Health(hello), make_environ(path="/-/ready")).code == 200


def test_other_paths_and_methods_go_to_the_app() -> None:
    for environ in (make_environ(path="/-/health/x"), make_environ("POST", "/-/health"), make_environ(path="")):
        assert drive(Health(hello, live="/-/health", ready=""), environ).body == b"hello"
    assert drive(Health(hello, live="", ready=""), make_environ(path="")).body == b"hello"


def test_a_result_is_used_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [100.0], []
    monkeypatch.setattr(health_module, "monotonic", lambda: now[0])
    layer = Health(hello, checks={"database": lambda: asked.append(1)}, cache="5s")
    for _ in range(3):
        drive(layer, make_environ(path="/-/ready"))
    assert len(asked) == 1
    now[0] += 6
    drive(layer, make_environ(path="/-/ready"))
    assert len(asked) == 2


def test_a_check_that_hangs_takes_one_thread_and_fails_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now, go_on, hanging = [100.0], threading.Event(), threading.Event()
    monkeypatch.setattr(health_module, "monotonic", lambda: now[0])
    hangs: list[bool] = []

    def check() -> None:
        if hangs:
            hanging.set()
            go_on.wait(20)

    layer = Health(hello, checks={"database": check})
    assert drive(layer, make_environ(path="/-/ready")).code == 200
    hangs.append(True)
    now[0] += 2
    thread = threading.Thread(target=lambda: drive(layer, make_environ(path="/-/ready")))
    thread.start()
    try:
        assert hanging.wait(10)
        assert drive(layer, make_environ(path="/-/ready")).code == 200  # what was found last, and at once
        now[0] += 6
        failed = drive(layer, make_environ(path="/-/ready", REMOTE_ADDR="127.0.0.1"))
        assert json.loads(failed.body) == {"status": "fail", "checks": {"database": "fail: no answer yet"}}
    finally:
        go_on.set()
        thread.join(10)
    assert drive(layer, make_environ(path="/-/ready")).code == 200


def test_checks_may_be_named() -> None:
    assert drive(Health(hello, checks={"pid": "os:getpid"}), make_environ(path="/-/ready")).code == 200
    with pytest.raises(ConfigError, match="checks: x = 5"):
        Health(hello, checks={"x": 5})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match="live = 'x'"):
        Health(hello, live="x")


# Timing ------------------------------------------------------------------------------------------------------------


def test_times_end_with_close_not_with_the_call(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    now = [100.0]
    monkeypatch.setattr(timing_module, "perf_counter", lambda: now[0])
    done: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        now[0] += 0.010
        start_response("200 OK", [("Content-Type", "text/plain")])

        def blocks() -> Any:
            now[0] += 2.0
            yield b"x"

        return blocks()

    on_done = lambda environ, status, first, total: done.append((status, first, total))  # noqa: E731
    layer = Timing(app, header=True, slow="1s", on_done=on_done)
    log: dict[str, str] = {}
    seen = drive(layer, make_environ(path="/x", **{"wsgikit.log": log}))
    assert seen.get("Server-Timing") == "app;dur=10.0"
    assert [(status, round(first, 3), round(total, 3)) for status, first, total in done] == [("200 OK", 0.01, 2.01)]
    assert log == {"app_ms": "10.0"}
    assert "GET '/x' took 2.010 s, headers after 0.010 s: 200 OK" in caplog.text


def test_an_app_that_fails_is_timed_too(caplog: Any) -> None:
    done: list[Any] = []
    layer = Timing(make("raises_in_call"), on_done=lambda *facts: done.append(facts[1:3]))
    drive(layer)
    assert done == [("", None)]
    with pytest.raises(ConfigError, match="on_done = 5"):
        Timing(hello, on_done=5)  # type: ignore[arg-type]
    assert Timing(hello, on_done="os:getpid").on_done is __import__("os").getpid


# Access log --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sent"),
    [("plain_list", 38), ("eager_iterable", 38), ("lazy_iterable", 38), ("only_write", 38), ("no_content", 0)],
)
def test_a_line_is_written_when_the_response_is_over(name: str, sent: int, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    layer = AccessLog(RequestId(make(name)), file=str(file), format='%(h)s "%(r)s" %(s)s %(B)s')
    environ = make_environ(path="/caf\xc3\xa9", QUERY_STRING="a=1")
    drive(layer, environ)
    layer.log.close()
    status = "204" if name == "no_content" else "200"
    line = f'192.0.2.7 "GET /caf%C3%A9?a=1 HTTP/1.1" {status} {sent}\n'
    assert file.read_text() == line
    assert "wsgikit.log" not in environ


def test_facts_of_other_layers_are_in_the_line_and_failures_have_one(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    layer = AccessLog(RequestId(make("raises_in_call")), file=str(file), format="json")
    drive(layer, make_environ(REQUEST_URI="/raw%2Ftarget"))
    layer.log.close()
    assert "request_id" in file.read_text()
    assert "/raw%2Ftarget" in file.read_text()


def test_the_request_id_is_logged_wherever_its_layer_stands(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    inside = AccessLog(hello, file=str(file), format="json")
    seen = drive(RequestId(inside))
    inside.log.close()
    assert (seen.get("X-Request-ID") or "missing") in file.read_text()


# Profiler ----------------------------------------------------------------------------------------------------------


def slow_work() -> int:
    return sum(range(1000))


def working(environ: Any, start_response: Any) -> Any:
    slow_work()
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one"
    slow_work()
    yield b"two"


def test_a_request_that_asks_is_profiled_to_its_end(tmp_path: Path) -> None:
    layer = Profiler(working, directory=str(tmp_path))
    assert drive(layer, make_environ(path="/a/b", REMOTE_ADDR="127.0.0.1", HTTP_X_PROFILE="1")).body == b"onetwo"
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("GET.a-b.")
    stats: Any = pstats.Stats(str(file))
    calls = {name: row[0] for (_, _, name), row in stats.stats.items()}
    assert calls["slow_work"] == 2


def test_strangers_and_others_are_not_profiled(tmp_path: Path) -> None:
    layer = Profiler(working, directory=str(tmp_path))
    drive(layer, make_environ(HTTP_X_PROFILE="1"))
    drive(layer, make_environ(REMOTE_ADDR="127.0.0.1"))
    assert list(tmp_path.iterdir()) == []


def test_every_nth_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    layer = Profiler(working, every=3)
    for _ in range(6):
        drive(layer)
    assert caplog.text.count("slow_work") == 2


def test_only_the_last_files_are_kept(tmp_path: Path) -> None:
    layer = Profiler(working, directory=str(tmp_path), every=1, keep=3)
    for _ in range(8):
        drive(layer)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_second_request_meanwhile_runs_unprofiled_and_failures_free_the_profiler(caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    layer = Profiler(working, every=1)
    held: Any = layer(make_environ(), lambda *arguments: bytes)
    thread = threading.Thread(target=lambda: drive(layer))
    thread.start()
    thread.join()
    assert "slow_work" not in caplog.text
    held.close()
    assert isinstance(drive(Profiler(make("raises_in_call"), every=1)).error, ValueError)
    drive(layer)
    assert "slow_work" in caplog.text


def test_a_response_that_is_dropped_without_close_frees_the_profiler(tmp_path: Path) -> None:
    layer = Profiler(working, directory=str(tmp_path), every=1)
    next(iter(layer(make_environ(), lambda *arguments: bytes)))
    drive(layer)
    assert len(list(tmp_path.iterdir())) == 1


def test_every_nth_is_every_nth_also_where_files_are_numbered(tmp_path: Path) -> None:
    layer = Profiler(working, directory=str(tmp_path), every=2)
    for _ in range(8):
        drive(layer)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_profile_that_cannot_be_kept_is_no_failure_of_the_request(tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "gone").mkdir()
    layer = Profiler(working, directory=str(tmp_path / "gone"), every=1)
    (tmp_path / "gone").rmdir()
    seen = drive(layer)
    assert (seen.error, seen.body) == (None, b"onetwo")
    assert "cannot keep a profile" in caplog.text
    (tmp_path / "gone").mkdir()
    os.symlink("nowhere", tmp_path / "gone" / "broken.prof")  # as when another worker has just thinned them out
    assert drive(layer).error is None
    assert len(list((tmp_path / "gone").glob("GET*"))) == 1


def test_a_profiler_needs_a_folder_that_is_there() -> None:
    with pytest.raises(ConfigError, match="there is no such folder"):
        Profiler(hello, directory="/no/such")


# Security headers --------------------------------------------------------------------------------------------------


def test_safe_defaults_and_the_app_wins() -> None:
    seen = drive(SecurityHeaders(hello))
    assert seen.headers[1:] == [
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "SAMEORIGIN"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]

    def own(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("x-frame-options", "DENY"), ("X-Powered-By", "x"), ("server", "y")])
        return [b""]

    seen = drive(SecurityHeaders(own))
    assert seen.all("X-Frame-Options") == ["DENY"]
    assert (seen.get("X-Powered-By"), seen.get("Server")) == (None, None)


def test_hsts_is_for_https_alone() -> None:
    layer = SecurityHeaders(hello, hsts="365d", hsts_subdomains=True, hsts_preload=True)
    assert drive(layer).get("Strict-Transport-Security") is None
    seen = drive(layer, make_environ(**{"wsgi.url_scheme": "https"}))
    assert seen.get("Strict-Transport-Security") == "max-age=31536000; includeSubDomains; preload"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame": "ALLOW"}, "allowed are 'SAMEORIGIN', 'DENY', ''"),
        ({"csp": "a\r\nSet-Cookie: x"}, "no header value"),
        ({"hsts_preload": True}, "need hsts"),
        ({"hsts": "a year"}, "hsts = 'a year'"),
    ],
)
def test_wrong_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SecurityHeaders(hello, **options)
    assert message in str(caught.value)
