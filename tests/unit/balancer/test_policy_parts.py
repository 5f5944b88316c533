"""Roster, budget, breaker, queue, shared rows: each by itself, over a fake clock."""

from __future__ import annotations

import os
import select
import threading
import time

import pytest
from waiting import wait_for

from wsgikit.client import ClientSettings
from wsgikit.errors import ConfigError
from wsgikit.middleware.balancer import board as cells
from wsgikit.middleware.balancer.board import Board, bounds, bucket
from wsgikit.middleware.balancer.breaker import Breaker
from wsgikit.middleware.balancer.budget import RetryBudget
from wsgikit.middleware.balancer.endpoint import Endpoint, EndpointSpec
from wsgikit.middleware.balancer.roster import Roster
from wsgikit.middleware.balancer.settings import Policy, eject_settings, health_settings, retry_settings
from wsgikit.middleware.balancer.waiting import Waiting
from wsgikit.testing import FakeClock


def specs(*texts: str) -> list[EndpointSpec]:
    return [EndpointSpec.parse(f"http://10.0.0.{n}:80 {text}") for n, text in enumerate(texts, 1)]


def roster(*texts: str, clock: FakeClock | None = None, **policy: object) -> Roster:
    return Roster("test", specs(*texts), ClientSettings(), Policy(**policy), clock or FakeClock())  # type: ignore[arg-type]


def fit(members: Roster, lane: str = "") -> str:
    return "".join(endpoint.origin.host[-1] for endpoint in members.fit(lane))


# Specs


def test_endpoints_as_text_and_table() -> None:
    text = EndpointSpec.parse("http://a:8000/x weight=3 backup max_connections=5 lane=canary drain")
    table = EndpointSpec.parse(
        {"url": "http://a:8000/x", "weight": 3, "backup": True, "max_connections": 5, "lane": "canary", "drain": True}
    )
    assert text == table
    assert (text.weight, text.backup, text.drain, text.max_connections, text.lane) == (3, True, True, 5, "canary")


@pytest.mark.parametrize(
    "given",
    ["", "http://a weight=0", "http://a wieght=1", "http://a weight=x", "http://a weight", "http://a backup=yes",
     {"weight": 1}, {"url": "http://a", "lane": 1}, "ftp://a", "http://a weight=99999999"],
)  # fmt: skip
def test_wrong_endpoints(given: object) -> None:
    with pytest.raises(ConfigError):
        EndpointSpec.parse(given)  # type: ignore[arg-type]


# Roster


def test_backups_and_drained_ones_stay_out() -> None:
    members = roster("", "", "backup", "drain")
    assert fit(members) == "12"


def test_backups_come_when_no_other_is_up() -> None:
    clock = FakeClock()
    members = roster("", "", "backup", clock=clock)
    for endpoint in members.endpoints[:2]:
        endpoint.health.checked = -1
    members.changed()
    assert fit(members) == "3"
    members.endpoints[2].health.checked = -1
    members.changed()
    assert fit(members) == "12"  # panic


def test_panic_uses_all_when_too_few_are_up() -> None:
    members = roster("", "", "", "")
    for count, expected in ((1, "234"), (2, "34"), (3, "1234"), (4, "1234")):
        members.endpoints[count - 1].health.checked = -1
        members.changed()
        assert fit(members) == expected
    calm = roster("", "", panic=0.0)
    for endpoint in calm.endpoints:
        endpoint.health.checked = -1
    calm.changed()
    assert fit(calm) == ""


def test_an_ejection_ends_by_itself() -> None:
    clock = FakeClock()
    members = roster("", "", clock=clock)
    members.endpoints[0].health.ejected_until = clock() + 10
    members.changed()
    assert fit(members) == "2"
    clock.advance(9.9)
    assert fit(members) == "2"
    clock.advance(0.2)
    assert fit(members) == "12"


def test_slow_start_lets_the_weight_grow() -> None:
    clock = FakeClock()
    members = roster("weight=10", "weight=10", clock=clock, slow_start=20.0)
    assert [endpoint.weight for endpoint in members.fit()] == [10, 10]
    members.endpoints[0].health.since = clock()
    members.changed()
    weights = []
    for _ in range(5):
        weights.append(members.fit()[0].weight)
        clock.advance(5)
    assert weights == [pytest.approx(value) for value in (1, 2.5, 5, 7.5, 10)]
    members.replace([*specs("weight=10", "weight=10"), EndpointSpec.parse("http://10.0.0.9:80")])
    members.fit()
    assert members.endpoints[2].weight == pytest.approx(0.1)


