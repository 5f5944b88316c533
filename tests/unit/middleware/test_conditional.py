"""Conditional requests: 304 and 412 for apps that do not know them."""

from __future__ import annotations

from typing import Any

import pytest
from wsgi_gateway import drive, make_environ

from wsgikit.middleware.conditional import Conditional
from wsgikit.middleware.preconditions import evaluate, range_still_valid

OLD, DATE, NEW = ("Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT", "Wed, 03 Jan 2024 00:00:00 GMT")
AT = 1704153600


def app_of(*headers: tuple[str, str], status: str = "200 OK", body: bytes = b"hello", stream: bool = False) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, [("Content-Type", "text/plain"), *headers])
        return iter([body]) if stream else [body]

    return app


def ask(app: Any, method: str = "GET", **fields: str) -> Any:
    return drive(Conditional(app), make_environ(method, **fields))


@pytest.mark.parametrize(
    ("fields", "etag", "code"),
    [
        ({}, '"a"', 200),
        ({"HTTP_IF_NONE_MATCH": '"a"'}, '"a"', 304),
        ({"HTTP_IF_NONE_MATCH": 'W/"a"'}, '"a"', 304),
        ({"HTTP_IF_NONE_MATCH": '"a"'}, 'W/"a"', 304),
        ({"HTTP_IF_NONE_MATCH": '"b", "a"'}, '"a"', 304),
        ({"HTTP_IF_NONE_MATCH": "*"}, '"a"', 304),
        ({"HTTP_IF_NONE_MATCH": '"b"'}, '"a"', 200),
        ({"HTTP_IF_NONE_MATCH": '"b"', "HTTP_IF_MODIFIED_SINCE": NEW}, '"a"', 200),
        ({"HTTP_IF_NONE_MATCH": '"a"', "REQUEST_METHOD": "PUT"}, '"a"', 412),
        ({"HTTP_IF_MODIFIED_SINCE": DATE}, "", 304),
        ({"HTTP_IF_MODIFIED_SINCE": NEW}, "", 304),
        ({"HTTP_IF_MODIFIED_SINCE": OLD}, "", 200),
        ({"HTTP_IF_MODIFIED_SINCE": "yesterday"}, "", 200),
        ({"HTTP_IF_MODIFIED_SINCE": NEW, "REQUEST_METHOD": "POST"}, "", 200),
        ({"HTTP_IF_MATCH": '"a"'}, '"a"', 200),
        ({"HTTP_IF_MATCH": "*"}, '"a"', 200),
        ({"HTTP_IF_MATCH": '"b"'}, '"a"', 412),
        ({"HTTP_IF_MATCH": 'W/"a"'}, '"a"', 412),
        ({"HTTP_IF_MATCH": '"a"'}, 'W/"a"', 412),
        ({"HTTP_IF_MATCH": '"a"', "HTTP_IF_NONE_MATCH": '"a"'}, '"a"', 304),
        ({"HTTP_IF_UNMODIFIED_SINCE": OLD}, "", 412),
        ({"HTTP_IF_UNMODIFIED_SINCE": DATE}, "", 200),
        ({"HTTP_IF_UNMODIFIED_SINCE": OLD, "HTTP_IF_MATCH": '"a"'}, '"a"', 200),
    ],
)
def test_preconditions_are_evaluated_in_the_order_of_rfc_9110(fields: Any, etag: str, code: int) -> None:
    assert evaluate({"REQUEST_METHOD": "GET", **fields}, etag, AT) == code


@pytest.mark.parametrize(
    ("value", "etag", "valid"),
    [
        (None, '"a"', True),
        ('"a"', '"a"', True),
        ('"b"', '"a"', False),
        ('W/"a"', 'W/"a"', False),
        (DATE, '"a"', True),
        (OLD, '"a"', False),
        (NEW, '"a"', False),
        ("rubbish", '"a"', False),
    ],
)
def test_if_range_needs_exactly_this_representation(value: str | None, etag: str, valid: bool) -> None:
    environ = {} if value is None else {"HTTP_IF_RANGE": value}
    assert range_still_valid(environ, etag, AT) is valid


def test_a_304_keeps_validators_and_caching_and_drops_what_is_about_the_body() -> None:
    app = app_of(("ETag", '"a"'), ("Cache-Control", "max-age=5"), ("Vary", "Cookie"), ("Content-Length", "5"))
    for method in ("GET", "HEAD"):
        seen = ask(app, method, HTTP_IF_NONE_MATCH='"a"')
        assert (seen.code, seen.body) == (304, b"")
        assert seen.headers == [("ETag", '"a"'), ("Cache-Control", "max-age=5"), ("Vary", "Cookie")]


def test_last_modified_alone_is_enough() -> None:
    assert ask(app_of(("Last-Modified", DATE)), HTTP_IF_MODIFIED_SINCE=DATE).code == 304
    assert ask(app_of(("Last-Modified", DATE)), HTTP_IF_MODIFIED_SINCE=OLD).body == b"hello"


def test_a_whole_body_without_validators_gets_an_etag() -> None:
    first = ask(app_of(("Content-Length", "5")))
    etag = first.get("ETag")
    assert etag is not None
    assert (first.get("Content-Length"), first.body) == ("5", b"hello")
    for stream in (False, True):
        app = app_of(("Content-Length", "5"), ("Set-Cookie", "a=1"), stream=stream)
        seen = ask(app, HTTP_IF_NONE_MATCH=etag)
        assert (seen.code, seen.body, seen.get("ETag"), seen.get("Content-Length")) == (304, b"", etag, None)
        assert seen.get("Set-Cookie") == "a=1"
    assert ask(app_of(body=b"other")).get("ETag") != etag


def test_streams_large_bodies_and_no_store_get_none() -> None:
    assert ask(app_of(stream=True)).get("ETag") is None
    assert ask(app_of(("Cache-Control", "no-store"))).get("ETag") is None
    assert drive(Conditional(app_of(), limit=4)).get("ETag") is None
    assert drive(Conditional(app_of(), etag=False)).get("ETag") is None


def test_only_a_200_to_get_is_judged() -> None:
    app = app_of(("ETag", '"a"'), status="404 Not Found")
    assert ask(app, HTTP_IF_NONE_MATCH='"a"').code == 404
    assert ask(app_of(("ETag", '"a"')), "POST", HTTP_IF_NONE_MATCH='"a"').code == 200


def test_a_failed_if_match_on_get_is_412() -> None:
    seen = ask(app_of(("ETag", '"a"'), ("Content-Length", "5")), HTTP_IF_MATCH='"b"')
    assert (seen.code, seen.get("ETag"), seen.get("Content-Length")) == (412, None, str(len(seen.body)))


def test_the_app_is_closed_when_its_body_is_not_needed() -> None:
    from wsgi_apps import make

    for name in ("eager_iterable", "lazy_iterable", "one_block_declared", "own_iterator"):
        app = make(name)

        def tagged(environ: Any, start_response: Any, app: Any = app) -> Any:
            return app(
                environ, lambda status, headers, *rest: start_response(status, [*headers, ("ETag", '"a"')], *rest)
            )

        seen = drive(Conditional(tagged), make_environ(HTTP_IF_NONE_MATCH='"a"'))
        assert (seen.code, seen.body, app.closed) == (304, b"", 1)
