"""Forwarded and X-Forwarded-* as a client writes them before a trusted proxy adds its own."""

from __future__ import annotations

import time
from ipaddress import ip_network

import pytest

from wsgikit.protocols.forwarded import Forwarded

PROXY = "127.0.0.1"
LONG = 8190  # a field line at its limit; a head holds seven of them, which become one list


def believed(family: str, value: str, name: str = "HTTP_FORWARDED") -> dict[str, object]:
    environ: dict[str, object] = {"REMOTE_ADDR": PROXY, name: value}
    Forwarded((ip_network("127.0.0.0/8"),), family)(environ, PROXY)
    return environ


@pytest.mark.parametrize("line", [
    "a" * LONG,
    '"' + '\\"' * (LONG // 2),
    '="' * (LONG // 2),
    'for="' + "\\" * LONG,
    ";" * LONG,
    "for=" * (LONG // 4),
])  # fmt: skip
def test_cve_2020_5236_a_long_list_is_read_in_linear_time(line: str) -> None:
    value = ", ".join([line] * 7)
    began = time.process_time()
    believed("forwarded", value)
    assert time.process_time() - began < 0.1  # it took two seconds


@pytest.mark.parametrize(
    "own", ["for=203.0.113.9", 'for="203.0.113.9:4711"', 'FOR = x, for="203.0.113.9"', "for=203.0.113.9:80"]
)
@pytest.mark.parametrize(
    "forged", ["", "for=10.0.0.1, ", 'for="10.0.0.1, ', 'for="a\\", ', 'for="\\, ', '", ', 'for="x"y", ']
)
def test_what_the_nearest_proxy_adds_cannot_be_hidden_in_a_quote(own: str, forged: str) -> None:
    assert believed("forwarded", forged + own)["REMOTE_ADDR"] == "203.0.113.9"


def test_commas_and_semicolons_inside_quotes_belong_to_the_value() -> None:
    environ = believed(
        "forwarded", 'for="198.51.100.7";by="_a;for=10.0.0.1,for=10.0.0.2";proto=https;host="shop.example"'
    )
    assert environ["REMOTE_ADDR"] == "198.51.100.7"
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "shop.example"


@pytest.mark.parametrize("scoped", ["fe80::1%' OR 1=1 --", "fe80::1%eth0", "[fe80::1%<b>]:80"])
def test_the_scope_of_an_address_is_not_passed_on_as_text(scoped: str) -> None:
    assert believed("x-forwarded", scoped, "HTTP_X_FORWARDED_FOR")["REMOTE_ADDR"] == PROXY
    assert believed("forwarded", f'for="{scoped}"')["REMOTE_ADDR"] == PROXY
