from __future__ import annotations

import hashlib
from typing import Any

import pytest

from wsgikit.testing import ResponseReader
from wsgikit.testing.response import Response
from wsgikit.testing.vectors import VECTORS, Call, Outcome, Reply, by_id
from wsgikit.validators.server.control import SeenCall
from wsgikit.validators.server.matching import (
    described,
    ends_unannounced,
    mismatch,
    refused_safely,
    refused_while_reading,
)
from wsgikit.validators.server.observing import Observed


def response(status: int = 200, fields: bytes = b"", body: bytes = b"ok") -> Response:
    reader = ResponseReader(strict=False)
    head = b"HTTP/1.1 %d Words\r\nContent-Length: %d\r\n%b\r\n" % (status, len(body), fields)
    reader.feed(head + body)
    assert reader.response is not None
    return reader.response


def call(path: str = "/", body: bytes = b"", trouble: str = "", **environ: str) -> SeenCall:
    facts: dict[str, Any] = {
        "environ": {"REQUEST_METHOD": ["builtins.str", "GET"], "PATH_INFO": ["builtins.str", path]}
    }
    facts["environ"].update({key: ["builtins.str", value] for key, value in environ.items()})
    report = {"size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "start": body.decode(), "trouble": trouble}
    return SeenCall("1", facts, [("body", report)])


OK = Reply(statuses=frozenset({200}))
ACCEPT = Outcome(replies=(OK,), calls=(Call(),), persists=True)
REFUSE = Outcome(replies=(Reply(statuses=frozenset({400})),), persists=False)


def seen(*replies: Response, calls: tuple[SeenCall, ...] = (), persists: bool | None = True, **more: Any) -> Observed:
    return Observed(replies=list(replies), calls=list(calls), persists=persists, **more)


def test_what_is_as_wanted_has_no_mismatch() -> None:
    assert mismatch(ACCEPT, seen(response(), calls=(call(),))) == ""
    assert mismatch(REFUSE, seen(response(400, b"Connection: close\r\n"), persists=False)) == ""


@pytest.mark.parametrize(
    ("outcome", "observed", "words"),
    [
        (ACCEPT, seen(response(404), calls=(call(),)), "status 404"),
        (ACCEPT, seen(response()), "called 0 times"),
        (ACCEPT, seen(response(), calls=(call(), call())), "called 2 times"),
        (ACCEPT, seen(response(), calls=(call("/x"),)), "PATH_INFO is '/x'"),
        (ACCEPT, seen(response(), calls=(call(),), persists=None), "neither answers"),
        (ACCEPT, seen(calls=(call(),), persists=None, waits=True), "nothing where 1"),
        (ACCEPT, seen(response(), calls=(call(),), rubbish="rubbish"), "rubbish"),
        (ACCEPT, seen(response(), calls=(call(),), early=[100]), "100 came before"),
        (REFUSE, seen(response(400)), "stays open"),
        (REFUSE, seen(persists=False), "nothing where 1"),
    ],
)
def test_what_is_not_is_named(outcome: Outcome, observed: Observed, words: str) -> None:
    assert words in mismatch(outcome, observed)


def test_details_of_replies_are_compared() -> None:
    wanted = Outcome(
        replies=(
            Reply(
                statuses=frozenset({200, 405}),
                fields=("date",),
                lacks=("x-no",),
                when=((405, "allow"),),
                body=b"ok",
                line=b"HTTP/1.1 200 ",
            ),
        )
    )
    date = b"Date: x\r\n"
    assert mismatch(wanted, seen(response(fields=date))) == ""
    assert "without date" in mismatch(wanted, seen(response()))
    assert "with x-no" in mismatch(wanted, seen(response(fields=date + b"X-No: 1\r\n")))
    assert "without allow" in mismatch(wanted, seen(response(405, date)))
    assert "body b'no'" in mismatch(wanted, seen(response(fields=date, body=b"no")))


def test_details_of_calls_are_compared() -> None:
    wanted = Outcome(
        replies=(OK,), calls=(Call(environ={"HTTP_X": "b c"}, lacks=("HTTP_NO",), body=b"hello"),), persists=None
    )

    def tried(**more: Any) -> str:
        return mismatch(wanted, seen(response(), calls=(call(**{"body": b"hello", "HTTP_X": "b c", **more}),)))

    assert tried() == ""
    assert tried(HTTP_X="b \tc") == ""
    assert "HTTP_X is 'bc'" in tried(HTTP_X="bc")
    assert "HTTP_NO is '1'" in tried(HTTP_NO="1")
    assert "the app read 'hell' (4 bytes, short)" in tried(body=b"hell", trouble="short")


def test_an_incomplete_body_must_not_look_complete() -> None:
    wanted = Outcome(replies=(OK,), calls=(Call(body=b"?" * 5, complete=False),), persists=False, silent=True)
    ended = {"persists": False}
    assert mismatch(wanted, seen(response(), calls=(call(body=b"hel"),), **ended)) == ""
    assert mismatch(wanted, seen(response(), calls=(call(body=b"hello", trouble="OSError: x"),), **ended)) == ""
    assert "took 5 bytes for a complete body" in mismatch(
        wanted, seen(response(), calls=(call(body=b"hello"),), **ended)
    )


def test_a_connection_may_end_after_any_response() -> None:
    two = Outcome(replies=(OK, OK), calls=(Call(), Call()), persists=True)
    announced = seen(response(fields=b"Connection: close\r\n"), calls=(call(),), persists=False)
    silent = seen(response(), calls=(call(),), persists=False)
    assert mismatch(two, announced) == mismatch(two, silent) == ""
    assert not ends_unannounced(announced)
    assert ends_unannounced(silent)


def test_a_target_without_the_probe_is_not_judged_by_calls_or_the_status_of_its_app() -> None:
    assert mismatch(ACCEPT, seen(response(404), blind=True)) == ""
    assert "status 400" in mismatch(ACCEPT, seen(response(400), blind=True))
    assert "status 404" in mismatch(REFUSE, seen(response(404), blind=True))


def test_refusals() -> None:
    assert refused_safely(seen(response(501), persists=False))
    assert not refused_safely(seen(response(501), calls=(call(),), persists=False))
    assert refused_while_reading(seen(response(), calls=(call(trouble="OSError: bad chunk"),), persists=False))
    assert not refused_while_reading(seen(response(), calls=(call(trouble="short"),), persists=False))
    assert not refused_while_reading(seen(response(), persists=False))


def test_every_outcome_can_be_described() -> None:
    texts = {described(outcome) for vector in VECTORS for outcome in vector.outcomes}
    assert "400, app not called, connection ends" in texts
    assert all(texts)
    assert "200; app called for GET /; connection stays open" in str(seen(response(), calls=(call(),)))
    assert by_id("H25-plus").outcomes
