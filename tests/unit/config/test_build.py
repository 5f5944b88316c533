"""From values to the settings of the rooms."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgikit.config import build
from wsgikit.config.resolve import Config, Sources
from wsgikit.errors import ConfigError
from wsgikit.master.settings import MasterSettings
from wsgikit.wire.http11.limits import Limits
from wsgikit.workers.settings import WorkerSettings


def configured(folder: Path, toml: str, environ: dict[str, str] | None = None) -> Config:
    (folder / "wsgikit.toml").write_text(toml)
    return Sources(environ=environ or {}, folder=str(folder)).read()


def test_what_nobody_set_is_the_settings_own_default(tmp_path: Path) -> None:
    config = configured(tmp_path, "")
    assert build.master_settings(config) == MasterSettings()
    assert build.worker_settings(config) == WorkerSettings()
    assert build.limits(config) == Limits()
    (front,) = build.group_settings(config)
    assert (front.name, front.workers) == ("", MasterSettings().workers)
    assert [bind.tls for bind in build.bind_settings(config)] == [None]


def test_options_become_fields_also_under_another_name(tmp_path: Path) -> None:
    config = configured(tmp_path, "limit_request_fields = 50\nunix_group = 'www'\npoller = 'auto'\nthreads = 3\n")
    assert build.limits(config).fields == 50
    assert build.master_settings(config).group == "www"
    assert (build.worker_settings(config).threads, build.worker_settings(config).poller) == (3, "auto")


def test_auto_workers_are_the_processors(tmp_path: Path) -> None:
    config = configured(tmp_path, "workers = 'auto'\n[group.shop]\nworkers = 'auto'\n")
    assert build.master_settings(config).workers == build.processors() >= 1
    assert {group.workers for group in build.group_settings(config)} == {build.processors()}


def test_a_group_has_what_it_sets_and_else_what_everybody_has(tmp_path: Path) -> None:
    config = configured(
        tmp_path,
        "threads = 3\ntimeout = 7\naddress_space = '1GiB'\n"
        "[group.shop]\nworkers = 2\ntimeout = 9\nenv = {A = '1'}\nuser = 'shop'\nunix_group = 'shops'\n",
    )
    front, shop = build.group_settings(config)
    assert (front.workers, front.address_space) == (1, 1 << 30)
    assert (shop.name, shop.workers, shop.user, shop.group, shop.env) == ("shop", 2, "shop", "shops", {"A": "1"})
    assert shop.address_space == 1 << 30
    of_shop = build.worker_settings(config, "shop")
    assert (of_shop.threads, of_shop.timeout) == (3, 9.0)
    assert build.worker_settings(config).timeout == 7.0


def test_a_listener_may_have_options_of_its_own(tmp_path: Path) -> None:
    config = configured(
        tmp_path, "bind = [':1', {address = 'unix:/x', socket_mode = '660', takeover = true}]\nbacklog = 9\n"
    )
    tcp, unix = build.bind_settings(config)
    assert (tcp.address, tcp.backlog, tcp.mode, tcp.takeover) == (":1", 9, None, False)
    assert (unix.address, unix.backlog, unix.mode, unix.takeover) == ("unix:/x", 9, 0o660, True)


@pytest.fixture
def pems(tmp_path: Path) -> Path:
    for name in ("a.pem", "b.pem", "a.key"):
        (tmp_path / name).write_text("")
    return tmp_path


def test_certificates_come_from_the_tables(pems: Path) -> None:
    config = configured(
        pems, "tls_minimum = '1.3'\ntls = [{cert = 'a.pem', key = 'a.key'}, {cert = 'b.pem', names = ['b.example']}]\n"
    )
    tls = build.tls_settings(config)
    assert tls is not None
    assert tls.minimum == "1.3"
    assert [(one.cert, one.key, one.names) for one in tls.certificates] == [
        (str(pems / "a.pem"), str(pems / "a.key"), ()),
        (str(pems / "b.pem"), "", ("b.example",)),
    ]
    assert all(bind.tls == tls for bind in build.bind_settings(config))


def test_a_certificate_from_outside_takes_the_place_of_the_tables(pems: Path) -> None:
    toml = "tls = [{cert = 'a.pem', key = 'a.key'}]\n"
    tls = build.tls_settings(configured(pems, toml, {"WSGIKIT_CERTFILE": "b.pem"}))
    assert tls is not None
    assert [one.cert for one in tls.certificates] == [str(pems / "b.pem")]


def test_a_key_without_certificate_is_a_mistake(pems: Path) -> None:
    with pytest.raises(ConfigError, match=r"wsgikit.toml:1: keyfile has no use without certfile"):
        build.bind_settings(configured(pems, "keyfile = 'a.key'\n"))
