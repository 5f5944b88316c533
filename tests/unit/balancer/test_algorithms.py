"""Who gets the next request."""

from __future__ import annotations

from collections import Counter

import pytest
from wsgi_call import environ_of

from wsgikit.client import ClientSettings
from wsgikit.errors import ConfigError
from wsgikit.middleware.balancer import algorithms
from wsgikit.middleware.balancer.algorithms import LeastRequest, PeakEwma, PowerOfTwo, Random, RoundRobin, make
from wsgikit.middleware.balancer.endpoint import Endpoint, EndpointSpec
from wsgikit.middleware.balancer.hashing import ConsistentHash, cookie
from wsgikit.middleware.balancer.lanes import Lanes
from wsgikit.middleware.balancer.sticky import Sticky
from wsgikit.testing import FakeClock

SECRET = "sixteen letters!"


def endpoints(*weights: int) -> list[Endpoint]:
    specs = [EndpointSpec.parse(f"http://10.0.0.{n}:80 weight={weight}") for n, weight in enumerate(weights, 1)]
    return [Endpoint(spec, "test", ClientSettings()) for spec in specs]


def picks(algorithm: algorithms.Algorithm, members: list[Endpoint], count: int, **environ: str) -> Counter[str]:
    request = environ_of(b"/", **environ)
    return Counter(algorithm.pick(members, request).url for _ in range(count))


def test_round_robin_is_exact_and_smooth() -> None:
    members = endpoints(5, 1, 1)
    algorithm = RoundRobin()
    order = [algorithm.pick(members, {}).url[-1] for _ in range(70)]
    assert Counter(order) == {"1": 50, "2": 10, "3": 10}
    # a burst would be 5 and 5 at the seam of two rounds
    assert "11111" not in "".join(order)
    for start in range(0, 70, 7):
        assert Counter(order[start : start + 7]) == {"1": 5, "2": 1, "3": 1}


def test_round_robin_goes_on_when_the_members_change() -> None:
    members = endpoints(1, 1, 1, 1)
    algorithm = RoundRobin()
    picks(algorithm, members, 10)
    for _ in range(20):
        assert max(picks(algorithm, members[1:], 30).values()) <= 13
        assert max(picks(algorithm, members, 40).values()) <= 13


def test_least_request_takes_the_idlest_for_its_weight() -> None:
    members = endpoints(1, 2, 4)
    members[0].in_flight, members[1].in_flight, members[2].in_flight = 1, 1, 3
    assert picks(LeastRequest(), members, 10) == {members[1].url: 10}
    for member in members:
        member.in_flight = 0
    counts = picks(LeastRequest(), members, 7000)
    assert counts[members[2].url] == pytest.approx(4000, rel=0.1)


def test_power_of_two_prefers_the_idler_of_two() -> None:
    members = endpoints(1, 1)
    members[0].in_flight = 5
    assert picks(PowerOfTwo(), members, 100) == {members[1].url: 100}
    many = endpoints(*[1] * 10)
    many[0].in_flight = 100
    counts = picks(PowerOfTwo(), many, 5000)
    assert counts[many[0].url] == 0
    assert max(counts.values()) < 2 * min(counts[member.url] for member in many[1:])


def test_weights_hold_when_nothing_is_under_way() -> None:
    for algorithm in (PowerOfTwo(), Random()):
        members = endpoints(1, 3)
        counts = picks(algorithm, members, 8000)
        assert counts[members[1].url] == pytest.approx(6000, rel=0.06), algorithm


def test_peak_ewma_goes_where_answers_come_sooner() -> None:
    clock = FakeClock()
    algorithm = PeakEwma(clock=clock)
    quick, slow = members = endpoints(1, 1)
    algorithm.observe(quick, 0.01)
    algorithm.observe(slow, 0.1)
    assert picks(algorithm, members, 50) == {quick.url: 50}
    quick.in_flight = 20  # twenty times 10 ms are more than 100
    assert picks(algorithm, members, 50) == {slow.url: 50}


