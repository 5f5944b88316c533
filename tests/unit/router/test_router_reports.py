"""Conflicts, and the reasons why a URL goes where it goes."""

from __future__ import annotations

import pytest
from werkzeug.routing import BaseConverter

from wsgikit.middleware.router import Match, Route, Router, Table
from wsgikit.middleware.router.explain import explain, outcome


def app(environ, start_response):
    return []


class Slug(BaseConverter):
    regex = "[a-z-]+"


def router(*rules, **options):
    routes = [Route(rule, app, **options) if isinstance(rule, str) else rule for rule in rules]
    return Router(routes, converters={"slug": Slug})


@pytest.mark.parametrize(
    ("first", "second", "unreachable"),
    [
        ("/a", "/a", True),
        ("/<a>", "/<b>", True),
        ("/<a>", "/<string:b>", True),
        ("/x/<int:a>", "/x/<int:b>", True),
        ("/<int(max=5):a>", "/<int:b>", False),
        ("/<slug:a>", "/<any(en, de):b>", False),
        ("/a<x>", "/<x>b", False),
        ("/<path:a>", "/<path:b>", True),
        ("/<path:a>/e", "/<path:b>/f", None),
        ("/<int:a>", "/<uuid:b>", None),
        ("/<int:a>", "/<float:b>", None),
        ("/<slug:a>", "/<int:b>", None),
        ("/<int:a>/x", "/<slug:b>/x", None),
        ("/x/<a>", "/y/<a>", None),
        ("/a-<x>", "/b-<x>", None),
        ("/a", "/<a>", None),
    ],
)
def test_conflicts_and_their_witnesses(first, second, unreachable):
    found = router(first, second).conflicts()
    assert [conflict.unreachable for conflict in found] == ([] if unreachable is None else [unreachable])
    for conflict in found:
        assert (conflict.first.rule, conflict.second.rule) == (first, second)
        for rule in (first, second):
            alone = router(rule).table.resolve("GET", conflict.witness)
            assert isinstance(alone, Match)
        assert repr(second) in str(conflict)


def test_methods_and_hosts_keep_routes_apart():
    get, post, head = (Route("/a", app, methods=[method]) for method in ("GET", "POST", "HEAD"))
    anything, elsewhere = Route("/a", app), Route("/a", app, host="a.example")
    assert router(get, post, elsewhere).conflicts() == []
    assert [conflict.unreachable for conflict in router(get, head).conflicts()] == [True]
    assert [conflict.unreachable for conflict in router(get, anything).conflicts()] == [False]
    assert [conflict.unreachable for conflict in router(anything, get).conflicts()] == [True]


def test_a_prefix_beside_a_catch_all_and_nested_routers():
    inner = router("/<a>", "/<b>")
    outer = router(Route("/x", app, prefix=True), "/x/<path:rest>", Route("/y", inner, prefix=True), "/y/<path:rest>")
    found = outer.conflicts()
    assert [(conflict.first.rule, conflict.second.rule) for conflict in found] == [
        ("/x", "/x/<path:rest>"),
        ("/<a>", "/<b>"),
    ]


def test_every_route_gets_its_reason():
    inner = Router([Route("/in/<int:id>", app)])
    table = Table(
        [
            Route("/x/<int(max=9):id>", app),
            Route("/x/<id>", app, methods=["POST"]),
            Route("/x/<id>", app),
            Route("/x/<other>", app),
            Route("/x/<path:rest>", app),
            Route("/x/12", app, host="*.a.example"),
            Route("/x", app, prefix=True),
            Route("/y/<id>", app),
            Route("/x/12/more", app),
            Route("/", app),
            Route("/x", inner, prefix=True),
            Route("/x", app, prefix=True, slash="redirect"),
        ]
    )
    verdicts = explain(table, "GET", "/x/12", ("b.example", "80"))
    assert (verdicts[0].template, verdicts[0].chosen, verdicts[0].reason) == ("/x/<id>", True, "")
    reasons = {(verdict.template, verdict.reason) for verdict in verdicts[1:]}
    assert reasons == {
        ("/x/<int(max=9):id>", "a converter refuses the value"),
        ("/x/<id>", "takes POST, not GET"),
        ("/x/<other>", "matches too, registered later"),
        ("/x/<path:rest>", "matches too, and segment 2: plain goes before catch-all"),
        ("/x/12", "its host is *.a.example"),
        ("/x", "matches too, and segment 2: plain goes before catch-all"),
        ("/y/<id>", "segment 1: 'x' is not 'y'"),
        ("/x/12/more", "the path ends before 'more'"),
        ("/", "segment 1: 'x' is not the end after a slash"),
        ("/x/in/<int:id>", "segment 1: '12' is not 'in'"),
    }
    (bare,) = [v for v in explain(table, "GET", "/x") if v.route.slash == "redirect"]
    assert bare.reason == "the path has no slash after the prefix"
    assert [v.chosen for v in explain(table, "GET", "/x/in/7")].count(True) == 1


def test_a_nested_route_is_explained_with_its_whole_template():
    inner = Router([Route("/in/<int:id>", app), Route("/in/<name>", app)])
    table = Table([Route("/<lang>", inner, prefix=True)])
    verdicts = explain(table, "GET", "/en/in/7")
    assert [(v.template, v.chosen) for v in verdicts] == [("/<lang>/in/<int:id>", True), ("/<lang>/in/<name>", False)]
    assert "typed goes before plain" in verdicts[1].reason


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("GET", "/a/7", "/a/<int:n>  with n=7"),
        ("PUT", "/a/7", "405, Allow: GET, HEAD, OPTIONS (OPTIONS gets 204)"),
        ("GET", "/a/7/", "308 redirect, with the last slash removed"),
        ("GET", "/b", "308 redirect, with a slash added"),
        ("GET", "/c", "404, no route matches"),
    ],
)
def test_a_decision_in_one_line(method, path, text):
    table = Table([Route("/a/<int:n>", app, methods=["GET"], slash="redirect"), Route("/b/", app, slash="redirect")])
    assert outcome(table.resolve(method, path)) == text
