"""Request ids and W3C Trace Context."""

from __future__ import annotations

import re
from typing import Any

import pytest
from wsgi_gateway import drive, make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware.request_id import RequestId

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def ask(options: Any = None, **extra: Any) -> tuple[Any, dict[str, Any]]:
    got: dict[str, Any] = {}

    def app(environ: Any, start_response: Any) -> Any:
        got.update(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x"]

    environ = make_environ(**{"wsgikit.log": {}, "wsgikit.raw_headers": [], **extra})
    return drive(RequestId(app, **(options or {})), environ), got


def test_app_client_and_log_get_the_same_id() -> None:
    seen, got = ask()
    request_id = seen.get("X-Request-ID")
    assert re.fullmatch("[0-9a-f]{32}", request_id)
    assert got["HTTP_X_REQUEST_ID"] == got["wsgikit.request_id"] == got["wsgikit.log"]["request_id"] == request_id
    assert (b"X-Request-ID", request_id.encode()) in got["wsgikit.raw_headers"]
    assert ask()[0].get("X-Request-ID") != request_id


@pytest.mark.parametrize(
    ("sent", "inbound", "kept"),
    [
        ("abc-123", True, True),
        ("a" * 128, True, True),
        ("abc-123", False, False),
        ("a" * 129, True, False),
        ("", True, False),
        ("a b", True, False),
        ("a\n", True, False),
        ("caf\xe9", True, False),
        ('"><script>', True, False),
    ],
)
def test_an_id_of_the_client_is_taken_over_only_where_wanted_and_harmless(sent: str, inbound: bool, kept: bool) -> None:
    seen, got = ask({"inbound": inbound}, HTTP_X_REQUEST_ID=sent)
    assert (seen.get("X-Request-ID") == sent) is kept
    assert got["HTTP_X_REQUEST_ID"] == seen.get("X-Request-ID")


def test_another_field() -> None:
    seen, got = ask({"header": "X-Correlation-ID", "inbound": True}, HTTP_X_CORRELATION_ID="c1")
    assert (seen.get("X-Correlation-ID"), got["HTTP_X_CORRELATION_ID"]) == ("c1", "c1")
    with pytest.raises(ConfigError, match="header = 'a b'"):
        RequestId(lambda environ, start: [], header="a b")


def test_a_trace_is_continued_with_a_span_of_our_own() -> None:
    _, got = ask(HTTP_TRACEPARENT=PARENT, HTTP_TRACESTATE="vendor=1")
    version, trace, span, flags = got["HTTP_TRACEPARENT"].split("-")
    assert (version, trace, flags) == ("00", "4bf92f3577b34da6a3ce929d0e0e4736", "01")
    assert re.fullmatch("[0-9a-f]{16}", span)
    assert span != "00f067aa0ba902b7"
    assert got["HTTP_TRACESTATE"] == "vendor=1"
    assert got["wsgikit.log"]["trace_id"] == trace


def test_a_later_version_is_continued_as_ours() -> None:
    later = PARENT.replace("00-4b", "cc-4b", 1).removesuffix("01") + "ff-what-ever"
    assert ask(HTTP_TRACEPARENT=later)[1]["HTTP_TRACEPARENT"].startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nonsense",
        PARENT.upper(),
        PARENT + "-more",
        PARENT + "\n",
        PARENT[:-1],
        "ff" + PARENT[2:],
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
    ],
)
def test_a_broken_traceparent_begins_a_new_trace(value: str) -> None:
    _, got = ask(HTTP_TRACEPARENT=value, HTTP_TRACESTATE="vendor=1")
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", got["HTTP_TRACEPARENT"])
    assert "4bf92f3577b34da6" not in got["HTTP_TRACEPARENT"]
    assert "HTTP_TRACESTATE" not in got


def test_tracing_may_be_off() -> None:
    assert ask({"traceparent": False}, HTTP_TRACEPARENT="x")[1]["HTTP_TRACEPARENT"] == "x"
