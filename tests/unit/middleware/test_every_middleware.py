"""One contract for all of them: what an app and a server may expect, whatever stands between."""

from __future__ import annotations

import gc
import io
import logging
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from wsgi_apps import BODIES, CLOSES, FAILING, LEGAL, make
from wsgi_gateway import FileWrapper, Seen, drive, make_environ

import wsgikit.middleware as ours
from wsgikit.errors import ConfigError
from wsgikit.middleware.stack import Stack, Use
from wsgikit.validators import Lint
from wsgikit.validators.app.request import Request
from wsgikit.validators.report.model import Verdict
from wsgikit.validators.sandwich import MiddlewareSettings, check_middleware

FOLDER = Path(__file__).parent


def elsewhere(environ: Any, start_response: Any) -> Any:
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"elsewhere"]


# The least that each needs, chosen so that an ordinary request reaches the app.
OPTIONS: dict[str, dict[str, Any]] = {
    "access-log": {"file": "logging"},
    "basic-auth": {"check": lambda name, password: True, "cache_time": 0},
    "body-limit": {"limit": 100},
    "cascade": {"then": [elsewhere]},
    "cgi-directory": {"directory": str(FOLDER), "at": "/cgi-bin"},
    "compress": {},
    "concurrency": {"limit": 5},
    "conditional": {},
    "cors": {"origins": ["https://a.example"], "credentials": True},
    "error-pages": {"catch": False},
    "health": {"checks": {"always": lambda: True}},
    "ip-allow": {"allow": ["192.0.2.0/24"]},
    "maintenance": {"flag": "/no/such/file"},
    "profiler": {"every": 1},
    "proxy-headers": {"trusted": ["192.0.2.7"]},
    "rate-limit": {"rate": "1000/s", "headers": True},
    "request-id": {},
    "rewrite": {"rules": [{"rule": "/old/<path:rest>", "path": "/new/{rest}"}]},
    "security-headers": {"csp": "default-src 'self'", "hsts": "1d"},
    "static": {"directory": str(FOLDER), "at": "/files"},
    "timing": {"header": True, "slow": "1h"},
    "xslt": {"stylesheet": str(FOLDER.parent / "xslt" / "attacks" / "identity.xsl")},
}
REQUEST = {
    "HTTP_AUTHORIZATION": "Basic YTpi",
    "HTTP_ACCEPT_ENCODING": "gzip",
    "HTTP_ORIGIN": "https://a.example",
    "HTTP_X_FORWARDED_FOR": "192.0.2.9",
    "HTTP_ACCEPT": "text/html",
}
ENDS = {"forward", "status"}  # answer by themselves: no request reaches an app behind them
EVERY = sorted(set(ours.NAMES) - ENDS)
MAY_CHANGE = {"content-length", "etag", "vary"}


def layer(name: str, app: Any) -> Any:
    return Use(name, **OPTIONS[name])(app)


def environ(method: str = "GET", **extra: Any) -> dict[str, Any]:
    return make_environ(method, **{**REQUEST, "wsgikit.log": {}, **extra})


def plain(seen: Seen) -> bytes:
    """The body as the app meant it."""
    if seen.get("Content-Encoding") == "gzip" and seen.body[:2] == b"\x1f\x8b" and seen.body[2:] != b"whatever":
        import zlib

        return zlib.decompress(seen.body, 31)
    return seen.body


def test_entry_points_and_short_names_are_the_same() -> None:
    points = {point.name: point.value for point in entry_points(group="wsgikit.middleware")}
    assert {name: points.get(name) for name in ours.NAMES} == ours.NAMES
    assert set(OPTIONS) == set(EVERY)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("server", [{}, {"wsgikit.on_close": True}], ids=["foreign", "wsgikit"])
def test_a_legal_app_answers_the_same(kind: str, server: Any) -> None:
    for name in LEGAL:
        bare, app = drive(make(name)), make(name)
        seen = drive(layer(kind, app), environ(**server))
        assert (name, seen.error, plain(seen), seen.status) == (name, None, BODIES[name], bare.status)
        assert (name, app.closed) == (name, int(name in CLOSES))
        if seen.get("Content-Length") is not None and seen.code != 304:
            assert (name, seen.get("Content-Length")) == (name, str(len(seen.body)))
        assert len(seen.all("Content-Length")) <= 1
        mine = [(key.lower(), value) for key, value in seen.headers]
        lost = [f for f in bare.headers if (f[0].lower(), f[1]) not in mine and f[0].lower() not in MAY_CHANGE]
        assert (name, lost, seen.all("Set-Cookie")) == (name, [], bare.all("Set-Cookie"))


