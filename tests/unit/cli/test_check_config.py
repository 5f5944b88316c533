"""`wsgikit check config` tells everything that is wrong in one go, and warns of what nothing uses."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wsgikit.cli import check_config
from wsgikit.errors import ConfigError

Check = Callable[..., list[str]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    """Check a file; the mistakes, a line each, without the name of the file."""
    (tmp_path / "shop_x.py").write_text("def app(environ, start_response): ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = dict(os.environ)

    def run(toml: str, *, no_load: bool = False) -> list[str]:
        (tmp_path / "wsgikit.toml").write_text(toml)
        try:
            status = check_config.run(argparse.Namespace(file=None, no_load=no_load))
        except ConfigError as error:
            return [line.removeprefix("wsgikit.toml:") for line in str(error).split("\n")]
        assert status == 0
        return []

    yield run
    os.environ.clear()
    os.environ.update(before)
    sys.modules.pop("shop_x", None)


UPSTREAM = """\
[[mount]]
upstream = "shop"
[upstream.shop]
endpoints = ["http://127.0.0.1:1"]
balance = "fair"
helth = { path = "/" }
queue = -1
[upstream.shop.health]
rise = 0
"""


@pytest.mark.parametrize("no_load", [False, True])
def test_every_wrong_key_of_an_upstream_on_its_line(check: Check, no_load: bool) -> None:
    found = check(UPSTREAM, no_load=no_load)
    assert [line.partition(" ")[0] for line in found] == ["5:", "6:", "7:", "9:"]
    assert found[1] == "6: [upstream.shop] unknown option 'helth'; did you mean 'health'?"
    assert found[3] == "9: [upstream.shop] health.rise = 0: a whole number from 1"


LAYERS = """\
[[mount]]
app = "shop_x:app"
[[mount.use]]
middleware = "comprss"
[[mount.use]]
middleware = "compress"
lvl = 5
level = true
[[mount.use]]
middleware = "rate-limit"
rate = "many"
[[mount.use]]
middleware = "static"
directory = "no-such-folder"
at = "assets"
"""


def test_every_wrong_layer_of_a_list(check: Check) -> None:
    found = check(LAYERS)
    assert [line.partition(":")[0] for line in found] == ["3", "5", "5", "9", "12"]
    assert found[0].startswith("3: unknown middleware 'comprss'; did you mean 'compress'?")
    assert found[1].startswith("5: compress has no option 'lvl'")
    assert found[2].startswith("5: compress: level = True: ")
    assert found[3].startswith("9: RateLimit: rate = 'many': ")


def test_every_wrong_route(check: Check) -> None:
    rows = ["rule = '/a/<nonsense:x>'", "rule = '/b/<x'", "rule = '/c'\nhost = 'a!b'", "rule = '/d'"]
    found = check("".join(f"[[route]]\n{row}\napp = 'shop_x:app'\n" for row in rows))
    assert [line.partition(":")[0] for line in found] == ["1", "4", "7"]
    assert len(check("[[route]]\nrule = '/a/<nonsense:x>'\napp = 'shop_x:app'\n")) == 1


def test_what_the_file_says_and_what_it_means_are_told_together(check: Check) -> None:
    toml = "threds = 2\n" + UPSTREAM + "[[mount]]\npath = '/b'\napp = 'shop_x:app'\n"
    toml += "[[mount.use]]\nmiddleware = 'comprss'\n"
    assert [line.partition(":")[0] for line in check(toml)] == ["1", "6", "7", "8", "10", "14"]


def test_nothing_is_told_that_follows_from_another_mistake(check: Check) -> None:
    toml = "pythonpath = 5\n[[mount]]\nupstream = 'shop'\n[upstream.shop]\nendpoints = ['${NOT_SET_X}']\nqueue = -1\n"
    toml += "[[mount]]\npath = '/b'\napp = 'shop_x:app'\n[[mount.use]]\nmiddleware = 'static'\n"
    toml += "directory = '${NOT_SET_X}'\n[group.a]\nmax_rss = '5XB'\n"
    assert [line.partition(":")[0] for line in check(toml)] == ["1", "5", "12", "14"]


def test_a_place_has_one_name_also_where_the_apps_are_elsewhere(check: Check, tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    found = check("chdir = 'apps'\n[[mount]]\nupstream = 'a'\n[upstream.a]\nendpoints = ['http://a']\nqueue = -1\n")
    assert found == ["6: [upstream.a] queue = -1: a whole number from 0"]


def test_an_algorithm_of_ones_own_is_looked_for_where_the_server_does(check: Check, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "my_algorithm_x.py").write_text("class First:\n    def pick(self, endpoints, environ): ...\n")
    toml = "pythonpath = ['lib']\n[[mount]]\nupstream = 'a'\n[upstream.a]\nendpoints = ['http://a']\n"
    assert check(toml + "balance = 'my_algorithm_x:First'\n") == []


def test_every_wrong_setting(check: Check) -> None:
    toml = "access_logformat = '%(nonsense)s'\nkeyfile = 'wsgikit.toml'\n[[mount]]\napp = 'shop_x:ap'\n"
    found = "\n".join(check(toml))
    assert "nonsense" in found
    assert "keyfile has no use without certfile" in found
    assert "'shop_x:ap'" in found


UNUSED = """\
[[mount]]
app = "shop_x:app"
group = "a"
[[route]]
rule = "/api"
upstream = "one"
[upstream.one]
endpoints = ["http://127.0.0.1:1"]
[upstream.two]
endpoints = ["http://127.0.0.1:2"]
[group.a]
workers = 1
[group.b]
workers = 1
"""


def test_a_warning_for_what_nothing_uses(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(UNUSED) == []
    out, err = capsys.readouterr()
    assert err == (
        "wsgikit: warning: wsgikit.toml:9: no mount and no route has upstream = 'two': [upstream.two] is not used\n"
        "wsgikit: warning: wsgikit.toml:13: no mount has group = 'b': no worker of [group.b] is started\n"
    )
    assert out == "wsgikit.toml: 1 mount, 1 route, 2 upstreams, 2 groups; no mistakes found, 2 warnings\n"
    assert check(UNUSED.replace("two]", "two]\nqueue = -1\n")) != []
    assert capsys.readouterr() == ("", "")  # what is to be mended first says enough
    used = (
        UNUSED + "[[mount]]\npath = '/x'\nupstream = 'two'\n[[mount]]\npath = '/y'\napp = 'shop_x:app'\ngroup = 'b'\n"
    )
    assert check(used) == []
    assert capsys.readouterr().err == ""


def test_relative_names_in_middleware_start_where_the_server_works(check: Check, tmp_path: Path) -> None:
    (tmp_path / "site" / "files").mkdir(parents=True)
    mount = "[[mount]]\n[[mount.use]]\nmiddleware = 'static'\ndirectory = 'files'\n"
    assert [line[:2] for line in check(mount)] == ["2:"]
    assert check("chdir = 'site'\n" + mount) == []
