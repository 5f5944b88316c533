"""PasteDeploy's entry points and files, with an installed project made in a temporary folder."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from wsgi_gateway import drive

from wsgikit.errors import ConfigError, LoadError
from wsgikit.middleware import paste
from wsgikit.middleware.stack import Stack, Use
from wsgikit.middleware.stack_options import from_tables

MODULE = """
def app_factory(global_conf, **local_conf):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        trail = environ.get("trail", [])
        return [repr((trail, sorted(local_conf.items()), sorted(global_conf))).encode()]
    return app

def marked(app, mark):
    return lambda environ, start: app({**environ, "trail": [*environ.get("trail", []), mark]}, start)

def filter_app_factory(app, global_conf, **local_conf):
    return marked(app, ("filter_app", sorted(local_conf.items())))

def filter_factory(global_conf, **local_conf):
    return lambda app: marked(app, ("filter", sorted(local_conf.items())))

def broken_factory(global_conf):
    raise ValueError("no database")
"""
POINTS = """
[paste.app_factory]
main = paste_shop:app_factory
broken = paste_shop:broken_factory
[paste.filter_app_factory]
direct = paste_shop:filter_app_factory
[paste.filter_factory]
indirect = paste_shop:filter_factory
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "PasteShop-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: PasteShop\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (tmp_path / "paste_shop.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "paste_shop", raising=False)


def test_both_kinds_of_filter_are_middleware() -> None:
    app = paste.egg_app("egg:PasteShop", debug=True)
    uses: list[Any] = [Use("egg:PasteShop#direct", level=5), Use("egg:PasteShop#indirect", names=["a", "b"], on=False)]
    stack = Stack(app, uses)
    assert eval(drive(stack).body) == (
        [("filter_app", [("level", "5")]), ("filter", [("names", "a\nb"), ("on", "false")])],
        [("debug", "true")],
        [],
    )
    assert stack.describe().splitlines()[0] == "egg:PasteShop#direct(level=5)"


def test_a_filter_is_named_in_a_table() -> None:
    app = paste.egg_app("egg:PasteShop#main")
    stack = Stack(app, from_tables([{"middleware": "egg:PasteShop#direct", "x": 1}]))
    assert b"filter_app" in drive(stack).body


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("egg:PasteShop#dirct", "has no paste.filter_app_factory or paste.filter_factory named 'dirct'; did you mean"),
        ("egg:PasteShop", "named 'main'; it has direct, indirect"),
        ("egg:NoSuchProject#x", "pip install NoSuchProject"),
    ],
)
def test_a_wrong_egg_is_told(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Use(name)
    assert message in str(caught.value)


def test_an_app_factory_that_fails_is_a_load_error() -> None:
    with pytest.raises(LoadError, match="ValueError: no database"):
        paste.egg_app("egg:PasteShop#broken")


INI = dedent("""
    [DEFAULT]
    shared = 1
    [app:main]
    use = egg:PasteShop#main
    where = %(here)s
    extra = %(given)s
    [filter:mark]
    use = egg:PasteShop#indirect
    [pipeline:admin]
    pipeline = mark main
    [loggers]
    keys = root, shop
    [handlers]
    keys = file
    [formatters]
    keys = short
    [logger_root]
    level = WARNING
    handlers =
    [logger_shop]
    level = INFO
    handlers = file
    qualname = paste_shop_log
    propagate = 0
    [handler_file]
    class = FileHandler
    args = (%(log)s,)
    formatter = short
    [formatter_short]
    format = short %(levelname)s %(message)s
    """)


@pytest.fixture
def ini(tmp_path: Path) -> Any:
    pytest.importorskip("paste.deploy", reason="PasteDeploy is not installed")
    file = tmp_path / "production.ini"
    file.write_text(INI)
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    yield file, {"given": "yes", "log": repr(str(tmp_path / "shop.log"))}
    logger = logging.getLogger("paste_shop_log")
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def test_a_paste_file_gives_its_app_and_sets_up_logging(ini: Any) -> None:
    file, defaults = ini
    seen = drive(paste.load_ini(str(file), defaults))
    assert f"('where', '{file.parent}')".encode() in seen.body
    assert b"('extra', 'yes')" in seen.body
    logging.getLogger("paste_shop_log").info("hello")
    assert (file.parent / "shop.log").read_text() == "short INFO hello\n"


def test_a_name_after_the_file_chooses_a_pipeline(ini: Any) -> None:
    file, defaults = ini
    assert b"('filter', [])" in drive(paste.load_ini(f"{file}#admin", defaults, logging=False)).body


def test_mistakes_in_a_paste_file_name_it(ini: Any, tmp_path: Path) -> None:
    file, defaults = ini
    for source, message in (
        (str(tmp_path / "none.ini"), "there is no file"),
        (f"{file}#nothing", "production.ini#nothing"),
    ):
        with pytest.raises(LoadError, match=message):
            paste.load_ini(source, defaults, logging=False)
    file.write_text("[loggers]\nkeys = lost\n[app:main]\nuse = egg:PasteShop#main\n")
    with pytest.raises(LoadError, match="logging sections"):
        paste.load_ini(str(file))


def test_without_pastedeploy_the_error_says_what_to_install(ini: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paste", None)
    with pytest.raises(LoadError, match="pip install PasteDeploy"):
        paste.load_ini(str(ini[0]))


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `wsgikit.cli.paste` would start."""
    from wsgikit.cli import launch

    calls: list[Any] = []
    monkeypatch.setattr(launch, "serve", lambda sources, app: calls.append((sources.read(), app)) or 0)
    return calls


@pytest.mark.parametrize(
    ("section", "bind"),
    [
        ({"host": "127.0.0.2", "port": "81"}, "127.0.0.2:81"),
        ({"port": "81"}, "127.0.0.1:81"),
        ({"host": "::1"}, "[::1]:8080"),
        ({"bind": "unix:/tmp/x.sock"}, "unix:/tmp/x.sock"),
    ],
)
def test_a_server_section_is_read_as_the_command_line_is(served: list[Any], section: Any, bind: str) -> None:
    from wsgikit.cli.paste import serve

    app = paste.egg_app("egg:PasteShop")
    assert serve(app, {"here": "/x"}, threads="3", keep_alive="7s", **section) == 0
    config, given = served[0]
    assert given is app
    assert (config.get("threads"), config.get("keep_alive")) == (3, 7.0)
    assert bind in str(config.get("bind"))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"thraeds": "3"}, r"\[server\] section: unknown option 'thraeds'; did you mean 'threads'"),
        ({"threads": "many"}, r"\[server\] section: threads = 'many'"),
        ({"bind": "127.0.0.1:1", "port": "2"}, "leave out host and port"),
    ],
)
def test_mistakes_in_a_server_section_are_told(served: list[Any], section: Any, message: str) -> None:
    from wsgikit.cli.paste import serve

    with pytest.raises(ConfigError, match=message):
        serve(paste.egg_app("egg:PasteShop"), {}, **section)


def test_our_entry_point_is_published() -> None:
    from importlib.metadata import entry_points

    # a checkout is found twice: by its egg-info, and as what pip installed from it
    values = {point.value for point in entry_points(group="paste.server_runner", name="main")}
    assert "wsgikit.cli.paste:serve" in values