@pytest.mark.parametrize("kind", EVERY)
def test_an_app_that_fails_fails_the_same_and_is_closed_once(kind: str) -> None:
    for name in FAILING:
        bare_app, app = make(name), make(name)
        bare, seen = drive(bare_app), drive(layer(kind, app), environ())
        assert (name, type(seen.error), seen.aborted) == (name, type(bare.error), bare.aborted)
        assert (name, app.closed) == (name, bare_app.closed)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("take", [1, 2])
def test_a_client_that_leaves_closes_the_app_once(kind: str, take: int) -> None:
    for name in ("eager_iterable", "lazy_iterable", "file_body"):
        app = make(name)
        drive(layer(kind, app), environ(), take=take)
        assert app.closed == 1


@pytest.mark.parametrize("kind", EVERY)
def test_each_block_goes_out_before_the_next_is_asked_for(kind: str) -> None:
    for name in ("eager_iterable", "lazy_iterable", "own_iterator", "empty_blocks_between"):
        app = make(name)
        iterator = iter(layer(kind, app)(environ(), lambda *arguments: bytes))
        assert app.nexts == 0
        for count in range(1, len(drive(make(name)).blocks) + 1):
            next(iterator)
            assert app.nexts == count


@pytest.mark.parametrize("kind", EVERY)
def test_a_streamed_block_is_readable_at_once(kind: str) -> None:
    import zlib

    app = make("eager_iterable")
    iterator = iter(layer(kind, app)(environ(), lambda *arguments: bytes))
    first = next(iterator)
    assert (zlib.decompressobj(31).decompress(first) if first[:2] == b"\x1f\x8b" else first) == b"first block, "


@pytest.mark.parametrize("kind", EVERY)
def test_the_environ_passed_on_is_a_dict_of_its_own_and_only_adds_what_it_says(kind: str) -> None:
    app = make("plain_list")
    given = environ()
    drive(layer(kind, app), given)
    assert type(app.environ) is dict
    assert {"PATH_INFO", "REQUEST_METHOD", "wsgi.input", "wsgi.errors"} <= set(app.environ)


@pytest.mark.parametrize("kind", EVERY)
def test_it_is_frozen_and_serves_again_and_again(kind: str) -> None:
    made = layer(kind, make("plain_list"))
    before = dict(vars(made))
    first = drive(made, environ())
    second = drive(made, environ())
    assert vars(made) == before
    moving = {"server-timing", "x-request-id", "ratelimit"}
    assert [f for f in first.headers if f[0].lower() not in moving] == [
        f for f in second.headers if f[0].lower() not in moving
    ]


@pytest.mark.parametrize("kind", EVERY)
def test_no_reference_to_the_caller_stays_after_a_request(kind: str) -> None:
    class Marked(dict[str, Any]):
        pass

    import weakref

    made = layer(kind, lambda environ, start: make("lazy_iterable")(environ, start))
    gc.collect()
    marks = []
    for _ in range(2):
        mark = Marked()
        marks.append(weakref.ref(mark))
        seen = drive(made, environ(mark=mark))
        del mark, seen
    gc.collect()
    assert [mark() for mark in marks] == [None, None]


@pytest.mark.parametrize("kind", EVERY)
def test_a_minimal_environ_is_enough(kind: str) -> None:
    """PEP 3333 lets a server leave out SCRIPT_NAME, PATH_INFO, QUERY_STRING, CONTENT_LENGTH and REMOTE_ADDR."""
    given = environ()
    for name in ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "HTTP_HOST", "wsgi.file_wrapper"):
        given.pop(name)
    seen = drive(layer(kind, make("plain_list")), given)
    assert (seen.error, plain(seen)) == (None, BODIES["plain_list"])


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "BREW"])
def test_other_methods_reach_the_app(kind: str, method: str) -> None:
    app = make("plain_list")
    body = b"a=1" if method == "POST" else b""
    given = environ(method, **({"CONTENT_LENGTH": "3", "wsgi.input": io.BytesIO(body)} if body else {}))
    seen = drive(layer(kind, app), given)
    assert app.environ["REQUEST_METHOD"] == method
    assert seen.error is None
    if body:
        stream = app.environ["wsgi.input"]
        for attribute in ("read", "readline", "readlines", "__iter__"):
            assert callable(getattr(stream, attribute))