def test_peak_ewma_rises_at_once_and_forgives_slowly() -> None:
    clock = FakeClock()
    algorithm = PeakEwma(decay=10, clock=clock)
    (member,) = endpoints(1)
    algorithm.observe(member, 0.01)
    algorithm.observe(member, 1.0)
    assert member.latency == 1.0
    clock.advance(1)
    algorithm.observe(member, 0.01)
    assert 0.8 < member.latency < 1.0
    clock.advance(100)
    algorithm.observe(member, 0.01)
    assert member.latency == pytest.approx(0.01, rel=0.1)


def test_peak_ewma_tries_who_is_unknown_but_one_at_a_time() -> None:
    clock = FakeClock()
    algorithm = PeakEwma(clock=clock)
    known, new = members = endpoints(1, 1)
    algorithm.observe(known, 0.01)
    assert picks(algorithm, members, 10) == {new.url: 10}
    new.in_flight = 1
    assert picks(algorithm, members, 10) == {known.url: 10}


def test_the_same_key_goes_to_the_same_place_and_few_move() -> None:
    members = endpoints(1, 1, 1, 1)
    algorithm = ConsistentHash("path")
    keys = {b"/page/%d" % number: {"PATH_INFO": f"/page/{number}"} for number in range(2000)}
    before = {key: algorithm.pick(members, environ).url for key, environ in keys.items()}
    other, again = ConsistentHash("path"), endpoints(1, 1, 1, 1)  # another process
    assert before == {key: other.pick(again, environ).url for key, environ in keys.items()}
    spread = Counter(before.values())
    assert min(spread.values()) > 2000 / 4 * 0.75
    gone = members[2]
    left = tuple(member for member in members if member is not gone)
    after = {key: algorithm.pick(left, environ).url for key, environ in keys.items()}
    moved = [key for key in keys if before[key] != after[key]]
    assert {before[key] for key in moved} == {gone.url}
    assert len({after[key] for key in moved}) == 3


def test_hash_weights_and_kinds_of_keys() -> None:
    members = endpoints(1, 3)
    algorithm = ConsistentHash("address")
    counts = Counter(
        algorithm.pick(members, environ_of(b"/", REMOTE_ADDR=f"192.0.{n % 250}.{n // 250}")).url for n in range(4000)
    )
    assert counts[members[1].url] == pytest.approx(3000, rel=0.15)
    for option, environ in (
        ("header:X-User", {"HTTP_X_USER": "ada"}),
        ("cookie:session", {"HTTP_COOKIE": "a=1; session=ada; b=2"}),
    ):
        assert len(picks(ConsistentHash(option), endpoints(1, 1, 1), 50, **environ)) == 1
        assert len(picks(ConsistentHash(option), endpoints(1, 1, 1), 50)) == 3  # without the key: anywhere


def test_huge_weights_make_no_huge_ring() -> None:
    members = endpoints(1_000_000, 1)
    algorithm = ConsistentHash("path")
    algorithm.pick(members, environ_of(b"/"))
    points, _ = algorithm._ring(members)
    assert len(points) < 60_000


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ("a=1", "a", "1"),
        ("b=2; a=1", "a", "1"),
        ("aa=2; a=1; a=3", "a", "1"),
        ("b=a=1", "a", ""),
        ("", "a", ""),
        ("a", "a", ""),
        ("a==x", "a", "=x"),
    ],
)
def test_cookies_are_read(header: str, name: str, value: str) -> None:
    assert cookie({"HTTP_COOKIE": header}, name) == value


def test_the_registry_takes_others() -> None:
    class Last:
        def pick(self, endpoints, environ):
            return endpoints[-1]

    algorithms.register("last", Last)
    try:
        members = endpoints(1, 1)
        assert picks(make("last"), members, 5) == {members[1].url: 5}
    finally:
        del algorithms._registry["last"]
    assert isinstance(make("wsgikit.middleware.balancer.algorithms:RoundRobin"), RoundRobin)


