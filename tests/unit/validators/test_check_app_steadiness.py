"""`check app` on apps that vary by themselves: no rule is about that."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from wsgikit.validators.app import Settings, check_app
from wsgikit.validators.report import Verdict

BAD = (Verdict.FAIL, Verdict.WARN, Verdict.ERROR, Verdict.INCONCLUSIVE)


def app_of(text: Callable[[int], str], status: Callable[[int], str] = lambda number: "200 OK") -> Any:
    numbers = count()

    def app(environ: Any, start_response: Any) -> Any:
        number = next(numbers)
        start_response(status(number), [("Content-Type", "text/plain")])
        return [text(number).encode() if environ["REQUEST_METHOD"] != "HEAD" else b""]

    return app


def broken(app: Any) -> dict[str, str]:
    report = check_app(app, "app", Settings(profile="http"))
    return {found.rule: found.detail for found in report.findings if found.verdict in BAD}


@pytest.mark.parametrize("period", [20, 45])
def test_a_body_that_changes_now_and_then_breaks_no_rule(period: int) -> None:
    assert broken(app_of(lambda number: f"about {number // period * period} visitors")) == {}


def test_an_app_that_limits_its_clients_breaks_no_rule() -> None:
    assert broken(app_of(lambda number: "x", lambda number: "200 OK" if number < 30 else "429 Too Many Requests")) == {}


def test_an_app_that_changes_for_good_by_what_the_server_did_does() -> None:
    state = {"text": "fresh"}

    def app(environ: Any, start_response: Any) -> Any:
        state["text"] = "spent" if environ.get("wsgi.run_once") else state["text"]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [state["text"].encode() if environ["REQUEST_METHOD"] != "HEAD" else b""]

    assert "WSGI-A55" in broken(app)
