"""`wsgikit serve-dir` as a person types it, and `use = egg:wsgikit#main` under pserve."""

from __future__ import annotations

import gzip
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsgikit.testing import RawClient, ServerProcess

WSGIKIT = [sys.executable, "-m", "wsgikit"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    (root / "large.bin").write_bytes(bytes(range(256)) * 8192)
    (root / "a.txt").write_text("hello " * 200)
    (root / "sub").mkdir()
    (root.parent / "secret.txt").write_text("secret")
    return root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    with ServerProcess([*WSGIKIT, "serve-dir", str(folder), "-b", "{host}:{port}"]) as process:
        yield process


def ask(server: ServerProcess, path: str, *fields: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    head = "".join(f"{field}\r\n" for field in ("Host: a", *fields))
    with RawClient(server.address) as client:
        client.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        response = client.read_response(method)
    fields_of = {name.decode().lower(): value.decode("latin-1") for name, value in response.fields}
    return response.status, fields_of, response.body


def test_files_ranges_and_conditions(server: ServerProcess) -> None:
    content = bytes(range(256)) * 8192
    status, fields, body = ask(server, "/large.bin")
    assert (status, body, fields["content-length"]) == (200, content, str(len(content)))
    status, part, body = ask(server, "/large.bin", "Range: bytes=100000-1199999")
    assert (status, body) == (206, content[100000:1200000])
    assert part["content-range"] == f"bytes 100000-1199999/{len(content)}"
    status, _, body = ask(server, "/large.bin", "Range: bytes=0-1,-2")
    assert (status, body.count(b"Content-Range")) == (206, 2)
    assert ask(server, "/large.bin", f"If-None-Match: {fields['etag']}")[0] == 304
    status, head, body = ask(server, "/large.bin", method="HEAD")
    assert (status, head["content-length"], body) == (200, str(len(content)), b"")


def test_text_is_compressed_and_folders_are_listed(server: ServerProcess) -> None:
    _, fields, body = ask(server, "/a.txt", "Accept-Encoding: gzip")
    assert (fields["content-encoding"], gzip.decompress(body)) == ("gzip", b"hello " * 200)
    status, _, body = ask(server, "/")
    assert (status, b'href="./sub/"' in body) == (200, True)
    assert ask(server, "/sub")[1]["location"] == "/sub/"


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/sub/%2e%2e%2f%2e%2e%2fsecret.txt", "/..%5c"]
)
def test_nothing_outside_can_be_had(server: ServerProcess, path: str) -> None:
    status, _, body = ask(server, path)
    assert status in (400, 404)
    assert b"secret" not in body.replace(b"secret.txt", b"")


def test_a_folder_that_is_not_there_is_told_at_once() -> None:
    import subprocess

    found = subprocess.run([*WSGIKIT, "serve-dir", "/no/such/folder"], capture_output=True, text=True, timeout=30)
    assert (found.returncode, found.stderr) == (2, "wsgikit: directory = '/no/such/folder': there is no such folder\n")


PYRAMID = """
from pyramid.config import Configurator
from pyramid.response import Response
import logging

def hello(request):
    logging.getLogger("shop").info("asked for %s", request.path)
    return Response(request.route_url("hello"))

def main(global_config, **settings):
    with Configurator(settings=settings) as config:
        config.add_route("hello", "/hello")
        config.add_view(hello, route_name="hello")
        return config.make_wsgi_app()
"""
INI = """
[app:main]
use = call:pyramid_shop:main
[server:main]
use = egg:wsgikit#main
host = 127.0.0.1
port = %(http_port)s
threads = 2
[loggers]
keys = root, shop
[handlers]
keys = console
[formatters]
keys = short
[logger_root]
level = INFO
handlers = console
[logger_shop]
level = INFO
handlers =
qualname = shop
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = short
[formatter_short]
format = shoplog %(message)s
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    pytest.importorskip("pyramid", reason="pyramid is not installed")
    pytest.importorskip("paste.deploy", reason="PasteDeploy is not installed")
    (tmp_path / "pyramid_shop.py").write_text(PYRAMID)
    (tmp_path / "production.ini").write_text(INI)
    return tmp_path


@pytest.mark.slow
def test_pserve_serves_with_us(project: Path) -> None:
    command = [sys.executable, "-m", "pyramid.scripts.pserve", "production.ini", "http_port={port}"]
    with ServerProcess(command, cwd=project, env={"PYTHONPATH": str(project)}) as server:
        host, port = server.host, server.port
        with urllib.request.urlopen(f"http://{host}:{port}/hello", timeout=10) as response:
            assert response.headers["Server"] == "wsgikit"
            assert response.read().decode() == f"http://{host}:{port}/hello"
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://{host}:{port}/nothing", timeout=10)
        caught.value.close()
        assert caught.value.code == 404
        server.wait_for_output("shoplog asked for /hello")
