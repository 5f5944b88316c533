"""Error pages: exceptions, status pages, and what must not be caught."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from wsgi_apps import BLOCKS, make
from wsgi_gateway import drive, make_environ

from wsgikit.errors import ConfigError, Disconnected, LimitError, PeerTimeout, ProtocolError
from wsgikit.middleware.body_limit import BodyLimit
from wsgikit.middleware.error_pages import ErrorPages
from wsgikit.middleware.request_id import RequestId
from wsgikit.middleware.stack import Stack, Use


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


@pytest.fixture
def pages(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "404.html").write_text("<h1>$status $title</h1> ref $request_id $other")
    (tmp_path / "5xx.html").write_text("<h1>sorry, $status</h1>")
    return {"404": str(tmp_path / "404.html"), "5xx": str(tmp_path / "5xx.html")}


def app_of(status: str, body: bytes = b"x", media: str = "text/html", **fields: str) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        headers = [("Content-Type", media)] if media else []
        start_response(status, [*headers, *((name.replace("_", "-"), value) for name, value in fields.items())])
        return [body]

    return app


def raising(error: BaseException) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        raise error

    return app


HTML, JSON = {"HTTP_ACCEPT": "text/html"}, {"HTTP_ACCEPT": "application/json"}


@pytest.mark.parametrize("name", ["raises_in_call", "raises_after_start", "raises_before_first_block"])
def test_an_exception_before_output_becomes_a_500(name: str, log: pytest.LogCaptureFixture) -> None:
    app = make(name)
    seen = drive(ErrorPages(app), make_environ(path="/shop", **HTML))
    assert (seen.code, seen.error, app.closed) == (500, None, int("block" in name))
    assert b"<h1>Internal Server Error</h1>" in seen.body
    assert seen.get("Content-Length") == str(len(seen.body))
    assert (seen.get("Cache-Control"), b"ValueError" in seen.body) == ("no-store", False)
    assert "GET '/shop' failed" in log.text
    assert "ValueError" in log.text


@pytest.mark.parametrize("name", ["raises_after_first_block", "mind_changed_too_late", "written_then_mind_changed"])
def test_an_exception_after_output_goes_on(name: str) -> None:
    seen = drive(ErrorPages(make(name)))
    assert (type(seen.error), seen.body) == (ValueError, BLOCKS[0])


def test_a_json_client_gets_a_problem_with_the_request_id() -> None:
    stack = Stack(raising(ValueError("secret")), [Use(RequestId), Use(ErrorPages)])
    seen = drive(stack, make_environ(**JSON))
    problem = json.loads(seen.body)
    assert seen.get("Content-Type") == "application/problem+json"
    assert problem == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "request_id": seen.get("X-Request-ID") or problem["request_id"],
    }
    assert b"secret" not in seen.body


@pytest.mark.parametrize(
    ("accept", "media"), [("*/*", "text/plain"), ("text/plain", "text/plain"), ("image/*", "text/plain")]
)
def test_others_get_plain_text(accept: str, media: str) -> None:
    seen = drive(ErrorPages(raising(ValueError())), make_environ(HTTP_ACCEPT=accept))
    assert (seen.get("Content-Type") or "").startswith(media)


def test_head_gets_no_body() -> None:
    seen = drive(ErrorPages(raising(ValueError())), make_environ("HEAD"))
    assert (seen.code, seen.body) == (500, b"")
    assert int(seen.get("Content-Length") or 0) > 0


def test_the_traceback_is_shown_only_where_debug_is_on() -> None:
    assert b"ValueError: secret" in drive(ErrorPages(raising(ValueError("secret")), debug=True)).body
    seen = drive(ErrorPages(raising(ValueError("<script>")), debug=True), make_environ(**HTML))
    assert b"&lt;script&gt;" in seen.body


@pytest.mark.parametrize(
    "error",
    [
        Disconnected("gone"),
        PeerTimeout("body", 1),
        ProtocolError("bad-chunk"),
        LimitError("body-too-large", 413),
        KeyboardInterrupt(),
        SystemExit(3),
    ],
)
def test_what_is_not_the_apps_failure_goes_on(error: BaseException) -> None:
    with pytest.raises(type(error)):
        raise drive(ErrorPages(raising(error))).error or AssertionError("it was answered")


def test_a_limit_of_a_layer_further_in_is_a_failure() -> None:
    assert drive(ErrorPages(raising(LimitError("body-limit", 500)))).code == 500


def test_a_body_that_is_too_large_is_no_failure_of_the_app(log: pytest.LogCaptureFixture) -> None:
    def reads(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"].read()
        raise AssertionError

    environ = make_environ("POST", body=b"12345", CONTENT_LENGTH="")
    assert drive(BodyLimit(ErrorPages(reads), limit=4), environ).code == 413
    assert not log.records


def test_catching_may_be_off() -> None:
    assert isinstance(drive(ErrorPages(make("raises_in_call"), catch=False)).error, ValueError)


def test_a_page_takes_the_place_of_the_apps_and_keeps_the_rest(pages: dict[str, str]) -> None:
    app = app_of("404 Not Found", b"plain old", ETag='"a"', Set_Cookie="a=1", Content_Length="9", Allow="GET")
    seen = drive(ErrorPages(app, pages=pages), make_environ(**HTML, **{"wsgikit.request_id": "<id>"}))
    assert seen.status == "404 Not Found"
    assert seen.body == b"<h1>404 Not Found</h1> ref &lt;id&gt; $other"
    assert (seen.get("Set-Cookie"), seen.get("Allow"), seen.get("ETag")) == ("a=1", "GET", None)
    assert (seen.get("Content-Length"), seen.get("Vary")) == (str(len(seen.body)), "Accept")


def test_classes_of_statuses_and_the_catch_all_share_pages(pages: dict[str, str]) -> None:
    assert drive(ErrorPages(app_of("503 Later"), pages=pages), make_environ(**HTML)).body == b"<h1>sorry, 503</h1>"
    assert drive(ErrorPages(raising(ValueError()), pages=pages), make_environ()).body == b"<h1>sorry, 500</h1>"
    seen = drive(ErrorPages(app_of("502 Bad Gateway"), pages=pages), make_environ(**JSON))
    assert json.loads(seen.body)["status"] == 502
    seen = drive(ErrorPages(app_of("502 Bad Gateway"), pages=pages, problem=False), make_environ(**JSON))
    assert seen.body == b"<h1>sorry, 502</h1>"


@pytest.mark.parametrize(
    "app",
    [
        app_of("200 OK"),
        app_of("403 Forbidden"),
        app_of("404 Not Found", b"{}", "application/json"),
        app_of("404 Not Found", b"GIF", "image/gif"),
    ],
)
def test_other_bodies_stay(app: Any, pages: dict[str, str]) -> None:
    bare, seen = drive(app, make_environ(**HTML)), drive(ErrorPages(app, pages=pages), make_environ(**HTML))
    assert (seen.status, seen.body, seen.headers) == (bare.status, bare.body, bare.headers)


def test_a_replaced_stream_is_not_run_to_its_end(pages: dict[str, str]) -> None:
    asked: list[int] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("404 Not Found", [("Content-Type", "text/html")])
        for number in range(1000):
            asked.append(number)
            yield b"x" * 1000

    seen = drive(ErrorPages(app, pages=pages), make_environ(**HTML))
    assert seen.body.startswith(b"<h1>404")
    assert len(asked) <= 2


def test_exc_info_of_the_app_itself_gets_a_page_too(pages: dict[str, str]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/html")])
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", [("Content-Type", "text/html")], sys.exc_info())
        return [b"own"]

    assert drive(ErrorPages(app, pages=pages), make_environ(**HTML)).body == b"<h1>sorry, 500</h1>"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pages": {"200": "x"}}, "pages has '200' in it: a status such as '404'"),
        ({"pages": {"4x4": "x"}}, "pages has '4x4' in it"),
        ({"pages": {"404": "/no/such/page.html"}}, "/no/such/page.html"),
    ],
)
def test_wrong_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ErrorPages(app_of("200 OK"), **options)
    assert message in str(caught.value)
