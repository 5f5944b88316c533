"""What is a must, and what is not: each exception that keeps the check from accusing a server wrongly."""

from __future__ import annotations

from typing import Any

import pytest

from wsgikit.testing import ResponseReader
from wsgikit.testing.response import Response
from wsgikit.testing.vectors import by_id
from wsgikit.validators.server.control import SeenCall
from wsgikit.validators.server.grading import level
from wsgikit.validators.server.matching import mismatch
from wsgikit.validators.server.observing import Observed


def response(status: int = 200, fields: bytes = b"") -> Response:
    reader = ResponseReader(strict=False)
    reader.feed(b"HTTP/1.1 %d Words\r\n%b\r\n" % (status, fields or b"Content-Length: 0\r\n"))
    assert reader.response is not None
    return reader.response


def call(method: str = "GET", **environ: str) -> SeenCall:
    facts = {"REQUEST_METHOD": method, "PATH_INFO": "/", **environ}
    return SeenCall("1", {"environ": {key: ["builtins.str", value] for key, value in facts.items()}}, [])


def answered(*calls: SeenCall, status: int = 200, persists: bool | None = True, **more: Any) -> Observed:
    return Observed(replies=[response(status)], calls=list(calls), persists=persists, **more)


UNANSWERED = Observed(waits=True)


@pytest.mark.parametrize(
    ("vector", "seen", "grade"),
    [
        ("H15-missing", answered(call()), "must"),
        ("H15-list", answered(call()), "advice"),
        # Lenient about a chunk's grammar, and then a request behind it: not forbidden
        ("H39-plus", answered(call("POST"), call()), "should"),
        ("H42-cr", answered(call("POST"), call()), "should"),
        # A length beside a coding: the connection must end, the rest is open
        ("H31-length-zero", answered(call("POST"), persists=False), "should"),
        ("H31-length-zero", answered(call("POST")), "must"),
        # No answer at all
        ("H49-plain", UNANSWERED, "must"),
        ("H55-no-body", UNANSWERED, "should"),
        ("H60-head", answered(call("HEAD"), persists=None), "must"),
        ("H60-304", answered(call(), status=304, persists=None), "should"),
        ("H22-latin-spaces", answered(call(HTTP_X_A="b")), "should"),
        ("H29-short", answered(call("POST")), "must"),
        ("H45-before-last-chunk", answered(call("POST"), persists=False), "should"),
    ],
)
def test_grades(vector: str, seen: Observed, grade: str) -> None:
    assert level(by_id(vector), seen) == grade


def bodiless(fields: bytes) -> Observed:
    return Observed(replies=[response(204, fields)], calls=[call()], persists=None)


def test_framing_of_a_204_is_the_servers_own_fault_unless_the_app_gave_it() -> None:
    assert level(by_id("H60-204-generator"), bodiless(b"X-A: b\r\n")) == "should"
    assert level(by_id("H60-204-generator"), bodiless(b"Transfer-Encoding: chunked\r\n")) == "must"
    assert level(by_id("H60-204-generator"), bodiless(b"Content-Length: 0\r\n")) == "must"
    assert level(by_id("H60-204"), bodiless(b"Content-Length: 5\r\n")) == "should"
    assert level(by_id("H60-204"), bodiless(b"Transfer-Encoding: chunked\r\n")) == "must"


@pytest.mark.parametrize(
    ("vector", "grade"),
    [
        ("H17-space", "should"),  # RFC 1945 allowed white space there
        ("H25-plus", "should"),
        ("H26-lines-differ", "should"),
        ("H02-last-line", "should"),
        ("H02-value", "must"),  # RFC 9110 has it too
        ("H20-nul", "must"),
        ("H18-space", "must"),  # and RFC 3875
    ],
)
def test_a_server_of_1_0_is_held_to_what_is_not_of_1_1_alone(vector: str, grade: str) -> None:
    assert level(by_id(vector), answered(call()), speaks_1_1=False) == grade
    assert level(by_id(vector), answered(call())) == "must"


def allowed(vector: str, seen: Observed) -> bool:
    return not all(mismatch(outcome, seen) for outcome in by_id(vector).outcomes)


def test_a_bare_cr_may_separate_the_parts_of_a_request_line() -> None:
    assert allowed("H02-request-line", answered(call()))
    assert not allowed("H02-request-line", answered(call(PATH_INFO="/\r")))


@pytest.mark.parametrize("vector", ["H02-field-name", "H02-last-line"])
def test_a_field_line_with_a_bare_cr_may_be_dropped_but_does_not_end_there(vector: str) -> None:
    assert allowed(vector, answered(call(HTTP_X_AFTER="b")))
    assert not allowed(vector, answered(call()))
    assert not allowed("H02-field-name", answered(call(**{"HTTP_X_AFTER": "b", "HTTP_X\r_A": "b"})))


def test_a_304_may_name_a_coding() -> None:
    coded = response(304, b"Transfer-Encoding: chunked\r\n")
    assert allowed("H60-304", Observed(replies=[coded], calls=[call()], persists=True))


def test_head_with_a_body_asks_an_app_that_gives_none() -> None:
    assert by_id("H30-head").app.blocks == (b"",)  # S94 has the iterable without any
    assert by_id("H60-head").app.blocks != ()
