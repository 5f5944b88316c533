"""All sources together: which wins, what is said about mistakes, and what comes out."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from wsgikit.config import sources
from wsgikit.config.problems import Problems
from wsgikit.config.resolve import Config, Sources
from wsgikit.config.structure import MountEntry
from wsgikit.config.table import BY_NAME, OPTIONS
from wsgikit.errors import ConfigError

Read = Callable[..., Config]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(toml: str = "", typed: str = "", environ: Mapping[str, str] | None = None, **more: Any) -> Config:
        if toml:
            (tmp_path / "wsgikit.toml").write_text(toml)
        parser = argparse.ArgumentParser()
        sources.add_options(parser, OPTIONS)
        given = sources.from_command_line(parser.parse_args(typed.split()), OPTIONS)
        return Sources(given=given, environ=environ or {}, folder=str(tmp_path), **more).read()

    return read


def mistakes(read: Read, *args: Any, **named: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(*args, **named)
    return [line[max(line.find("wsgikit.toml:"), 0) :] for line in str(caught.value).split("\n")]


def test_command_line_over_environment_over_file_over_default(read: Read) -> None:
    toml = "threads = 2\nworkers = 2\ntimeout = '2s'\n"
    environ = {"WSGIKIT_THREADS": "3", "WEB_CONCURRENCY": "3"}

    config = read(toml, "--threads 4", environ)

    assert [config.get(name) for name in ("threads", "workers", "timeout")] == [4, 3, 2.0]
    assert config.get("keep_alive") == BY_NAME["keep_alive"].default
    assert config.place("threads") == "command line"
    assert config.place("workers") == "environment"
    assert config.place("timeout").endswith("wsgikit.toml:3")
    assert config.place("keep_alive") == "default"


def test_the_platforms_port_is_listened_on_from_outside(read: Read) -> None:
    assert read("bind = '127.0.0.1:1'", environ={"PORT": "5000"}).get("bind") == ({"address": "0.0.0.0:5000"},)
    assert read(environ={"PORT": "5000", "WSGIKIT_BIND": "[::]:1"}).get("bind") == ({"address": "[::]:1"},)


def test_lists_are_typed_by_repeating_the_flag_and_separated_by_commas_in_the_environment(read: Read) -> None:
    typed = read(typed="-b :1 --bind unix:/x -e A=1 -e B=2=3")
    assert [bind["address"] for bind in typed.get("bind")] == [":1", "unix:/x"]
    assert typed.get("env") == {"A": "1", "B": "2=3"}
    assert read(environ={"WSGIKIT_TRUSTED": "10.0.0.0/8,::1"}).get("trusted") == ("10.0.0.0/8", "::1")


def test_environment_variables_for_the_apps_add_up(read: Read) -> None:
    assert read("env = {A = '1', B = '1'}", "-e B=2").get("env") == {"A": "1", "B": "2"}


def test_switches_can_be_turned_off_again(read: Read) -> None:
    assert read("preload = true", "--no-preload").get("preload") is False
    assert read("preload = true", environ={"WSGIKIT_PRELOAD": "0"}).get("preload") is False


def test_relative_paths_start_at_the_file_or_at_the_folder_of_the_command(read: Read, tmp_path: Path) -> None:
    inner = tmp_path / "etc"
    inner.mkdir()
    binds = "bind = ['unix:x.sock', 'http+unix:y.sock', 'unix:/z.sock', 'unix:@name', ':1']"
    (inner / "site.toml").write_text(f"pid = 'x.pid'\nerror_logfile = '-'\n{binds}\n")

    config = read(typed="--access-logfile access.log", file="etc/site.toml")

    assert config.get("pid") == str(inner / "x.pid")
    assert config.get("error_logfile") == "-"
    assert config.get("access_logfile") == str(tmp_path / "access.log")
    assert [bind["address"] for bind in config.get("bind")] == [
        f"unix:{inner}/x.sock",
        f"http+unix:{inner}/y.sock",
        "unix:/z.sock",
        "unix:@name",
        ":1",
    ]


def test_the_file_is_found_named_or_left_out(read: Read, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.other]\nthreads = 1\n")
    assert read().file is None
    (tmp_path / "pyproject.toml").write_text("[tool.wsgikit]\nthreads = 5\n")
    assert read().get("threads") == 5
    (tmp_path / "other.toml").write_text("threads = 6\n")
    assert read(file="other.toml").get("threads") == 6
    assert read(environ={"WSGIKIT_CONFIG": "other.toml"}).get("threads") == 6
    assert read("threads = 7").get("threads") == 7
    assert read(file="").file is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"threads = ", "not TOML"),
        (b"threads = \xff", "not UTF-8"),
        (None, "No such file"),
        (b"# " + b"x" * (5 << 20), "this is no configuration file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(read: Read, tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "it.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=f"it.toml: .*{message}"):
        read(file="it.toml")


def test_a_pyproject_that_was_named_must_have_our_table(read: Read, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(ConfigError, match=r"has no \[tool.wsgikit\]"):
        read(file="pyproject.toml")


def test_every_mistake_of_every_source_is_told_at_once(read: Read) -> None:
    toml = """
