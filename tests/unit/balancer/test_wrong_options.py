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
