"""docs/xslt.md: every option is there, and every example does what the page says."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wsgikit.cli import main
from wsgikit.middleware import XSLT

PAGE = (Path(__file__).parents[3] / "docs" / "xslt.md").read_text()
SHEET = '<xsl:stylesheet version="{version}" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">{body}</xsl:stylesheet>'
PRICES = '<?xml-stylesheet type="text/xsl" href="prices.xsl"?><prices><price of="Tea">40</price></prices>'
SHOP = """
def shop(environ, start_response):
    body, media = {
        "/api": (b'{"name": "Tea"}', "application/json"),
        "/page": (b"<h1>Tea<p>40", "text/html"),
    }.get(environ["PATH_INFO"], (b"none", "text/plain"))
    start_response("200 OK", [("Content-Type", media)])
    return [body]
"""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the examples speak of."""

    def sheet(name: str, output: str, select: str, version: str = "1.0") -> None:
        body = f'{output}<xsl:template match="{select}"><html><i>{name}: <xsl:value-of select="."/></i></html>'
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(SHEET.format(version=version, body=body + "</xsl:template>"))

    for name in ("styles/page.xsl", "styles/feed.xsl", "styles/rss.xsl", "styles/theme.xsl", "public/prices.xsl"):
        sheet(name, '<xsl:output method="html"/>', "/")
    copy = '<xsl:template match="/"><xsl:copy-of select="*"/></xsl:template>'
    (tmp_path / "styles" / "tidy.xsl").write_text(SHEET.format(version="1.0", body=copy))
    sheet("styles/json.xsl", '<xsl:output method="html"/>', ".[. instance of map(*)]", "3.0")
    text = (tmp_path / "styles" / "json.xsl").read_text()
    (tmp_path / "styles" / "json.xsl").write_text(text.replace('select="."', 'select="?name"'))
    (tmp_path / "public" / "prices.xml").write_text(PRICES)
    (tmp_path / "shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    monkeypatch.delitem(sys.modules, "site_of_the_page", raising=False)
    return tmp_path


def test_every_option_is_on_the_page() -> None:
    options = [name for name in inspect.signature(XSLT).parameters if name != "app"]
    assert [
        name for name in options if not re.search(rf"`{name}[` =]|^{name} = |[(, ]{name}=", PAGE, re.MULTILINE)
    ] == []


def test_every_layer_of_the_page_works(folder: Path, browse: Callable[..., Any]) -> None:
    start, *others = blocks("python")
    names: dict[str, Any] = {}
    exec(start, names)
    assert b"<i>styles/page.xsl: 40</i>" in browse(names["app"], path="/prices.xml").body
    assert browse(names["app"], path="/prices.xml", HTTP_ACCEPT="application/xml").body == PRICES.encode()
    seen = []
    for text in others:
        if 'engine="saxon"' in text:
            pytest.importorskip("saxonche")
        exec(text, names)
        path = "/api" if "json" in text else "/page" if "html=" in text else "/prices.xml"
        answer = browse(names["app"], path=path)
        assert (answer.code, answer.error) == (200, None), text
        seen += re.findall("<i>([a-z/.]+): (Tea|40)", answer.body.decode())
    # rules: no Static is in that example, so the app's own text passes
    assert seen == [
        ("public/prices.xsl", "40"),
        ("styles/json.xsl", "Tea"),
        ("styles/theme.xsl", "Tea"),
    ]


def test_every_file_of_the_page_is_taken(folder: Path, capsys: Any) -> None:
    files = blocks("toml")
    assert len(files) >= 3
    for text in files:
        (folder / "wsgikit.toml").write_text(text)
        status = main.run(["check", "config", "wsgikit.toml"])
        assert status == 0, (text, capsys.readouterr())


def test_every_command_of_the_page_runs(folder: Path, capsysbinary: Any) -> None:
    (folder / "wsgikit.toml").write_text(blocks("toml")[0])
    (folder / "site_of_the_page.py").write_text(blocks("python")[0])
    (lines,) = blocks("console")
    for line in lines.splitlines():
        program, *arguments = shlex.split(line.replace("site:app", "site_of_the_page:app"))
        assert (program, main.run(arguments)) == ("wsgikit", 0), line
        out = capsysbinary.readouterr().out.decode()
        assert ("-o" in arguments) or "page.xsl" in out, line
    assert "<i>styles/page.xsl: 40" in (folder / "page.html").read_text()
