"""Which app a request goes to, what it sees of the path, and how the table changes."""

from __future__ import annotations

import logging
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.errors import ConfigError, LoadError
from wsgikit.middleware.mount import Deferred, Mount, MountPoint, parse_mount
from wsgikit.middleware.mount.paths import without_dots
from wsgikit.middleware.router import Route, Router


def app(name):
    def named(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{name}|{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode("latin-1")]

    return named


class Answer:
    def __init__(self, status, headers, body):
        self.code = int(status[:3])
        self.headers = dict(headers)
        self.text = body.decode("latin-1")


def ask(mount, path="/", method="GET", **environ):
    environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", **environ}
    kept = dict(environ)
    started = []
    body = b"".join(mount(environ, lambda status, headers, exc_info=None: started.append((status, headers))))
    assert environ == kept, "the caller's environ was changed"
    return Answer(*started[0], body)


def latin(text):
    return text.encode().decode("latin-1")


class TestPlaces:
    mount = Mount(
        {
            "/": app("root"),
            "/a": app("a"),
            "/a/b/": app("ab"),
            "/büro": app("büro"),
            "shop.example/": app("shop"),
            "shop.example/a": app("shop a"),
            "shop.example:81/": app("81"),
            "*.shop.example/only": app("sub"),
        }
    )

    @pytest.mark.parametrize(
        ("path", "seen"),
        [
            ("/", "root||/"),
            ("", "root||"),
            ("/x", "root||/x"),
            ("/a", "a|/a|"),
            ("/a/", "a|/a|/"),
            ("/ab", "root||/ab"),
            ("/a/b", "ab|/a/b|"),
            ("/a/b/c", "ab|/a/b|/c"),
            ("/a/bc", "a|/a|/bc"),
            ("//a", "root||//a"),
            ("/a//b", "a|/a|//b"),
            ("*", "root||*"),
            (latin("/büro/é"), latin("büro|/büro|/é").replace(latin("büro|"), "büro|", 1)),
        ],
    )
    def test_the_longest_path_by_segments(self, path, seen):
        assert ask(self.mount, path).text == seen

    @pytest.mark.parametrize(
        ("host", "path", "seen"),
        [
            ("shop.example", "/x", "shop||/x"),
            ("SHOP.example.:80", "/a", "shop a|/a|"),
            ("shop.example:81", "/a", "81||/a"),
            ("b.shop.example", "/only/x", "sub|/only|/x"),
            ("b.shop.example", "/a", "a|/a|"),
            ("other", "/a", "a|/a|"),
            ("a b", "/a", "a|/a|"),
        ],
    )
    def test_the_nearest_host_then_the_next(self, host, path, seen):
        assert ask(self.mount, path, HTTP_HOST=host).text == seen

    def test_http_1_0_without_host(self):
        assert ask(self.mount, "/a").text == "a|/a|"
        assert ask(Mount({"shop.example/": app("x")}), "/").code == 404

    def test_a_404_tells_strangers_nothing(self):
        mount = Mount({"/secret": app("secret")})
        answer = ask(mount, "/<script>", HTTP_HOST="evil.example")
        assert (answer.code, answer.text) == (404, "Not Found\n")
        assert answer.headers == {"Content-Type": "text/plain; charset=utf-8", "Content-Length": "10"}
        assert ask(mount, "/x", "HEAD").text == ""
        assert ask(Mount(), "").code == 404

    def test_a_default_app_gets_what_is_mounted_nowhere(self):
        assert ask(Mount({"/a": app("a")}, default=app("default")), "/x").text == "default||/x"

    def test_script_name_of_mounts_in_mounts(self):
        inner = Mount({"/": app("index"), "/b": app("b")})
        mount = Mount({"/a": inner})
        assert ask(mount, "/a/b/c", SCRIPT_NAME="/m").text == "b|/m/a/b|/c"
        assert ask(mount, "/a").text == "index|/a|"
        assert ask(mount, "/a", SCRIPT_NAME="/").text == "index|/a|"

    def test_an_unstripped_mount_leaves_the_path_alone(self):
        mount = Mount([MountPoint("/a", app("a"), strip=False)])
        assert ask(mount, "/a/b").text == "a||/a/b"

    def test_facts_for_the_log(self):
        log = {}
        ask(self.mount, "/a/b/c", **{"wsgikit.log": log})
        assert log == {"mount": "/a/b"}
        ask(
            Mount([MountPoint("/x", app("x"), host="*.a.example", name="it")]),
            "/x",
            HTTP_HOST="b.a.example",
            **{"wsgikit.log": log},
        )
        assert log == {"mount": "it"}

    def test_a_path_of_many_slashes_costs_no_more_than_the_table_is_deep(self):
        assert ask(self.mount, "/a" * 20000).text.startswith("a|/a|/a/a")

    @pytest.mark.parametrize("path", ["a", "/a//b", "/a/../b", "/.", "/a?b", "/a#b", "/%C3%A9", ""])
    def test_a_place_no_request_can_have_is_refused(self, path):
        with pytest.raises(ConfigError, match="mount"):
            MountPoint(path, app("x"))

    def test_two_apps_at_one_place_are_refused(self):
        with pytest.raises(ConfigError, match=r"'shop.example/a': there is an app already"):
            Mount({"shop.example/a": app("x"), "SHOP.example./a/": app("y")})
        with pytest.raises(ConfigError, match="cannot be called"):
            Mount({"/a": "pkg:app"})
        with pytest.raises(ConfigError, match="write '/path'"):
            Mount({"blog": app("x")})


SEGMENTS = st.lists(st.sampled_from(["", ".", "..", "a", "b", "...", ".a"]), max_size=7)


class TestPathPolicy:
    @pytest.mark.parametrize(
        "path",
        [
            "/a/../b",
            "/..",
            "/a/.",
            "/./a",
            "/a/..",
            "..",
            "../b",
            "/a//..//b",
            "/a/..;/b",
            "/a/..;x=1/b",
            "/a/.;",
            "/a/..\\..\\b",
            "/a\\..",
            "/a/\\..;x\\b",
        ],
    )
    def test_dot_segments_are_rejected(self, path):
        assert ask(Mount({"/": app("root")}), path).code == 400

    @pytest.mark.parametrize(
        "path", ["/a/...", "/.well-known", "/a.b/..c", "/a/b..", "/index.html", "/a;v=..", "/a\\b", "/...;x"]
    )
    def test_other_dots_are_not(self, path):
        assert ask(Mount({"/": app("root")}), path).text == f"root||{path}"

    @pytest.mark.parametrize(
        ("path", "seen"),
        [
            ("/a/../b/x", "b|/b|/x"),
            ("/a/../../../b", "b|/b|"),
            ("/a/./x/.", "a|/a|/x/"),
            ("/a/..", "root||/"),
            ("/a/b/../../b/..", "root||/"),
            ("/a//../x", "a|/a|/x"),
            ("/..", "root||/"),
            ("/a/..;/b/x", "b|/b|/x"),
            ("/a/..;x=1/..;y/b", "b|/b|"),
            ("/a/.;x/y", "a|/a|/y"),
            ("/a/..\\b", "Bad Request\n"),
        ],
    )
    def test_normalise_resolves_before_the_app_is_chosen(self, path, seen):
        mount = Mount({"/": app("root"), "/a": app("a"), "/b": app("b")}, dots="normalise")
        assert ask(mount, path).text == seen

    def test_pass_lets_them_through(self):
        assert ask(Mount({"/a": app("a")}, dots="pass"), "/a/../b").text == "a|/a|/../b"

    @pytest.mark.parametrize(
        ("slashes", "outcome"), [("pass", "root||//a//b"), ("merge", "a|/a|/b"), ("reject", "Bad Request\n")]
    )
    def test_double_slashes(self, slashes, outcome):
        assert ask(Mount({"/": app("root"), "/a": app("a")}, slashes=slashes), "//a//b").text == outcome

    def test_the_raw_target_follows_the_path(self):
        seen = []

        def look(environ, start_response):
            seen.append((environ["wsgikit.raw_target"], environ["PATH_INFO"]))
            return app("x")(environ, start_response)

        mount = Mount({"/a": look}, dots="normalise", slashes="merge")
        ask(mount, "/a/b//../c/d e", REQUEST_URI="/a/b//%2E./c%2Fd%20e?q", QUERY_STRING="q")
        ask(mount, "/a/../a/c/d", REQUEST_URI="/other")
        # here the path in the request target says something else than the decoded one once both are merged
        ask(mount, "/a//c", REQUEST_URI="/a%2F/c")
        assert seen == [(b"/a/c%2Fd%20e?q", "/c/d e"), (b"/a/c/d", "/c/d"), (b"/a/c", "/c")]

    def test_a_router_behind_it_reads_the_cleaned_target(self):
        router = Router([Route("/<name>", app("one")), Route("/<a>/<b>", app("two"))])
        mount = Mount({"/m": router}, dots="normalise")
        assert ask(mount, "/m/x/../a/b", REQUEST_URI="/m/x/../a%2Fb").text == "one|/m/a/b|"

    @given(SEGMENTS)
    def test_nothing_is_left_that_climbs(self, segments):
        path = "/" + "/".join(segments)
        clean = without_dots(path)
        assert clean.startswith("/")
        assert not {".", ".."} & set(clean.split("/"))
        assert without_dots(clean) == clean

    @given(SEGMENTS, st.sampled_from(["reject", "normalise"]), st.sampled_from(["pass", "merge", "reject"]))
    def test_no_app_gets_a_path_that_leads_out_of_its_mount(self, segments, dots, slashes):
        mount = Mount({"/a": app("a"), "/a/b": app("ab"), "/": app("root")}, dots=dots, slashes=slashes)
        answer = ask(mount, "/" + "/".join(segments))
        if answer.code == 200:
            _, script, info = answer.text.split("|")
            assert without_dots(script + info) == script + info
            assert not script.endswith("/")

    @pytest.mark.parametrize("option", ["dots", "slashes"])
    def test_an_unknown_policy_is_named(self, option):
        with pytest.raises(ConfigError, match=f"{option}='rejct'; did you mean 'reject'"):
            Mount(**{option: "rejct"})


class TestChanges:
    def test_add_replace_remove_swap(self):
        mount = Mount({"/a": app("a")})
        second = app("second")
        mount.add("x.example/b", app("b"), name="bee")
        assert ask(mount, "/b", HTTP_HOST="x.example").text == "b|/b|"
        mount.replace("/a/", second)
        assert ask(mount, "/a").text == "second|/a|"
        assert mount.remove("/a") is second
        assert ask(mount, "/a").code == 404
        mount.swap({"/é": second})
        assert [point.place for point in mount.points] == ["/é"]

    def test_what_cannot_be_done_changes_nothing(self):
        mount = Mount({"/a": app("a")})
        with pytest.raises(ConfigError, match="'/a': there is an app"):
            mount.add("/a/", app("b"))
        with pytest.raises(ConfigError, match="'/b': there is no app"):
            mount.replace("/b", app("b"))
        with pytest.raises(ConfigError, match="there is no app"):
            mount.remove("h.example/")
        with pytest.raises(ConfigError):
            mount.swap([MountPoint("/a", app("x")), MountPoint("/a", app("y"))])
        assert ask(mount, "/a").text == "a|/a|"

    def test_under_load_every_request_gets_one_app_whole(self):
        versions = [app(f"v{number}") for number in range(5)]
        mount = Mount({"/a": versions[0], "/b": app("b")})
        wrong, counts, stop = [], [0, 0, 0], threading.Event()

        def load(slot):
            while not stop.is_set():
                answers = ask(mount, "/a/x").text, ask(mount, "/b/y").text
                if answers[0] not in {f"v{number}|/a|/x" for number in range(5)} or answers[1] != "b|/b|/y":
                    wrong.append(answers)
                counts[slot] += 1

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        threads = [threading.Thread(target=load, args=(slot,)) for slot in range(3)]
        try:
            for thread in threads:
                thread.start()
            for turn in range(200):
                mount.replace("/a", versions[turn % 5])
                mount.add(f"/c{turn}", versions[0])
            while min(counts) < 100:
                pass
        finally:
            stop.set()
            for thread in threads:
                thread.join(10)
            sys.setswitchinterval(interval)
        assert not wrong
        assert len(mount.points) == 202

    def test_describe(self):
        mount = Mount({"/a": app("a"), "h.example/": Mount({"/x": app("x")}), "/d": Deferred(lambda: None, "/d")})
        name = f"{__name__}:app.<locals>.named"
        assert mount.describe() == f"/a  {name}\nh.example/  /x  {name}\n/d  /d"


class TestRows:
    def load(self, name):
        if name == "broken:app":
            raise LoadError("no module named 'broken'") from ImportError("boom")
        if name == "exits:app":
            raise SystemExit(3)
        return app(name)

    def test_an_app_that_fails_answers_503_while_its_neighbours_serve(self, caplog):
        rows = [
            {"path": "/ok", "app": "ok:app"},
            {"path": "/broken", "app": "broken:app"},
            {"host": "h.example", "app": "exits:app"},
        ]
        with caplog.at_level(logging.ERROR, "wsgikit.mount"):
            mount = Mount.from_table(rows, load=self.load)
        assert ask(mount, "/ok/x").text == "ok:app|/ok|/x"
        answer = ask(mount, "/broken", HTTP_HOST="other")
        assert (answer.code, answer.text, answer.headers["Retry-After"]) == (503, "Service Unavailable\n", "10")
        assert ask(mount, "/", HTTP_HOST="h.example").code == 503
        assert [record.args[0] for record in caplog.records] == ["/broken", "h.example/"]
        assert isinstance(caplog.records[0].exc_info[1], ImportError)

    def test_a_lazy_app_is_loaded_at_its_first_request(self):
        loaded = []

        def load(name):
            loaded.append(name)
            return app(name)

        mount = Mount.from_table(
            [{"path": "/a", "app": "a:app"}, {"path": "/b", "app": "b:app", "lazy": True}], load=load
        )
        assert loaded == ["a:app"]
        assert ask(mount, "/b").text == ask(mount, "/b").text == "b:app|/b|"
        assert loaded == ["a:app", "b:app"]

    def test_a_group_gets_the_request_as_it_came(self):
        rows = [{"path": "/a", "app": "a:app", "group": "far"}, {"path": "/b", "app": "b:app", "group": "near"}]
        mount = Mount.from_table(rows, load=self.load, forward={"far": app("far"), "near": None}.get)
        assert ask(mount, "/a/x").text == "far||/a/x"
        assert ask(mount, "/b/x").text == "b:app|/b|/x"

    def test_upstreams_middleware_and_objects(self):
        def wrap(inner, use):
            def layer(environ, start_response):
                return [use[0].encode(), *inner(environ, start_response)]

            return layer

        rows = [
            {"path": "/up", "upstream": "api", "use": ["layer "]},
            {"path": "/o", "app": app("object"), "strip": False},
        ]
        mount = Mount.from_table(rows, load=self.load, upstream=app, wrap=wrap)
        assert ask(mount, "/up/x").text == "layer api|/up|/x"
        assert ask(mount, "/o/x").text == "object||/o/x"

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ({"path": "/a", "ap": "x"}, r"\[\[mount\]\] number 2: unknown key 'ap'; did you mean 'app'"),
            ({"path": "/a"}, "number 2: write either app or upstream"),
            ({"path": "/a", "app": "x", "upstream": "y"}, "write either app or upstream"),
            ({"path": "/a", "upstream": "y"}, "upstream cannot be given here"),
            ({"path": "/a", "app": "x", "use": [1]}, "use cannot be given here"),
            ({"path": "a", "app": "x"}, "begins with a slash"),
        ],
    )
    def test_a_wrong_row_is_named(self, row, message):
        with pytest.raises(ConfigError, match=message):
            Mount.from_table([{"app": "ok:app"}, row], load=self.load)


