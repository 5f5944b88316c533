"""Cascade: the first app that does not answer 404, however it answers."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from wsgi_apps import BODIES, CLOSES, LEGAL, make
from wsgi_gateway import FileWrapper, drive, make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware.cascade import Cascade


class Missing:
    """Answers 404 in one of several ways, and counts."""

    def __init__(self, how: str, status: str = "404 Not Found") -> None:
        self.how, self.status = how, status
        self.called = self.closed = 0
        self.read = b""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.called += 1
        environ["left.behind"] = True
        self.read = environ["wsgi.input"].read(5)
        self.start = start_response
        if self.how != "lazy":
            write = self._begin()
            if self.how == "write":
                write(b"not here")
        return self

    def _begin(self) -> Any:
        return self.start(self.status, [("Content-Type", "text/plain"), ("X-Missing", "1")])

    def __iter__(self) -> Any:
        if self.how == "lazy":
            self._begin()
        yield b"not here"

    def close(self) -> None:
        self.closed += 1


WAYS = ["eager", "lazy", "write"]


@pytest.mark.parametrize("name", LEGAL)
@pytest.mark.parametrize("how", WAYS)
def test_the_next_app_answers_as_if_the_first_were_not_there(how: str, name: str) -> None:
    first, second = Missing(how), make(name)
    bare, seen = drive(make(name)), drive(Cascade(first, then=[second]))
    assert (seen.error, seen.status, seen.body) == (None, bare.status, BODIES[name])
    assert seen.headers == bare.headers
    assert (first.called, first.closed, second.closed) == (1, 1, int(name in CLOSES))
    assert "left.behind" not in second.environ


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
def test_the_last_answer_stands(first: str, second: str) -> None:
    apps = [Missing(first), Missing(second)]
    seen = drive(Cascade(apps[0], then=[apps[1]]))
    assert (seen.code, seen.body, seen.all("X-Missing")) == (404, b"not here" * (1 + (second == "write")), ["1"])
    assert [app.closed for app in apps] == [1, 1]


def test_other_statuses_where_they_are_named() -> None:
    for status, body in (("403 Forbidden", b"not here"), ("404 Not Found", BODIES["plain_list"])):
        assert drive(Cascade(Missing("eager", status), then=[make("plain_list")])).body == body
    seen = drive(Cascade(Missing("eager", "405 No"), then=[make("plain_list")], statuses=[404, 405]))
    assert seen.code == 200


def test_an_accepted_file_keeps_its_identity() -> None:
    seen = drive(Cascade(Missing("eager"), then=[make("file_body")]))
    assert isinstance(seen.returned, FileWrapper)


@pytest.mark.parametrize("how", WAYS)
def test_every_app_can_read_the_body_from_its_start(how: str) -> None:
    apps = [Missing(how), Missing(how), Missing(how)]

    def last(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["wsgi.input"].read()]

    seen = drive(Cascade(apps[0], then=[*apps[1:], last]), make_environ("POST", body=b"hello world"))
    assert seen.body == b"hello world"
    assert [app.read for app in apps] == [b"hello"] * 3


def test_past_what_can_be_replayed_the_answer_stands() -> None:
    seen = drive(Cascade(Missing("eager"), then=[make("plain_list")], replay=3), make_environ("POST", body=b"hello"))
    assert (seen.code, seen.body) == (404, b"not here")


def test_a_body_without_a_length_is_replayed_where_the_server_ends_it() -> None:
    def last(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["wsgi.input"].read()]

    environ = make_environ("POST", **{"wsgi.input": io.BytesIO(b"hello world"), "wsgi.input_terminated": True})
    assert drive(Cascade(Missing("eager"), then=[last]), environ).body == b"hello world"


def test_a_client_that_leaves_closes_the_app_that_was_being_asked() -> None:
    first, second = Missing("lazy"), make("lazy_iterable")
    drive(Cascade(first, then=[second]), take=1)
    assert (first.closed, second.closed) == (1, 1)
    unasked = Missing("lazy")
    iterable: Any = Cascade(unasked, then=[second])(make_environ(), lambda *arguments: bytes)
    iterable.close()
    assert unasked.closed == 1


def test_an_app_that_changes_its_mind_after_a_404_is_heard() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"oops"]

    assert drive(Cascade(app, then=[make("plain_list")])).status == "500 Oops"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"then": []}, "then = []"),
        ({"then": "a:b"}, "then = 'a:b': a list"),
        ({"then": [5]}, "then has 5 in it"),
        ({"then": [make("plain_list")], "statuses": [200]}, "statuses has 200 in it"),
    ],
)
def test_wrong_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Cascade(make("plain_list"), **options)
    assert message in str(caught.value)


@pytest.mark.parametrize("how", ["call", "iterate"])
def test_a_body_that_is_drained_past_replay_after_the_404_goes_to_nobody_else(how: str) -> None:
    called: list[bytes] = []

    def first(environ: Any, start_response: Any) -> Any:
        def iterate() -> Any:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            environ["wsgi.input"].read()
            yield b"nothing here"

        return [*iterate()] if how == "call" else iterate()

    def second(environ: Any, start_response: Any) -> Any:
        called.append(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"stored"]

    seen = drive(Cascade(first, then=[second], replay=100), make_environ("POST", body=b"x" * 1000))
    assert (seen.error, seen.status, seen.body, called) == (None, "404 Not Found", b"nothing here", [])
    seen = drive(Cascade(first, then=[second], replay=1000), make_environ("POST", body=b"x" * 1000))
    assert (seen.status, seen.body, called) == ("200 OK", b"stored", [b"x" * 1000])
