"""URLs built from names."""

from __future__ import annotations

import uuid

import pytest
from werkzeug.routing import BaseConverter

from wsgikit.middleware.router import BuildError, Route, Router


def app(environ, start_response):
    return []


class Thing(BaseConverter):
    """to_python gives an object that to_url does not take back."""

    regex = "[0-9]+"

    def to_python(self, value):
        return object()

    def to_url(self, value):
        return str(int(value))


inner = Router(
    [
        Route("/", app, name="index"),
        Route("/u/<int:id>", app, name="user", methods=["POST"]),
        Route("/<lang>/<int:id>", app, name="same"),
    ]
)
router = Router(
    [
        Route("/", app, name="home"),
        Route("/item/<int:id>", app, name="item"),
        Route("/item/<name>", app, name="named"),
        Route("/about", app),
        Route("/<word>", app, name="word"),
        Route("/all", app, name="list", defaults={"page": 1}),
        Route("/all/<int:page>", app, name="list"),
        Route("/<any(a, 'b c', 'é'):which>/x", app, name="any"),
        Route("/u/<uuid:u>", app, name="uuid"),
        Route("/w/<path:page>", app, name="wiki"),
        Route("/w/<path:page>/edit", app, name="edit"),
        Route("/s/<a>-<b>", app, name="pair"),
        Route("/h/x", app, name="host", host="*.a.example"),
        Route("/h/y", app, name="v6", host="[::1]:80"),
        Route("/<lang>/api", inner, name="api", prefix=True),
        Route("/t/<thing:t>", app, name="thing"),
        Route("/é/ü b", app, name="text"),
    ],
    converters={"thing": Thing},
)


@pytest.mark.parametrize(
    ("name", "values", "url"),
    [
        ("home", {}, "/"),
        ("item", {"id": 7}, "/item/7"),
        ("item", {"id": "7"}, "/item/7"),
        ("named", {"name": "a b/ü?#%2F"}, "/item/a%20b%2F%C3%BC%3F%23%252F"),
        ("list", {}, "/all"),
        ("list", {"page": 1}, "/all"),
        ("list", {"page": 2}, "/all/2"),
        ("any", {"which": "b c"}, "/b%20c/x"),
        ("any", {"which": "é"}, "/%C3%A9/x"),
        ("uuid", {"u": uuid.UUID(int=1)}, "/u/00000000-0000-0000-0000-000000000001"),
        ("wiki", {"page": "a/b c"}, "/w/a/b%20c"),
        ("edit", {"page": "a/b"}, "/w/a/b/edit"),
        ("pair", {"a": "x", "b": "y"}, "/s/x-y"),
        ("host", {}, "/h/x"),
        ("v6", {}, "/h/y"),
        ("api:index", {"lang": "en"}, "/en/api/"),
        ("api:user", {"lang": "en", "id": 3}, "/en/api/u/3"),
        ("thing", {"t": 5}, "/t/5"),
        ("text", {}, "/%C3%A9/%C3%BC%20b"),
    ],
)
def test_urls(name, values, url):
    assert router.url_for(name, values) == url


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("itme", {}, "no route is called 'itme'; did you mean 'item'"),
        ("", {}, "no route is called ''"),
        ("item", {}, "no value for id"),
        ("item", {"id": 1, "x": 2}, "no variable x"),
        ("item", {"id": -1}, "does not match"),
        ("item", {"id": "x"}, "invalid literal"),
        ("named", {"name": "7"}, "would not route back, it goes to '/item/<int:id>'"),
        ("word", {"word": "about"}, "goes to '/about'"),
        ("word", {"word": ".."}, "clients resolve"),
        ("word", {"word": ""}, "does not match"),
        ("word", {"word": "\udcff"}, "surrogates not allowed"),
        ("any", {"which": "z"}, "not one of"),
        ("wiki", {"page": "a/edit"}, "goes to '/w/<path:page>/edit'"),
        ("wiki", {"page": "a/../b"}, "clients resolve"),
        ("pair", {"a": "x", "b": "y-z"}, "would come back with a='x-y' in place of 'x'"),
        ("list", {"page": "two"}, "invalid literal"),
        ("item:x", {}, "no nested router"),
        ("api:usr", {"lang": "en"}, "did you mean 'user'"),
        ("api:user", {"id": 3}, "no value for lang"),
    ],
)
def test_what_cannot_be_built_says_why(name, values, message):
    with pytest.raises(BuildError, match=message.replace("(", r"\(")):
        router.url_for(name, values)


def test_the_environ_gives_the_prefix_and_the_query_is_encoded():
    environ = {"SCRIPT_NAME": "/é x".encode().decode("latin-1")}
    url = router.url_for("item", {"id": 7}, environ=environ, query=[("a", "b c"), ("d", "é")])
    assert url == "/%C3%A9%20x/item/7?a=b+c&d=%C3%A9"
    assert router.url_for("item", {"id": 7}, query={"a": [1, 2]}) == "/item/7?a=1&a=2"


def test_a_url_never_leads_to_another_host():
    odd = Router([Route("//<host>/x", app, name="odd")])
    assert odd.url_for("odd", {"host": "evil.example"}) == "/.//evil.example/x"
