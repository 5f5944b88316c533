"""Balancer as an app, called directly, with scripted upstreams behind it."""

from __future__ import annotations

import io
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from scripted_upstream import Peer, ScriptedUpstream, answering, ok
from waiting import wait_for
from wsgi_call import call, environ_of

from wsgikit.errors import ConfigError, Disconnected
from wsgikit.middleware.balancer import Balancer, registry
from wsgikit.middleware.balancer import board as cells
from wsgikit.middleware.forward import Forward
from wsgikit.scoreboard import Scoreboard

SECRET = "sixteen letters!"


@pytest.fixture
def play() -> Iterator[Callable[..., list[ScriptedUpstream]]]:
    """`play(script, script)` starts an upstream for each."""
    with ExitStack() as stack:
        yield lambda *scripts: [stack.enter_context(ScriptedUpstream(script)) for script in scripts]


@pytest.fixture
def balancing() -> Iterator[Callable[..., Balancer]]:
    """`balancing(upstreams or URLs, **options)`: a Balancer that is closed at the end."""
    with ExitStack() as stack:

        def make(endpoints, **options: object) -> Balancer:
            urls = [each.url if isinstance(each, ScriptedUpstream) else each for each in endpoints]
            made = Balancer(urls, **options)
            stack.callback(made.close)
            return made

        yield make


def named(name: bytes) -> Callable[[Peer], None]:
    return answering(ok(name))