def down(members: Roster, *numbers: int) -> None:
    for number in numbers:
        members.endpoints[number].health.checked = -1
    members.changed()


def test_lanes_and_their_way_out() -> None:
    members = roster("", "lane=canary", "lane=canary")
    assert (fit(members), fit(members, "canary")) == ("1", "23")
    down(members, 1, 2)
    assert fit(members, "canary") == "1"
    down(members, 0, 1, 2)
    assert fit(members, "canary") == "123"  # panic
    crowd = roster("", *["lane=canary"] * 4)
    down(crowd, 1, 2, 3)
    assert fit(crowd, "canary") == "2345"  # panic inside the lane: one is up, and would be run over
    backed = roster("", "lane=canary", "lane=canary backup")
    down(backed, 1)
    assert fit(backed, "canary") == "3"
    down(backed, 0)
    assert fit(backed) == "3"  # the other way round, too
    calm = roster("", "lane=canary", panic=0.0)
    calm.endpoints[1].health.checked = -1
    calm.changed()
    assert fit(calm, "canary") == "1"


def test_replacing_keeps_those_that_stay() -> None:
    members = roster("", "", "")
    kept = members.endpoints[1]
    kept.in_flight = 3
    assert members.replace([EndpointSpec.parse("http://10.0.0.2:80 weight=7"), *specs("drain")]) == (0, 1)
    assert members.endpoints[0] is kept
    assert (kept.in_flight, kept.spec.weight) == (3, 7)
    assert fit(members) == "2"
    assert members.endpoints[0].weight == 7
    with pytest.raises(ConfigError, match="twice"):
        members.replace([*specs(""), *specs("")])
    assert members.endpoints[0] is kept


def test_found_by_token_also_when_draining_but_not_when_down() -> None:
    members = roster("", "drain", "")
    members.endpoints[2].health.checked = -1
    assert members.find(str, "http://10.0.0.2") is members.endpoints[1]
    assert members.find(str, "http://10.0.0.3") is None
    assert members.find(str, "http://10.0.0.7") is None


# Budget and breaker


def test_retries_are_a_part_of_the_requests() -> None:
    clock = FakeClock()
    budget = RetryBudget(0.2, 3.0, clock)
    taken = 0
    for _ in range(1000):
        budget.request()
        taken += budget.take()
    assert taken in (229, 230)
    clock.advance(2)
    assert sum(budget.take() for _ in range(100)) in (6, 7)
    clock.advance(1000)
    assert sum(budget.take() for _ in range(100)) == 30
    assert not RetryBudget(0.0, 0.0, clock).take()


def test_a_breaker_opens_refuses_tries_and_closes() -> None:
    clock = FakeClock()
    breaker = Breaker({"ratio": 0.5, "requests": 10, "window": 10, "open": 5}, clock)
    for _ in range(9):
        assert not breaker.note(True)
    assert breaker.allows()
    assert breaker.note(True)
    assert not breaker.allows()
    clock.advance(5)
    assert breaker.allows()
    assert not breaker.allows()  # one at a time
    assert breaker.note(True)
    assert not breaker.allows()
    clock.advance(5)
    assert breaker.allows()
    assert not breaker.note(False)
    assert breaker.allows()
    for _ in range(9):
        breaker.note(True)
    assert breaker.allows()  # the count began anew


def test_a_breaker_looks_at_its_window_alone() -> None:
    clock = FakeClock()
    breaker = Breaker({"requests": 10, "window": 10}, clock)
    for _ in range(9):
        breaker.note(True)
    clock.advance(20)
    assert not breaker.note(True)
    for _ in range(11):
        breaker.note(False)
    for _ in range(9):
        assert not breaker.note(True)
    assert breaker.allows()


def test_a_probe_that_never_comes_back_does_not_block_for_ever() -> None:
    clock = FakeClock()
    breaker = Breaker({"requests": 1, "open": 5}, clock)
    breaker.note(True)
    clock.advance(5)
    assert breaker.allows()
    clock.advance(5)
    assert breaker.allows()


@pytest.mark.parametrize("options", [{"ratio": 0}, {"ratio": 2}, {"requests": 0}, {"opem": 1}, {"window": 0}])
def test_wrong_breakers(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="breaker"):
        Breaker(options)


