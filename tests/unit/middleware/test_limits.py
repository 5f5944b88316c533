"""Limits: bodies, rates and requests at once, also counted over four processes."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import pytest
from wsgi_gateway import drive, make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware import concurrency as concurrency_module
from wsgikit.middleware import rate_limit as rate_module
from wsgikit.middleware.body_limit import BodyLimit, BodyTooLarge
from wsgikit.middleware.client_key import client_key
from wsgikit.middleware.concurrency import Concurrency
from wsgikit.middleware.rate_limit import RateLimit


def hello(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def echo(environ: Any, start_response: Any) -> Any:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


def in_processes(count: int, work: Callable[[], int]) -> list[int]:
    """What `work` returns in each of `count` forked processes that start together."""
    context = get_context("fork")
    gate = context.Barrier(count)
    results = context.Queue()

    def run() -> None:
        gate.wait(20)
        results.put(work())

    processes = [context.Process(target=run, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    found = [results.get(timeout=20) for _ in processes]
    for process in processes:
        process.join(20)
    results.close()
    results.join_thread()
    return found


# Bodies ------------------------------------------------------------------------------------------------------------


def test_a_declared_body_past_the_limit_is_refused_before_the_app_is_called() -> None:
    called: list[int] = []
    layer = BodyLimit(lambda environ, start: called.append(1) or hello(environ, start), limit=10)
    seen = drive(layer, make_environ("POST", body=b"x" * 11))
    assert (seen.code, called) == (413, [])
    for length in ("9" * 30, "18446744073709551616"):
        assert drive(layer, make_environ("POST", CONTENT_LENGTH=length)).code == 413


def test_a_body_at_the_limit_passes() -> None:
    assert drive(BodyLimit(echo, limit=10), make_environ("POST", body=b"x" * 10)).body == b"x" * 10


def test_a_body_without_a_length_is_counted_as_it_is_read() -> None:
    stream = io.BytesIO(b"x" * 1000)
    seen = drive(BodyLimit(echo, limit=10), make_environ("POST", **{"wsgi.input": stream}))
    assert (seen.code, stream.tell()) == (413, 11)
    stream = io.BytesIO(b"x" * 10)
    assert drive(BodyLimit(echo, limit=10), make_environ("POST", **{"wsgi.input": stream})).body == b"x" * 10


def test_an_app_may_deal_with_a_large_body_itself() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        try:
            environ["wsgi.input"].read()
        except BodyTooLarge as error:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [str(error).encode()]
        raise AssertionError("read too much")

    seen = drive(BodyLimit(app, limit="1KiB"), make_environ("POST", **{"wsgi.input": io.BytesIO(b"x" * 5000)}))
    assert seen.body == b"body-too-large: request body is larger than 1024 bytes"


def test_past_output_and_for_other_errors_the_exception_goes_on() -> None:
    def late(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"begun"
        yield environ["wsgi.input"].read()

    seen = drive(BodyLimit(late, limit=1), make_environ("POST", **{"wsgi.input": io.BytesIO(b"xx")}))
    assert (type(seen.error), seen.body) == (BodyTooLarge, b"begun")

    def broken(environ: Any, start_response: Any) -> Any:
        raise ValueError("other")

    assert isinstance(drive(BodyLimit(broken)).error, ValueError)


# Rates -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    now = [10**12]
    monkeypatch.setattr(rate_module, "monotonic_ns", lambda: now[0])
    return now


def codes(layer: Any, count: int, **environ: str) -> list[int]:
    return [drive(layer, make_environ(**environ)).code for _ in range(count)]


def test_a_burst_passes_then_the_rate_holds(clock: list[int]) -> None:
    layer = RateLimit(hello, rate="2/s", burst=3)
    assert codes(layer, 5) == [200, 200, 200, 429, 429]
    clock[0] += 499_000_000
    assert codes(layer, 1) == [429]
    clock[0] += 1_000_000
    assert codes(layer, 2) == [200, 429]
    clock[0] += 10**11
    assert codes(layer, 4) == [200, 200, 200, 429]


def test_a_client_that_knocks_all_the_time_gets_through_at_the_rate(clock: list[int]) -> None:
    layer = RateLimit(hello, rate="1/s", burst=1)
    passed = 0
    for _ in range(100):
        passed += codes(layer, 1) == [200]
        clock[0] += 100_000_000
    assert passed == 10


def test_a_refusal_says_when_to_come_back_and_the_headers_say_what_is_left(clock: list[int]) -> None:
    layer = RateLimit(hello, rate="2/m", headers=True)
    first = drive(layer)
    assert first.get("RateLimit-Policy") == '"default";q=2;w=60'
    assert first.get("RateLimit") == '"default";r=1;t=30'
    drive(layer)
    refused = drive(layer)
    assert (refused.code, refused.get("Retry-After"), refused.get("RateLimit")) == (429, "30", '"default";r=0;t=30')
    clock[0] += 30 * 10**9
    assert drive(layer).code == 200


def test_clients_are_told_apart(clock: list[int]) -> None:
    layer = RateLimit(hello, rate="1/m")
    assert codes(layer, 2, REMOTE_ADDR="192.0.2.1") == [200, 429]
    assert codes(layer, 1, REMOTE_ADDR="192.0.2.2") == [200]
    assert codes(layer, 1, REMOTE_ADDR="2001:db8:0:1::1") == [200]
    assert codes(layer, 1, REMOTE_ADDR="2001:db8:0:1:ffff::2") == [429]
    assert codes(layer, 1, REMOTE_ADDR="2001:db8:0:2::1") == [200]
    assert codes(layer, 1, REMOTE_ADDR="::ffff:192.0.2.1") == [429]


def test_keys(clock: list[int]) -> None:
    layer = RateLimit(hello, rate="1/m", key="header:X-API-Key", name="keys")
    assert codes(layer, 2, HTTP_X_API_KEY="a") == [200, 429]
    assert codes(layer, 1, HTTP_X_API_KEY="b") == [200]
    assert codes(layer, 2) == [200, 429]
    assert codes(RateLimit(hello, rate="1/m", key=lambda environ: "", name="none"), 3) == [200] * 3
    everybody = RateLimit(hello, rate="1/m", key="all", name="all")
    assert [codes(everybody, 1, REMOTE_ADDR=address) for address in ("192.0.2.1", "192.0.2.2")] == [[200], [429]]
    assert client_key("user", 64)({"REMOTE_USER": "aREMOTE"}) != client_key("address", 64)({"REMOTE_ADDR": "REMOTE"})


def test_layers_count_apart_unless_they_are_the_same(clock: list[int]) -> None:
    for options in ({"rate": "1/m"}, {"rate": "1/m", "burst": 2}, {"rate": "1/m", "name": "x"}):
        assert codes(RateLimit(hello, **options), 1) == [200]
    assert codes(RateLimit(hello, rate="1/m"), 1) == [429]


def test_more_clients_than_rows_are_forgotten_not_refused(clock: list[int]) -> None:
    layer = RateLimit(hello, rate="1/m", rows=32)
    for number in range(500):
        assert codes(layer, 1, REMOTE_ADDR=f"10.0.{number // 250}.{number % 250}") == [200]


def test_four_processes_share_one_rate() -> None:
    layer = RateLimit(hello, rate="50/h")
    passed = in_processes(4, lambda: codes(layer, 40).count(200))
    assert sum(passed) == 50


# At once -----------------------------------------------------------------------------------------------------------


def begin(layer: Any, **environ: str) -> tuple[int, Any]:
    """A request that is not closed yet."""
    statuses: list[str] = []
    given = make_environ(**environ)
    iterable = layer(given, lambda status, headers, *rest: statuses.append(status))
    return int(statuses[0][:3]), iterable


def test_one_too_many_is_refused_until_another_is_closed() -> None:
    layer = Concurrency(hello, limit=2)
    first, second = begin(layer), begin(layer)
    assert (first[0], second[0]) == (200, 200)
    refused = drive(layer)
    assert (refused.code, refused.get("Retry-After")) == (503, "1")
    first[1].close()
    assert drive(layer).code == 200
    third = begin(layer)
    assert drive(layer).code == 503
    second[1].close()
    third[1].close()
    assert [drive(layer).code for _ in range(5)] == [200] * 5


def test_an_app_that_fails_gives_its_place_back() -> None:
    def broken(environ: Any, start_response: Any) -> Any:
        raise ValueError

    layer = Concurrency(broken, limit=1)
    for _ in range(3):
        assert isinstance(drive(layer).error, ValueError)


def test_each_client_may_have_its_own_count() -> None:
    layer = Concurrency(hello, limit=1, key="address")
    status, held = begin(layer, REMOTE_ADDR="192.0.2.1")
    assert status == 200
    assert drive(layer, make_environ(REMOTE_ADDR="192.0.2.1")).code == 429
    assert drive(layer, make_environ(REMOTE_ADDR="192.0.2.2")).code == 200
    held.close()


def test_four_processes_share_one_count() -> None:
    layer = Concurrency(hello, limit=10)

    def hold() -> int:
        held = [begin(layer) for _ in range(8)]
        time.sleep(0.3)  # all four hold what they got at the same time
        for _, iterable in held:
            getattr(iterable, "close", int)()
        return [status for status, _ in held].count(200)

    assert sum(in_processes(4, hold)) == 10
    assert drive(layer).code == 200


def test_what_a_dead_process_held_comes_back() -> None:
    layer = Concurrency(hello, limit=2)
    pid = os.fork()
    if not pid:
        begin(layer)
        begin(layer)
        os._exit(0)
    os.waitpid(pid, 0)
    assert [drive(layer).code for _ in range(3)] == [200] * 3


def test_what_a_living_process_holds_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Concurrency(hello, limit=1)
    monkeypatch.setattr(concurrency_module.os, "getpid", os.getppid)
    held = begin(layer)
    monkeypatch.undo()
    assert drive(layer).code == 503
    assert held[0] == 200


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RateLimit(hello, rate="fast"), "rate = 'fast': how many per time"),
        (lambda: RateLimit(hello, rate="0/s"), "rate = '0/s'"),
        (lambda: RateLimit(hello, rate="5/0s"), "rate = '5/0s'"),
        (lambda: RateLimit(hello, burst=0), "burst = 0"),
        (lambda: RateLimit(hello, key="ip"), "key = 'ip': allowed are 'address', 'user'"),
        (lambda: RateLimit(hello, key="header:"), "key = 'header:'"),
        (lambda: Concurrency(hello, limit=0), "limit = 0"),
        (lambda: BodyLimit(hello, limit="1 elephant"), "limit = '1 elephant'"),
        (lambda: BodyLimit(hello, limit=-1), "limit = -1"),
    ],
)
def test_wrong_options_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert message in str(caught.value)
