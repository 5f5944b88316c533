"""Rewriting of path, query and variables by URL."""

from __future__ import annotations

import re

import pytest

from wsgikit.errors import ConfigError
from wsgikit.middleware.rewrite import Rewrite, RewriteRule
from wsgikit.middleware.router import Route, Router


def ask(rules, path="/", method="GET", app=None, **environ):
    """The environ that the app gets; the status instead when the app is not called."""
    seen, statuses = [], []

    def look(environ, start_response):
        seen.append(environ)
        return app(environ, start_response) if app else []

    environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", **environ}
    kept = {key: list(value) if isinstance(value, list) else value for key, value in environ.items()}
    list(Rewrite(look, rules=rules)(environ, lambda status, headers, exc_info=None: statuses.append(status)))
    assert environ == kept, "the caller's environ was changed"
    return seen[0] if seen else statuses[0]


def latin(text):
    return text.encode().decode("latin-1")


@pytest.mark.parametrize(
    ("rule", "path", "new", "target"),
    [
        ({"rule": "/old/<path:rest>", "path": "/new/{rest}"}, "/old/a/b", "/new/a/b", b"/new/a/b?q=1"),
        ({"rule": "/<int:id>-<name>", "path": "/{name}/{id}"}, "/007-x", "/x/007", b"/x/007?q=1"),
        ({"regex": "/(de|en)(/.*)", "path": "{2}"}, "/de/x", "/x", b"/x?q=1"),
        ({"regex": "/(?P<lang>de|en)(/x)?", "path": "/{lang}!{2}{{}}"}, "/de", "/de!{}", b"/de!%7B%7D?q=1"),
        ({"rule": "/<name>", "path": "/é/{name}"}, latin("/ü b"), latin("/é/ü b"), b"/%C3%A9/%C3%BC%20b?q=1"),
        ({"rule": "/other", "path": "/x"}, "/old", "/old", None),
        ({"rule": "/old", "path": "/x", "methods": ["POST"]}, "/old", "/old", None),
        ({"rule": "/old", "path": "/x", "host": "a.example"}, "/old", "/old", None),
        ({"regex": "/o", "path": "/x"}, "/old", "/old", None),
        ({"regex": "/old", "path": "/x", "host": "*.b.example", "methods": ["GET"]}, "/old", "/x", b"/x?q=1"),
        ({"regex": "/old", "path": "/x", "host": "b.example"}, "/old", "/old", None),
    ],
)
def test_paths(rule, path, new, target):
    environ = ask([rule], path, QUERY_STRING="q=1", HTTP_HOST="a.b.example")
    assert environ["PATH_INFO"] == new
    assert environ.get("wsgikit.raw_target") == target


@pytest.mark.parametrize(
    ("query", "came", "new"),
    [
        ("id={id}", "a=1", "id=a%26b%C3%BC"),
        ("id={id}&{query}", "a=%20", "id=a%26b%C3%BC&a=%20"),
        ("{query}&id={id}", "", "id=a%26b%C3%BC"),
        (None, "a=1", "a=1"),
    ],
)
def test_queries(query, came, new):
    environ = ask([{"rule": "/u/<id>", "path": "/users", "query": query}], latin("/u/a&bü"), QUERY_STRING=came)
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/users", new)
    assert environ["wsgikit.raw_target"] == f"/users?{new}".encode()


def test_a_query_alone_keeps_the_path_as_it_was_sent():
    environ = ask([{"rule": "/<id>", "query": "id={id}"}], "/a/b", REQUEST_URI="/a%2Fb")
    assert environ["wsgikit.raw_target"] == b"/a%2Fb?id=a%2Fb"


