"""Mounts, middleware and prefixes become one WSGI app; every mistake names its place."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from wsgikit.cli.assemble import assemble, imports_of
from wsgikit.config.resolve import Config, Sources
from wsgikit.config.sources import Given
from wsgikit.errors import ConfigError, LoadError, WsgikitError
from wsgikit.middleware import NAMES
from wsgikit.middleware.balancer import Balancer
from wsgikit.middleware.mount import Mount
from wsgikit.middleware.router import Router
from wsgikit.middleware.stack import StackOrderWarning

App = Callable[..., Iterable[bytes]]


def named(name: str) -> App:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{name}|{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]

    return app


def wrap(app: App, *, text: str, times: int = 1) -> App:
    def middleware(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        return [(text * times).encode(), *app(environ, start_response)]

    return middleware


def explode(app: App, **options: Any) -> App:
    raise options["error"]


@pytest.fixture(autouse=True)
def apps() -> Iterator[ModuleType]:
    module = ModuleType("apps_of_test")
    for name in ("one", "two", "three"):
        setattr(module, name, named(name))
    module.wrap, module.number = wrap, 7  # type: ignore[attr-defined]
    module.wrong = lambda app: explode(app, error=ConfigError("not with me"))  # type: ignore[attr-defined]
    module.nothing = lambda app: None  # type: ignore[attr-defined]
    sys.modules["apps_of_test"] = module
    yield module
    del sys.modules["apps_of_test"]


def configured(folder: Path, toml: str, **typed: str) -> Config:
    (folder / "wsgikit.toml").write_text(toml)
    given = {name: Given(value, "command line", name, text=True) for name, value in typed.items()}
    return Sources(given=given, environ={}, folder=str(folder)).read()


def get(app: App, path: str = "/", host: str = "any.example", method: str = "GET") -> tuple[str, bytes]:
    environ: dict[str, Any] = {
        "SCRIPT_NAME": "", "PATH_INFO": path, "HTTP_HOST": host, "REQUEST_METHOD": method, "QUERY_STRING": "",
    }  # fmt: skip
    setup_testing_defaults(environ)
    before = dict(environ)
    answers: list[str] = []
    response = app(environ, lambda status, headers, exc_info=None: answers.append(status) or (lambda data: None))
    try:
        body = b"".join(response)
    finally:
        getattr(response, "close", lambda: None)()
    assert environ == before
    return answers[0], body


def test_mounts_of_the_file_are_served(tmp_path: Path) -> None:
    config = configured(
        tmp_path, "[[mount]]\napp = 'apps_of_test:one'\n[[mount]]\npath = '/two'\napp = 'apps_of_test:two'\n"
    )
    app = assemble(config)
    assert get(app, "/x")[1] == b"one||/x"
    assert get(app, "/two/x")[1] == b"two|/two|/x"


def test_one_app_is_served_without_anything_around_it(tmp_path: Path, apps: ModuleType) -> None:
    assert assemble(configured(tmp_path, "app = 'apps_of_test:one'")) is apps.one
    assert assemble(configured(tmp_path, ""), apps.two) is apps.two


def test_a_typed_app_joins_the_mounts_at_the_root(tmp_path: Path) -> None:
    toml = "[[mount]]\napp = 'apps_of_test:one'\n[[mount]]\npath = '/two'\napp = 'apps_of_test:two'\n"
    app = assemble(configured(tmp_path, toml, app="apps_of_test:three"))
    assert get(app, "/")[1] == b"three||/"
    assert get(app, "/two")[1] == b"two|/two|"


def test_nothing_to_serve_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no \[\[mount\]\] and no app; name an app, package"):
        assemble(configured(tmp_path, ""))
    with pytest.raises(ConfigError, match=r"there is no wsgikit.toml here"):
        assemble(Sources(environ={}, file="").read())


@pytest.mark.parametrize("rule", ["/api/<path:rest", "/api/<uint:rest>"])
def test_a_wrong_rule_is_found_on_its_line(rule: str, tmp_path: Path) -> None:
    toml = f"[[route]]\nrule = '/x'\napp = 'apps_of_test:one'\n[[route]]\nrule = '{rule}'\napp = 'apps_of_test:one'\n"
    with pytest.raises(ConfigError, match=f"wsgikit.toml:4: rule '{rule}': "):
        assemble(configured(tmp_path, toml))


def test_middleware_goes_around_outermost_first(tmp_path: Path) -> None:
    toml = """
    [[mount]]
    app = 'apps_of_test:one'
    [[mount.use]]
    middleware = 'apps_of_test:wrap'
    text = 'outer '
    [[mount.use]]
    middleware = 'apps_of_test:wrap'
    text = 'inner '
    times = 2
    """
    assert get(assemble(configured(tmp_path, toml)))[1] == b"outer inner inner one||/"


def test_middleware_is_found_by_its_short_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NAMES, "wrap", "apps_of_test:wrap")
    toml = "[[mount]]\napp = 'apps_of_test:one'\n[[mount.use]]\nmiddleware = 'wrap'\ntext = 'x '\n"
    assert get(assemble(configured(tmp_path, toml)))[1] == b"x one||/"


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("middleware = 'warp'", "wsgikit.toml:3: unknown middleware 'warp'; did you mean 'wrap'"),
        ("middleware = 'wrap'", "wsgikit.toml:3: wrap needs 'text'"),
        ("middleware = 'wrap'\ntxt = 'a'", "wsgikit.toml:3: wrap has no option 'txt'; did you mean 'text'"),
        ("middleware = 'wrap'\nqqq = 'a'", "wrap has no option 'qqq'; it has text, times"),
        ("middleware = 'wrap'\ntext = 3", "wsgikit.toml:3: wrap: text = 3: a text is needed"),
        ("middleware = 'apps_of_test:number'", "wsgikit.toml:3: .*cannot be called"),
        ("middleware = 'apps_of_test:wrp'", "wsgikit.toml:3: .* did you mean 'wrap'"),
        ("middleware = 'apps_of_test:wrong'", "wsgikit.toml:3: .*: not with me"),
        ("middleware = 'apps_of_test:nothing'", "made None, which is no WSGI app"),
    ],
)
def test_wrong_middleware_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str, message: str) -> None:
    monkeypatch.setitem(NAMES, "wrap", "apps_of_test:wrap")
    config = configured(tmp_path, f"[[mount]]\napp = 'apps_of_test:one'\n[[mount.use]]\n{use}\n")
    with pytest.raises(ConfigError, match=message):
        assemble(config)


def test_an_app_that_cannot_be_loaded_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"wsgikit.toml:2: 'apps_of_test:on'.*did you mean 'one'"):
        assemble(configured(tmp_path, "[[mount]]\napp = 'apps_of_test:on'\n"))


TWO = "[[mount]]\napp = 'apps_of_test:one'\n[[mount]]\npath = '/b'\napp = 'apps_of_test:late'\n"


def test_an_app_that_cannot_be_loaded_answers_503_beside_its_neighbours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = configured(tmp_path, TWO)
    imports = imports_of(config)
    app = assemble(config, imports=imports)
    assert get(app, "/x")[1] == b"one||/x"
    assert get(app, "/b")[0] == "503 Service Unavailable"
    assert "wsgikit.toml:5: 'apps_of_test:late'" in caplog.records[0].getMessage()
    assert "Traceback" not in caplog.text
    assert imports.failing() == {"/b"}


def test_a_check_of_the_configuration_tolerates_nothing_and_loads_lazy_apps(tmp_path: Path) -> None:
    config = configured(tmp_path, TWO + "lazy = true\n")
    assemble(config)
    with pytest.raises(LoadError, match=r"wsgikit.toml:5"):
        assemble(config, imports=imports_of(config, strict=True))


def test_an_app_that_cannot_be_loaded_ends_the_start_where_that_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"wsgikit.toml:6: 'apps_of_test:late'"):
        assemble(configured(tmp_path, "on_import_error = 'stop'\n" + TWO))


def test_one_app_alone_ends_the_start_wherever_it_is_mounted(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"wsgikit.toml:3"):
        assemble(configured(tmp_path, "[[mount]]\npath = '/b'\napp = 'apps_of_test:late'\n"))
    with pytest.raises(LoadError, match=r"wsgikit.toml:3"):
        assemble(configured(tmp_path, "[[route]]\nrule = '/b'\napp = 'apps_of_test:late'\n"))


def test_several_apps_that_all_cannot_be_loaded_end_the_start(tmp_path: Path) -> None:
    toml = TWO.replace("one", "none") + "[[route]]\nrule = '/c'\napp = 'apps_of_test:nor'\n"
    with pytest.raises(LoadError, match=r"no app can be imported; the first: .*wsgikit.toml:2"):
        assemble(configured(tmp_path, toml))


def test_a_route_whose_app_cannot_be_loaded_answers_503_beside_its_neighbours(tmp_path: Path) -> None:
    toml = "[[mount]]\napp = 'apps_of_test:one'\n[[route]]\nrule = '/b'\napp = 'apps_of_test:late'\n"
    app = assemble(configured(tmp_path, toml))
    assert get(app, "/x")[1] == b"one||/x"
    assert get(app, "/b")[0] == "503 Service Unavailable"


def test_a_reload_refuses_what_did_not_fail_before(tmp_path: Path, apps: ModuleType) -> None:
    config = configured(tmp_path, TWO)
    with pytest.raises(LoadError, match=r"wsgikit.toml:5"):
        assemble(config, imports=imports_of(config, excused=set()))
    assert get(assemble(config, imports=imports_of(config, excused={"/b"})), "/b")[0] == "503 Service Unavailable"


def test_a_worker_that_comes_later_serves_what_it_can(tmp_path: Path) -> None:
    config = configured(tmp_path, TWO)
    imports = imports_of(config, excused=set())
    imports.begun()
    assert get(assemble(config, imports=imports), "/b")[0] == "503 Service Unavailable"


def test_an_app_that_some_worker_has_counts_as_working(tmp_path: Path, apps: ModuleType) -> None:
    config = configured(tmp_path, TWO)
    imports = imports_of(config)
    assemble(config, imports=imports)
    assert imports.failing() == {"/b"}
    apps.late = named("late")  # type: ignore[attr-defined]
    assemble(config, imports=imports)
    assert imports.failing() == set()
    del apps.late
    assemble(config, imports=imports)
    assert imports.failing() == set()


def test_a_lazy_app_is_loaded_at_its_first_request(tmp_path: Path, apps: ModuleType) -> None:
    app = assemble(configured(tmp_path, "[[mount]]\npath = '/late'\nlazy = true\napp = 'apps_of_test:late'\n"))
    apps.late = named("late")  # type: ignore[attr-defined]
    assert get(app, "/late/x")[1] == b"late|/late|/x"


def test_mounts_keep_their_path_and_host_as_the_file_says(tmp_path: Path) -> None:
    toml = "[[mount]]\npath = '/a'\nhost = '*.shop.example'\nstrip = false\napp = 'apps_of_test:one'\n"
    app = assemble(configured(tmp_path, toml))
    assert get(app, "/a/x", "b.shop.example:8000")[1] == b"one||/a/x"
    assert get(app, "/a/x")[0] == "404 Not Found"


def test_routes_go_before_mounts(tmp_path: Path) -> None:
    toml = """
    [[mount]]
    app = 'apps_of_test:one'
    [[route]]
    rule = '/user/<int:id>/'
    slash = 'redirect'
    methods = ['GET']
    app = 'apps_of_test:two'
    [[route]]
    rule = '/<path:rest>'
    host = 'shop.example'
    app = 'apps_of_test:three'
    """
    app = assemble(configured(tmp_path, toml))
    assert get(app, "/user/7/")[1] == b"two|/user/7|/"
    assert get(app, "/user/7")[0] == "308 Permanent Redirect"
    assert get(app, "/user/7/", method="POST")[0] == "405 Method Not Allowed"
    assert get(app, "/user/x")[1] == b"one||/user/x"
    assert get(app, "/user/x", "shop.example")[1] == b"three||/user/x"


def test_routes_alone_are_enough(tmp_path: Path) -> None:
    app = assemble(configured(tmp_path, "[[route]]\nrule = '/<word>'\napp = 'apps_of_test:one'\n"))
    assert get(app, "/a")[1] == b"one|/a|"
    assert get(app, "/a/b")[0] == "404 Not Found"


def test_a_route_has_every_option_of_its_table(tmp_path: Path) -> None:
    toml = """
    [[mount]]
    app = 'apps_of_test:one'
    [[route]]
    rule = '/items/<int:id>'
    methods = ['GET']
    app = 'apps_of_test:two'
    [[route]]
    rule = '/deep'
    prefix = true
    app = 'apps_of_test:three'
    """
    app = assemble(configured(tmp_path, toml))
    assert get(app, "/items/7")[1] == b"two|/items/7|"
    assert get(app, "/items/seven")[1] == b"one||/items/seven"
    assert get(app, "/deep/er")[1] == b"three|/deep|/er"


def test_a_route_that_keeps_its_path_and_has_defaults(tmp_path: Path, apps: ModuleType) -> None:
    def variables(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [f"{environ['wsgiorg.routing_args'][1]}|{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]

    apps.variables = variables  # type: ignore[attr-defined]
    toml = """
    [[route]]
    rule = '/item/<int:id>'
    host = 'Shop.Example:8080'
    strip = false
    defaults = { colour = 'green' }
    app = 'apps_of_test:variables'
    """
    app = assemble(configured(tmp_path, toml))
    assert get(app, "/item/7", "shop.example:8080")[1] == b"{'colour': 'green', 'id': 7}||/item/7"
    assert get(app, "/item/7", "shop.example")[0] == "404 Not Found"


def test_a_mount_may_be_for_a_port(tmp_path: Path) -> None:
    toml = "[[mount]]\nhost = 'shop.example:81'\napp = 'apps_of_test:one'\n"
    toml += "[[mount]]\nhost = '*.shop.example'\napp = 'apps_of_test:two'\n"
    app = assemble(configured(tmp_path, toml))
    assert get(app, "/", "shop.example:81")[1] == b"one||/"
    assert get(app, "/", "shop.example:82")[0] == "404 Not Found"
    assert get(app, "/", "a.shop.example:82")[1] == b"two||/"


def test_a_wrong_mount_names_its_line(tmp_path: Path) -> None:
    toml = "[[mount]]\napp = 'apps_of_test:one'\n[[mount]]\nhost = 'a!b'\napp = 'apps_of_test:two'\n"
    with pytest.raises(ConfigError, match=r"wsgikit.toml:3: host 'a!b': not a host name"):
        assemble(configured(tmp_path, toml))


def test_a_wrong_route_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"wsgikit.toml:1: .*methods"):
        assemble(configured(tmp_path, "[[route]]\nrule = '/'\nmethods = ['G ET']\napp = 'apps_of_test:one'\n"))


def test_a_paste_file_is_an_app(tmp_path: Path, apps: ModuleType) -> None:
    pytest.importorskip("paste.deploy", reason="PasteDeploy is not installed")
    apps.paste = lambda global_conf, **options: named(f"paste {options['word']}")  # type: ignore[attr-defined]
    file = tmp_path / "production.ini"
    file.write_text("[app:main]\npaste.app_factory = apps_of_test:paste\nword = yes\n")
    assert get(assemble(configured(tmp_path, f"app = '{file}'")))[1] == b"paste yes||/"
    assert (
        get(assemble(configured(tmp_path, f"[[mount]]\npath = '/p'\napp = '{file}#main'")), "/p")[1] == b"paste yes|/p|"
    )


def test_a_project_with_an_app_factory_is_an_app(
    tmp_path: Path, apps: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site"
    (installed / "Shop-1.dist-info").mkdir(parents=True)
    (installed / "Shop-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: Shop\nVersion: 1\n")
    (installed / "Shop-1.dist-info" / "entry_points.txt").write_text(
        "[paste.app_factory]\nmain = apps_of_test:paste\nbroken = apps_of_test:broken\n"
    )
    monkeypatch.syspath_prepend(str(installed))
    apps.paste = lambda global_conf, **options: named("egg")  # type: ignore[attr-defined]
    apps.broken = lambda global_conf, **options: 1 / 0  # type: ignore[attr-defined]
    assert get(assemble(configured(tmp_path, "app = 'egg:Shop'")))[1] == b"egg||/"
    mount = "[[mount]]\npath = '/p'\napp = 'egg:Shop#{}'\n"
    assert get(assemble(configured(tmp_path, mount.format("main"))), "/p")[1] == b"egg|/p|"
    with pytest.raises(LoadError, match=r"wsgikit.toml:3: egg:Shop#mian: Shop has no paste.app_factory named 'mian'"):
        assemble(configured(tmp_path, mount.format("mian")))
    with pytest.raises(LoadError, match=r"wsgikit.toml:3: 'egg:Shop#broken': ZeroDivisionError"):
        assemble(configured(tmp_path, mount.format("broken")))


def test_a_mount_needs_no_app_where_middleware_answers(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a file")
    toml = f"""
    [[mount]]
    path = '/files'
    use = [{{ middleware = 'request-id' }}, {{ middleware = 'static', directory = '{tmp_path}' }}]
    [[route]]
    rule = '/-/<path:rest>'
    strip = false
    [[route.use]]
    middleware = 'health'
    """
    config = configured(tmp_path, toml)
    app = assemble(config, imports=imports_of(config))
    assert get(app, "/files/a.txt") == ("200 OK", b"a file")
    assert get(app, "/files/b.txt")[0] == "404 Not Found"
    assert get(app, "/-/health")[0] == "200 OK"
    assert get(app, "/-/nothing")[0] == "404 Not Found"


@pytest.mark.parametrize(
    "use",
    [
        "middleware = 'forward'\nto = 'http://127.0.0.1:1'",
        "middleware = 'status'",
        "middleware = 'cgi-directory'\ndirectory = '.'",
        "middleware = 'cascade'\nthen = ['apps_of_test:one']",
        "middleware = 'apps_of_test:Page'",
    ],
)
def test_middleware_that_answers_by_itself(tmp_path: Path, apps: ModuleType, use: str) -> None:
    class Page:
        traits = frozenset({"terminal"})

        def __init__(self, app: App) -> None:
            pass

        def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
            raise AssertionError("no request is made")

    apps.Page = Page  # type: ignore[attr-defined]
    assert callable(assemble(configured(tmp_path, f"[[mount]]\n[[mount.use]]\n{use}\n")))


def test_a_wrong_order_is_a_warning_with_the_line_of_the_file(tmp_path: Path) -> None:
    toml = "[[mount]]\napp = 'apps_of_test:one'\n[[mount.use]]\nmiddleware = 'error-pages'\n"
    config = configured(tmp_path, toml + "[[mount.use]]\nmiddleware = 'request-id'\n")
    with pytest.warns(StackOrderWarning, match="RequestId stands inside ErrorPages") as caught:
        assemble(config)
    assert [(Path(each.filename).name, each.lineno) for each in caught] == [("wsgikit.toml", 3)]


@pytest.mark.parametrize("table", ["[[mount]]", "[[route]]\nrule = '/'"])
def test_a_mount_needs_an_app_where_no_middleware_answers(tmp_path: Path, table: str) -> None:
    toml = f"threads = 1\n\n{table}\nuse = [{{ middleware = 'cors' }}]\n"
    with pytest.raises(ConfigError, match=r"wsgikit.toml:3: there is neither .* no middleware in 'use' answers by its"):
        assemble(configured(tmp_path, toml))


@pytest.mark.parametrize(
    ("module", "table", "library"),
    [
        ("werkzeug.routing", "rule = '/a/<int:x>'\napp = 'apps_of_test:one'", "werkzeug"),
        ("paste", "rule = '/a'\napp = 'some.ini'", "PasteDeploy"),
    ],
)
def test_a_library_that_is_missing_is_named_with_the_place_and_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, table: str, library: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "some.ini").write_text("[app:main]\n")
    toml = f"[[route]]\nrule = '/b'\napp = 'apps_of_test:one'\n[[route]]\n{table}\n"
    config = configured(tmp_path, toml)
    with pytest.raises(WsgikitError, match=rf"^wsgikit.toml:[46]: .*: pip install {library}\b") as caught:
        assemble(config, imports=imports_of(config, strict=True))
    assert caught.value.__cause__ is None


UPSTREAM = """
[[mount]]
path = "/api"
upstream = "api"
[[route]]
rule = "/v2/<path:rest>"
upstream = "api"
[[mount]]
path = "/other"
upstream = "other"
[upstream.other]
endpoints = ["http://127.0.0.1:2"]
[upstream.api]
"""


def test_an_upstream_is_one_app_for_all_that_name_it(tmp_path: Path) -> None:
    router = assemble(configured(tmp_path, UPSTREAM + "endpoints = ['http://127.0.0.1:1 weight=2']"))
    assert isinstance(router, Router)
    assert isinstance(router.not_found, Mount)
    api, other = router.not_found.points
    assert isinstance(api.app, Balancer)
    assert api.app is router.table.routes[0].app
    assert other.app is not api.app
    assert [endpoint.url for endpoint in api.app.endpoints] == ["http://127.0.0.1:1"]
    # a mount's path is its own, a route is one of the upstream's
    assert (api.strip, router.table.routes[0].strip) == (True, False)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("endpoint = ['http://127.0.0.1:1']", "unknown option 'endpoint'; did you mean 'endpoints'?"),
        ("endpoints = ['127.0.0.1:1']", "127.0.0.1:1"),
        ("endpoints = []", "no endpoints"),
        ("endpoints = ['http://a']\nbalance = 'fair'", "fair"),
    ],
)
def test_a_wrong_upstream_names_its_line(tmp_path: Path, keys: str, message: str) -> None:
    config = configured(tmp_path, UPSTREAM + keys)
    with pytest.raises(ConfigError) as caught:
        assemble(config)
    assert re.match(r".*wsgikit\.toml:1[45]: \[upstream\.api\] ", str(caught.value))
    assert message in str(caught.value)


def test_variables_in_upstreams_come_from_the_environment(tmp_path: Path) -> None:
    toml = "[env]\nPLACE = 'http://127.0.0.1:1'\n" + UPSTREAM + "endpoints = ['${PLACE}/base']"
    assert configured(tmp_path, toml).upstreams["api"].options == {"endpoints": ["http://127.0.0.1:1/base"]}


def test_lint_goes_around_every_app(tmp_path: Path, caplog: pytest.LogCaptureFixture, apps: ModuleType) -> None:
    def bad(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200", [])
        return [b""]

    apps.bad = bad  # type: ignore[attr-defined]
    app = assemble(configured(tmp_path, "lint = true\napp = 'apps_of_test:bad'\n"))
    get(app)
    assert any("WSGI-" in record.getMessage() for record in caplog.records)
