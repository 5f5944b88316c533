"""XSLT on the real server: the example, a browser without XSLT, an upstream, and processes that are not left behind."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from waiting import wait_for

from wsgikit.testing import RawClient, ServerProcess

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "feed" / "wsgikit.toml"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
WSGIKIT = [sys.executable, "-m", "wsgikit"]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess(
        [*WSGIKIT, "serve", "--config", str(EXAMPLE), "-b", "{host}:{port}", "--workers", "2"]
    ) as process:
        yield process


def get(server: ServerProcess, path: str, method: str = "GET", **fields: str) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection(str(server.address[0]), int(server.address[1]), timeout=20)
    try:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(method, path, headers={"Accept": BROWSER, **headers})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_a_browser_gets_pages(server: ServerProcess) -> None:
    for path, title in (("/feed.xml", b"<h1>Harbour notes</h1>"), ("/sitemap.xml", b"<h1>Sitemap</h1>")):
        status, fields, body = get(server, path)
        assert (status, fields["content-type"], title in body) == (200, "text/html; charset=utf-8", True)
        assert fields["content-length"] == str(len(body))
        assert sorted(fields["vary"].lower().split(", ")) == ["accept", "accept-encoding"]
        assert get(server, path, If_None_Match=fields["etag"])[0] == 304
        status, head, nothing = get(server, path, "HEAD")
        assert (status, head.get("content-type"), nothing) == (200, None, b""), "the document decides"
        status, coded, packed = get(server, path, Accept_Encoding="gzip")
        assert (coded["content-encoding"], gzip.decompress(packed)) == ("gzip", body)


def test_a_feed_reader_gets_the_feed(server: ServerProcess) -> None:
    source = (EXAMPLE.parent / "site" / "feed.xml").read_bytes()
    for accept in ("application/atom+xml, application/xml;q=0.9, */*;q=0.1", "*/*", "application/rss+xml, */*;q=0.8"):
        status, fields, body = get(server, "/feed.xml", Accept=accept)
        assert (status, fields["content-type"], body) == (200, "application/xml", source)
        assert get(server, "/feed.xml", Accept=accept, If_None_Match=fields["etag"])[0] == 304
        # the browser's next visit, with the feed in its cache
        assert get(server, "/feed.xml", If_None_Match=fields["etag"])[0] == 200
    assert get(server, "/feed.xml?format=xml")[2] == source


def test_without_the_middleware_there_is_only_xml(server: ServerProcess) -> None:
    status, fields, body = get(server, "/plain/feed.xml")
    assert (status, fields["content-type"], body[:5]) == (200, "application/xml", b"<?xml")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium: apt-get install chromium")
def test_chromium_without_xslt_shows_the_page(server: ServerProcess, tmp_path: Path) -> None:
    """`--disable-features=XSLT` is the command line's form of chrome://flags/#xslt."""
    base = f"http://{server.address[0]}:{server.address[1]}"
    page = dom(f"{base}/feed.xml", tmp_path / "1")
    assert "<h1>Harbour notes</h1>" in page
    assert page.count("<h2><a ") == 3
    control = dom(f"{base}/plain/feed.xml", tmp_path / "2")
    assert "<h1>" not in control
    assert "which the browser does not support" in control


def dom(url: str, profile: Path) -> str:
    """What Chromium has made of a page."""
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-features=XSLT",
        f"--user-data-dir={profile}", "--dump-dom", url,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


UPSTREAM = """
import time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/events":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        def events():
            yield b"data: first\\n\\n"
            while environ["wsgikit.client_gone"].wait(0.05) is False:
                yield b"data: more\\n\\n"
        return events()
    if environ.get("HTTP_IF_NONE_MATCH") == '"v1"':
        start_response("304 Not Modified", [("ETag", '"v1"')])
        return []
    start_response("200 OK", [("Content-Type", "application/xml"), ("ETag", '"v1"')])
    return [b"<page>", b"from ", b"upstream", b"</page>"]
"""
FRONT = """
from wsgikit.middleware import XSLT, Stack, Use
from wsgikit.middleware.balancer import Balancer
from wsgikit.validators import Lint

def create(upstream, **options):
    lint = Lint(Balancer([upstream]))
    return Lint(Stack(lint, [Use(XSLT, stylesheet="page.xsl", **options)]))
"""
PAGE = (
    '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:output method="html"/>'
    '<xsl:template match="/"><html><i><xsl:value-of select="*"/></i></html></xsl:template></xsl:stylesheet>'
)


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "upstream.py").write_text(UPSTREAM)
    (tmp_path / "front.py").write_text(FRONT)
    (tmp_path / "page.xsl").write_text(PAGE)
    with ServerProcess([*WSGIKIT, "serve", "upstream:app", "-b", "{host}:{port}"], cwd=tmp_path) as process:
        yield f"http://{process.address[0]}:{process.address[1]}"


def test_an_upstream_behind_a_balancer(upstream: str, tmp_path: Path) -> None:
    command = [*WSGIKIT, "serve", f"front:create({upstream!r})", "-b", "{host}:{port}"]
    with ServerProcess(command, cwd=tmp_path) as front:
        status, fields, body = get(front, "/a.xml")
        assert (status, b"<i>from upstream</i>" in body) == (200, True)
        assert fields["etag"].startswith('W/"v1-s')
        assert get(front, "/a.xml", If_None_Match=fields["etag"])[0] == 304
        status, fields, body = get(front, "/a.xml", Accept="application/xml")
        assert (body, fields["etag"]) == (b"<page>from upstream</page>", '"v1"')
        with RawClient(front.address) as client:
            client.send(b"GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n")
            assert client.read_until(b"data: first\n\n")


def test_processes_end_with_their_worker(upstream: str, tmp_path: Path) -> None:
    command = [*WSGIKIT, "serve", f"front:create({upstream!r}, isolate=True)", "-b", "{host}:{port}", "--workers", "2"]
    with ServerProcess(command, cwd=tmp_path) as front:
        for _ in range(6):
            assert b"<i>from upstream</i>" in get(front, "/a.xml")[2]
        children = {
            pid for pid, line in commands() if "wsgikit.middleware.xslt.process" in line and str(tmp_path) in cwd(pid)
        }
        assert children
    wait_for(lambda: not children & {pid for pid, _ in commands()}, say=lambda: "a process outlived its server")


def commands() -> list[tuple[str, str]]:
    """(pid, command line) of all processes."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found.append(
                (pid, Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
            )
        except OSError:
            continue
    return found


def cwd(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""