class TestDeferred:
    def test_a_failure_is_tried_again_after_a_while(self):
        now, tries = [100.0], []

        def load():
            tries.append(now[0])
            if now[0] < 115:
                raise ImportError("not yet")
            return app("there")

        deferred = Deferred(load, "/a", clock=lambda: now[0])
        for second in (100, 105, 109, 110, 119, 121, 122):
            now[0] = float(second)
            answer = ask(deferred)
        assert tries == [100.0, 110.0, 121.0]
        assert answer.text == "there||/"
        assert callable(deferred.app)

    def test_requests_wait_for_the_import_of_another(self):
        entered, go, answers, loads = threading.Event(), threading.Event(), [], []

        def load():
            loads.append(1)
            entered.set()
            assert go.wait(10)
            return app("there")

        deferred = Deferred(load, "/a", patience=10)
        threads = [threading.Thread(target=lambda: answers.append(ask(deferred).text)) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert entered.wait(10)
        impatient = Deferred(load, "/a", patience=0)
        impatient._lock = deferred._lock
        assert ask(impatient).code == 503
        go.set()
        for thread in threads:
            thread.join(10)
        assert answers == ["there||/"] * 3
        assert len(loads) == 1


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("/blog=blog:app", {"host": "", "path": "/blog", "app": "blog:app"}),
        ("Shop.Example/=shop:app", {"host": "shop.example", "path": "/", "app": "shop:app"}),
        ("[::1]:80/a/=shop:app", {"host": "[::1]:80", "path": "/a", "app": "shop:app"}),
        (
            "*.x.example:8080/a/b=m:make(debug=True)",
            {"host": "*.x.example:8080", "path": "/a/b", "app": "m:make(debug=True)"},
        ),
    ],
)
def test_mounts_of_the_command_line(text, row):
    assert parse_mount(text) == row


@pytest.mark.parametrize("text", ["blog:app", "/blog=", "blog=blog:app", "a b/=x:y", "/a/../b=x:y"])
def test_a_wrong_mount_of_the_command_line_is_shown(text):
    with pytest.raises(ConfigError) as caught:
        parse_mount(text)
    assert str(caught.value).startswith(f"--mount {text!r}: ")
