"""Methods, slashes, hosts and the environ that an app behind the router sees."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest

from wsgikit.errors import ConfigError
from wsgikit.middleware.router import Route, Router


class Recorder:
    """An app that keeps the environ it was called with."""

    def __init__(self):
        self.environ = None

    def __call__(self, environ, start_response):
        self.environ = environ
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]


app = Recorder()


class Answer:
    def __init__(self, status, headers, body):
        self.code = int(status[:3])
        self.headers = dict(headers)
        self.body = body


def ask(router, path="/", method="GET", **environ):
    environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", **environ}
    kept = dict(environ)
    started = []
    body = b"".join(router(environ, lambda status, headers, exc_info=None: started.append((status, headers))))
    assert environ == kept, "the caller's environ was changed"
    return Answer(*started[0], body)


def latin(text):
    return text.encode().decode("latin-1")


class TestMethods:
    inner = Router(
        [
            Route("/item/<int:id>", app, methods=["GET"]),
            Route("/item/<int:id>", app, methods=["PATCH"]),
            Route("/item/<int(max=9):id>", app, methods=["TRACE"]),
        ]
    )
    router = Router(
        [
            Route("/api", inner, prefix=True),
            Route("/api/item/<path:rest>", app, methods=["DELETE"]),
            Route("/read-only", inner, prefix=True, methods=["GET"]),
            Route("/any", app),
            Route("/asks", app, methods=["OPTIONS", "POST"]),
        ]
    )

    def test_allow_is_the_sorted_union_through_nested_routers(self):
        answer = ask(self.router, "/api/item/7", "PUT")
        assert (answer.code, answer.headers["Allow"]) == (405, "DELETE, GET, HEAD, OPTIONS, PATCH, TRACE")

    def test_a_rule_whose_converter_refuses_allows_nothing(self):
        assert ask(self.router, "/api/item/12", "PUT").headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH"

    def test_what_a_nested_router_does_not_take_goes_on_to_the_next_route(self):
        assert ask(self.router, "/api/item/7", "DELETE").code == 200
        assert ask(self.router, "/api/item/7/x", "DELETE").code == 200

    def test_the_methods_of_a_route_bound_those_of_the_router_nested_in_it(self):
        assert ask(self.router, "/read-only/item/7").code == 200
        answer = ask(self.router, "/read-only/item/7", "PATCH")
        assert (answer.code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")

    def test_head_comes_with_get_and_has_no_body_of_ours(self):
        assert ask(self.router, "/api/item/7", "HEAD").code == 200
        missing = ask(self.router, "/nothing", "HEAD")
        assert (missing.code, missing.body) == (404, b"")

    def test_options_is_answered_unless_a_route_takes_it(self):
        answer = ask(self.router, "/api/item/7", "OPTIONS")
        assert (answer.code, answer.body, answer.headers) == (
            204,
            b"",
            {"Allow": "DELETE, GET, HEAD, OPTIONS, PATCH, TRACE"},
        )
        assert ask(self.router, "/asks", "OPTIONS").body == b"ok"
        assert ask(self.router, "/any", "OPTIONS").body == b"ok"
        assert ask(self.router, "/nothing", "OPTIONS").code == 404

    def test_options_of_the_server_lists_what_is_there(self):
        answer = ask(self.router, "*", "OPTIONS")
        assert (answer.code, answer.headers["Allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, TRACE")

    def test_not_found_and_not_allowed_can_be_apps(self):
        missing, refused = Recorder(), Recorder()
        router = Router([Route("/x", app, methods=["GET"])], not_found=missing, not_allowed=refused)
        assert ask(router, "/y").body == b"ok"
        assert missing.environ["PATH_INFO"] == "/y"
        ask(router, "/x", "POST")
        assert refused.environ["wsgikit.allow"] == "GET, HEAD, OPTIONS"
        assert ask(router, "/x", "OPTIONS").code == 204

    def test_a_path_without_a_slash_in_front_is_not_found(self):
        assert ask(Router([Route("/<path:x>", app), Route("/", app, prefix=True)]), "x").code == 404


class TestSlashes:
    router = Router(
        [
            Route("/exact", app),
            Route("/leaf", app, slash="redirect"),
            Route("/branch/", app, slash="redirect"),
            Route("/either/", app, slash="both"),
            Route("/files/<path:p>/", app, slash="redirect"),
            Route("/form/", app, slash="redirect", methods=["POST"]),
            Route("/form", app, methods=["PUT"]),
            Route("/taken/", app, slash="redirect"),
            Route("/<word>", app, methods=["PURGE"]),
            Route("/pre", app, prefix=True, slash="redirect"),
        ]
    )

    @pytest.mark.parametrize(
        ("path", "location"),
        [
            ("/leaf/", "/leaf"),
            ("/branch", "/branch/"),
            ("/files/a/b", "/files/a/b/"),
            ("/pre", "/pre/"),
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_the_twin_is_redirected_with_its_query(self, path, location, method):
        answer = ask(self.router, path, method, QUERY_STRING="a=1&b=%20\r\n\xe9")
        assert (answer.code, answer.headers["Location"]) == (308, location + "?a=1&b=%20%0D%0A%E9")
        assert ask(self.router, location, method).code == 200

    @pytest.mark.parametrize("path", ["/leaf/", "/branch", "/pre"])
    def test_no_other_method_is_redirected(self, path):
        answer = ask(self.router, path, "POST")
        assert (answer.code, answer.headers["Allow"].replace("PURGE", "").strip(", ")) == (405, "GET, HEAD, OPTIONS")
        answer = ask(self.router, path, "OPTIONS")
        assert answer.code == 204
        assert "Location" not in answer.headers

    def test_exact_and_both(self):
        assert ask(self.router, "/exact/").code == 404
        assert ask(self.router, "/either").code == ask(self.router, "/either/").code == 200

    def test_a_rule_without_get_has_no_twin(self):
        assert ask(self.router, "/form").headers["Allow"] == "OPTIONS, PURGE, PUT"

    def test_a_redirect_comes_after_every_match(self):
        router = Router([Route("/x/", app, slash="redirect"), Route("/<word>", app)])
        assert ask(router, "/x").code == 200

    @pytest.mark.parametrize(
        ("rule", "path"),
        [
            ("//evil.example/x/", "//evil.example/x"),
            ("//<host>/", "//evil.example"),
            ("/<word>/", "/\\evil.example"),
            ("/<word>/", "/\\\\evil.example"),
            ("/<word>/", "/\t"),
            ("/<path:p>/", "/x//evil.example"),
            ("/<word>/", "/http:evil.example"),
        ],
    )
    def test_a_location_never_leads_to_another_host(self, rule, path):
        router = Router([Route(rule, app, slash="redirect")])
        answer = ask(router, path)
        location = answer.headers["Location"]
        assert answer.code == 308
        assert not location.startswith("//")
        assert "\\" not in location
        assert urlsplit(urljoin("http://here.example/", location)).hostname == "here.example"

    def test_a_location_keeps_the_escapes_that_were_sent(self):
        router = Router([Route("/<word>/", app, slash="redirect")])
        answer = ask(router, "/a/b c", REQUEST_URI="/a%2Fb%20c?q")
        assert answer.headers["Location"] == "/a%2Fb%20c/"

    def test_a_mounted_root_without_its_slash(self):
        plain = Router([Route("/", app)])
        turning = Router([Route("/", app, slash="redirect")])
        assert ask(plain, "", SCRIPT_NAME="/m").code == 200
        assert ask(turning, "", SCRIPT_NAME="/m").headers["Location"] == "/m/"
        assert ask(turning, "").code == 200, "a server that says PATH_INFO='' for / would be redirected for ever"

    def test_redirects_reach_into_nested_routers(self):
        router = Router([Route("/in", self.router, prefix=True)])
        assert ask(router, "/in/branch", SCRIPT_NAME="/m").headers["Location"] == "/m/in/branch/"
        assert ask(router, "/in/branch", "OPTIONS").headers["Allow"] == "GET, HEAD, OPTIONS, PURGE"


class TestHosts:
    def router(self):
        self.apps = {
            host: Recorder()
            for host in [
                "shop.example",
                "shop.example:8080",
                "*.shop.example",
                "*.b.shop.example",
                "",
                "bücher.example",
                "[::1]",
            ]
        }
        return Router([Route("/x", target, host=host) for host, target in self.apps.items()])

    @pytest.mark.parametrize(
        ("field", "host"),
        [
            ("shop.example", "shop.example"),
            ("SHOP.example.", "shop.example"),
            ("shop.example:80", "shop.example"),
            ("shop.example:8080", "shop.example:8080"),
            ("a.shop.example", "*.shop.example"),
            ("a.b.shop.example:1", "*.b.shop.example"),
            ("b.shop.example", "*.shop.example"),
            ("notshop.example", ""),
            ("xn--bcher-kva.example", "bücher.example"),
            (latin("bücher.example"), "bücher.example"),
            (latin("BÜCHER.example"), "bücher.example"),
            ("[::1]:80", "[::1]"),
            ("shop.example:http", ""),
            ("a b", ""),
            ("\xff", ""),
            ("é" * 400, ""),
        ],
    )
    def test_the_nearest_host_wins(self, field, host):
        router = self.router()
        assert ask(router, "/x", HTTP_HOST=field).code == 200
        assert [name for name, target in self.apps.items() if target.environ] == [host]

    def test_http_1_0_without_host(self):
        assert ask(self.router(), "/x").code == 200
        assert ask(Router([Route("/x", app, host="a.example")]), "/x").code == 404

    def test_a_missing_port_is_the_schemes(self):
        router = Router([Route("/", app, host="a.example:443")])
        assert ask(router, HTTP_HOST="a.example", **{"wsgi.url_scheme": "https"}).code == 200
        assert ask(router, HTTP_HOST="a.example", **{"wsgi.url_scheme": "http"}).code == 404

    def test_a_path_the_host_does_not_know_goes_on_to_the_next_host(self):
        router = Router([Route("/a", app, host="a.example", methods=["GET"]), Route("/b", app)])
        assert ask(router, "/b", HTTP_HOST="a.example").code == 200
        assert ask(router, "/a", HTTP_HOST="b.example").code == 404
        assert ask(router, "/a", "POST", HTTP_HOST="a.example").code == 405

    def test_hosts_count_in_nested_routers(self):
        inner = Router([Route("/", app, host="a.example")])
        router = Router([Route("/in", inner, prefix=True)])
        assert ask(router, "/in/", HTTP_HOST="a.example").code == 200
        assert ask(router, "/in/", HTTP_HOST="b.example").code == 404

    @pytest.mark.parametrize(
        "host", ["a b", "*x.example", "a.*", "a:b", ".a", "<sub>.a", "http://a", "a.example:x", "*."]
    )
    def test_a_host_that_is_none_is_named(self, host):
        with pytest.raises(ConfigError, match="host "):
            Router([Route("/", app, host=host)])


class TestEnviron:
    def seen(self, router, path, **environ):
        app.environ = None
        ask(router, path, **environ)
        return app.environ

    @pytest.mark.parametrize(
        ("rule", "options", "path", "script", "info"),
        [
            ("/a/<int:n>", {}, "/a/7", "/a/7", ""),
            ("/a/<int:n>/", {}, "/a/7/", "/a/7", "/"),
            ("/", {}, "/", "", "/"),
            ("/a/<path:rest>", {}, "/a/b/c", "/a", "/b/c"),
            ("/<path:rest>", {}, "/a/b", "", "/a/b"),
            ("/<path:p>/edit", {}, "/a/b/edit", "/a/b/edit", ""),
            ("/a", {"prefix": True}, "/a", "/a", ""),
            ("/a/", {"prefix": True}, "/a//b/", "/a", "//b/"),
            ("/<lang>", {"prefix": True}, "/en/b", "/en", "/b"),
            ("/", {"prefix": True}, "/a", "", "/a"),
            ("/a/<int:n>", {"strip": False}, "/a/7", "", "/a/7"),
            ("/a", {"strip": False, "prefix": True}, "/a/7", "", "/a/7"),
            ("/<x>", {}, latin("/é/").rstrip("/"), latin("/é"), ""),
            ("/é", {"prefix": True}, latin("/é/東"), latin("/é"), latin("/東")),
        ],
    )
    def test_what_was_consumed_moves_to_script_name(self, rule, options, path, script, info):
        environ = self.seen(Router([Route(rule, app, **options)]), path, SCRIPT_NAME="/m")
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/m" + script, info)

    def test_a_gateways_slash_in_script_name_is_no_path(self):
        environ = self.seen(Router([Route("/a", app, prefix=True)]), "/a/b", SCRIPT_NAME="/")
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/a", "/b")

    def test_script_name_may_be_missing(self):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a"}
        Router([Route("/a", app)])(environ, lambda *_: None)
        assert app.environ["SCRIPT_NAME"] == "/a"

    def test_routing_args_and_templates_merge_outer_to_inner(self):
        innermost = Router([Route("/<int:id>/<same>", app)])
        inner = Router([Route("/<same>/<path:rest>", innermost)])
        router = Router([Route("/<lang>", inner, prefix=True)])
        log = {"mount": "/m"}
        outer = ((1,), {"site": "s", "lang": "overridden"})
        environ = self.seen(router, "/en/x/7/y", **{"wsgiorg.routing_args": outer, "wsgikit.log": log})
        assert environ["wsgiorg.routing_args"] == (
            (1,),
            {"site": "s", "lang": "en", "same": "y", "rest": "7/y", "id": 7},
        )
        assert environ["wsgikit.route"] == "/<lang>/<same>/<int:id>/<same>"
        assert log == {"mount": "/m", "route": "/<lang>/<same>/<int:id>/<same>"}
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/en/x/7/y", "")

    def test_a_router_behind_another_middleware_adds_to_the_template(self):
        inner = Router([Route("/<int:id>", app)])

        def between(environ, start_response):
            return inner(environ, start_response)

        for rule, options in [("/<lang>", {"prefix": True}), ("/<lang>/<path:rest>", {})]:
            environ = self.seen(Router([Route(rule, between, **options)]), "/en/7")
            assert environ["wsgikit.route"] == "/<lang>/<int:id>"
            assert environ["wsgiorg.routing_args"][1]["id"] == 7

    @pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")
    def test_webob_reads_and_writes_the_variables(self):
        import webob

        environ = self.seen(Router([Route("/<a>/<int:b>", app)]), "/x/7", **{"paste.urlvars": {"old": 1}})
        request = webob.Request(environ)
        assert request.urlvars == {"old": 1, "a": "x", "b": 7}
        environ = self.seen(Router([Route("/<a>/<int:b>", app)]), "/x/7")
        request = webob.Request(environ)
        assert (request.urlvars, request.urlargs) == ({"a": "x", "b": 7}, ())
        request.urlvars = {"c": 1}
        assert environ["wsgiorg.routing_args"] == ((), {"c": 1})


class TestEncodedSlash:
    router = Router([Route("/<name>", app), Route("/<a>/<b>", app), Route("/files/<path:p>", app, prefix=False)])

    @pytest.mark.parametrize(
        "raw", [{"wsgikit.raw_target": b"/a%2Fb?x=/"}, {"REQUEST_URI": "/a%2fb"}, {"RAW_URI": "http://h.example/a%2Fb"}]
    )
    def test_it_is_kept_apart_where_the_target_is_known(self, raw):
        ask(self.router, "/a/b", **raw)
        assert app.environ["wsgikit.route"] == "/<name>"
        assert app.environ["wsgiorg.routing_args"][1] == {"name": "a/b"}
        assert (app.environ["SCRIPT_NAME"], app.environ["PATH_INFO"]) == ("/a/b", "")

    @pytest.mark.parametrize(
        "raw",
        [
            {},
            {"REQUEST_URI": "/other%2Fpath"},
            {"REQUEST_URI": "/a%252Fb"},
            {"wsgikit.raw_target": b"*"},
            {"RAW_URI": ""},
        ],
    )
    def test_else_path_info_is_the_path(self, raw):
        ask(self.router, "/a/b", **raw)
        assert app.environ["wsgikit.route"] == "/<a>/<b>"

    def test_it_can_be_turned_off(self):
        router = Router(self.router.table, raw=False)
        ask(router, "/a/b", REQUEST_URI="/a%2Fb")
        assert app.environ["wsgikit.route"] == "/<a>/<b>"

    def test_behind_a_mount_the_right_part_of_the_target_is_read(self):
        ask(
            self.router,
            "/a/b/é/".encode().decode("latin-1")[:-1],
            SCRIPT_NAME=latin("/m/é"),
            REQUEST_URI="/m%2F%C3%A9/a%2Fb/%C3%A9",
        )
        assert app.environ["wsgiorg.routing_args"][1] == {"a": "a/b", "b": "é"}

    def test_through_nested_routers(self):
        router = Router([Route("/<x>", self.router, prefix=True)])
        ask(router, "/p/q/a/b", REQUEST_URI="/p%2Fq/a%2fb")
        assert app.environ["wsgiorg.routing_args"][1] == {"x": "p/q", "name": "a/b"}
        assert (app.environ["SCRIPT_NAME"], app.environ["PATH_INFO"]) == ("/p/q/a/b", "")

    def test_a_catch_all_hands_on_a_slash(self):
        ask(self.router, "/files/a/b/c", REQUEST_URI="/files/a%2Fb/c")
        assert app.environ["wsgiorg.routing_args"][1] == {"p": "a/b/c"}
        assert app.environ["PATH_INFO"] == "/a/b/c"


def test_bytes_that_are_no_utf_8():
    router = Router([Route("/<name>", app), Route("/f/<path:p>", app), Route("/m", app, prefix=True)])
    assert ask(router, "/\xff").code == 404
    assert ask(router, "/f/\xff").code == 200
    assert app.environ["wsgiorg.routing_args"][1]["p"].encode("utf-8", "surrogateescape") == b"\xff"
    assert ask(router, "/m/\xff/x").code == 200
    assert app.environ["PATH_INFO"] == "/\xff/x"


def test_rows_make_a_router():
    apps = {"pkg:a": Recorder(), "up": Recorder()}
    router = Router.from_table(
        [
            {"rule": "/a/<int:n>", "app": "pkg:a", "methods": ["get"], "name": "a"},
            {"rule": "/api/<path:rest>", "upstream": "up", "host": "a.example"},
        ],
        load=apps.__getitem__,
        upstream=apps.__getitem__,
    )
    assert ask(router, "/a/7").code == 200
    assert ask(router, "/api/x", HTTP_HOST="a.example").code == 200
    assert apps["up"].environ["PATH_INFO"] == "/api/x"
    assert router.url_for("a", {"n": 7}) == "/a/7"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"rule": "/a", "ap": "x:y"}, r"\[\[route\]\] number 2: unknown key 'ap'; did you mean 'app'"),
        ({"app": "x:y"}, "number 2: has no rule"),
        ({"rule": "/a"}, r"number 2 \('/a'\): write either app or upstream"),
        ({"rule": "/a", "upstream": "u"}, "no upstreams"),
        ({"rule": "/a", "app": "x:y", "slash": "redirects"}, "did you mean 'redirect'"),
        ({"rule": "/a", "app": "x:y", "methods": "GET"}, "write a list"),
        ({"rule": "/a", "app": "x:y", "methods": ["GET POST"]}, "no method"),
        ({"rule": "/a", "app": "x:y", "methods": []}, "empty"),
        ({"rule": "/<path:p>", "app": "x:y", "prefix": True}, "leave prefix out"),
        ({"rule": 7, "app": "x:y"}, "not text"),
    ],
)
def test_a_wrong_row_is_named(row, message):
    with pytest.raises(ConfigError, match=message):
        Router.from_table([{"rule": "/", "app": "x:y"}, row], load=lambda name: app)


def test_an_app_must_be_callable():
    with pytest.raises(ConfigError, match="cannot be called"):
        Route("/", "pkg:app")
