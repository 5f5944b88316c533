"""The environ of requests that came as variables."""

from __future__ import annotations

import io

import pytest

from wsgikit.protocols.cgi_environ import build, paths_of
from wsgikit.wire.cgi import read_request
from wsgikit.wsgi.environ import template

BASE = template(scheme="http", name="here", port="8000", errors=io.StringIO(), multithread=True, multiprocess=False)


def environ_of(**variables: str):
    pairs = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/a?b=c", "SERVER_PROTOCOL": "HTTP/1.1"} | variables
    head, known = read_request([(name.encode(), value.encode("latin-1")) for name, value in pairs.items()])
    return build(BASE, head, known, paths_of(head, known))


def test_a_bare_request_is_complete() -> None:
    environ = environ_of()
    assert {name: environ[name] for name in ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME")} == {
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a",
        "QUERY_STRING": "b=c",
        "SERVER_NAME": "here",
    }
    assert (environ["SERVER_PORT"], environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("8000", "", "http")
    assert environ["wsgikit.raw_target"] == b"/a?b=c"
    assert "CONTENT_LENGTH" not in environ
    assert BASE["SCRIPT_NAME"] == ""
    assert "REQUEST_URI" not in BASE


def test_text_is_latin_1() -> None:
    assert environ_of(PATH_INFO="/\xc3\xa4")["PATH_INFO"] == "/\xc3\xa4"


@pytest.mark.parametrize(
    ("variables", "scheme"),
    [
        ({"HTTPS": "on"}, "https"),
        ({"HTTPS": "1"}, "https"),
        ({"HTTPS": "off"}, "http"),
        ({"HTTPS": ""}, "http"),
        ({"REQUEST_SCHEME": "https"}, "https"),
        ({"UWSGI_SCHEME": "https"}, "https"),
        ({"HTTP_HTTPS": "on"}, "http"),
    ],
)
def test_schemes(variables, scheme) -> None:
    environ = environ_of(**variables)
    assert environ["wsgi.url_scheme"] == scheme
    assert environ.get("HTTPS") == ("on" if scheme == "https" else None)


def test_what_is_empty_or_odd_is_mended() -> None:
    environ = environ_of(CONTENT_LENGTH="", CONTENT_TYPE="", SERVER_NAME="shop.example:8080", SERVER_PORT="")
    assert "CONTENT_LENGTH" not in environ
    assert "CONTENT_TYPE" not in environ
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("shop.example", "8000")
    assert environ_of(SERVER_NAME="[::1]:80")["SERVER_NAME"] == "[::1]"
    assert environ_of(SERVER_NAME="::1")["SERVER_NAME"] == "::1"


def test_nobody_sets_the_server_s_own_keys() -> None:
    environ = environ_of(**{"wsgi.input": "x", "wsgikit.takeover": "x", "HTTP_PROXY": "http://evil"})
    assert "wsgi.input" not in environ
    assert "wsgikit.takeover" not in environ
    assert "HTTP_PROXY" not in environ
