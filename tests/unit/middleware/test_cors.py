"""CORS: preflights, origins, and what caches must know."""

from __future__ import annotations

from typing import Any

import pytest
from wsgi_gateway import drive, make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware.cors import CORS

SHOP = "https://shop.example"


def app(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Vary", "Cookie")])
    return [b"app"]


def ask(origin: str | None, method: str = "GET", options: Any = None, **extra: str) -> Any:
    if origin is not None:
        extra["HTTP_ORIGIN"] = origin
    return drive(CORS(app, **{"origins": [SHOP], **(options or {})}), make_environ(method, **extra))


def preflight(origin: str, options: Any = None, method: str = "PUT", **extra: str) -> Any:
    return ask(origin, "OPTIONS", options, HTTP_ACCESS_CONTROL_REQUEST_METHOD=method, **extra)


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ([SHOP], SHOP, True),
        (["HTTPS://Shop.example"], SHOP, True),
        ([SHOP], "http://shop.example", False),
        ([SHOP], SHOP + ":8443", False),
        ([SHOP], SHOP + ".evil.example", False),
        (["https://*.shop.example"], "https://a.b.shop.example", True),
        (["https://*.shop.example"], SHOP, False),
        (["https://*.shop.example"], "https://evilshop.example", False),
        (["https://*.shop.example"], "https://evil.example/.shop.example", False),
        (["https://*.shop.example:8443"], "https://a.shop.example:8443", True),
        (["http://[::1]:80"], "http://[::1]:80", True),
        ([SHOP + ":443"], SHOP, True),
        (["http://*.shop.example:80"], "http://a.shop.example", True),
        ([SHOP + ":80"], SHOP, False),
        ([SHOP], "null", False),
        (["null"], "null", True),
        (["*"], "https://anywhere.example", True),
        ([], SHOP, False),
    ],
)
def test_origins(origins: list[str], origin: str, allowed: bool) -> None:
    options = {"origins": origins}
    expected = ("*" if origins == ["*"] else origin) if allowed else None
    seen = ask(origin, options=options)
    assert (seen.body, seen.get("Access-Control-Allow-Origin")) == (b"app", expected)
    assert seen.get("Vary") == ("Cookie" if origins == ["*"] else "Cookie, Origin")
    answer = preflight(origin, options)
    assert (answer.code, answer.get("Access-Control-Allow-Origin")) == (204 if allowed else 403, expected)


def test_a_preflight_is_answered_here_and_says_what_may_be_sent() -> None:
    seen = preflight(SHOP)
    assert (seen.code, seen.body, seen.get("Content-Length")) == (204, b"", None)
    assert seen.get("Access-Control-Allow-Methods") == "GET, HEAD, POST, PUT, PATCH, DELETE"
    assert seen.get("Access-Control-Allow-Headers") == "Authorization, Content-Type, X-Request-ID"
    assert seen.get("Access-Control-Max-Age") == "600"
    assert "Origin" in (seen.get("Vary") or "")
    assert seen.get("Access-Control-Allow-Credentials") is None


def test_all_headers_are_repeated_by_name() -> None:
    asked = "authorization, x-a,  x-b, bad name, <x>"
    seen = preflight(SHOP, {"headers": ["*"], "credentials": True}, HTTP_ACCESS_CONTROL_REQUEST_HEADERS=asked)
    assert seen.get("Access-Control-Allow-Headers") == "authorization, x-a, x-b"
    assert seen.get("Access-Control-Allow-Credentials") == "true"


def test_private_networks_are_let_in_only_where_that_is_said() -> None:
    for private, expected in ((False, None), (True, "true")):
        seen = preflight(SHOP, {"private": private}, HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK="true")
        assert seen.get("Access-Control-Allow-Private-Network") == expected


def test_an_ordinary_options_request_goes_to_the_app() -> None:
    assert ask(SHOP, "OPTIONS").body == b"app"
    assert ask(None, "OPTIONS", HTTP_ACCESS_CONTROL_REQUEST_METHOD="PUT").body == b"app"
    assert ask(SHOP, "POST", HTTP_ACCESS_CONTROL_REQUEST_METHOD="PUT").body == b"app"


def test_without_an_origin_only_vary_is_added() -> None:
    seen = ask(None, options={"expose": ["X-Total"], "credentials": True})
    assert seen.headers == [("Content-Type", "text/plain"), ("Vary", "Cookie, Origin")]


def test_fields_for_scripts_and_credentials() -> None:
    seen = ask(SHOP, options={"expose": ["X-Total", "Link"], "credentials": True})
    assert seen.get("Access-Control-Expose-Headers") == "X-Total, Link"
    assert seen.get("Access-Control-Allow-Credentials") == "true"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"origins": ["*"], "credentials": True}, "any site could act for your users"),
        ({"origins": ["*", SHOP]}, "'*' stands for all origins and so has to stand alone"),
        ({"origins": ["shop.example"]}, "write 'https://name'"),
        ({"origins": [SHOP + "/"]}, "without a path"),
        ({"origins": ["https://a.*.example"]}, "write 'https://name'"),
        ({"origins": SHOP}, f"write ['{SHOP}']"),
        ({"methods": ["GET, PUT"]}, "no HTTP name"),
        ({"headers": ["X Y"]}, "no HTTP name"),
    ],
)
def test_wrong_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CORS(app, **options)
    assert message in str(caught.value)
