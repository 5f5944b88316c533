"""Bind texts: every allowed form, and an error with a remedy for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.errors import ConfigError
from wsgikit.master.address import SCHEMES, Scheme, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8000", "127.0.0.1", 8000),
        ("localhost:0", "localhost", 0),
        ("shop.example:443", "shop.example", 443),
        ("[::1]:8000", "::1", 8000),
        ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
        (":8000", "0.0.0.0", 8000),
        ("8000", "0.0.0.0", 8000),
        ("http://127.0.0.1:65535", "127.0.0.1", 65535),
        ("HTTP://[::]:80/", "::", 80),
        ("http://:80", "0.0.0.0", 80),
    ],
)
def test_tcp_forms(text: str, host: str, port: int) -> None:
    address = parse_address(text)
    assert (address.kind, address.host, address.port) == ("tcp", host, port)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("unix:/run/app.sock", "/run/app.sock"),
        ("unix:///run/app.sock", "/run/app.sock"),
        ("unix:app.sock", "app.sock"),
        ("unix:@app", "@app"),
        ("http+unix:/run/a b.sock", "/run/a b.sock"),
    ],
)
def test_unix_forms(text: str, path: str) -> None:
    address = parse_address(text)
    assert (address.kind, address.path) == ("unix", path)


@pytest.mark.parametrize("text", ["fd://3", "fd:3", "http+fd://3"])
def test_descriptor_forms(text: str) -> None:
    address = parse_address(text)
    assert (address.kind, address.fd) == ("fd", 3)


def test_the_scheme_says_protocol_and_tls() -> None:
    assert parse_address("h:1").scheme == Scheme("http", None)
    assert parse_address("http://h:1").scheme == Scheme("http", False)
    assert parse_address("https://h:1").scheme == Scheme("http", True)
    assert parse_address("https+unix:/x").scheme == Scheme("http", True)


def test_one_place_under_two_schemes_is_one_place() -> None:
    assert parse_address("https://[::1]:1").place == parse_address("[::1]:1").place
    assert parse_address("unix:///x").place == parse_address("http+unix:/x").place != parse_address("unix:x").place


def test_a_scheme_joins_by_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMES, "fastcgi", Scheme("fastcgi"))
    assert parse_address("fastcgi://127.0.0.1:9000").scheme.protocol == "fastcgi"
    assert parse_address("fastcgi+unix:/run/f.sock").scheme.protocol == "fastcgi"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("htp://x:1", r"unknown scheme 'htp' \(did you mean http\?\); known are fastcgi, http, https, scgi, uwsgi"),
        ("fcgi://x:1", r"unknown scheme 'fcgi' \(did you mean fastcgi\?\)"),
        ("gopher+unix:/x", "unknown scheme 'gopher'; known are"),
        ("::1:8000", r"stands in brackets, as in \[::1\]:8000"),
        ("h:65536", "a port is at most 65535"),
        ("", "allowed are host:port"),
        ("localhost", "allowed are host:port"),
        ("http://localhost", "allowed are host:port"),
        ("h:80 ", "allowed are host:port"),
        ("h:80\n", "allowed are host:port"),
        ("h:-1", "allowed are host:port"),
        ("h:\uff18\uff10", "allowed are host:port"),
        ("user@h:80", "allowed are host:port"),
        ("h:80/path", "allowed are host:port"),
        ("unix:", "allowed are host:port"),
        ("unix:/a\0b", "no NUL byte"),
        ("unix:/" + "x" * 107, "108 bytes long, a Unix socket has room for 107"),
        ("unix:" + "é" * 60, "120 bytes long"),
    ],
)
def test_errors_repeat_the_text_and_say_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_address(text)
    assert repr(text) in str(caught.value)


@given(st.text(alphabet="htps:/[]+unix@fd0189.%\n é", max_size=20))
def test_any_text_is_an_address_or_a_config_error(text: str) -> None:
    try:
        address = parse_address(text)
    except ConfigError:
        return
    assert 0 <= address.port <= 65535
    assert (address.kind == "fd") == (address.fd >= 0)
    assert (address.kind == "unix") == bool(address.path)