@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("p2d", "", "p2c"),
        ("leastrequest", "", "least-request"),
        ("hash", "cookie:", "cookie:NAME"),
        ("hash", "body", "allowed are"),
        ("p2c", "path", "only balance = 'hash'"),
        ("collections:OrderedDict", "", "has no pick"),
    ],
)
def test_unknown_algorithms_say_what_there_is(name: str, key: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make(name, key)


# Sticky


def test_tokens_are_opaque_and_cannot_be_made() -> None:
    sticky = Sticky({"secret": SECRET})
    url = "http://10.0.0.1:8000"
    token = sticky.token(url)
    assert len(token) == 24
    assert token == Sticky({"secret": SECRET}).token(url)
    assert token != Sticky({"secret": SECRET[::-1]}).token(url)
    assert token != sticky.token(url + "/")
    assert sticky.wanted({"HTTP_COOKIE": f"x=1; endpoint={token}"}) == token


def test_the_cookie_has_the_attributes_it_should() -> None:
    sticky = Sticky({"secret": SECRET, "cookie": "node", "max_age": "1h", "same_site": "Strict"})
    plain = sticky.set_cookie("http://a", environ_of(b"/"))
    assert plain.split("; ")[1:] == ["Path=/", "HttpOnly", "Max-Age=3600", "SameSite=Strict"]
    assert plain.startswith("node=")
    mounted = Sticky({"secret": SECRET}).set_cookie(
        "http://a", environ_of(b"/", SCRIPT_NAME="/shop", **{"wsgi.url_scheme": "https"})
    )
    assert mounted.split("; ")[1:] == ["Path=/shop", "HttpOnly", "SameSite=Lax", "Secure"]


@pytest.mark.parametrize(
    "options",
    [{}, {"secret": "short"}, {"secret": SECRET, "cooky": "a"}, {"secret": SECRET, "cookie": "a b"},
     {"secret": SECRET, "same_site": "x"}, {"secret": SECRET, "max_age": "x"}],
)  # fmt: skip
def test_wrong_sticky_options(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="sticky") as caught:
        Sticky(options)
    assert "short" not in str(caught.value)


# Lanes


def test_lanes_take_their_part_of_the_traffic() -> None:
    lanes = Lanes({"canary": {"weight": 0.05}, "beta": {"weight": 0.2}})
    environ = environ_of(b"/")
    counts = Counter(lanes.choose(environ) for _ in range(20_000))
    assert counts["canary"] == pytest.approx(1000, rel=0.2)
    assert counts["beta"] == pytest.approx(4000, rel=0.1)


def test_lanes_by_key_keep_their_clients_when_they_grow() -> None:
    small, large = (Lanes({"canary": {"weight": part, "by": "cookie:id"}}) for part in (0.05, 0.2))
    clients = [environ_of(b"/", HTTP_COOKIE=f"id={number}") for number in range(4000)]
    before = {number for number, client in enumerate(clients) if small.choose(client)}
    after = {number for number, client in enumerate(clients) if large.choose(client)}
    assert before < after
    assert len(before) == pytest.approx(200, rel=0.3)
    assert {number for number, client in enumerate(clients) if small.choose(client)} == before


def test_lanes_by_header_and_cookie() -> None:
    lanes = Lanes({"canary": {"header": "X-Canary: yes", "cookie": "canary=1"}, "any": {"header": "X-Any:"}})
    assert lanes.choose(environ_of(b"/", HTTP_X_CANARY="yes")) == "canary"
    assert lanes.choose(environ_of(b"/", HTTP_X_CANARY="no")) == ""
    assert lanes.choose(environ_of(b"/", HTTP_COOKIE="canary=1")) == "canary"
    assert lanes.choose(environ_of(b"/", HTTP_COOKIE="canary=2")) == ""
    assert lanes.choose(environ_of(b"/", HTTP_X_ANY="whatever")) == "any"


@pytest.mark.parametrize(
    "tables",
    [{"a": {}}, {"a": {"weight": 2}}, {"a": {"weight": 0.6}, "b": {"weight": 0.6}}, {"a": {"wight": 0.1}},
     {"a": {"header": "X"}}, {"a": {"weight": True}}, {"a": {"weight": 0.1, "by": "x"}}, {"a": "x"}],
)  # fmt: skip
def test_wrong_lanes(tables: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Lanes(tables)