def refused() -> str:
    """The URL of a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def drop(peer: Peer) -> None:
    """Take the request and close."""
    peer.read_request()


def bodies(app: Balancer, count: int, request: bytes = b"/", **environ: object) -> Counter[bytes]:
    return Counter(call(app, environ_of(request, **environ)).body for _ in range(count))


POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"


def test_requests_are_spread(play, balancing) -> None:
    upstreams = play(named(b"a"), named(b"b"))
    app = balancing(upstreams, balance="round-robin")
    assert bodies(app, 20) == {b"a": 10, b"b": 10}
    assert [each.in_flight for each in app.endpoints] == [0, 0]


def test_refused_connections_go_elsewhere_whatever_the_method(play, balancing, caplog) -> None:
    (up,) = play(named(b"up"))
    app = balancing([refused(), up], balance="round-robin", eject={"failures": 0})
    caplog.set_level(logging.WARNING, "wsgikit.forward")
    assert bodies(app, 10, POST) == {b"up": 10}
    assert len([r for r in caplog.records if "phase connect, attempt 1" in r.message]) == 5
    assert all(received.body == b"body" for received in up.requests)


def test_nobody_is_asked_twice_who_cannot_be_connected_to(balancing, caplog) -> None:
    """A client of a single endpoint that swallows packets would wait three times as long, and hold a place."""
    for urls in ([refused()], [refused(), refused()]):
        caplog.clear()
        assert call(balancing(urls, retry={"attempts": 5}), environ_of(b"/")).code == 502
        tried = [record.args[2] for record in caplog.records if "phase" in record.message]
        assert sorted(tried) == sorted(urls)


def test_23_a_request_that_was_sent_goes_again_only_where_that_means_the_same(play, balancing) -> None:
    dead, up = play(drop, named(b"up"))
    app = balancing([dead, up], balance="round-robin", eject={"failures": 0})
    for method in (b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"):
        answers = [call(app, environ_of(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")).code for _ in range(4)]
        assert answers == [200] * 4, method
    for method in (b"POST", b"PATCH", b"PURGE"):
        answers = [call(app, environ_of(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")).code for _ in range(4)]
        assert sorted(answers) == [200, 200, 502, 502], method


def test_23_a_stale_connection_is_replaced_for_idempotent_methods_only(play, balancing) -> None:
    def script(peer: Peer) -> None:
        received = peer.read_request()
        peer.answer("200 OK", received.method)
        peer.read_request()  # the next one meets a server that has closed meanwhile
        peer.reset()

    (up,) = play(script)
    app = balancing([up], retry={"attempts": 1}, eject={"failures": 1, "most": 1})
    for _ in range(4):
        assert call(app, environ_of(b"/")).body == b"GET"
    assert up.connections == 4
    assert call(app, environ_of(POST)).code == 502
    assert (app.endpoints[0].failures, app.endpoints[0].health.ejections) == (0, 0)


def test_a_body_that_is_whole_goes_again_a_streamed_one_does_not(play, balancing) -> None:
    class Streamed(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.data = data

        def read1(self, size: int) -> bytes:
            data, self.data = self.data[:size], self.data[size:]
            return data

    dead, up = play(drop, named(b"up"))
    app = balancing([dead, up], balance="round-robin", eject={"failures": 0})
    put = POST.replace(b"POST", b"PUT")
    assert bodies(app, 6, put) == {b"up": 6}
    assert {received.body for received in up.requests} == {b"body"}
    codes = [call(app, environ_of(put, **{"wsgi.input": Streamed(b"body")})).code for _ in range(6)]
    assert sorted(codes) == [200, 200, 200, 502, 502, 502]


def test_never_again_once_an_answer_has_begun(play, balancing) -> None:
    def partial(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nX: ")

    broken, up = play(partial, named(b"up"))
    app = balancing([broken, up], balance="round-robin", eject={"failures": 0})
    assert sorted(call(app, environ_of(b"/")).code for _ in range(4)) == [200, 200, 502, 502]


def test_a_timeout_is_no_reason_for_more_load_unless_one_says_so(play, balancing) -> None:
    def slow(peer: Peer) -> None:
        peer.read_request()
        peer.left(5)

    silent, up = play(slow, named(b"up"))
    options = {"balance": "round-robin", "first_byte_timeout": 0.1, "eject": {"failures": 0}}
    app = balancing([silent, up], **options)
    assert sorted(call(app, environ_of(b"/")).code for _ in range(4)) == [200, 200, 504, 504]
    app = balancing([silent, up], name="eager", retry={"on": ["connect", "reset", "timeout"]}, **options)
    assert [call(app, environ_of(b"/")).code for _ in range(4)] == [200] * 4


def test_24_the_budget_holds_when_everything_fails(play, balancing) -> None:
    upstreams = play(drop, drop)
    app = balancing(upstreams, retry={"attempts": 3, "ratio": 0.1, "floor": 1}, eject={"failures": 0})
    started = time.monotonic()
    for _ in range(200):
        assert call(app, environ_of(b"/")).code == 502
    allowed = 200 * 0.1 + 10 + (time.monotonic() - started) * 1
    asked = sum(len(each.requests) for each in upstreams)
    assert 200 < asked <= 200 + allowed + 1


def test_failing_endpoints_are_ejected_but_not_all_of_them(play, balancing, caplog) -> None:
    up, other = play(named(b"up"), named(b"other"))
    app = balancing(
        [refused(), up, refused(), other], balance="round-robin", eject={"failures": 3, "base": 30}, retry={"floor": 20}
    )
    caplog.set_level(logging.ERROR, "wsgikit.forward")
    assert set(bodies(app, 60)) == {b"up", b"other"}
    out = [endpoint for endpoint in app.endpoints if endpoint.health.ejected_until > time.monotonic()]
    assert {endpoint.url for endpoint in out} == {app.endpoints[0].url, app.endpoints[2].url}
    assert len([r for r in caplog.records if "is ejected for 30 s: connect" in r.message]) == 2
    app.upstream.publish()
    # three each, and none any more
    assert [app.upstream.board.counts(endpoint)[0][cells.FAILURES] for endpoint in out] == [3, 3]


def test_gateway_errors_count_as_failures_and_other_errors_do_not(play, balancing) -> None:
    bad = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    broken = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
    for answer, ejections in ((bad, 1), (broken, 0)):
        failing, up = play(answering(answer), named(b"up"))
        app = balancing([failing, up], name=f"{ejections}", balance="round-robin", eject={"failures": 2})
        for _ in range(8):
            call(app, environ_of(b"/"))
        assert app.endpoints[0].health.ejections == ejections


def test_success_ends_a_row_of_failures(play, balancing) -> None:
    bad = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
    (up,) = play(answering(*[bad, bad, ok()] * 5))
    app = balancing([up], eject={"failures": 3, "most": 1})
    for _ in range(15):
        call(app, environ_of(b"/"))
    assert app.endpoints[0].health.ejections == 0


def test_a_client_that_leaves_is_no_failure_of_the_endpoint(play, balancing) -> None:
    class Gone:
        def __init__(self) -> None:
            self.ours, self.theirs = socket.socketpair()

        def fileno(self) -> int:
            return self.ours.fileno()

    def slow(peer: Peer) -> None:
        peer.read_request()
        peer.left(5)

    (up,) = play(slow)
    app = balancing([up], eject={"failures": 1, "most": 1})
    gone = Gone()
    with gone.ours:
        gone.theirs.close()
        with pytest.raises(Disconnected):
            call(app, environ_of(b"/", **{"wsgikit.client_gone": gone}))
    (endpoint,) = app.endpoints
    assert (endpoint.failures, endpoint.in_flight, endpoint.health.ejections) == (0, 0, 0)
    assert endpoint.tally[cells.CLIENT_LEFT] == 1


def test_bodies_that_break_count_against_the_endpoint(play, balancing) -> None:
    def cut(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        time.sleep(0.05)

    (up,) = play(cut)
    app = balancing([up])
    with pytest.raises(Disconnected):
        call(app, environ_of(b"/"))
    (endpoint,) = app.endpoints
    assert (endpoint.failures, endpoint.in_flight, endpoint.tally[cells.FAILURES]) == (1, 0, 1)


def test_limits_then_a_queue_then_503(play, balancing) -> None:
    free = threading.Event()

    def held(peer: Peer) -> None:
        while True:
            peer.read_request()
            assert free.wait(5)
            peer.send(ok(b"late"))

    (up,) = play(held)
    app = balancing([f"{up.url} max_connections=2"], queue=1, queue_timeout=5, retry_after=7)
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(call(app, environ_of(b"/")).code), daemon=True) for _ in range(3)
    ]
    for thread in threads[:2]:
        thread.start()
    wait_for(lambda: len(up.requests) == 2)
    threads[2].start()
    wait_for(lambda: len(app.upstream.waiting) == 1)
    refusal = call(app, environ_of(b"/"))
    assert (refusal.code, refusal.get("Retry-After")) == (503, "7")
    free.set()
    for thread in threads:
        thread.join(5)
    assert answers == [200] * 3
    assert up.connections <= 2


def test_waiting_ends_with_503(play, balancing) -> None:
    held = threading.Event()

    def hold(peer: Peer) -> None:
        peer.read_request()
        assert held.wait(5)
        peer.send(ok())

    (up,) = play(hold)
    app = balancing([f"{up.url} max_connections=1"], queue_timeout=0.1)
    thread = threading.Thread(target=lambda: call(app, environ_of(b"/")), daemon=True)
    thread.start()
    wait_for(lambda: len(up.requests) == 1)
    started = time.monotonic()
    assert call(app, environ_of(b"/")).code == 503
    assert 0.09 < time.monotonic() - started < 2
    app.upstream.publish()
    counts = app.upstream.board.counts(app.endpoints[0])[0]
    assert counts[cells.REFUSED] == 1  # a request, however often it looked
    held.set()
    thread.join(5)


def test_full_endpoints_leave_requests_to_the_others(play, balancing) -> None:
    held = threading.Event()

    def hold(peer: Peer) -> None:
        peer.read_request()
        assert held.wait(5)
        peer.send(ok(b"held"))

    small, large = play(hold, named(b"large"))
    app = balancing([f"{small.url} max_connections=1 weight=1000", large], balance="round-robin")
    thread = threading.Thread(target=lambda: call(app, environ_of(b"/")), daemon=True)
    thread.start()
    wait_for(lambda: len(small.requests) == 1 or len(large.requests) == 1)
    if not small.requests:  # the first one went to the other
        thread.join(5)
        thread = threading.Thread(target=lambda: call(app, environ_of(b"/")), daemon=True)
        thread.start()
        wait_for(lambda: len(small.requests) == 1)
    assert bodies(app, 10) == {b"large": 10}
    held.set()
    thread.join(5)


def test_sticky_clients_stay(play, balancing) -> None:
    upstreams = play(named(b"a"), named(b"b"), named(b"c"))
    app = balancing(upstreams, balance="round-robin", sticky={"secret": SECRET})
    first = call(app, environ_of(b"/"))
    cookie = (first.get("Set-Cookie") or "").partition(";")[0]
    assert cookie.startswith("endpoint=")
    assert "127.0.0.1" not in cookie
    again = [call(app, environ_of(b"/", HTTP_COOKIE=cookie)) for _ in range(6)]
    assert {answer.body for answer in again} == {first.body}
    assert all(answer.get("Set-Cookie") is None for answer in again)
    forged = call(app, environ_of(b"/", HTTP_COOKIE="endpoint=abcdefghijklmnopqrstuvwx"))
    assert forged.get("Set-Cookie") is not None


def test_sticky_clients_move_when_they_must_and_stay_while_it_drains(play, balancing) -> None:
    upstreams = play(named(b"a"), named(b"b"))
    app = balancing(upstreams, balance="round-robin", sticky={"secret": SECRET})
    first = call(app, environ_of(b"/"))
    cookie = (first.get("Set-Cookie") or "").partition(";")[0]
    home = next(each for each in upstreams if each.url == app.endpoints[0 if first.body == b"a" else 1].url)
    app.replace([f"{each.url}{' drain' if each is home else ''}" for each in upstreams])
    assert bodies(app, 4, HTTP_COOKIE=cookie) == {first.body: 4}
    assert first.body not in bodies(app, 4)
    app.replace([each.url for each in upstreams if each is not home])
    moved = call(app, environ_of(b"/", HTTP_COOKIE=cookie))
    assert moved.body != first.body
    assert moved.get("Set-Cookie") is not None


def test_lanes_lead_to_their_endpoints(play, balancing) -> None:
    old, new = play(named(b"old"), named(b"new"))
    app = balancing([old.url, f"{new.url} lane=canary"], lanes={"canary": {"header": "X-Canary: 1"}})
    assert bodies(app, 5) == {b"old": 5}
    assert bodies(app, 5, HTTP_X_CANARY="1") == {b"new": 5}


def test_a_lane_of_which_nobody_is_up_gives_its_requests_to_the_rest(play, balancing) -> None:
    main, canary = play(named(b"main"), named(b"canary"))
    lanes = {"canary": {"header": "X-Canary: yes"}}
    app = balancing([main.url, f"{canary.url} lane=canary"], lanes=lanes)
    asked = {"HTTP_X_CANARY": "yes"}
    assert bodies(app, 3, **asked) == {b"canary": 3}
    app.upstream.board.eject(app.endpoints[1], "connect", 60, 60, 2)
    app.upstream.roster.changed()
    assert bodies(app, 3, **asked) == {b"main": 3}
    app.upstream.board.eject(app.endpoints[0], "connect", 60, 60, 2)
    app.upstream.roster.changed()
    assert set(bodies(app, 20, **asked)) == {b"main", b"canary"}  # panic: all of them


def test_who_cannot_be_connected_to_is_followed_by_backups_and_by_other_lanes(play, balancing, caplog) -> None:
    """Before anybody has found out that it is down: no client is to see that it is."""
    (up,) = play(named(b"up"))
    lanes = {"canary": {"header": "X-Canary: yes"}}
    for endpoints, options, environ in (
        ([refused(), f"{up.url} backup"], {}, {}),
        ([up.url, f"{refused()} lane=canary"], {"lanes": lanes}, {"HTTP_X_CANARY": "yes"}),
        ([refused(), f"{up.url} lane=canary"], {"lanes": lanes}, {}),
    ):
        caplog.clear()
        app = balancing(endpoints, eject={"failures": 0}, **options)
        assert bodies(app, 3, POST, **environ) == {b"up": 3}
        assert len([record for record in caplog.records if "phase connect" in record.message]) == 3


def test_who_names_a_lane_gets_there_wherever_the_client_has_been(play, balancing) -> None:
    old, new = play(named(b"old"), named(b"new"))
    lanes = {"canary": {"weight": 0.0, "header": "X-Canary: yes"}}
    app = balancing([old.url, f"{new.url} lane=canary"], lanes=lanes, sticky={"secret": SECRET})
    cookie = (call(app, environ_of(b"/")).get("Set-Cookie") or "").partition(";")[0]
    asked = {"HTTP_COOKIE": cookie, "HTTP_X_CANARY": "yes"}
    named_it = call(app, environ_of(b"/", **asked))
    assert named_it.body == b"new"
    there = (named_it.get("Set-Cookie") or "").partition(";")[0]
    assert bodies(app, 3, HTTP_COOKIE=there) == {b"new": 3}  # it stays, as its session does
    app.upstream.board.eject(app.endpoints[1], "connect", 60, 60, 2)
    app.upstream.roster.changed()
    assert call(app, environ_of(b"/", **asked)).get("Set-Cookie") is None  # back home, where its cookie leads


def test_the_size_of_an_answers_head_is_an_option(play, balancing) -> None:
    large = b"HTTP/1.1 200 OK\r\nX-Policy: %b\r\n%bContent-Length: 2\r\n\r\nok" % (
        b"p" * 20_000,
        b"X-Many: 1\r\n" * 200,
    )
    (up,) = play(answering(large))
    assert call(balancing([up]), environ_of(b"/")).code == 502
    assert call(balancing([up], limits={"field": "32KiB", "fields": 300}), environ_of(b"/")).body == b"ok"
    with pytest.raises(ConfigError, match=r"limits: unknown key 'feilds'.*'fields'"):
        Balancer([up.url], limits={"feilds": 300})
    with pytest.raises(ConfigError, match=r"limits\.head = 'big'"):
        Balancer([up.url], limits={"head": "big"})


def test_every_failure_is_logged_with_endpoint_phase_and_attempt(play, balancing, caplog) -> None:
    def cut(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")

    (up,) = play(cut)
    app = balancing([refused(), f"{up.url} backup"], name="shop")
    with pytest.raises(Disconnected):
        call(app, environ_of(b"/x", SCRIPT_NAME="/mount"))
    begin = "GET /mount/x: upstream shop, endpoint"
    assert caplog.records[0].message.startswith(begin)
    assert caplog.records[-1].message.startswith(f"{begin} {up.url}, phase body, attempt 2: incomplete-body")
    nobody = balancing([f"{up.url} drain"], name="closed", panic=0)
    assert call(nobody, environ_of(b"/x")).code == 503
    assert caplog.records[-1].message == "GET /x: upstream closed, phase choose: no endpoint is there"


def test_an_open_breaker_answers_at_once_for_all_workers(play, balancing) -> None:
    (up,) = play(drop)
    options = {"name": "shop", "breaker": {"requests": 5, "open": 60}, "retry": {"attempts": 1}}
    app = balancing([up], **options)
    assert [call(app, environ_of(b"/")).code for _ in range(5)] == [502] * 5
    refusal = call(app, environ_of(b"/"))
    assert (refusal.code, refusal.get("Retry-After")) == (503, "60")
    assert len(up.requests) == 5
    other_worker = balancing([up], **options)
    other_worker.upstream.refresh()
    assert call(other_worker, environ_of(b"/")).code == 503


def test_a_breaker_goes_by_what_clients_get(play, balancing) -> None:
    """One of two endpoints is not there: half of the attempts fail, and no request does."""
    (up,) = play(named(b"up"))
    options = {"breaker": {"requests": 4, "ratio": 0.3}, "eject": {"failures": 0}, "balance": "round-robin"}
    app = balancing([refused(), up], **options)
    assert bodies(app, 20) == {b"up": 20}


def test_checks_take_endpoints_out_and_bring_them_back(play, balancing) -> None:
    well = threading.Event()
    well.set()

    def script(peer: Peer) -> None:
        while True:
            received = peer.read_request()
            if received.target == b"/health":
                peer.answer("200 OK" if well.is_set() else "500 Bad", b"all is well")
            else:
                peer.answer("200 OK", b"sick")

    sick, up = play(script, named(b"up"))
    health = {"path": "/health", "interval": 0.05, "rise": 2, "fall": 2, "timeout": 1}
    app = balancing([sick, up], balance="round-robin", health=health)
    app._checks.run_due(app.endpoints)  # type: ignore[union-attr]
    assert bodies(app, 4) == {b"sick": 2, b"up": 2}
    well.clear()

    def checked(state: int) -> Callable[[], bool]:
        def look() -> bool:
            app._checks.run_due(app.endpoints)  # type: ignore[union-attr]
            return app.endpoints[0].health.checked == state

        return look

    wait_for(checked(-1))
    assert bodies(app, 4) == {b"up": 4}
    well.set()
    wait_for(checked(1))
    assert bodies(app, 4) == {b"sick": 2, b"up": 2}


@pytest.mark.parametrize(
    ("answer", "options", "problem"),
    [
        (ok(b"fine"), {"path": "/"}, ""),
        (ok(b"fine"), {"path": "/", "contains": "fine"}, ""),
        (ok(b"no"), {"path": "/", "contains": "fine"}, "does not contain"),
        (ok(b"no"), {"path": "/", "status": 204}, "status 200"),
        (b"rubbish\r\n\r\n", {"path": "/"}, "bad-status-line"),
        (b"", {}, ""),
    ],
)
def test_what_a_check_accepts(play, balancing, answer: bytes, options: dict[str, object], problem: str) -> None:
    (up,) = play(answering(answer))
    app = balancing([up], health={"timeout": 1, **options})
    found = app._checks.ask(app.endpoints[0])  # type: ignore[union-attr]
    assert (found == "") if not problem else problem in found


def test_a_check_of_nobody_says_connect(balancing) -> None:
    app = balancing([refused()], health={"timeout": 1})
    assert "connect" in app._checks.ask(app.endpoints[0])  # type: ignore[union-attr]


def test_counts_reach_the_scoreboard(play, balancing, fresh_scoreboard: Scoreboard) -> None:
    (up,) = play(named(b"up"))
    app = balancing([up])
    for _ in range(5):
        call(app, environ_of(b"/"))
    app.upstream.publish()
    counters, histogram = app.upstream.board.counts(app.endpoints[0])
    assert counters[cells.REQUESTS] == 5
    assert sum(histogram) == 5
    assert sum(app.upstream.board.history(app.endpoints[0])) == 5


def test_the_latency_reaches_peak_ewma(play, balancing) -> None:
    (up,) = play(named(b"up"))
    app = balancing([up, refused()], balance="peak-ewma")
    for _ in range(4):
        call(app, environ_of(b"/"))
    assert 0 < app.endpoints[0].latency < 5


def test_nothing_of_the_upstream_is_told_to_the_client(balancing) -> None:
    app = balancing([refused()])
    answer = call(app, environ_of(b"/", HTTP_ACCEPT="text/html"))
    assert answer.code == 502
    assert b"127.0.0.1" not in answer.body
    assert answer.get("Cache-Control") == "no-store"
    head = call(app, environ_of(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert (head.code, head.body) == (502, b"")


def test_411_for_a_body_without_an_end(balancing) -> None:
    app = balancing([refused()])
    environ = environ_of(POST, CONTENT_LENGTH="")
    environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    del environ["wsgi.input_terminated"]
    assert call(app, environ).code == 411


def test_the_access_log_learns_the_endpoint(play, balancing) -> None:
    (up,) = play(named(b"up"))
    facts: dict[str, str] = {}
    call(balancing([up]), environ_of(b"/", **{"wsgikit.log": facts}))
    assert facts == {"upstream": up.url}


# Forward, options, tables


def test_forward_to_one_and_to_a_balancer(play, balancing) -> None:
    (up,) = play(named(b"up"))
    forward = Forward(to=up.url, host="upstream")
    assert call(forward, environ_of(b"/")).body == b"up"
    assert up.requests[-1].get("Host") == f"127.0.0.1:{up.port}".encode()
    through = Forward(to=balancing([up]), host="other.example")
    assert call(through, environ_of(b"/")).body == b"up"
    assert up.requests[-1].get("Host") == b"other.example"
    assert forward.describe() == f"forward to {up.url}"
    forward.to.close()


def test_forward_never_ejects_its_only_endpoint() -> None:
    forward = Forward(to=refused())
    assert [call(forward, environ_of(b"/")).code for _ in range(10)] == [502] * 10
    forward.to.close()


def test_forward_in_a_stack(play) -> None:
    from wsgikit.middleware import Stack, Use, path

    (up,) = play(named(b"up"))

    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"app"]

    stack = Stack(app, [Use(Forward, to=up.url, when=path("/api"))])
    assert call(stack, environ_of(b"/api/x")).body == b"up"
    assert call(stack, environ_of(b"/other")).body == b"app"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": "nowhere"}, "no address of a server"),
        ({"to": 5}, "a URL such as"),
        ({"to": "http://a", "hots": "x"}, "'host'"),
        ({"to": "http://a", "connect_timeout": 0}, "connect_timeout"),
        ({"to": "http://a", "tls": {"verfy": False}}, "verify"),
        ({"to": "https://a", "tls": {"ca": "/nonexistent"}}, "nonexistent"),
        ({"to": "http://a", "max_idle": -1}, "max_idle"),
    ],
)
def test_wrong_forward_options(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Forward(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "no endpoints"),
        ({"endpoints": []}, "no endpoints"),
        ({"endpoints": "http://a"}, "a list"),
        ({"endpoints": ["http://a", "http://a:80"]}, "twice"),
        ({"endpoints": ["http://a"], "balanse": "p2c"}, "'balance'"),
        ({"endpoints": ["http://a"], "balance": "p3c"}, "'p2c'"),
        ({"endpoints": ["http://a"], "health": {"pth": "/"}}, "health.*'path'"),
        ({"endpoints": ["http://a lane=x"], "lanes": {"y": {"weight": 0.1}}}, "no lane 'x'"),
        ({"endpoints": ["http://a"], "lanes": {"y": {"weight": 0.1}}}, "lanes.y: no endpoint"),
        ({"endpoints": ["http://a"], "panic": 5}, "panic"),
        ({"endpoints": ["http://a"], "queue": -1}, "queue"),
        ({"endpoints": ["http://a"], "discover": "dnss:x"}, "'dns'"),
        ({"endpoints": ["http://a"], "first_byte_timeout": "x"}, "first_byte_timeout"),
        ({"endpoints": ["http://a"], "sticky": {"secret": "x"}}, "sticky"),
        ({"endpoints": ["http://a"], "name": "x"}, "unknown option 'name'"),
    ],
)
def test_tables_say_where_they_are_wrong(table: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Balancer.from_table("api", table)
    assert str(caught.value).startswith("[upstream.api] ")


def test_a_whole_table(play) -> None:
    (up,) = play(named(b"up"))
    app = Balancer.from_table(
        "api",
        {
            "endpoints": [up.url, "http://10.0.0.1:8000 backup weight=2"], "balance": "hash", "hash": "header:X-User",
            "health": {"path": "/health", "interval": "1m"}, "retry": {"attempts": 3}, "eject": {"base": "5s"},
            "slow_start": "30s", "breaker": {}, "sticky": {"secret": SECRET}, "first_byte_timeout": "5s",
            "tls": {"verify": True}, "host": "upstream", "request": {"set": {"X-Gateway": "1"}}, "max_idle": 4,
        },
    )  # fmt: skip
    assert call(app, environ_of(b"/")).body == b"up"
    # the first check may have come before it
    assert [each.get("X-Gateway") for each in up.requests if each.target == b"/"] == [b"1"]
    assert app.describe() == f"api (hash): {up.url}, http://10.0.0.1:8000"
    assert registry.balancers()[-1] is app or app in registry.balancers()
    app.close()
    assert app not in registry.balancers()


def test_no_thread_runs_before_the_first_request(play, balancing) -> None:
    (up,) = play(named(b"up"))
    before = set(threading.enumerate())
    app = balancing([up], health={"interval": 60})
    assert set(threading.enumerate()) <= before  # those of other tests may end meanwhile
    call(app, environ_of(b"/"))
    assert "wsgikit-balancer" in {thread.name for thread in threading.enumerate()}
    app.close()
    wait_for(lambda: "wsgikit-balancer" not in {thread.name for thread in threading.enumerate()})


def test_a_balancer_that_nobody_holds_ends_its_thread(play) -> None:
    import gc

    (up,) = play(named(b"up"))
    app = Balancer([up.url])
    call(app, environ_of(b"/"))
    app.upstream.roster.close()
    del app
    gc.collect()
    wait_for(lambda: "wsgikit-balancer" not in {thread.name for thread in threading.enumerate()})


def test_replacing_endpoints_cuts_nothing_off(play, balancing) -> None:
    go = threading.Event()

    def slow(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        assert go.wait(5)
        peer.send(b"other")

    old, new = play(slow, named(b"new"))
    app = balancing([old])
    answers: list[bytes] = []
    thread = threading.Thread(target=lambda: answers.append(call(app, environ_of(b"/")).body), daemon=True)
    thread.start()
    wait_for(lambda: len(old.requests) == 1)
    app.replace([new.url])
    assert bodies(app, 3) == {b"new": 3}
    go.set()
    thread.join(5)
    assert answers == [b"firstother"]


def test_what_ends_at_an_endpoint_that_has_left_is_counted(play, balancing) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(peer: Peer) -> None:
        peer.read_request()
        begun.set()
        assert go.wait(5)
        peer.send(ok(b"late"))

    old, new = play(slow, named(b"new"))
    app = balancing([old])
    (leaving,) = app.endpoints
    board = app.upstream.board
    asking = threading.Thread(target=bodies, args=(app, 1))
    asking.start()
    assert begun.wait(5)
    app.replace([new.url])
    app.upstream.publish()
    assert board.in_flight(leaving) == 1
    app.replace([new.url, old.url])  # it has come back before its last request is over
    app.upstream.publish()
    assert board.in_flight(leaving) == 1
    go.set()
    asking.join(5)
    app.upstream.publish()
    assert board.in_flight(leaving) == 0
    assert board.counts(leaving)[0][cells.REQUESTS] == 1
    assert app.upstream.roster.leaving == ()


def test_forward_to_one_place_from_two_counts_together(play) -> None:
    begun, go = threading.Semaphore(0), threading.Event()

    def slow(peer: Peer) -> None:
        while True:
            peer.read_request()
            begun.release()
            assert go.wait(5)
            peer.send(ok(b"late"))

    (up,) = play(slow)
    first, second = Forward(to=up.url), Forward(to=up.url)
    asking = [threading.Thread(target=bodies, args=(app, 1)) for app in (first, second)]
    try:
        for each in asking:
            each.start()
            assert begun.acquire(timeout=5)
        for app in (first, second, first):
            app.to.upstream.publish()
        (endpoint,) = second.to.endpoints
        assert second.to.upstream.board.in_flight(endpoint) == 2
        go.set()
        for each in asking:
            each.join(5)
        first.to.upstream.publish()
        assert second.to.upstream.board.in_flight(endpoint) == 1
        second.to.upstream.publish()
        assert second.to.upstream.board.in_flight(endpoint) == 0
        assert second.to.upstream.board.counts(endpoint)[0][cells.REQUESTS] == 2
    finally:
        go.set()
        first.to.close()
        second.to.close()


def test_forward_starts_what_its_balancer_needs(play, balancing) -> None:
    """With options of its own it does not go through the Balancer; checks and discovery have to run all the same."""
    (up,) = play(named(b"up"))
    balancer = balancing([up])
    own = Forward(to=balancer, host="upstream")
    assert not balancer.running
    assert call(own, environ_of(b"/")).body == b"up"
    assert balancer.running


def test_a_verdict_of_checks_that_are_no_more_means_nothing(play, balancing) -> None:
    """The scoreboard outlives a reload, and the new configuration may have no checks to bring an endpoint up again."""
    (up,) = play(named(b"up"))
    before = balancing([up, refused()], name="shop", health={"path": "/"})
    before.upstream.board.checked(before.endpoints[0], False, 1, 1)
    assert before.endpoints[0].health.checked == -1
    after = balancing([up, refused()], name="shop")
    after.upstream.refresh()
    assert after.endpoints[0].health.checked == 0
    assert after.endpoints[0].up(time.monotonic())
