"""Stack and Use: order, options, conditions, freezing, and what is said about mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from wsgi_apps import LEGAL, make
from wsgi_gateway import drive, make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware.conditions import header, host, method, path
from wsgikit.middleware.stack import Stack, StackOrderWarning, Use, named


def app(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join([*environ.get("trail", []), "app"]).encode()]


class Mark:
    """Says that the request came by, in the environ it passes on."""

    traits: frozenset[str] = frozenset()

    def __init__(self, app: Any, *, name: str, level: int = 6, ratio: float = 0.5, names: list[str] | None = None):
        self.app = app
        self.name = name

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app({**environ, "trail": [*environ.get("trail", []), self.name]}, start_response)


def function_layer(app: Any, prefix: str = "f") -> Any:
    return lambda environ, start: app({**environ, "trail": [*environ.get("trail", []), prefix]}, start)


def test_the_first_layer_is_the_outermost() -> None:
    stack = Stack(app, [Use(Mark, name="a"), Use(Mark, name="b"), Use(function_layer, "c")])
    assert drive(stack).body == b"a b c app"


def test_lists_nest_and_so_do_stacks() -> None:
    common = [Use(Mark, name="a"), [Use(Mark, name="b")]]
    inner = Stack(app, [Use(Mark, name="c")])
    stack = Stack(inner, [*common, Use(Mark, name="d")])
    assert drive(stack).body == b"a b d c app"
    assert [layer.name for layer in stack.layers] == ["Mark"] * 4
    assert [layer.use.options["name"] for layer in stack.layers] == ["a", "b", "d", "c"]


def test_an_empty_stack_is_the_app() -> None:
    for name in LEGAL:
        assert drive(Stack(make(name))).blocks == drive(make(name)).blocks


@pytest.mark.parametrize(
    ("when", "matching", "other"),
    [
        (path("/api"), {"PATH_INFO": "/api"}, {"PATH_INFO": "/apis"}),
        (path("/api/"), {"PATH_INFO": "/api/x"}, {"PATH_INFO": "/x/api"}),
        (path("/"), {"PATH_INFO": "/anything"}, {"PATH_INFO": "*"}),
        (path("/café"), {"PATH_INFO": "/caf\xc3\xa9/x"}, {"PATH_INFO": "/caf\xe9"}),
        (method("POST", "PUT"), {"REQUEST_METHOD": "PUT"}, {"REQUEST_METHOD": "put"}),
        (host("Shop.example"), {"HTTP_HOST": "shop.EXAMPLE:8080"}, {"HTTP_HOST": "a.shop.example"}),
        (host("*.example"), {"HTTP_HOST": "a.b.example."}, {"HTTP_HOST": "example"}),
        (host("[::1]"), {"HTTP_HOST": "[::1]:80"}, {"HTTP_HOST": "[::2]"}),
        (header("X-Debug"), {"HTTP_X_DEBUG": ""}, {}),
        (header("Content-Type", "text/xml"), {"CONTENT_TYPE": "TEXT/xml"}, {"HTTP_CONTENT_TYPE": "text/xml"}),
        (path("/a") & ~method("GET"), {"PATH_INFO": "/a", "REQUEST_METHOD": "POST"}, {"PATH_INFO": "/a"}),
        (path("/a") | path("/b"), {"PATH_INFO": "/b"}, {"PATH_INFO": "/c"}),
        (lambda environ: "x" in environ, {"x": "1"}, {}),
    ],
)
def test_a_condition_puts_the_layer_around_some_requests(when: Any, matching: Any, other: Any) -> None:
    stack = Stack(app, [Use(Mark, name="a"), Use(Mark, name="b", when=when)])
    assert drive(stack, {**make_environ(), **matching}).body == b"a b app"
    assert drive(stack, {**make_environ(), **other}).body == b"a app"


def test_describe_tells_layers_options_and_conditions() -> None:
    inner = Stack(app, [Use(function_layer, "x")])
    stack = Stack(inner, [Use(Mark, name="a", level=2, when=path("/api") & ~method("GET"))])
    assert stack.describe().splitlines() == [
        "Mark(name='a', level=2, when=(path('/api') & ~method('GET')))",
        "function_layer('x')",
        f"-> {__name__}:app",
    ]
    assert named(Mark(app, name="x")) == f"{__name__}:Mark"


def test_layers_are_published_with_what_they_call() -> None:
    stack = Stack(app, [Use(Mark, name="a"), Use(Mark, name="b")])
    first, second = stack.layers
    assert (first.inner, second.inner) == (second.app, app)


def test_between_puts_something_at_every_seam_also_of_a_stack_inside() -> None:
    seams: list[str] = []

    def seam(inner: Any, name: str) -> Any:
        def watched(environ: Any, start_response: Any) -> Any:
            seams.append(name)
            return inner(environ, start_response)

        return watched

    stack = Stack(Stack(app, [Use(function_layer)]), [Use(Mark, name="a")]).between(seam)
    assert drive(stack).body == b"a f app"
    assert seams == ["Mark", "function_layer", f"{__name__}:app"]


def test_stack_and_use_are_frozen() -> None:
    stack, use = Stack(app, []), Use(Mark, name="a")
    for thing, name in ((stack, "layers"), (stack, "new"), (use, "options"), (use, "new")):
        with pytest.raises(AttributeError, match="cannot be changed"):
            setattr(thing, name, ())


@pytest.mark.parametrize(
    ("make_use", "message"),
    [
        (lambda: Use(Mark, name="a", levl=5), "Mark has no option 'levl'; did you mean 'level'?"),
        (lambda: Use(Mark, name="a", xyz=5), "Mark has no option 'xyz'; it has name, level, ratio, names"),
        (lambda: Use(Mark), "Mark needs 'name'"),
        (lambda: Use(function_layer, "x", "y"), "function_layer cannot be called so"),
        (lambda: Use(function_layer, "x", prefix="y"), "function_layer has no option 'prefix'"),
        (lambda: Use(42), "middleware 42 is not callable"),  # type: ignore[call-overload]
        (lambda: Use(Mark, name="a", when="/api"), "when = '/api': has to be callable"),
        (lambda: Stack(None, []), "None is no WSGI app; the app comes first"),  # type: ignore[arg-type]
        (lambda: Stack(app, [Mark]), "write Use("),  # type: ignore[list-item]
        (lambda: Stack(app, [Use(lambda app: None)]), "which is no WSGI app"),  # type: ignore[arg-type,return-value]
        (lambda: Stack(app, [], order="loud"), "order = 'loud'"),
        (lambda: path("api"), "has to start with '/'"),
    ],
)
def test_mistakes_are_named_with_their_remedy(make_use: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_use()
    assert message in str(caught.value)


def _trait(name: str, *traits: str) -> Any:
    return type(name, (Mark,), {"traits": frozenset(traits)})


@pytest.mark.parametrize(
    ("outer", "inner", "why"),
    [
        ("compresses", "rewrites", "compressed bytes"),
        ("preflight", "authenticates", "preflight request has no credentials"),
        ("trusts-proxy", "by-address", "the proxy's address"),
        ("trusts-proxy", "logs", "the proxy's address"),
        ("names-request", "catches", "could not tell the request id"),
        ("logs", "catches", "an exception instead of the error page"),
    ],
)
def test_a_wrong_order_is_told_with_its_reason(outer: str, inner: str, why: str) -> None:
    outside, inside = Use(_trait("Outer", outer), name="o"), Use(_trait("Inner", inner), name="i")
    assert Stack(app, [outside, inside]).problems == ()
    with pytest.warns(StackOrderWarning, match=why):
        stack = Stack(app, [inside, outside])
    assert "Outer stands inside Inner, but belongs outside it" in stack.problems[0]
    with pytest.raises(ConfigError, match=why):
        Stack(app, [inside, outside], order="raise")
    assert Stack(app, [inside, outside], order="ignore").problems == ()


def test_a_wrong_order_across_nested_stacks_is_seen() -> None:
    inner = Stack(app, [Use(_trait("Gzip", "compresses"), name="x")])
    with pytest.warns(StackOrderWarning, match="Gzip stands inside Themer"):
        Stack(inner, [Use(_trait("Themer", "rewrites"), name="y")])


def test_the_request_id_belongs_outermost_but_for_what_it_depends_on() -> None:
    request_id = Use(_trait("Id", "names-request"), name="i")
    assert Stack(app, [Use(_trait("Proxy", "trusts-proxy"), name="p"), request_id]).problems == ()
    assert Stack(app, [Use(_trait("Log", "logs"), name="l"), request_id]).problems == ()
    with pytest.warns(StackOrderWarning, match="Id belongs outermost: answers that Other gives"):
        Stack(app, [Use(_trait("Other"), name="o"), request_id])


def test_a_layer_that_works_once_is_noticed_twice() -> None:
    kind = _trait("Gzip", "compresses", "once")
    with pytest.warns(StackOrderWarning, match="Gzip is there twice"):
        Stack(app, [Use(kind, name="1"), Use(kind, name="2")])
    assert Stack(app, [Use(kind, name="1", when=path("/a")), Use(kind, name="2", when=path("/b"))]).problems == ()
