"""Every middleware has an example, and each does what its first lines promise."""

from __future__ import annotations

import base64
import gc
import gzip
import json
import logging
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from wsgi_gateway import Seen, drive, make_environ

from wsgikit.middleware import NAMES

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "examples" / "stacks"


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(tmp_path)
    forget()

    def ask_example(name: str, path: str = "/", method: str = "GET", body: bytes = b"", **fields: str) -> Seen:
        app = import_module(f"examples.stacks.{name}").app
        return drive(app, make_environ(method, path, body=body, REMOTE_ADDR="127.0.0.1", **fields))

    yield ask_example
    forget()


def forget() -> None:
    """Their limits, and what they forward to, are in the scoreboard of the test that imported them."""
    for name in [name for name in sys.modules if name.startswith("examples.stacks")]:
        del sys.modules[name]
    gc.collect()


def test_there_is_one_for_each() -> None:
    files = {file.stem for file in FOLDER.glob("*.py")}
    assert files == {name.replace("-", "_") for name in NAMES} | {"shop", "everything"}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_says_how_to_start_it_and_shows_the_shop(ask: Any, name: str) -> None:
    module = name.replace("-", "_")
    seen = ask(module)
    assert (seen.code, b"Tea, coffee" in seen.body) == (200, True)
    text = (FOLDER / f"{module}.py").read_text()
    assert f"wsgikit serve examples.stacks.{module}:app\n" in text
    assert "curl -s" in text


def test_a_program_answers_beside_the_shop(ask: Any) -> None:
    assert ask("cgi_directory", "/cgi-bin/hello.sh", QUERY_STRING="Ann").body == b"Hello from a shell, Ann.\n"


def test_the_status_page_is_mounted(ask: Any) -> None:
    assert ask("status", "/-/status/json").code == 200


def test_cascade_asks_the_archive(ask: Any) -> None:
    assert b"40 pence" in ask("cascade", "/1999/prices").body
    assert ask("cascade", "/2000/prices").code == 404


def test_rewrite_finds_old_addresses(ask: Any) -> None:
    assert ask("rewrite", "/shop/who").body.startswith(b"REMOTE_ADDR: 127.0.0.1")
    assert ask("rewrite", "/shops/who").code == 404


def test_basic_auth_lets_ada_in(ask: Any) -> None:
    fields = {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(b"ada:tea").decode()}
    assert ask("basic_auth", "/upload", "POST", b"x" * 9).code == 401
    assert ask("basic_auth", "/upload", "POST", b"x" * 9, **fields).body == b"9 bytes\n"


def test_limits(ask: Any) -> None:
    assert ask("body_limit", "/upload", "POST", b"x" * 1025).code == 413
    assert [ask("rate_limit", "/who").code for _ in range(4)] == [200, 200, 200, 429]
    assert ask("ip_allow", "/upload", "POST", b"x").code == 200
    assert ask("concurrency", "/events").body.count(b"cups sold") == 3


def test_bodies(ask: Any) -> None:
    events = ask("compress", "/events", HTTP_ACCEPT_ENCODING="gzip")
    assert (len(events.blocks) >= 3, gzip.decompress(events.body).count(b"cups sold")) == (True, 3)
    etag = ask("conditional").get("ETag")
    assert ask("conditional", HTTP_IF_NONE_MATCH=etag).code == 304
    part = ask("static", "/logo.svg", HTTP_RANGE="bytes=0-9")
    assert (part.code, part.body) == (206, b"<svg xmlns")


def test_headers(ask: Any) -> None:
    preflight = {"HTTP_ORIGIN": "https://app.example", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT"}
    assert ask("cors", "/who", "OPTIONS", **preflight).code == 204
    assert len(ask("request_id", "/who").get("X-Request-ID")) == 32
    assert ask("security_headers").get("Content-Security-Policy") == "default-src 'self'"
    told = ask("proxy_headers", "/who", HTTP_X_FORWARDED_FOR="192.0.2.1", HTTP_X_FORWARDED_PROTO="https").body
    assert told.startswith(b"REMOTE_ADDR: 192.0.2.1\nREMOTE_USER: None\nwsgi.url_scheme: https\n")


def test_failures(ask: Any, caplog: pytest.LogCaptureFixture) -> None:
    seen = ask("error_pages", "/fail", HTTP_ACCEPT="application/json")
    assert json.loads(seen.body)["request_id"] == seen.get("X-Request-ID")
    assert b"Not in the shop" in ask("error_pages", "/nothing", HTTP_ACCEPT="text/html").body
    assert b"The till is broken" in ask("everything", "/fail", HTTP_ACCEPT="text/html").body
    assert "the till is broken" in caplog.text


def test_operations(ask: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert json.loads(ask("health", "/-/ready").body) == {"status": "pass", "checks": {"till": "pass"}}
    assert (ask("timing").get("Server-Timing") or "").startswith("app;dur=")
    ask("profiler", HTTP_X_PROFILE="1")
    assert "function calls" in caplog.text


def test_the_whole_stack_is_in_order_and_describes_itself(ask: Any) -> None:
    assert ask("everything", "/logo.svg", HTTP_ACCEPT_ENCODING="gzip").code == 200
    app = import_module("examples.stacks.everything").app
    assert app.problems == ()
    assert app.describe().splitlines()[-1] == "-> examples.stacks.shop:shop"


def test_xslt_makes_a_page_of_the_prices_for_browsers_and_leaves_programs_the_xml(ask: Any) -> None:
    page = ask("xslt", "/prices.xml", HTTP_ACCEPT="text/html")
    assert page.code == 200
    assert b"<p>Tea: 40 pence</p>" in page.body
    assert ask("xslt", "/prices.xml", HTTP_ACCEPT="application/xml").body.startswith(b"<prices>")
