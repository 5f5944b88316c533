"""How a body is read is told from the head, by the same tables that later decide where the request goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgikit.cli.bodies import body_mode
from wsgikit.config.resolve import Config, Sources
from wsgikit.wire.http11 import Head, Limits, parse_head

MOUNTS = """
[[mount]]
app = "m:a"
[[mount]]
path = "/files/in"
app = "m:a"
body = "stream"
[[mount]]
host = "shop.example:81"
path = "/files"
app = "m:a"
body = "stream"
[[mount]]
path = "/group"
app = "m:a"
group = "g"
[[mount]]
path = "/kept"
app = "m:a"
group = "g"
body = "spool"
[[mount]]
path = "/büro"
upstream = "u"
[upstream.u]
endpoints = ["http://127.0.0.1:1"]
[group.g]
"""
ROUTES = """
[[route]]
rule = "/files/<int:id>"
methods = ["PUT"]
app = "m:a"
body = "stream"
[[route]]
rule = "/up/<path:rest>"
host = "shop.example"
upstream = "u"
"""


def configured(folder: Path, toml: str) -> Config:
    (folder / "wsgikit.toml").write_text(toml, "utf-8")
    return Sources(environ={}, folder=str(folder)).read()


def head(target: str, host: str = "any.example", method: str = "POST") -> Head:
    made = parse_head(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), 0, Limits())
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("target", "host", "mode"),
    [
        ("/", "any.example", "spool"),
        ("/files/in", "any.example", "stream"),
        ("/files/in/a/b?q=/x", "any.example", "stream"),
        ("/files/inner", "any.example", "spool"),
        ("/files%2Fin", "any.example", "stream"),
        ("/%66iles/in/%2e", "any.example", "stream"),
        ("/files/x", "shop.example:81", "stream"),
        ("/files/x", "Shop.Example:81", "stream"),
        ("/files/x", "shop.example", "spool"),
        ("/files/in", "shop.example", "stream"),
        ("http://shop.example:81/files", "shop.example:81", "stream"),
        ("/group/x", "any.example", "stream"),
        ("/kept/x", "any.example", "spool"),
        ("/b%C3%BCro/x", "any.example", "stream"),
        ("/b%FCro/x", "any.example", "spool"),
        ("/a/../files/in", "any.example", "spool"),
    ],
)
def test_the_mount_decides(tmp_path: Path, target: str, host: str, mode: str) -> None:
    choose = body_mode(configured(tmp_path, MOUNTS))
    assert choose is not None
    assert choose(head(target, host)) == mode


def test_http_1_0_without_host_goes_to_the_mounts_of_any_host(tmp_path: Path) -> None:
    choose = body_mode(configured(tmp_path, MOUNTS))
    old = parse_head(b"POST /files/in HTTP/1.0\r\n\r\n", 0, Limits())
    assert choose is not None
    assert old is not None
    assert choose(old) == "stream"


@pytest.mark.parametrize(
    ("method", "target", "host", "mode"),
    [
        ("PUT", "/files/7", "any.example", "stream"),
        ("POST", "/files/7", "any.example", "spool"),
        ("PUT", "/files/seven", "any.example", "spool"),
        ("PUT", "/files/in/x", "any.example", "stream"),
        ("POST", "/up/a%2Fb", "shop.example", "stream"),
        ("POST", "/up/a", "any.example", "spool"),
        ("OPTIONS", "*", "any.example", "spool"),
    ],
)
def test_routes_decide_before_mounts(tmp_path: Path, method: str, target: str, host: str, mode: str) -> None:
    choose = body_mode(configured(tmp_path, MOUNTS + ROUTES))
    assert choose is not None
    assert choose(head(target, host, method)) == mode


def test_a_group_reads_its_own_mounts_bodies_as_their_tables_say(tmp_path: Path) -> None:
    config = configured(tmp_path, MOUNTS + "body = 'stream'\n")
    choose = body_mode(config, group="g")
    assert choose is not None
    assert choose(head("/group")) == "stream"
    assert choose(head("/kept")) == "spool"
    assert body_mode(configured(tmp_path, MOUNTS), group="g") is None


def test_nothing_is_asked_where_all_bodies_are_read_alike(tmp_path: Path) -> None:
    mount = "[[mount]]\napp = 'm:a'\n"
    assert body_mode(configured(tmp_path, mount)) is None
    assert body_mode(configured(tmp_path, "body = 'stream'\n" + mount + "body = 'stream'\n")) is None
    choose = body_mode(configured(tmp_path, mount + "body = 'stream'\n"))
    assert choose is not None
    assert choose(head("/any")) == "stream"
