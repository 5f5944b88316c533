"""Run with `pytest --wsgi-strict`: the tests fail as well when the app breaks PEP 3333."""

from __future__ import annotations

from typing import Any

from shop import application


def test_a_fruit_has_a_price(wsgi_client: Any) -> None:
    answer = wsgi_client(application).get("/apple")

    assert (answer.status, answer.text) == ("200 OK", '{"apple": 30}')


def test_the_stack_says_what_it_is_powered_by(wsgi_client: Any) -> None:
    assert wsgi_client(application).get("/").header("X-Powered-By") == "wsgikit"
