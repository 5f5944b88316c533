"""Trusted proxies: who is believed, which address is the client's, and what nobody behind it gets to see."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsgi_gateway import drive, make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import address
from wsgikit.middleware.forwarded import forwarded_hops, x_forwarded_hops
from wsgikit.middleware.proxy_headers import _ALL, ProxyHeaders
from wsgikit.middleware.router import Route, Router

PROXY, STRANGER = "10.0.0.1", "203.0.113.9"


def through(peer: str = PROXY, options: Any = None, **fields: str) -> dict[str, Any]:
    """The environ that the app gets."""
    got: dict[str, Any] = {}
    environ = make_environ(REMOTE_ADDR=peer, REMOTE_PORT="999", **{"wsgikit.log": {}})
    raw = [(name.encode(), value.encode()) for name, value in fields.items()]
    environ["wsgikit.raw_headers"] = [(name.replace(b"_", b"-"), value) for name, value in raw]
    environ.update({"HTTP_" + name.upper(): value for name, value in fields.items()})
    drive(ProxyHeaders(capture(got), **{"trusted": ["10.0.0.0/8", "2001:db8::/32"], **(options or {})}), environ)
    return got


def capture(got: dict[str, Any]) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        got.update(environ)
        start_response("204 No Content", [])
        return []

    return app


FORWARDED = {"family": "forwarded"}


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.9, 192.0.2.1, 10.0.0.2, 10.0.0.3", "192.0.2.1"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("192.0.2.1:8080", "192.0.2.1"),
        ("[2001:db9::5]:80, 2001:db8::1", "2001:db9::5"),
        ("2001:db9::5", "2001:db9::5"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, unknown", PROXY),
        ("unknown, 10.0.0.5", "10.0.0.5"),
        ("192.0.2.1, <script>, 10.0.0.5", "10.0.0.5"),
        ("999.1.1.1", PROXY),
        ("192.0.2.1,", PROXY),
        ("", PROXY),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1, 10.0.0.2 ,10.0.0.3", "192.0.2.1"),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_proxy_of_ours(chain: str, client: str) -> None:
    assert through(X_Forwarded_For=chain)["REMOTE_ADDR"] == client


def test_what_a_stranger_wrote_to_the_left_is_cut_off() -> None:
    got = through(X_Forwarded_For="6.6.6.6, 192.0.2.1, 10.0.0.2")
    assert got["HTTP_X_FORWARDED_FOR"] == "192.0.2.1, 10.0.0.2"
    assert [value for name, value in got["wsgikit.raw_headers"] if name.lower() == b"x-forwarded-for"] == [
        b"192.0.2.1, 10.0.0.2"
    ]
    got = through(options=FORWARDED, Forwarded='for=6.6.6.6;proto=https, for="192.0.2.1:80";proto=http')
    assert got["HTTP_FORWARDED"] == 'for="192.0.2.1:80";proto=http'
    assert (got["REMOTE_ADDR"], got["REMOTE_PORT"], got["wsgi.url_scheme"]) == ("192.0.2.1", "80", "http")


@pytest.mark.parametrize("family", ["x-forwarded", "forwarded"])
def test_a_stranger_is_not_believed_and_all_his_fields_are_dropped(family: str) -> None:
    fields = {name.replace("-", "_"): "https" for name in _ALL}
    got = through(STRANGER, {"family": family, "prefix": family == "x-forwarded"}, **fields)
    assert (got["REMOTE_ADDR"], got["REMOTE_PORT"], got["wsgi.url_scheme"]) == (STRANGER, "999", "http")
    assert [key for key in got if key.startswith("HTTP_")] == ["HTTP_HOST"]
    assert got["wsgikit.raw_headers"] == []
    assert got["SCRIPT_NAME"] == ""


def test_siblings_of_the_chosen_family_are_dropped_from_a_trusted_proxy_too() -> None:
    got = through(X_Forwarded_For="192.0.2.1", Forwarded="for=6.6.6.6", X_Real_IP="6.6.6.6", X_Forwarded_Server="x")
    assert got["REMOTE_ADDR"] == "192.0.2.1"
    assert sorted(key for key in got if key.startswith("HTTP_")) == ["HTTP_HOST", "HTTP_X_FORWARDED_FOR"]
    got = through(options=FORWARDED, X_Forwarded_For="6.6.6.6", Forwarded="for=192.0.2.1")
    assert got["REMOTE_ADDR"] == "192.0.2.1"
    assert "HTTP_X_FORWARDED_FOR" not in got


def test_scheme_host_and_port_are_taken_over() -> None:
    got = through(X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="HTTPS", X_Forwarded_Host="shop.example:8443")
    assert (got["wsgi.url_scheme"], got["HTTPS"]) == ("https", "on")
    assert (got["HTTP_HOST"], got["SERVER_NAME"], got["SERVER_PORT"]) == ("shop.example:8443", "shop.example", "8443")
    got = through(X_Forwarded_Proto="https", X_Forwarded_Host="shop.example", X_Forwarded_Port="443")
    assert (got["HTTP_HOST"], got["SERVER_PORT"], got["REMOTE_ADDR"]) == ("shop.example", "443", PROXY)
    got = through(X_Forwarded_Host="[2001:db8::1]:81")
    assert (got["HTTP_HOST"], got["SERVER_NAME"]) == ("[2001:db8::1]:81", "[2001:db8::1]")
    got = through(X_Forwarded_Host="other.example", options={"host": False})
    assert got["HTTP_HOST"] == "shop.example"
    got = through(options=FORWARDED, Forwarded='for=192.0.2.1;host="a.example:81";proto=https;by=10.0.0.1')
    assert (got["HTTP_HOST"], got["wsgi.url_scheme"]) == ("a.example:81", "https")


def test_lists_beside_the_addresses_go_by_position_and_single_values_by_the_last() -> None:
    got = through(X_Forwarded_For="6.6.6.6, 192.0.2.1, 10.0.0.2", X_Forwarded_Proto="http, https, http")
    assert got["wsgi.url_scheme"] == "https"
    got = through(X_Forwarded_For="6.6.6.6, 192.0.2.1", X_Forwarded_Proto="https")
    assert got["wsgi.url_scheme"] == "https"
    got = through(X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="http, https")
    assert got["wsgi.url_scheme"] == "https"


@pytest.mark.parametrize("host", ["a b", "a/b", "user@a", "a:99999999", "a:65536", "", "a\x00", "-", "[::1", "a,b c"])
def test_a_value_that_is_no_host_is_ignored(host: str) -> None:
    got = through(X_Forwarded_For="192.0.2.1", X_Forwarded_Host=host, X_Forwarded_Proto="ftp", X_Forwarded_Port="x")
    assert (got["HTTP_HOST"], got["wsgi.url_scheme"]) == ("shop.example", "http")


def test_a_scheme_from_the_proxy_clears_what_the_server_said() -> None:
    got: dict[str, Any] = {}
    layer = ProxyHeaders(lambda environ, start: got.update(environ) or start("204 No Content", []) or [])  # type: ignore[func-returns-value,misc]
    environ = make_environ(REMOTE_ADDR="127.0.0.1", HTTPS="on", HTTP_X_FORWARDED_PROTO="http")
    drive(layer, {**environ, "wsgi.url_scheme": "https"})
    assert got["wsgi.url_scheme"] == "http"
    assert "HTTPS" not in got


@pytest.mark.parametrize(
    ("prefix", "script"),
    [
        ("/shop", "/shop"),
        ("/shop/", "/shop"),
        ("/", ""),
        ("/caf%C3%A9", "/caf\xc3\xa9"),
        ("//evil", ""),
        ("shop", ""),
        ("/%2Fevil.example", ""),
        ("/%2f", ""),
        ("/a%2F%2Fb", ""),
        ("/a%2F", ""),
        ("/a%0D%0AX:y", ""),
        ("/%00", ""),
        ("/a/../b", ""),
        ("/a/%2e%2E", ""),
        ("/a%2Fb", "/a/b"),
        ("/a%5Cb", ""),
        ("/%zz", ""),
    ],
)
def test_a_prefix_goes_before_script_name_where_that_is_wanted(prefix: str, script: str) -> None:
    assert through(X_Forwarded_Prefix=prefix, options={"prefix": True})["SCRIPT_NAME"] == script
    assert through(X_Forwarded_Prefix=prefix)["SCRIPT_NAME"] == ""


def test_with_a_prefix_the_raw_target_still_tells_an_escaped_slash_from_a_slash() -> None:
    got: dict[str, Any] = {}
    environ = make_environ(REMOTE_ADDR="127.0.0.1", PATH_INFO="/a/b", HTTP_X_FORWARDED_PREFIX="/caf%C3%A9")
    environ["wsgikit.raw_target"] = b"/a%2Fb"
    inner = Router([Route("/<name>", capture(got))])
    drive(ProxyHeaders(inner, prefix=True), environ)
    assert got["wsgiorg.routing_args"] == ((), {"name": "a/b"})


def test_a_peer_on_a_unix_socket_is_trusted_where_it_says_so() -> None:
    assert through("", {"trusted": ["unix"]}, X_Forwarded_For="192.0.2.1")["REMOTE_ADDR"] == "192.0.2.1"
    assert through("", {"trusted": ["10.0.0.1"]}, X_Forwarded_For="192.0.2.1")["REMOTE_ADDR"] == ""


def test_the_proxy_is_noted_for_the_log() -> None:
    assert through(X_Forwarded_For="192.0.2.1")["wsgikit.log"] == {"peer": PROXY}


def test_without_such_fields_the_environ_itself_is_passed_on() -> None:
    seen: list[Any] = []
    layer = ProxyHeaders(lambda environ, start: seen.append(environ) or start("204 No Content", []) or [])  # type: ignore[func-returns-value,misc]
    environ = make_environ()
    drive(layer, environ)
    assert seen[0] is environ


@pytest.mark.parametrize(
    "value",
    ["for", "for=", "for=a b", 'for="a', "for=1.2.3.4;for=5.6.7.8", "=1.2.3.4", ";", "a=b=c", "for=1.2.3.4;x y", ","],
)
def test_a_forwarded_element_with_a_syntax_error_says_nothing(value: str) -> None:
    assert not any(hop.address for hop in forwarded_hops({"HTTP_FORWARDED": value}))
    assert through(options=FORWARDED, Forwarded=value)["REMOTE_ADDR"] == PROXY


@pytest.mark.parametrize(
    "own", ["for=203.0.113.9", 'for="203.0.113.9:4711"', 'by="a,b;c";for=203.0.113.9', "for=203.0.113.9;;proto=http"]
)
@pytest.mark.parametrize(
    "forged",
    [
        "",
        "for=10.0.0.1, ",
        "for, ",
        'for="10.0.0.1, ',
        'for="a\\", ',
        'for="\\, ',
        '", ',
        'for="x"y, ',
        "for=1.2.3.4;for=x, ",
    ],
)
def test_nothing_a_client_writes_hides_what_the_proxy_added(forged: str, own: str) -> None:
    got = through(options=FORWARDED, Forwarded=forged + own)
    assert got["REMOTE_ADDR"] == "203.0.113.9"
    assert got["HTTP_FORWARDED"] == own


@pytest.mark.parametrize("line", ["a", '\\"', '="', "\\", ";", "for=", ",", "for=1.2.3.4,", '"'])
def test_long_fields_are_read_in_linear_time(line: str) -> None:
    value = ", ".join([line * (8190 // len(line))] * 7)  # a head holds seven lines at their limit
    began = time.process_time()
    forwarded_hops({"HTTP_FORWARDED": value})
    x_forwarded_hops({"HTTP_X_FORWARDED_FOR": value})
    assert time.process_time() - began < 1.0  # reading it in quadratic time takes many


def test_what_is_remembered_of_addresses_is_small() -> None:
    address.cache_clear()
    for text in ("1" * 8000, "[" + ":" * 8000 + "]", "a:" * 4000, "1.2.3.4"):
        through(X_Forwarded_For=text)
        through(options=FORWARDED, Forwarded=f'for="{text}"')
    assert address.cache_info().currsize == 2


def test_forwarded_is_read_as_rfc_7239_writes_it() -> None:
    value = 'For="[2001:db8:cafe::17]:4711" ; Proto=https,for=192.0.2.43;by="_x";host="a\\"b", for=unknown'
    hops = forwarded_hops({"HTTP_FORWARDED": value})
    assert [(hop.address, hop.port, hop.scheme, hop.host) for hop in hops] == [
        ("2001:db8:cafe::17", "4711", "https", ""),
        ("192.0.2.43", "", "", 'a"b'),
        ("", "", "", ""),
    ]


@given(st.text(st.characters(max_codepoint=255), max_size=60), st.text(st.characters(max_codepoint=255), max_size=20))
def test_no_text_makes_it_fail_or_puts_something_strange_into_the_environ(text: str, other: str) -> None:
    for family in ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR"):
        forwarded_hops({family: text})
        x_forwarded_hops({family: text, "HTTP_X_FORWARDED_PROTO": other, "HTTP_X_FORWARDED_HOST": other})
    got = through(X_Forwarded_For=text, X_Forwarded_Host=other, X_Forwarded_Prefix=other, options={"prefix": True})
    assert got["wsgi.url_scheme"] in ("http", "https")
    assert not set(got["REMOTE_ADDR"]) & set(" \r\n,<>")
    assert not set(got["HTTP_HOST"]) & set(" \r\n,<>/@")
    assert got["SCRIPT_NAME"] == "" or (got["SCRIPT_NAME"][0] == "/" and got["SCRIPT_NAME"][1:2] != "/")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trusted": ["10.0.0.1/8"]}, "has host bits set"),
        ({"trusted": "10.0.0.1"}, "write ['10.0.0.1']"),
        ({"trusted": ["proxy.example"]}, "write it like '10.0.0.0/8'"),
        ({"family": "x-real-ip"}, "allowed are 'x-forwarded', 'forwarded'"),
        ({"family": "forwarded", "prefix": True}, "Forwarded has no prefix"),
    ],
)
def test_wrong_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ProxyHeaders(lambda environ, start: [], **options)
    assert message in str(caught.value)