threds = 2
timeout = "many"
bind = ["nowhere at all"]
workers = 5000

[[mount]]
path = "/../etc"
app = "a:b"

[[mount]]
path = "/a"
app = "a:b"
upstream = "api"
group = "shpo"

[[mount.use]]
level = 5

[group.shop]
max_rss = "5XB"
pid = "x"

[upstream.app]
endpoints = ["http://127.0.0.1:1"]
"""
    found = mistakes(read, toml, "--threads many", {"WSGIKIT_TREADS": "1", "WSGIKIT_SERVICE_HOST": "10.0.0.1"})

    assert found == [
        "command line: --threads = 'many': must be a whole number from 1 to 4096",
        "environment: unknown variable 'WSGIKIT_TREADS'; did you mean 'WSGIKIT_THREADS'?",
        "wsgikit.toml:2: unknown option 'threds'; did you mean 'threads'?",
        "wsgikit.toml:3: timeout = 'many': must be a number of seconds, or a time such as '500ms', '30s', '5m', '1h'",
        found[4],
        "wsgikit.toml:5: workers = 5000: must be a whole number from 1 to 1024, or 'auto'",
        "wsgikit.toml:8: path = '/../etc': must be a path, not percent-encoded, that starts with '/', without '//' "
        "and without '.' and '..' in it",
        "wsgikit.toml:11: [[mount]] has 'app' and 'upstream'; leave one of them out",
        "wsgikit.toml:14: unknown upstream 'api'; did you mean 'app'?",
        "wsgikit.toml:15: unknown group 'shpo'; did you mean 'shop'?",
        found[10],
        "wsgikit.toml:21: max_rss = '5XB': must be a number of bytes, or a size such as '64KiB', '200MiB'",
        "wsgikit.toml:22: 'pid' holds for the whole server; put it at the top",
    ]
    assert found[4].startswith("wsgikit.toml:4: bind = ['nowhere at all']: ")
    assert found[10].startswith("wsgikit.toml:17: [[mount.use]] has no 'middleware'")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("mount = 3", "mount = 3: must be tables: [[mount]]"),
        ("[mount]\npath = '/'", "must be tables: [[mount]]"),
        ("group = 3", "group = 3: must be tables: [group.NAME]"),
        ("[group]\nshop = 3", "shop = 3: must be a table: [group.shop]"),
        ("tls = [{names = ['a']}]", "[[tls]] has no 'cert'"),
        (
            "[[mount]]\npath = '/a'",
            "[[mount]] needs 'app' or 'upstream', or in 'use' a middleware that answers by itself",
        ),
        ("[[route]]\nrule = '/'\nuse = []", "[[route]] needs 'app' or 'upstream', or in 'use' a middleware"),
        ("[[route]]\napp = 'a:b'", "[[route]] has no 'rule'"),
        ("[[mount]]\napp = 'a:b'\n[[mount]]\napp = 'c:d'", "/ is mounted twice, first at wsgikit.toml:1"),
        ("[[mount]]\nhost = 'a:b'\napp = 'a:b'", "host = 'a:b': must be a host name such as 'shop.example'"),
        ("[[mount]]\napp = 'a:b'\nuse = 'x'", "use = 'x': must be tables: [[mount.use]]"),
        ("bind = [{address = ':1', moed = 1}]", "unknown key 'moed' in a listener"),
        ("bind = [{address = ':1', backlog = 0}]", "backlog must be a whole number from 1 to 65535"),
        ("bind = []", "must be an address, or a list"),
        ("[env]\nA = 1", "must be NAME=VALUE"),
    ],
)
def test_a_wrong_table_is_explained(read: Read, monkeypatch: pytest.MonkeyPatch, toml: str, message: str) -> None:
    monkeypatch.chdir(read(toml="threads = 1").file.folder)  # type: ignore[union-attr]
    with pytest.raises(ConfigError) as caught:
        read(toml)
    assert message in str(caught.value)


def test_mounts_routes_and_upstreams_become_entries(read: Read) -> None:
    config = read(
        """
        [[mount]]
        host = "Shop.example"
        path = "/a/"
        app = "shop:app"
        strip = false
        [[mount.use]]
        middleware = "compress"
        level = 5
        types = ["${KIND}/plain", "$${KIND}"]
        [[mount.use]]
        middleware = "pkg:make"
        [[route]]
        rule = "/api/<path:rest>"
        methods = ["GET"]
        upstream = "api"
        [upstream.api]
        balance = "p2c"
        endpoints = ["http://127.0.0.1:1", "http+unix:/x"]
        """,
        environ={"KIND": "text"},
    )
    (mount,) = config.mounts
    assert (mount.url, mount.app, mount.strip) == ("shop.example/a", "shop:app", False)
    assert [use.middleware for use in mount.use] == ["compress", "pkg:make"]
    assert mount.use[0].options == {"level": 5, "types": ["text/plain", "${KIND}"]}
    assert mount.use[0].place("level").endswith("wsgikit.toml:9")
    assert config.routes[0].methods == ("GET",)
    assert config.upstreams["api"].options == {
        "balance": "p2c",
        "endpoints": ["http://127.0.0.1:1", "http+unix:/x"],
    }


def test_a_variable_that_is_not_set_is_a_mistake(read: Read) -> None:
    toml = "[[mount]]\napp = 'a:b'\n[[mount.use]]\nmiddleware = 'auth'\nkeys = {deep = ['${SECRET_KEY}']}\n"
    assert mistakes(read, toml) == ["wsgikit.toml:5: deep: the environment has no variable 'SECRET_KEY'"]
    assert read(toml, "-e SECRET_KEY=x").mounts[0].use[0].options == {"keys": {"deep": ["x"]}}


def test_a_typed_mount_takes_the_place_of_the_files(read: Read) -> None:
    toml = "[[mount]]\npath = '/a'\napp = 'a:b'\n[[mount]]\npath = '/b'\napp = 'c:d'\n"
    typed = (MountEntry(path="/a", app="e:f"), MountEntry(path="/c", app="g:h"))
    assert {mount.path: mount.app for mount in read(toml, mounts=typed).mounts} == {
        "/a": "e:f",
        "/b": "c:d",
        "/c": "g:h",
    }


def test_a_python_call_gives_options_by_name() -> None:
    problems = Problems()
    given = sources.from_call({"threads": 3, "max_body": "1MiB", "thread": 3}, BY_NAME, problems)
    assert problems.found == ["serve(): unknown option 'thread'; did you mean 'threads'?"]
    config = Sources(given=given, environ={}, file="").read()
    assert (config.get("threads"), config.get("max_body")) == (3, 1 << 20)


def test_a_long_list_of_mistakes_is_cut_and_counted() -> None:
    problems = Problems()
    for number in range(100):
        problems.add("", f"mistake {number}")
    with pytest.raises(ConfigError) as caught:
        problems.stop()
    lines = str(caught.value).split("\n")
    assert (len(lines), lines[-1]) == (26, "... and 75 more")


def test_a_table_that_is_no_option_is_named_with_its_line(read: Read) -> None:
    found = mistakes(read, "threads = 2\n[server]\nthreads = 3\n[[mounts]]\n[tool.wsgikit]\nthreads = 2\n")

    assert found == [
        "wsgikit.toml:2: unknown table 'server'; allowed are env, group, mount, route, tls, upstream",
        "wsgikit.toml:4: unknown option 'mounts'; did you mean 'mount'?",
        "wsgikit.toml:5: [tool.wsgikit] is for pyproject.toml; here options need no table",
    ]