# Waiting


def test_the_first_in_the_queue_is_the_first_out() -> None:
    free: list[int] = []
    waiting = Waiting(most=10, seconds=5)
    order: list[int] = []

    def wait(number: int) -> None:
        if waiting.until(lambda: free.pop() if free else None, lambda: False) is not None:
            order.append(number)

    threads = []
    for number in range(4):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        wait_for(lambda number=number: len(waiting) > number)
    for turn in range(1, 5):
        free.append(1)
        waiting.wake()
        wait_for(lambda turn=turn: len(order) >= turn)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3]
    assert len(waiting) == 0


def test_a_place_hears_a_call_also_between_its_two_halves() -> None:
    """`call` sets the turn, then writes; who has looked in between must not find the descriptor readable for ever."""
    place = Waiting(most=1, seconds=5).enter(descriptor=True)
    assert place is not None
    os.eventfd_write(place.fd, 1)
    assert place.called()
    assert not place.called()
    place.call()
    assert place.called()
    assert not select.select([place.fd], [], [], 0)[0]
    place.leave()


def test_a_call_does_not_write_to_what_has_taken_a_places_number() -> None:
    place = Waiting(most=1, seconds=5).enter(descriptor=True)
    assert place is not None
    with place._lock:  # the call is about to write
        caller = threading.Thread(target=place.call)
        caller.start()
        number, place.fd = place.fd, -1
        read, write = os.pipe2(os.O_NONBLOCK)
        os.dup2(write, number)
    caller.join()
    with pytest.raises(BlockingIOError):
        os.read(read, 8)
    for fd in (read, write, number):
        os.close(fd)


def test_only_the_first_in_the_queue_looks_often() -> None:
    waiting = Waiting(most=2, seconds=5)
    first, second = waiting.enter(descriptor=True), waiting.enter(descriptor=True)
    assert first is not None
    assert second is not None
    assert first.look_by() < time.monotonic() + 1
    assert second.look_by() == second.deadline
    first.leave()
    assert second.called()
    assert second.look_by() < time.monotonic() + 1
    second.leave()


def test_waiting_is_bounded_in_number_and_time() -> None:
    waiting = Waiting(most=1, seconds=0.1)
    assert Waiting(most=0, seconds=5).until(lambda: 1, lambda: False) is None
    started = time.monotonic()
    assert waiting.until(lambda: None, lambda: False) is None
    assert 0.09 < time.monotonic() - started < 1.0
    assert Waiting(most=1, seconds=5).until(lambda: None, lambda: True) is None


def test_what_another_process_lets_go_of_is_seen_soon() -> None:
    waiting = Waiting(most=1, seconds=5)
    opens_at = time.monotonic() + 0.1
    assert waiting.until(lambda: time.monotonic() > opens_at or None, lambda: False)


# Shared rows


def endpoint(number: int = 1, text: str = "") -> Endpoint:
    return Endpoint(EndpointSpec.parse(f"http://10.0.0.{number}:80 {text}"), "test", ClientSettings())


def test_ejections_grow_and_are_forgiven() -> None:
    clock = FakeClock()
    board = Board("test", clock)
    member = endpoint()
    lengths = []
    for _ in range(4):
        lengths.append(board.eject(member, "connect", base=10, longest=25, most=1))
        assert board.eject(member, "connect", base=10, longest=25, most=1) == 0  # it is out already
        clock.advance(lengths[-1] + 0.001)
    assert lengths == [10, 20, 25, 25]
    assert cells.REASONS[member.health.reason] == "connect"
    clock.advance(100)
    assert board.eject(member, "head", base=10, longest=25, most=1) == 10


def test_only_so_many_are_out_at_once_over_all_workers() -> None:
    clock = FakeClock()
    one, other = Board("test", clock), Board("test", clock)
    members = [endpoint(number) for number in range(1, 7)]
    out = [bool((one, other)[n % 2].eject(member, "body", 10, 100, most=3)) for n, member in enumerate(members)]
    assert out == [True, True, True, False, False, False]
    clock.advance(10.001)
    assert other.eject(members[5], "body", 10, 100, most=3) == 10


