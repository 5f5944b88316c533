"""Options that are amounts, addresses and keys: what is none is refused by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from wsgi_gateway import make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware import CORS, BodyLimit, Cascade, Compress, Concurrency, Health, IpAllow, RateLimit, Static
from wsgikit.middleware.amounts import address, networks, seconds, size, within
from wsgikit.middleware.client_key import client_key
from wsgikit.middleware.stack_options import from_tables


def app(environ: Any, start_response: Any) -> Any:
    start_response("204 No Content", [])
    return []


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf"), -1, "", "1e9", "5 parsecs", True, None, []]
)
@pytest.mark.parametrize("read", [size, seconds])
def test_what_is_no_amount_is_refused_by_name(read: Callable[..., Any], value: Any) -> None:
    with pytest.raises(ConfigError, match="limit = "):
        read(value, "limit")


@pytest.mark.parametrize(
    "make",
    [
        lambda: BodyLimit(app, limit=float("nan")),
        lambda: CORS(app, max_age=float("inf")),
        lambda: Concurrency(app, limit=1, retry_after=float("inf")),
        lambda: Concurrency(app, limit=1, key=5),  # type: ignore[arg-type]
        lambda: RateLimit(app, key=None),  # type: ignore[arg-type]
        lambda: RateLimit(app, key=["address"]),  # type: ignore[arg-type]
        lambda: Compress(app, remembered=10**30),
        lambda: Compress(app, types=["x"]),
        lambda: Compress(app, types=["*/*"]),
        lambda: Static(app, directory=".", types={"md": "text/markdown"}),
        lambda: Static(app, directory=".", types={".md": "text"}),
        lambda: Static(app, directory=".", types={".md": "text/a\r\nX: y"}),
        lambda: Static(app, directory=".", index="../x"),
    ],
)
def test_an_option_that_could_not_work_is_a_config_error(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigError):
        make()


@pytest.mark.parametrize(
    "table",
    [
        {"middleware": "rate-limit", "key": 5},
        {"middleware": "cascade", "then": ["json:dumps"], "statuses": 404},
        {"middleware": "cascade", "then": 1},
        {"middleware": "health", "checks": ["json:dumps"]},
        {"middleware": "health", "checks": "json:dumps"},
        {"middleware": "timing", "on_done": 5},
        {"middleware": "compress", "types": [5]},
        {"middleware": "error-pages", "pages": ["404.html"]},
    ],
)
def test_a_table_with_a_value_of_another_kind_is_a_config_error_with_its_place(table: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"wsgikit.toml: use\[1\]: "):
        from_tables([table], place="wsgikit.toml: ")[0](app)


@pytest.mark.parametrize("text", ["::ffff:10.0.0.0/104", "::ffff:10.1.2.3", "10.0.0.0/8", "::ffff:0:0/96"])
def test_a_range_of_mapped_addresses_is_the_range_of_the_addresses(text: str) -> None:
    ranges = networks([text], "deny")
    assert within(address("10.1.2.3"), ranges)
    assert within(address("::ffff:10.1.2.3"), ranges)
    assert not within(address("::1"), ranges)


def test_a_denied_range_of_mapped_addresses_is_denied() -> None:
    found: list[str] = []
    layer = IpAllow(app, deny=["::ffff:192.0.2.0/120"])
    list(
        layer(make_environ(REMOTE_ADDR="::ffff:192.0.2.9"), lambda status, headers: found.append(status) or list.append)
    )  # type: ignore[func-returns-value,misc]
    assert found == ["403 Forbidden"]


def test_a_key_may_be_a_function() -> None:
    assert client_key(lambda environ: "x", 64)({}) == "x"


def test_no_option_is_refused_for_being_right() -> None:
    Cascade(app, then=[app], statuses=[404, 405])
    Health(app, checks={"path": lambda: sys.path})
    Static(app, directory=".", types={".md": "text/markdown; charset=x", "": "text/plain"}, index="")
    Compress(app, types=["TEXT/*", "application/x+y"], remembered=1)
