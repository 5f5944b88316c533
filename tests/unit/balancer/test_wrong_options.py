"""Whatever is written into an option: it works, or ConfigError says where it is wrong. Nothing else is raised."""

from __future__ import annotations

import inspect

import pytest

from wsgikit.errors import ConfigError
from wsgikit.middleware.balancer import Balancer
from wsgikit.middleware.balancer.options import CLIENT_NAMES, forward_names

SECRET = "x" * 16
OWN = [name for name in inspect.signature(Balancer).parameters if name not in ("name", "options")]
VALUES = [
    5, -1, 0, 0.5, "x", "", True, [], {}, [1], ["x"], [[]], [{}], None, float("nan"), 10**30, "\0", "a\nb", "é",
    {"a": 1}, {1: 2}, {"set": 1}, {"set": {"A": 1}}, {"add": {"A": [1]}}, {"remove": 5}, {"path": 1}, {"on": 5},
    {"contains": 5}, {"host": "a\r\nb"}, {"status": [[]]}, {"ratio": float("nan")}, {"requests": None}, {"ca": 5},
    {"secret": 5}, {"cookie": 5, "secret": SECRET}, {"same_site": 5, "secret": SECRET},
    {"max_age": [], "secret": SECRET},
    {"x": {}}, {"x": {"by": 5, "weight": 1}}, {"x": {"header": 5}}, {"x": {"cookie": 5}}, {"params": {1: 2}},
]  # fmt: skip


@pytest.mark.parametrize("name", [*OWN, *CLIENT_NAMES, *forward_names()])
def test_nothing_but_a_config_error(name: str) -> None:
    refused = 0
    for value in VALUES:
        try:
            Balancer.from_table("shop", {"endpoints": ["http://127.0.0.1:9"], name: value}).close()
        except ConfigError as error:
            refused += str(error).startswith("[upstream.shop] ")
    assert refused > len(VALUES) / 2  # who takes everything checks nothing


def test_an_endpoint_in_a_lane_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="no lane 'canry' in lanes"):
        Balancer(["http://a", "http://b lane=canry"])


def test_every_wrong_option_is_told_at_once() -> None:
    table = {
        "endpoint": ["http://a"],
        "balance": "fair",
        "connect_timeout": "soon",
        "max_idle": -1,
        "via": "a b",
        "host": 5,
        "health": {"interval": "often", "rise": 0, "pth": "/"},
        "eject": {"most": 2},
        "retry": {"attempts": 0, "on": ["never"]},
        "sticky": {"secret": "short", "max_age": "x"},
        "breaker": {"ratio": 2, "window": "x"},
        "lanes": {"a": {"weight": 7}, "b": {"header": "X"}},
        "tls": {"verify": "no", "ca": 5},
        "gateway": {"params": 1, "nonsense": 1},
        "queue": -1,
    }
    with pytest.raises(ConfigError) as caught:
        Balancer.from_table("shop", table)
    ways = [".".join(error.way) for error in caught.value.several]
    assert ways == [
        "endpoint", "sticky.secret", "sticky.max_age", "breaker.ratio", "breaker.window", "lanes.a.weight",
        "lanes.b.header", "balance", "connect_timeout", "max_idle", "tls.verify", "tls.ca", "gateway.nonsense", "via",
        "host", "health.pth", "health.interval", "health.rise", "eject.most", "retry.attempts", "retry.on", "queue",
    ]  # fmt: skip
    assert all(str(error).startswith("[upstream.shop] ") for error in caught.value.several)
    assert str(caught.value).split("\n") == [str(error) for error in caught.value.several]


def test_every_wrong_endpoint_is_told_and_nothing_that_follows_from_it() -> None:
    endpoints = ["http://a weight=0", "ftp://b", "http://c lane=canary"]
    with pytest.raises(ConfigError) as caught:
        Balancer.from_table("shop", {"endpoints": endpoints, "lanes": {"canary": {"weight": 0.5}}})
    assert [error.way for error in caught.value.several] == [("endpoints",), ("endpoints",)]