def test_another_worker_sees_ejections_and_verdicts() -> None:
    clock = FakeClock()
    mine, theirs = endpoint(), endpoint()
    one, other = Board("test", clock), Board("test", clock)
    one.eject(mine, "timeout", 10, 100, most=1)
    assert not theirs.health.ejected_until
    assert other.refresh(theirs)
    assert not other.refresh(theirs)
    assert theirs.health == mine.health
    assert Board("another", clock).refresh(Endpoint(mine.spec, "another", ClientSettings())) is False


def test_checks_need_rise_and_fall() -> None:
    clock = FakeClock()
    board, member = Board("test", clock), endpoint()
    verdicts = [board.checked(member, passed, 2, 3) for passed in (False, False, True, False, False, False)]
    assert verdicts == [0, 0, 0, 0, 0, -1]
    assert not member.up(clock())
    clock.advance(5)
    assert [board.checked(member, passed, 2, 3) for passed in (True, False, True, True)] == [0, 0, 0, 1]
    assert member.up(clock())
    assert member.health.since == pytest.approx(clock(), abs=0.01)
    # the first verdict of all is no coming back: there is nothing to warm up
    fresh = endpoint(2)
    assert [board.checked(fresh, True, 2, 3) for _ in range(2)] == [0, 0]
    assert (fresh.health.checked, fresh.health.since) == (1, 0)


def test_limits_hold_over_processes_and_forget_the_dead() -> None:
    member = endpoint(1, "max_connections=3")
    board = Board("test")
    assert board.take(member)
    child = os.fork()
    if child == 0:
        os._exit(0 if board.take(member) and board.take(member) and not board.take(member) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    # the child has died with its two
    assert [board.take(member) for _ in range(3)] == [True, True, False]
    board.leave(member)
    assert board.take(member)


def test_one_process_leads_until_its_lease_ends() -> None:
    clock = FakeClock()
    board = Board("test", clock)
    assert board.lead(5.0)
    assert board.lead(5.0)
    child = os.fork()
    if child == 0:
        before = board.lead(5.0)
        clock.advance(5.001)
        os._exit(0 if not before and board.lead(5.0) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not board.lead(5.0)


def test_counts_and_history() -> None:
    clock = FakeClock()
    board, member = Board("test", clock), endpoint()
    board.publish(member, 4, {cells.REQUESTS: 7, cells.FAILURES: 1, bucket(0.01): 7})
    board.publish(member, 2, {cells.REQUESTS: 3})
    counters, histogram = board.counts(member)
    assert counters[cells.REQUESTS] == 10
    assert counters[cells.FAILURES] == 1
    assert sum(histogram) == 7
    assert board.in_flight(member) == 2
    clock.advance(5)
    board.publish(member, 0, {cells.REQUESTS: 1})
    assert board.history(member)[-2:] == [10, 1]
    assert sum(board.history(member)) == 11
    clock.advance(cells.SLICE * cells.SLICES)
    assert sum(board.history(member)) == 0
    assert board.in_flight(member) == 0


@pytest.mark.parametrize("seconds", [0.0, 0.00025, 0.0003, 0.001, 0.05, 1.0, 59.0, 500.0])
def test_buckets_hold_what_their_bounds_say(seconds: float) -> None:
    place = bucket(seconds) - bucket(0.0)
    limits = bounds()
    assert place == len(limits) - 1 or seconds <= limits[place] * 1.000001
    assert place == 0 or seconds > limits[place - 1] * 0.999999


# Options


@pytest.mark.parametrize(
    ("make", "table"),
    [
        (health_settings, {"path": "health"}), (health_settings, {"interval": 0}), (health_settings, {"rise": 0}),
        (health_settings, {"status": "2xx"}), (health_settings, {"status": "400-200"}), (health_settings, {"url": "/"}),
        (health_settings, {"jitter": 2}), (eject_settings, {"failures": -1}), (eject_settings, {"most": 1.5}),
        (eject_settings, {"base": "x"}), (retry_settings, {"on": "connect"}), (retry_settings, {"on": ["x"]}),
        (retry_settings, {"attempts": 0}), (retry_settings, {"ratio": "x"}),
    ],
)  # fmt: skip
def test_wrong_policies_name_the_key(make, table: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"(health|eject|retry).*{next(iter(table))}"):
        make(table)


def test_statuses_of_checks() -> None:
    assert health_settings({"status": "200, 204,300-302"}).status == ((200, 200), (204, 204), (300, 302))
    assert health_settings({"status": [200, "204"]}).status == ((200, 200), (204, 204))
    assert health_settings({"status": 200}).status == ((200, 200),)