@pytest.mark.parametrize("kind", EVERY)
def test_a_file_keeps_its_fast_way_under_our_server(kind: str) -> None:
    if kind in ("compress", "conditional"):
        pytest.skip("reads the body: a hash or a coding cannot be made without")
    seen = drive(layer(kind, make("file_body")), environ(**{"wsgikit.on_close": True}))
    assert isinstance(seen.returned, FileWrapper)


# wsgiref demands a Content-Type of a 302 and of a 304 none, and is wrong about the first
VALID = [name for name in LEGAL if name not in ("not_modified",)]


@pytest.mark.parametrize("kind", EVERY)
def test_both_sides_satisfy_wsgiref_validate(kind: str) -> None:
    for name in VALID:
        app = validator(layer(kind, validator(make(name))))
        assert (name, _validated(app)) == (name, BODIES[name])


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_both_sides_satisfy_lint(kind: str, method: str) -> None:
    for name in LEGAL if method == "GET" else [name for name in LEGAL if "write" not in name]:
        app = _without_body(make(name)) if method == "HEAD" else make(name)
        inner = Lint(app, on_violation="record")
        outer = Lint(layer(kind, inner), on_violation="record")
        drive(outer, environ(method))
        assert (name, [*inner.findings, *outer.findings]) == (name, [])


def _without_body(app: Any) -> Any:
    """HEAD has none; the apps of the list do not know that."""

    def bodyless(environ: Any, start_response: Any) -> Any:
        list(app(environ, start_response))
        return []

    return bodyless


# A password is hidden from the app on purpose.
CHECKED = {
    **OPTIONS,
    "basic-auth": {**OPTIONS["basic-auth"], "hide": False},
    "rate-limit": {"rate": "10000/s"},
}


@pytest.mark.parametrize("kind", EVERY)
def test_check_middleware_finds_nothing(kind: str) -> None:
    request = Request(headers=(("Accept-Encoding", "gzip"), ("Authorization", "Basic YTpi")))
    report = check_middleware(lambda app: Use(kind, **CHECKED[kind])(app), kind, MiddlewareSettings(request=request))
    bad = (Verdict.FAIL, Verdict.WARN, Verdict.ERROR, Verdict.INCONCLUSIVE)
    assert (report.aborted, [found for found in report.findings if found.verdict in bad]) == ("", [])
    assert sum(found.verdict is Verdict.PASS for found in report.findings) > 15


def _validated(app: Any) -> bytes:
    """Drives by hand: wsgiref.validate changes the environ it gets."""
    import zlib

    heads: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        heads.append((status, dict(headers)))
        return written.append

    iterable = app(environ(), start_response)
    try:
        body = b"".join([*iterable])
    finally:
        iterable.close()
    whole = b"".join(written) + body
    coding = heads[-1][1].get("Content-Encoding")
    return zlib.decompress(whole, 31) if coding == "gzip" and whole[2:] != b"whatever" else whole


def test_all_of_them_in_one_stack_and_each_can_be_taken_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    order = [
        "proxy-headers", "request-id", "access-log", "timing", "profiler", "error-pages", "health", "maintenance",
        "ip-allow", "rate-limit", "concurrency", "body-limit", "cors", "security-headers", "basic-auth", "compress",
        "xslt", "conditional", "rewrite", "static", "cgi-directory", "cascade",
    ]  # fmt: skip
    assert sorted(order) == EVERY
    options = {**OPTIONS, "ip-allow": {"allow": ["192.0.2.0/24"]}}
    for missing in [None, *order]:
        uses = [Use(name, **options[name]) for name in order if name != missing]
        for app_name in ("plain_list", "lazy_iterable", "only_write", "file_body"):
            app = make(app_name)
            stack = Stack(app, uses)
            assert stack.problems == ()
            seen = drive(stack, environ())
            assert (seen.error, seen.status, plain(seen)) == (None, "200 OK", BODIES[app_name])
            assert app.closed == int(app_name in CLOSES)


@pytest.mark.parametrize("kind", EVERY)
def test_every_option_is_on_its_manual_page_and_a_wrong_one_is_refused(kind: str) -> None:
    from importlib import import_module
    from inspect import signature

    module, _, name = ours.NAMES[kind].partition(":")
    page = " ".join((import_module(module).__doc__ or "").split())
    for option in list(signature(getattr(import_module(module), name)).parameters)[1:]:
        assert option in page, f"{kind}: {option} is not on the page"
    for word in ("streaming", "other servers"):
        assert word in page.lower(), f"{kind} says nothing about {word}"
    with pytest.raises(ConfigError, match="has no option 'no_such_option'"):
        Use(kind, **OPTIONS[kind], no_such_option=1)
