"""What a value may be, from text and from TOML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wsgikit.config import kinds
from wsgikit.config.structure import HostName, MountPath

ACCEPTED: list[tuple[kinds.Kind, Any, Any]] = [
    (kinds.Integer(1, 9), "7", 7),
    (kinds.Integer(-3), "-3", -3),
    (kinds.Integer(0), "1_000", 1000),
    (kinds.Integer(1, 9, "auto"), "auto", "auto"),
    (kinds.Flag(), "Yes", True),
    (kinds.Flag(), "off", False),
    (kinds.Duration(), "30", 30.0),
    (kinds.Duration(), "1.5s", 1.5),
    (kinds.Duration(), "250ms", 0.25),
    (kinds.Duration(), "5m", 300.0),
    (kinds.Duration(), "1h", 3600.0),
    (kinds.Duration(), 0.5, 0.5),
    (kinds.Size(), "200MiB", 200 * 2**20),
    (kinds.Size(), "64 KiB", 65536),
    (kinds.Size(), "10MB", 10_000_000),
    (kinds.Size(), "1.5k", 1536),
    (kinds.Size(), "9007199254740993", 9007199254740993),
    (kinds.Mode(), "022", 0o022),
    (kinds.Mode(), "0o660", 0o660),
    (kinds.Mode(), 0o77, 0o77),
    (kinds.Choice(("a", "b")), "b", "b"),
    (kinds.Several(kinds.Integer()), "1,2", (1, 2)),
    (kinds.Several(kinds.Text()), "", ()),
    (kinds.Pairs(), "A=b=c", {"A": "b=c"}),
    (MountPath(), "/shop/", "/shop"),
    (MountPath(), "/", "/"),
    (HostName(), "Shop.Example.", "shop.example"),
    (HostName(), "*.shop.example", "*.shop.example"),
    (HostName(), "[::1]", "[::1]"),
    (HostName(port=True), "Shop.Example.:8080", "shop.example:8080"),
    (HostName(port=True), "*.shop.example:81", "*.shop.example:81"),
    (HostName(port=True), "[::1]:80", "[::1]:80"),
    (HostName(port=True), "", ""),
]

REFUSED: list[tuple[kinds.Kind, Any]] = [
    (kinds.Integer(1, 9), "0"),
    (kinds.Integer(1, 9), "10"),
    (kinds.Integer(), "٣"),
    (kinds.Integer(), "1.0"),
    (kinds.Integer(), " 1"),
    (kinds.Integer(), "1\n"),
    (kinds.Integer(), "nine"),
    (kinds.Flag(), "maybe"),
    (kinds.Duration(), "-1"),
    (kinds.Duration(), "nan"),
    (kinds.Duration(), "inf"),
    (kinds.Duration(), "5 weeks"),
    (kinds.Duration(1.0), "0.5"),
    (kinds.Size(), "-5"),
    (kinds.Size(), "5XB"),
    (kinds.Size(), ""),
    (kinds.Mode(), "8"),
    (kinds.Mode(), "99999"),
    (kinds.Choice(("a", "b")), "c"),
    (kinds.Text(empty=False), ""),
    (kinds.Text(), "two\nlines"),
    (kinds.FilePath(), "nul\0"),
    (kinds.Pairs(), "no-equals"),
    (kinds.Pairs(), "=x"),
    (MountPath(), "shop"),
    (MountPath(), "/a//b"),
    (MountPath(), "/a/../b"),
    (MountPath(), "/."),
    (MountPath(), "/a?b"),
    (MountPath(), "/a%20b"),
    (HostName(), "shop.example:80"),
    (HostName(port=True), ":80"),
    (HostName(port=True), "shop.example:"),
    (HostName(port=True), "shop.example:http"),
    (HostName(port=True), "shop.example:080"),
    (HostName(), "http://shop"),
]

REFUSED_IN_TOML: list[tuple[kinds.Kind, Any]] = [
    (kinds.Integer(), "3"),
    (kinds.Integer(), True),
    (kinds.Integer(), 3.0),
    (kinds.Flag(), "yes"),
    (kinds.Flag(), 1),
    (kinds.Duration(), True),
    (kinds.Duration(), float("nan")),
    (kinds.Duration(), float("inf")),
    (kinds.Size(), 1.5),
    (kinds.Size(), False),
    (kinds.Mode(), 0o17777),
    (kinds.Text(), 3),
    (kinds.Choice(("a",)), ["a"]),
    (kinds.Several(kinds.Integer()), {"a": 1}),
    (kinds.Pairs(), {"A": 1}),
    (kinds.Pairs(), ["A=b"]),
]


@pytest.mark.parametrize(("kind", "text", "value"), ACCEPTED)
def test_a_value_is_read(kind: kinds.Kind, text: Any, value: Any) -> None:
    read = kind.from_text(text) if isinstance(text, str) else kind.from_toml(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(("kind", "text"), REFUSED)
def test_a_wrong_text_is_refused(kind: kinds.Kind, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - an empty one means: say what is allowed
        kind.from_text(text)


@pytest.mark.parametrize(("kind", "value"), REFUSED_IN_TOML)
def test_a_wrong_toml_value_is_refused(kind: kinds.Kind, value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - an empty one means: say what is allowed
        kind.from_toml(value)


@pytest.mark.parametrize("kind", {type(kind): kind for kind, *_ in ACCEPTED}.values())
def test_every_kind_says_what_is_allowed(kind: kinds.Kind) -> None:
    assert len(kind.allowed) > 3


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (kinds.Duration(), 0.0, "0s"),
        (kinds.Duration(), 0.002, "2ms"),
        (kinds.Duration(), 90.0, "90s"),
        (kinds.Duration(), 120.0, "2m"),
        (kinds.Duration(), 7200.0, "2h"),
        (kinds.Size(), 8190, "8190"),
        (kinds.Size(), 512 * 1024, "512KiB"),
        (kinds.Size(), 1 << 30, "1GiB"),
        (kinds.Mode(), 0o22, "022"),
    ],
)
def test_a_value_is_shown_as_it_could_be_typed(kind: kinds.Kind, value: Any, text: str) -> None:
    assert kind.show(value) == text
    assert kind.from_text(text) == value


def test_paths_start_where_they_were_written(tmp_path: Path) -> None:
    kind = kinds.FilePath(("-", "off"))
    assert kind.located("a/../b.log", str(tmp_path)) == str(tmp_path / "b.log")
    assert kind.located("/var/x", str(tmp_path)) == "/var/x"
    assert kind.located("-", str(tmp_path)) == "-"
    assert kind.located("", str(tmp_path)) == ""
    assert kinds.Several(kind).located(("x",), str(tmp_path)) == (str(tmp_path / "x"),)


def test_a_file_that_must_be_there_is_missed_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*cert\.pem"):
        kinds.FilePath(must="file").located("cert.pem", str(tmp_path))
    with pytest.raises(ValueError, match="there is no folder"):
        kinds.FilePath(must="folder").located("nowhere", str(tmp_path))