def test_variables_are_set_and_taken_away():
    rule = RewriteRule(
        "/<lang>/<path:rest>",
        path="/{rest}",
        set={"HTTP_ACCEPT_LANGUAGE": "{lang}", "wsgi.url_scheme": "https", "SCRIPT_NAME": "/{lang}/", "X": "{lang}"},
        unset=["HTTP_X_USER", "HTTP_NOT_THERE"],
    )
    fields = [(b"accept-Language", b"fr"), (b"X-User", b"root"), (b"x_user", b"root"), (b"Host", b"h")]
    environ = ask(
        [rule], latin("/dé/x"), HTTP_ACCEPT_LANGUAGE="fr", HTTP_X_USER="root", **{"wsgikit.raw_headers": fields}
    )
    assert "HTTP_X_USER" not in environ
    assert environ["HTTP_ACCEPT_LANGUAGE"] == environ["X"] == latin("dé")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"], environ["wsgi.url_scheme"]) == (latin("/dé"), "/x", "https")
    assert environ["wsgikit.raw_headers"] == [(b"Host", b"h"), (b"Accept-Language", "dé".encode())]
    assert environ["wsgikit.raw_target"] == b"/d%C3%A9/x"


def test_content_type_is_a_field_too():
    fields = [(b"Content-Type", b"text/plain")]
    environ = ask(
        [{"rule": "/", "set": {"CONTENT_TYPE": "a/b"}}], CONTENT_TYPE="text/plain", **{"wsgikit.raw_headers": fields}
    )
    assert (environ["CONTENT_TYPE"], environ["wsgikit.raw_headers"]) == ("a/b", [(b"Content-Type", b"a/b")])


def test_the_first_match_is_the_last_unless_it_says_otherwise():
    chain = [
        {"rule": "/a", "path": "/b", "last": False},
        {"rule": "/b", "path": "/c"},
        {"rule": "/c", "path": "/d"},
    ]
    assert ask(chain, "/a")["PATH_INFO"] == "/c"
    assert ask(chain, "/c")["PATH_INFO"] == "/d"


def test_an_encoded_slash_survives_for_the_router_behind():
    seen = []
    router = Router([Route("/item/<name>", lambda e, s: seen.append(e["wsgiorg.routing_args"][1]) or [])])
    environ = ask([{"rule": "/i/<name>", "path": "/item/{name}"}], "/i/a/b", app=router, REQUEST_URI="/i/a%2Fb")
    assert environ["wsgikit.raw_target"] == b"/item/a%2Fb"
    assert environ["REQUEST_URI"] == "/i/a%2Fb"
    assert seen == [{"name": "a/b"}]


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"rule": "/u/<name>", "path": "/users/{name}/x"}, "/u/.."),
        ({"rule": "/u/<path:p>", "path": "/users/{p}"}, "/u/a/../../x"),
        ({"rule": "/u/<path:p>", "path": "/users/{p}"}, "/u/a/..;/..;x=1/x"),
        ({"rule": "/u/<name>", "path": "/users/{name}"}, "/u/..\\x"),
        ({"rule": "/u/<name>", "path": "{name}"}, "/u/x"),
        ({"rule": "/u/<name>", "set": {"HTTP_X": "{name}"}}, "/u/a\r\nX-Admin: 1"),
        ({"rule": "/u/<name>", "set": {"REMOTE_USER": "{name}"}}, "/u/a\0"),
    ],
)
def test_what_a_capture_must_not_bring_in(rule, path):
    assert ask([rule], path) == "400 Bad Request"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "write either rule or regex"),
        ({"rule": "/", "regex": "/"}, "write either"),
        ({"rule": "/", "pth": "/x"}, "unknown option 'pth'; did you mean 'path'"),
        ({"rule": "/<nam>", "path": "/{name}"}, "'{name}' in '/{name}'; did you mean 'nam'"),
        ({"regex": "/(x)", "path": "/{2}"}, "'{2}'"),
        ({"rule": "/", "path": "/{"}, "write {{ or }}"),
        ({"regex": "("}, "no regex"),
        ({"rule": "/", "set": {"PATH_INFO": "/x"}}, "PATH_INFO is changed by the option 'path'"),
        ({"rule": "/", "set": {"CONTENT_LENGTH": "0"}}, "CONTENT_LENGTH cannot be changed"),
        ({"rule": "/", "unset": ["wsgi.input"]}, "wsgi.input cannot be changed"),
        ({"rule": "/", "host": "a b"}, "host"),
    ],
)
def test_a_wrong_rule_is_named(rule, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        Rewrite(print, rules=[rule])
