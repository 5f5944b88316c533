"""`wsgikit routes`: the listing, the reasons, the conflicts."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from wsgikit.cli import main
from wsgikit.middleware import Stack
from wsgikit.middleware.mount import Deferred, Mount
from wsgikit.middleware.router import Route, Router


def index(environ, start_response):
    return []


def show(environ, start_response):
    return []


@pytest.fixture(autouse=True)
def module(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    module = ModuleType("routed")
    inner = Router([Route("/<int:id>", show, methods=["GET"], name="show"), Route("/<name>", show, methods=["PUT"])])
    module.router = Router(
        [
            Route("/", index),
            Route("/items", inner, prefix=True),
            Route("/x/", show, slash="redirect", host="*.a.example"),
        ]
    )
    module.site = Mount(
        {"/app": Stack(module.router, []), "/late": Deferred(lambda: show, "/late"), "h.example/": index}
    )
    module.fallback = Router([Route("/y", show)], not_found=module.site)
    module.clash = Mount({"/c": Router([Route("/<a>", show), Route("/<b>", index)])})
    module.plain = index
    monkeypatch.setitem(sys.modules, "routed", module)
    return module


def run(capsys, *arguments):
    status = main.run(["routes", *arguments])
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err


def test_the_table_is_listed_with_what_is_nested_in_it(capsys):
    status, lines, _ = run(capsys, "routed:router")
    assert status == 0
    assert [line.split() for line in lines] == [
        ["any", "/", f"{__name__}:index"],
        ["any", "/items", "and", "below", "wsgikit.middleware.router.app:Router"],
        ["GET,HEAD", "/items/<int:id>", f"{__name__}:show", "name=show"],
        ["PUT", "/items/<name>", f"{__name__}:show"],
        ["any", "/x/", f"{__name__}:show", "host=*.a.example", "slash=redirect"],
    ]


def test_mounts_stacks_and_deferred_apps_are_looked_into(capsys):
    _, lines, _ = run(capsys, "routed:fallback", "--json")
    rows = [json.loads(line) for line in lines]
    assert [(row["kind"], row["at"]) for row in rows] == [
        ("route", "/y"),
        ("mount", "/app"),
        ("route", "/app/"),
        ("route", "/app/items  and below"),
        ("route", "/app/items/<int:id>"),
        ("route", "/app/items/<name>"),
        ("route", "/app/x/"),
        ("mount", "/late"),
        ("mount", "h.example/"),
    ]
    assert rows[7]["app"] == f"{__name__}:show"


def test_an_app_without_routes_is_one_line(capsys):
    assert run(capsys, "routed:plain")[1][0].split() == ["app", "/", f"{__name__}:index"]


def test_a_url_is_followed_to_its_app_with_reasons(capsys):
    status, lines, _ = run(capsys, "routed:fallback", "--match", "http://any.example/app/items/7?x=1")
    assert status == 0
    assert lines[0] == "route: 404, no route matches"
    assert lines[2:4] == ["mount: /app", "route: /items/<int:id>  with id=7"]
    assert "    not /items/<name>: takes PUT, not GET" in lines
    assert lines[-1] == f"-> {__name__}:show  SCRIPT_NAME='/app/items/7' PATH_INFO=''"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["routed:router", "--match", "/items/7", "--method", "post"],
            "route: 405, Allow: GET, HEAD, OPTIONS, PUT (OPTIONS gets 204)",
        ),
        (["routed:router", "--match", "/none"], "route: 404, no route matches"),
        (["routed:router", "--match", "//b.a.example/x"], "route: 308 redirect, with a slash added"),
        (["routed:site", "--match", "/none"], "mount: none for '/none' (/app, /late, h.example/)"),
    ],
)
def test_what_no_app_gets_leaves_with_1(capsys, arguments, says):
    status, lines, _ = run(capsys, *arguments)
    assert (status, lines[0]) == (1, says)


def test_an_encoded_slash_is_one_segment(capsys):
    status, lines, _ = run(capsys, "routed:router", "--match", "/items/a%2Fb", "--method", "PUT")
    assert (status, lines[0]) == (0, "route: /items/<name>  with name='a/b'")


def test_json_lines(capsys):
    _, lines, _ = run(capsys, "routed:router", "--match", "/items/7", "--json")
    rows = [json.loads(line) for line in lines]
    assert rows[0]["decision"] == "/items/<int:id>  with id=7"
    reasons = {row["rule"]: row["reason"] for row in rows if "reason" in row}
    assert reasons == {
        "/items/<name>": "takes PUT, not GET",
        "/": "segment 1: 'items' is not the end after a slash",
        "/x/": "its host is *.a.example",
    }


def test_conflicts_leave_with_1(capsys):
    assert run(capsys, "routed:router", "--conflicts") == (0, [], "")
    status, lines, _ = run(capsys, "routed:clash", "--conflicts")
    assert (status, lines) == (1, ["'/<b>' can never be reached behind '/<a>', as on '/a'"])
    assert json.loads(run(capsys, "routed:clash", "--conflicts", "--json")[1][0])["unreachable"] is True


def test_a_configuration_is_listed_as_it_would_be_served(capsys, tmp_path):
    (tmp_path / "wsgikit.toml").write_text(
        "[[mount]]\npath = '/a'\napp = 'routed:plain'\n[[route]]\nrule = '/r/<int:n>'\napp = 'routed:plain'\n"
    )
    expected = [["any", "/r/<int:n>", f"{__name__}:index"], ["mount", "/a", f"{__name__}:index"]]
    assert [line.split() for line in run(capsys)[1]] == expected
    assert [line.split() for line in run(capsys, "wsgikit.toml")[1]] == expected
    assert run(capsys, "--match", "/r/7")[0] == 0


def test_mistakes_are_named(capsys):
    status, _, error = run(capsys, "routed:router", "--match", "items")
    assert status == 2
    assert "write a path" in error
    assert run(capsys, "routed:nothing")[0] == 2
    deep = index
    for _ in range(40):
        deep = Mount({"/d": deep})
    sys.modules["routed"].deep = deep
    assert "nested more than" in run(capsys, "routed:deep")[2]


def test_upstreams_show_where_they_lead_and_apps_that_fail_that_they_do(capsys, tmp_path):
    (tmp_path / "wsgikit.toml").write_text(
        "[[mount]]\npath = '/api'\nupstream = 'api'\n[upstream.api]\nendpoints = ['http://127.0.0.1:1']\n"
        "[[mount]]\npath = '/gone'\napp = 'routed:gone'\n"
    )
    status, lines, _ = run(capsys)
    assert status == 0
    assert [line.split(maxsplit=2) for line in lines] == [
        ["mount", "/api", "api (p2c): http://127.0.0.1:1"],
        ["mount", "/gone", "(cannot be loaded: /gone)"],
    ]
