"""`wsgikit xslt` and `wsgikit check xslt`, as people type them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from wsgikit.cli import main

SAY = (
    '<xsl:output method="text"/><xsl:param name="p" select="\'-\'"/><xsl:param name="n" select="0"/>'
    '<xsl:template match="/"><xsl:message>a message</xsl:message>'
    '<xsl:value-of select="concat(/*, $p, $n)"/></xsl:template>'
)


@pytest.fixture
def call(bench: Any, monkeypatch: pytest.MonkeyPatch, capsysbinary: Any) -> Any:
    monkeypatch.chdir(bench.root)

    def calling(*arguments: str, stdin: bytes = b"") -> tuple[int, bytes, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = main.run(list(arguments))
        captured = capsysbinary.readouterr()
        return status, captured.out, captured.err.decode()

    return calling


def test_transform(bench: Any, call: Any) -> None:
    bench.sheet(SAY, "say.xsl")
    bench.put("a.xml", "<a>text</a>")
    assert call("xslt", "say.xsl", "a.xml") == (0, b"text-0", "a message\n")
    found = call("xslt", "say.xsl", "a.xml", "--param", "p=1+1", "--xpath", "n=1+1", "--type")
    assert found == (0, b"text1+12", "a message\ntext/plain; charset=utf-8\n")
    assert call("xslt", "say.xsl", "a.xml", "--param", "p=\x01\udcff")[:2] == (0, "text\ufffd\ufffd0".encode())
    assert call("xslt", "say.xsl", "-", stdin=b"<a>piped</a>")[:2] == (0, b"piped-0")
    assert call("xslt", "say.xsl", "a.xml", "-o", "out.txt")[:2] == (0, b"")
    assert (bench.root / "out.txt").read_bytes() == b"text-0"


def test_transform_several_html_and_isolated(bench: Any, call: Any) -> None:
    first = bench.sheet('<xsl:template match="/"><b><xsl:value-of select="//p[1]"/></b></xsl:template>', "first.xsl")
    bench.sheet(SAY, "say.xsl")
    bench.put("a.html", "<p>one<p>two")
    assert call("xslt", first, "say.xsl", "a.html", "--html")[:2] == (0, b"one-0")
    assert call("xslt", "say.xsl", "-", "--isolate", stdin=b"<a>x</a>") == (0, b"x-0", "a message\n")


def test_failures_are_told_with_their_place(bench: Any, call: Any) -> None:
    bench.sheet(SAY, "say.xsl")
    bench.put("broken.xml", "<a>\n<b></a>")
    status, out, err = call("xslt", "say.xsl", "broken.xml")
    assert (status, out) == (1, b"")
    assert err.startswith("wsgikit xslt: broken.xml:2:8: is not well-formed")
    status, _, err = call("xslt", bench.put("dynamic.xsl"), "broken.xml")
    assert (status, "dynamic.xsl:1: d:evaluate()" in err, "allow = ['dynamic']" in err) == (1, True, True)
    many = b"<a>" + b"<b/>" * 400 + b"</a>"
    endless = bench.put("endless.xsl")
    status, _, err = call("xslt", endless, "-", "--isolate", "--deadline", "300ms", stdin=many)
    assert (status, err) == (1, "wsgikit xslt: it took longer than `deadline` permits and was stopped\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["say.xsl", "none.xml"], "none.xml: No such file"),
        (["say.xsl", "a.xml", "--param", "x"], "--param x: write NAME=VALUE"),
        (["say.xsl", "a.xml", "--param", "a b=x"], "--param has 'a b' in it: a name such as"),
        (["say.xsl", "a.xml", "--xpath", "1=x"], "--xpath has '1' in it"),
        (["say.xsl", "a.xml", "--deadline", "5s"], "--deadline is for --isolate"),
        (["say.xsl", "a.xml", "--engine", "x"], "engine = 'x'"),
        (["say.xsl", "a.xml", "--allow", "x"], "allow = 'x'"),
        (["say.xsl", "a.xml", "--root", "/no/such"], "roots"),
        (["say.xsl", "a.xml", "-o", "/no/such/file"], "--output /no/such/file"),
        (["say.xsl", "a.xml", "--max-input", "x"], "--max-input"),
    ],
)
def test_wrong_usage(bench: Any, call: Any, arguments: list[str], text: str) -> None:
    bench.sheet(SAY, "say.xsl")
    bench.put("a.xml", "<a/>")
    status, _, err = call("xslt", *arguments)
    assert status == 2
    assert text in err


def test_check_named_stylesheets(bench: Any, call: Any) -> None:
    bench.sheet('<xsl:output method="html"/>', "base.xsl")
    good = bench.sheet('<xsl:import href="base.xsl"/><xsl:template match="/"><a/></xsl:template>', "good.xsl")
    status, out, _ = call("check", "xslt", "good.xsl")
    assert status == 0
    assert out.decode().splitlines() == [
        "good.xsl: ok",
        "  lxml, XSLT 1.0, text/html; charset=utf-8",
        f"  imports {Path(good).parent}/base.xsl",
    ]
    bench.put("dynamic.xsl")
    bench.put("entity.xsl")
    bad = bench.sheet(
        '<xsl:import href="dynamic.xsl"/><xsl:import href="../other.xsl"/><xsl:import href="entity.xsl"/>'
        '<xsl:import href="none.xsl"/><xsl:import href="http://a.example/x.xsl"/>',
        "bad.xsl",
    )
    status, out, _ = call("check", "xslt", bad, "good.xsl")
    text = out.decode()
    assert status == 1
    assert text.count("  refused: ") == 5, "not everything was told at once"
    for word in (
        "d:evaluate()",
        "other.xsl is outside of the roots",
        "entity.xsl: a DTD",
        "none.xsl: cannot be read",
        "a.example",
    ):
        assert word in text
    assert "good.xsl: ok" in text


def test_check_a_stylesheet_that_is_not_there(bench: Any, call: Any) -> None:
    status, out, err = call("check", "xslt", str(bench.root / "none.xsl"))
    assert (status, b"none.xsl: cannot be read: No such file" in out, err) == (1, True, "")


def test_check_notes(bench: Any, call: Any) -> None:
    sheet = bench.sheet(
        '<xsl:template match="/"><xsl:value-of select="." disable-output-escaping="yes"/>'
        '<xsl:for-each-group select="*"/>'
        '<xsl:value-of select="d:date-time()" xmlns:d="http://exslt.org/dates-and-times"/></xsl:template>'
    )
    status, out, _ = call("check", "xslt", sheet, bench.put("write-exsl.xsl"))
    text = out.decode()
    assert status == 0
    for word in (
        "not escaped",
        "<xsl:for-each-group> is not in XSLT 1.0",
        "change with time",
        "refused when it is reached",
    ):
        assert word in text


def test_check_says_what_the_engine_makes_of_versions_and_encodings(bench: Any, call: Any) -> None:
    head = '<xsl:stylesheet version="3.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
    sheet = bench.sheet('<xsl:output method="xml" encoding="x-unheard-of"/>', head=head)
    out = call("check", "xslt", sheet)[1].decode()
    assert "note: version 3.0 is taken for 1.0" in out
    assert "<xsl:output encoding='x-unheard-of'> is not known; results are in UTF-8" in out
    assert "application/xml; charset=utf-8" in out


def test_check_the_configuration(bench: Any, call: Any) -> None:
    bench.sheet('<xsl:output method="html"/>', "good.xsl")
    bench.put("dynamic.xsl")
    (bench.root / "wsgikit.toml").write_text(
        """
        [[mount]]
        path = "/"
        app = "os:getcwd"
        [[mount.use]]
        middleware = "compress"
        [[mount.use]]
        middleware = "xslt"
        stylesheet = "good.xsl"
        rules = [{ path = "/x/*", stylesheet = ["good.xsl", "dynamic.xsl"] }]
        [[route]]
        rule = "/y"
        app = "os:getcwd"
        [[route.use]]
        middleware = "wsgikit.middleware.xslt:XSLT"
        stylesheet = "dynamic.xsl"
        allow = ["dynamic"]
        """
    )
    status, out, _ = call("check", "xslt", "--json")
    reports = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert [(Path(r["sheet"]).name, bool(r["problems"]), r["place"]) for r in reports] == [
        ("good.xsl", False, "wsgikit.toml:7"),
        ("dynamic.xsl", True, "wsgikit.toml:7"),
        ("dynamic.xsl", False, "wsgikit.toml:14"),
    ]
    assert call("check", "xslt", "wsgikit.toml")[0] == 1
    (bench.root / "wsgikit.toml").write_text(
        "[[mount]]\npath='/'\napp='x'\n[[mount.use]]\nmiddleware='xslt'\nallow=['x']\nstylesheet='good.xsl'\n"
    )
    status, _, err = call("check", "xslt")
    assert (status, "wsgikit.toml:4: allow = 'x'" in err) == (2, True)
    (bench.root / "wsgikit.toml").write_text("workers = 1\n")
    status, out, _ = call("check", "xslt")
    assert (status, b"no stylesheet is configured" in out) == (0, True)
    assert call("check", "xslt", "a.toml", "good.xsl")[0] == 2


def test_check_the_stack_of_a_program(bench: Any, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.sheet('<xsl:import href="other.xsl"/>', "main.xsl")
    bench.sheet("", "other.xsl")
    monkeypatch.setattr(sys, "path", [*sys.path])
    (bench.root / "a_checked_app.py").write_text(
        "from wsgikit.middleware import XSLT, RequestId, Stack, Use\n"
        "def app(environ, start_response):\n    start_response('204 No Content', [])\n    return []\n"
        "stack = Stack(app, [Use(RequestId), Use(XSLT, stylesheet='main.xsl')])\n"
        "outer = Stack(stack, [Use('xslt', rules=[{'path': '/x', 'stylesheet': 'other.xsl'}])], order='ignore')\n"
    )
    for name, sheets in (("stack", ["main.xsl"]), ("outer", ["other.xsl", "main.xsl"])):
        status, out, err = call("check", "xslt", f"a_checked_app:{name}", "--json")
        assert not err
        reports = [json.loads(line) for line in out.splitlines()]
        assert (status, [Path(report["sheet"]).name for report in reports]) == (0, sheets)
    assert [Path(path).name for path in reports[1]["files"]] == ["other.xsl"]
    assert reports[1]["place"].startswith("a_checked_app:outer, layer ")
    status, _, err = call("check", "xslt", "a_checked_app:app")
    assert (status, "is no Stack" in err) == (2, True)
    assert call("check", "xslt", "a_checked_app:stack", "main.xsl")[0] == 2
