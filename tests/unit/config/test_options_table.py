"""The table and the settings of the rooms hold together, field by field."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections import Counter

import pytest

from wsgikit.config import table
from wsgikit.config.option import Option, settings_class
from wsgikit.config.sources import add_options
from wsgikit.config.structure import TLS_KEYS
from wsgikit.config.table import OPTIONS

# Fields that no single option fills, each with what fills it.
FILLED_OTHERWISE = {
    (table.BIND, "tls"): "made of the TLS options and the `tls` tables",
    (table.TLS, "certificates"): "made of certfile and keyfile, or of the `tls` tables",
    (table.CERTIFICATE, "password"): "the `tls` tables: not on a command line, where `ps` shows it",
    (table.CERTIFICATE, "names"): "the `tls` tables",
    (table.GROUP, "name"): "the name of the table [group.NAME]",
    (table.GROUP, "workers"): "the master's option, in [group.NAME]",
    (table.GROUP, "env"): "the start's option, in [group.NAME]",
    (table.GROUP, "preload"): "the master's option, in [group.NAME]",
    (table.GROUP, "user"): "the master's option, in [group.NAME]",
    (table.GROUP, "group"): "the master's option, in [group.NAME]",
    (table.WORKER, "takeover"): "the listener's option",
}
HOMES = sorted({option.home for option in OPTIONS})


def _fields(home: str) -> set[str]:
    return {field.name for field in dataclasses.fields(settings_class(home)) if field.init}


@pytest.mark.parametrize("home", HOMES)
def test_every_field_has_an_option_and_every_option_a_field(home: str) -> None:
    with_option = {option.attribute for option in OPTIONS if option.home == home}
    otherwise = {name for place, name in FILLED_OTHERWISE if place == home}

    assert with_option | otherwise == _fields(home)
    assert not with_option & otherwise


def test_the_tls_tables_fill_the_certificate_settings() -> None:
    assert {key.name for key in TLS_KEYS} == _fields(table.CERTIFICATE)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_default_is_a_value_that_could_be_typed(option: Option) -> None:
    default = option.default
    if default in ("", None, ()) or default == {}:
        return
    typed = option.kind.show(default)

    read = option.kind.from_text(typed)

    assert read == default or [bind["address"] for bind in read] == [default]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_explained_on_one_line(option: Option) -> None:
    assert 10 < len(option.help) <= 110
    assert option.help[0].isupper() or option.help.startswith("`")
    assert not option.help.endswith(".")
    assert re.fullmatch(r"[a-z][a-z0-9_]*", option.name)


def test_no_name_and_no_flag_is_used_twice() -> None:
    names = Counter(option.name for option in OPTIONS)
    flags = Counter(flag for option in OPTIONS for flag in option.spellings)
    variables = Counter(name for option in OPTIONS for name in (option.variable, *option.variables))

    assert {*names.values(), *flags.values(), *variables.values()} == {1}


@pytest.mark.parametrize(
    "flag",
    [
        "-b", "--bind", "-w", "--workers", "--threads", "-t", "--timeout", "--graceful-timeout", "--keep-alive",
        "--max-requests", "--max-requests-jitter", "--preload", "--chdir", "--pythonpath", "-e", "--env", "-u",
        "--user", "-g", "--group", "-m", "--umask", "-p", "--pid", "--access-logfile", "--error-logfile",
        "--log-file", "--log-level", "--access-logformat", "--limit-request-line", "--limit-request-fields",
        "--limit-request-field_size", "--limit-request-field-size", "--certfile", "--keyfile", "--ca-certs",
        "--ciphers", "--backlog", "--worker-connections", "--forwarded-allow-ips", "--proxy-protocol",
        "--reload", "--reload-extra-file",
    ],
)  # fmt: skip
def test_gunicorns_flags_are_ours(flag: str) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, OPTIONS)

    assert flag in parser._option_string_actions
