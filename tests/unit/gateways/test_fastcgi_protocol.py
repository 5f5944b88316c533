"""FastCGI for a server, over a connection that only remembers: requests, roles, management, aborts and limits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import fastcgi_peer as peer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.errors import Disconnected
from wsgikit.protocols.fastcgi import FastcgiProtocol
from wsgikit.protocols.service import Service
from wsgikit.wire.fastcgi import Kind, Role, Verdict, format_pairs, format_record, format_stream
from wsgikit.wire.http11 import Limits
from wsgikit.workers.settings import WorkerSettings
from wsgikit.wsgi.environ import template
from wsgikit.wsgi.error_stream import ErrorStream
from wsgikit.wsgi.exchange import Lines


class Carriage:
    """Remembers what is sent, and runs requests when it is told to."""

    def __init__(self, remote: str = "") -> None:
        self.remote = remote
        self.answers = peer.Answers()
        self.waiting: list[Any] = []
        self.sends = 0
        self.ended = self.gone = self.reset = False

    def abort(self) -> None:
        self.reset = True

    def send(self, data: bytes) -> None:
        if self.gone:
            raise Disconnected("gone")
        self.sends += 1
        self.answers.feed(data)

    def send_parts(self, parts) -> None:
        self.send(b"".join(parts))

    def reply(self, data: bytes) -> None:
        if not self.gone:
            self.send(data)

    def start(self, call) -> Any:
        self.waiting.append(call)
        return SimpleNamespace(guard=lambda: None)

    def end(self) -> None:
        self.ended = True

    def run_all(self) -> None:
        while self.waiting:
            self.waiting.pop(0).run(0.0)


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/errors":
        environ["wsgi.errors"].write("one\ntw")
        environ["wsgi.errors"].write("o\nthree")
    elif path == "/environ":
        body = "\n".join(f"{name}={value}" for name, value in sorted(environ.items()) if isinstance(value, str))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body.encode("latin-1")]
    elif path == "/short":
        start_response("200 OK", [("Content-Length", "10")])
        return [b"abc"]
    elif path == "/halfway":
        return broken(start_response)
    elif path == "/stream":
        start_response("200 OK", [])
        return iter([b"a", b"", b"b"])
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Read", str(len(body)))])
    return [body or b"hello"]


def broken(start_response):
    start_response("200 OK", [])
    yield b"some"
    raise ValueError("broken on purpose")


def make(the_app=app, **settings: Any) -> tuple[FastcgiProtocol, Carriage]:
    carriage = Carriage()
    service = Service(
        app=the_app,
        settings=WorkerSettings(timeout=0.0, **settings),
        limits=Limits(head=2000, fields=10),
        template=template(
            scheme="http", name="here", port="1", errors=ErrorStream(), multithread=True, multiprocess=False
        ),
        lines=Lines(""),
    )
    return FastcgiProtocol(service, carriage), carriage


def ask(data: bytes, the_app=app, **settings: Any) -> peer.Answers:
    protocol, carriage = make(the_app, **settings)
    protocol.receive(data)
    carriage.run_all()
    return carriage.answers


def test_a_request_is_answered_in_one_piece() -> None:
    protocol, carriage = make()
    protocol.receive(peer.request("/?a=b"))
    assert len(carriage.waiting) == 1
    assert not protocol.idle
    carriage.run_all()
    answer = carriage.answers[1]
    assert answer.stdout == b"Status: 200 OK\r\nX-Read: 0\r\nContent-Length: 5\r\n\r\nhello"
    assert (answer.stdout_ended, answer.stderr, answer.end) == (True, b"", (0, Verdict.COMPLETE))
    assert carriage.sends == 1
    assert protocol.idle
    assert not carriage.ended


@given(st.lists(st.integers(1, 900), max_size=30))
def test_the_answer_does_not_depend_on_how_records_arrive(cuts) -> None:
    wire = peer.request("/", 5, b"x" * 300) + peer.request("/errors", 9)
    protocol, carriage = make()
    start = 0
    for cut in [*sorted(cuts), len(wire)]:
        protocol.receive(wire[start : max(start, min(cut, len(wire)))] or b"")
        start = max(start, min(cut, len(wire)))
    carriage.run_all()
    assert carriage.answers[5].body == b"x" * 300
    assert carriage.answers[9].stderr == b"one\ntwo\nthree"
    assert protocol.idle


def test_requests_end_in_any_order() -> None:
    protocol, carriage = make()
    protocol.receive(peer.request("/", 1) + peer.begin(2) + peer.params(2) + peer.request("/", 3))
    carriage.waiting.reverse()
    carriage.run_all()
    protocol.receive(peer.stdin(2))
    carriage.run_all()
    assert carriage.answers.order == [3, 1, 2]


def test_bodies_of_several_requests_do_not_mix() -> None:
    protocol, carriage = make()
    for number in (1, 2, 3):
        protocol.receive(peer.begin(number) + peer.params(number, REQUEST_METHOD="POST", CONTENT_LENGTH="300"))
    for _ in range(3):
        for number in (3, 1, 2):
            protocol.receive(peer.stdin(number, bytes((number,)) * 100, end=False))
    for number in (2, 3, 1):
        protocol.receive(peer.stdin(number))
    carriage.run_all()
    assert all(carriage.answers[number].body == bytes((number,)) * 300 for number in (1, 2, 3))


def test_without_keep_conn_the_connection_ends_after_the_response() -> None:
    protocol, carriage = make()
    protocol.receive(peer.request("/", keep=False))
    assert not carriage.ended
    carriage.run_all()
    assert carriage.ended
    assert carriage.answers[1].end == (0, Verdict.COMPLETE)


def test_a_stream_is_sent_block_by_block() -> None:
    protocol, carriage = make()
    protocol.receive(peer.request("/stream"))
    carriage.run_all()
    assert carriage.answers[1].stdout == b"Status: 200 OK\r\n\r\nab"
    assert carriage.sends == 3


def test_a_head_may_go_alone() -> None:
    early: list[bytes] = []

    def silent(environ, start_response):
        assert not environ["wsgikit.flush_head"]()
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        assert environ["wsgikit.flush_head"]()
        early.append(bytes(carriage.answers[1].stdout))
        yield b"event"

    protocol, carriage = make(silent)
    protocol.receive(peer.request("/"))
    carriage.run_all()
    assert early == [b"Status: 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"]
    assert carriage.answers[1].stdout == early[0] + b"event"


def test_stderr_goes_to_the_web_server_by_lines_and_is_ended() -> None:
    answer = ask(peer.request("/errors"))[1]
    assert answer.stderr == b"one\ntwo\nthree"
    assert answer.stderr_ended


def test_an_app_that_fails_is_answered_and_one_that_breaks_off_gets_no_end() -> None:
    def fails(environ, start_response):
        raise ValueError("on purpose")

    answer = ask(peer.request("/"), fails)[1]
    assert answer.status == b"Status: 500 Internal Server Error"
    assert answer.end == (0, Verdict.COMPLETE)
    for path, sent in (("/halfway", b"some"), ("/short", b"abc")):
        protocol, carriage = make()
        protocol.receive(peer.request(path) + peer.request("/", 2))
        carriage.run_all()
        assert carriage.answers[1].body == sent
        assert carriage.answers[1].end is None, "a response that was cut short must not look whole"
        assert carriage.answers[2].body == b"hello", "its neighbours are served to their end"
        assert (carriage.ended, carriage.reset) == (True, False)
        assert protocol.idle
        protocol, carriage = make()
        protocol.receive(peer.request(path))
        carriage.run_all()
        assert (carriage.ended, carriage.reset) == (False, True), "alone on the connection it is reset"


@pytest.mark.parametrize("body", ["spool", "stream"])
def test_bodies_spooled_and_streamed(body) -> None:
    wire = peer.request("/", 1, b"x" * 200_000)
    protocol, carriage = make(body=body, body_memory=1000)
    for start in range(0, len(wire), 5000):
        protocol.receive(wire[start : start + 5000])
    carriage.run_all()
    assert carriage.answers[1].body == b"x" * 200_000


def test_a_body_without_content_length_gets_one_when_it_is_read_whole() -> None:
    wire = peer.begin() + peer.params(REQUEST_METHOD="POST", SCRIPT_NAME="/environ") + peer.stdin(1, b"12345")
    assert b"CONTENT_LENGTH=5" in ask(wire)[1].body.split(b"\n")


@pytest.mark.parametrize(
    ("wire", "status", "code"),
    [
        (peer.begin() + peer.params(CONTENT_LENGTH="9") + peer.stdin(1, b"1234"), 400, "incomplete-body"),
        (peer.begin() + peer.params(CONTENT_LENGTH="3") + peer.stdin(1, b"1234"), 400, "incomplete-body"),
        (peer.begin() + peer.params(CONTENT_LENGTH="x"), 400, "bad-content-length"),
        (peer.begin() + peer.params(CONTENT_LENGTH="99999"), 413, "body-too-large"),
        (peer.begin() + peer.params() + peer.stdin(1, b"x" * 20_000, end=False), 413, "body-too-large"),
        (peer.begin() + peer.params(REQUEST_METHOD="G T"), 400, "bad-method"),
        (peer.begin() + peer.params(HTTP_X="a\nb"), 400, "bad-variable"),
        (peer.begin() + peer.params(A="x" * 5000), 431, "variables-too-long"),
        (peer.begin() + peer.params(**{f"A{n}": "x" for n in range(120)}), 431, "too-many-variables"),
        (peer.begin() + peer.stdin(1, b"x"), 400, "stream-before-params"),
        (peer.begin() + format_record(Kind.PARAMS, 1, b"\x05") + format_record(Kind.PARAMS, 1), 400, "bad-params"),
        (peer.begin() + peer.params() + format_record(Kind.PARAMS, 1, b""), 400, "params-twice"),
    ],
)
def test_what_is_wrong_with_one_request_is_told_to_it_alone(wire, status, code) -> None:
    answers = ask(peer.request("/", 7)[:-8] + wire + peer.stdin(7), max_body=10_000)
    assert answers[1].status.startswith(b"Status: %d " % status)
    assert answers[1].body.endswith(code.encode() + b"\n")
    assert answers[1].ends == 1
    assert answers[7].body == b"hello"


def test_what_breaks_the_protocol_ends_the_connection() -> None:
    for wire in (b"\x02" * 8, peer.request("/") + peer.begin(), peer.request("/") + format_record(1, 2, b"\0\1")):
        protocol, carriage = make()
        protocol.receive(wire)
        protocol.receive(b"\0" * 1000)
        carriage.run_all()
        assert carriage.ended
        assert protocol.expects_more
        if 1 in carriage.answers.by_number:
            assert carriage.answers[1].body == b"hello", "what was asked before is answered"


def test_records_that_belong_to_nobody_are_ignored() -> None:
    strays = b"".join(format_record(kind, 77, b"x" * 10) for kind in (2, 3, 4, 5, 6, 7, 8, 9, 12, 255))
    answers = ask(strays + peer.request("/") + strays)
    assert answers[1].body == b"hello"
    assert list(answers.by_number) == [1]


def test_management_records() -> None:
    names = [(b"FCGI_MAX_REQS", b""), (b"FCGI_MPXS_CONNS", b""), (b"FCGI_MAX_CONNS", b""), (b"OTHER", b"")]
    answers = ask(format_record(Kind.GET_VALUES, 0, format_pairs(names)) + format_record(200, 0, b"?"), multiplex=7)
    values, unknown = answers.management
    assert values.kind == Kind.GET_VALUES_RESULT
    assert b"FCGI_MAX_REQS7" in values.content
    assert b"FCGI_MPXS_CONNS1" in values.content
    assert b"OTHER" not in values.content
    assert (unknown.kind, unknown.content[0]) == (Kind.UNKNOWN_TYPE, 200)


def test_one_request_too_many_is_told_so() -> None:
    wire = b"".join(peer.begin(number) for number in (1, 2, 3)) + peer.begin(4, role=9)
    answers = ask(wire, multiplex=2)
    assert answers[3].end == (0, Verdict.OVERLOADED)
    assert answers[4].end == (0, Verdict.UNKNOWN_ROLE)
    assert 1 not in answers.by_number


def test_abort_before_the_request_is_complete() -> None:
    protocol, carriage = make()
    protocol.receive(peer.begin() + peer.params() + peer.abort())
    assert carriage.answers[1].end == (0, Verdict.COMPLETE)
    assert protocol.idle
    protocol.receive(peer.request("/"))
    carriage.run_all()
    assert carriage.answers[1].body == b"hello"


def test_abort_while_the_app_runs() -> None:
    seen: dict[str, Any] = {"closed": 0}

    class Body:
        def __iter__(self):
            yield b"first"
            protocol.receive(peer.abort())
            seen["gone"] = bool(environ_of["wsgikit.client_gone"])
            seen["waited"] = environ_of["wsgikit.client_gone"].wait(0)
            yield b"second"
            seen["third"] = True
            yield b"third"

        def close(self) -> None:
            seen["closed"] += 1

    environ_of: dict[str, Any] = {}

    def endless(environ, start_response):
        environ_of.update(environ)
        assert not environ["wsgikit.client_gone"]
        start_response("200 OK", [])
        return Body()

    protocol, carriage = make(endless)
    protocol.receive(peer.request("/"))
    carriage.run_all()
    assert seen == {"closed": 1, "gone": True, "waited": True}
    assert carriage.answers[1].body == b"first"
    assert carriage.answers[1].end == (0, Verdict.COMPLETE), "the web server knows that it has aborted the request"
    assert not carriage.ended


def test_client_gone_can_be_polled() -> None:
    import select

    events = []

    def waits(environ, start_response):
        gone = environ["wsgikit.client_gone"]
        poll = select.poll()
        poll.register(gone.fileno(), select.POLLRDHUP)
        events.append(poll.poll(0))
        protocol.receive(peer.abort())
        events.append(poll.poll(1000))
        start_response("200 OK", [])
        return [b""]

    protocol, carriage = make(waits)
    protocol.receive(peer.request("/"))
    carriage.run_all()
    assert events[0] == []
    assert events[1]


def test_the_end_of_the_connection_is_told_to_apps_and_drops_what_is_incomplete() -> None:
    seen = []

    def reads(environ, start_response):
        protocol.eof()
        seen.append(bool(environ["wsgikit.client_gone"]))
        try:
            environ["wsgi.input"].read()
        except Exception as error:
            seen.append(type(error).__name__)
        start_response("200 OK", [])
        return [b"still answered"]

    protocol, carriage = make(reads, body="stream")
    protocol.receive(peer.begin() + peer.params(CONTENT_LENGTH="5", REQUEST_METHOD="POST") + peer.begin(2))
    carriage.run_all()
    assert seen == [True, "ProtocolError"]
    assert carriage.answers[1].body == b"still answered"
    assert protocol.idle


def test_authorizer() -> None:
    def authorizer(environ, start_response):
        assert (environ["FCGI_ROLE"], environ["wsgi.input"].read()) == ("AUTHORIZER", b"")
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/private")
        start_response("200 OK", [("Variable-WHO", "alice")])
        return []

    wire = peer.begin(1, Role.AUTHORIZER) + peer.params(REQUEST_URI="/private", SCRIPT_NAME="", CONTENT_LENGTH="50")
    answers = ask(wire + peer.stdin(1), authorizer)
    assert answers[1].head == b"Status: 200 OK\r\nVariable-WHO: alice\r\nContent-Length: 0"
    assert answers[1].ends == 1


def test_filter() -> None:
    def upper(environ, start_response):
        assert environ["FCGI_ROLE"] == "FILTER"
        text = environ["wsgikit.fastcgi.data"].read() + environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [text.upper()]

    opening = peer.begin(1, Role.FILTER) + peer.params(
        REQUEST_METHOD="POST", CONTENT_LENGTH="4", FCGI_DATA_LENGTH="6", FCGI_DATA_LAST_MOD="1"
    )
    wire = opening + peer.stdin(1, b"body") + format_stream(Kind.DATA, 1, b"a file", end=True)
    assert ask(wire, upper)[1].body == b"A FILEBODY"
    short = opening + peer.stdin(1, b"body") + format_stream(Kind.DATA, 1, b"a fil", end=True)
    assert ask(short, upper)[1].body.endswith(b"incomplete-data\n")
    early = opening + format_stream(Kind.DATA, 1, b"a file", end=True)
    assert ask(early, upper)[1].body.endswith(b"data-before-stdin\n")


def test_what_is_too_late_is_answered_408_and_an_idle_connection_closes() -> None:
    from wsgikit.protocols import Action

    protocol, carriage = make(head_timeout=0.0)
    protocol.receive(peer.begin(1))
    assert protocol.due(1e9) < 1e9
    assert protocol.expire() == Action.READ
    assert carriage.answers[1].status == b"Status: 408 Request Timeout"
    assert protocol.due(1e9) == 1e9
    assert protocol.expire() == Action.CLOSE


def test_the_deadline_of_the_app_is_answered_504_once() -> None:
    def slow(environ, start_response):
        protocol.calls[1].give_up()
        start_response("200 OK", [])
        return [b"too late"]

    protocol, carriage = make(slow)
    protocol.receive(peer.request("/"))
    carriage.run_all()
    assert carriage.answers[1].status == b"Status: 504 Gateway Timeout"
    assert carriage.answers[1].ends == 1


def test_a_web_server_that_is_gone_raises_nothing() -> None:
    protocol, carriage = make()
    protocol.receive(peer.request("/") + peer.request("/errors", 2))
    carriage.gone = True
    carriage.run_all()
    assert protocol.idle


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3), st.binary(max_size=12)), max_size=25))
def test_any_order_of_records_leaves_nothing_behind(records) -> None:
    protocol, carriage = make(multiplex=2)
    protocol.receive(b"".join(format_record(*record) for record in records))
    carriage.run_all()
    protocol.eof()
    carriage.run_all()
    assert not protocol.calls
    assert not protocol.incomplete


class Eager(Carriage):
    """A web server that is so quick that its next request, of the same number, is read before the thread of the one
    before has come back from sending the end."""

    def __init__(self) -> None:
        super().__init__()
        self.next: list[bytes] = []
        self.protocol: Any = None

    def send(self, data: bytes) -> None:
        super().send(data)
        if self.next and self.answers[1].end is not None:
            self.protocol.receive(self.next.pop())


def test_a_number_that_is_used_again_at_once_is_another_requests() -> None:
    protocol, _ = make()
    protocol.link = link = Eager()
    link.protocol = protocol
    link.next = [peer.request("/environ", 1)]
    protocol.receive(peer.request("/", 1))
    link.run_all()
    assert link.answers[1].ends == 2
    assert protocol.idle
