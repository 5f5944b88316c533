"""A table is put in force whole: under load no request sees parts of two."""

from __future__ import annotations

import sys
import threading

import pytest

from wsgikit.errors import ConfigError
from wsgikit.middleware.router import Route, Router, Table


def generation(number):
    """A table in which everything says `number`, through a nested router too."""

    def app(environ, start_response):
        start_response("200 OK", [])
        named = environ["wsgiorg.routing_args"][1]
        return [f"{number} {named['outer']} {named['inner']} {environ['wsgikit.route']}".encode()]

    inner = Router(
        [Route(f"/g{number}/<x>", app, defaults={"inner": number}), Route("/<x>/<y>", app, defaults={"inner": number})]
    )
    return Table([Route("/in", inner, prefix=True, defaults={"outer": number})])


def test_no_request_sees_a_mixture():
    tables = [generation(number) for number in range(4)]
    router = Router(tables[0])
    wrong, counts, stop = [], [0] * 4, threading.Event()

    def ask(slot):
        while not stop.is_set():
            environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/in/g2/z"}
            body = b"".join(router(environ, lambda status, headers: None))
            number = body[:1].decode()
            rule = "/in/g2/<x>" if number == "2" else "/in/<x>/<y>"
            if body.decode() != f"{number} {number} {number} {rule}":
                wrong.append(body)
            counts[slot] += 1

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=ask, args=(slot,)) for slot in range(4)]
    try:
        for thread in threads:
            thread.start()
        for turn in range(400):
            former = router.swap(tables[turn % 4])
            assert former in tables
        while min(counts) < 100:
            pass
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
        sys.setswitchinterval(interval)
    assert not wrong
    assert min(counts) >= 100


def test_a_nested_table_is_read_once_in_a_request():
    """The nested router changes while the outer one decides: the 405 is made of the table that refused."""
    seen = []

    def app(environ, start_response):
        return []

    inner = Router([Route("/x", app, methods=["GET"])])
    later = Table([Route("/x", app, methods=["POST"])])

    class Turning(Router):
        @property
        def table(self):
            seen.append(1)
            return inner.table if len(seen) == 1 else later

    outer = Table([Route("/in", Turning(), prefix=True)])
    seen.clear()
    assert outer.resolve("POST", "/in/x").allow == ("GET", "HEAD", "OPTIONS")


def test_a_wrong_table_changes_nothing():
    def app(environ, start_response):
        return []

    router = Router([Route("/a", app)])
    before = router.table
    with pytest.raises(ConfigError):
        router.swap([Route("/<a", app)])
    with pytest.raises(ConfigError, match="nested in itself"):
        router.swap([Route("/deep", Router([Route("/", router, prefix=True)]), prefix=True)])
    assert router.table is before
