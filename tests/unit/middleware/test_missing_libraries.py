"""Without a library that is needed now and then: told when a middleware is made, not at the request that needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from wsgikit.errors import ConfigError
from wsgikit.middleware import BasicAuth, Compress, Conditional, IpAllow, Static
from wsgikit.middleware.codings import present
from wsgikit.middleware.stack_options import table_use
from wsgikit.middleware.xslt.decoding import _libraries

HASH = "scrypt:32768:8:1$salt$" + "ab" * 64


@pytest.fixture(autouse=True)
def without_werkzeug(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "werkzeug"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "werkzeug", None)


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("compress", {}),
        ("conditional", {}),
        ("static", {"directory": "."}),
        ("xslt", {"stylesheet": __file__}),
        ("basic-auth", {"users": {"a": HASH}}),
    ],
)
def test_the_library_is_named_with_the_place(name: str, options: dict[str, Any]) -> None:
    use = table_use(name, options, "wsgikit.toml:3: ")
    with pytest.raises(ConfigError, match=r"^wsgikit.toml:3: \w+: a library is missing: pip") as caught:
        use(app)
    assert isinstance(caught.value.__cause__, ConfigError)
    assert caught.value.__cause__.__cause__ is None


@pytest.mark.parametrize(("factory", "options"), [(Compress, {}), (Conditional, {}), (Static, {"directory": "."})])
def test_from_python_as_well(factory: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^a library is missing: pip install werkzeug$"):
        factory(app, **options)


def test_a_folder_of_the_same_name_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("brotli", "zstandard")
    for name in names:
        (tmp_path / name).mkdir()
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    try:
        assert not present("br")
        assert "br" not in _libraries()
        assert "zstd" not in _libraries() or sys.version_info >= (3, 14)
    finally:
        for name in names:  # nobody else shall find the folder
            sys.modules.pop(name, None)


def test_what_needs_no_library_works(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("a:plain:secret\n")
    assert BasicAuth(app, users={"a": "plain:secret"})
    assert BasicAuth(app, file=str(tmp_path / "users"))


def test_a_refusal_is_plain_text_then() -> None:
    said: list[Any] = []
    environ = {"REMOTE_ADDR": "192.0.2.1", "HTTP_ACCEPT": "text/html;q=0.9, application/json", "REQUEST_METHOD": "GET"}
    body = IpAllow(app, allow=["10.0.0.0/8"])(environ, lambda *head: said.extend(head))
    assert said[0] == "403 Forbidden"
    assert dict(said[1])["Content-Type"] == "text/plain; charset=utf-8"
    assert b"".join(body).startswith(b"403 Forbidden\n")
