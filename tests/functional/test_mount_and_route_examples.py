"""The routing example on the real server, and what only a server that keeps the raw target can tell."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from wsgikit.testing import RawClient, ServerProcess

FOLDER = Path(__file__).parents[2] / "examples" / "routing"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "wsgikit", "serve", "--mount", "/m=notes_app:app", "-b", "{host}:{port}"]
    command += ["--pythonpath", str(FOLDER)]
    with ServerProcess(command, env=env, cwd=tmp_path_factory.mktemp("routes")) as process:
        yield process


def get(server: ServerProcess, target: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
    connection = HTTPConnection(str(server.address[0]), int(server.address[1]), timeout=20)
    try:
        connection.request(method, target, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read().decode(), dict(response.headers)
    finally:
        connection.close()


def test_the_links_of_the_index_lead_to_the_notes(server: ServerProcess) -> None:
    status, text, _ = get(server, "/m/")
    assert (status, text) == (200, "/m/note-1\n/m/note-2\n")
    assert [get(server, link)[1] for link in text.split()] == ["Buy milk\n", "Read PEP 3333\n"]


@pytest.mark.parametrize(
    ("method", "target", "status", "header"),
    [
        ("GET", "/m/notes/1", 200, None),
        ("HEAD", "/m/notes/1", 200, None),
        ("DELETE", "/m/notes/1", 403, None),
        ("PUT", "/m/notes/1", 405, ("Allow", "DELETE, GET, HEAD, OPTIONS")),
        ("OPTIONS", "/m/notes/1", 204, ("Allow", "DELETE, GET, HEAD, OPTIONS")),
        ("GET", "/m/files?a=b", 308, ("Location", "/m/files/?a=b")),
        ("POST", "/m/files", 405, ("Allow", "GET, HEAD, OPTIONS")),
        ("GET", "/m/nothing", 404, None),
        ("GET", "/nothing", 404, None),
    ],
)
def test_methods_and_slashes(
    server: ServerProcess, method: str, target: str, status: int, header: tuple[str, str] | None
) -> None:
    answer = get(server, target, method)
    assert answer[0] == status
    if header:
        assert answer[2][header[0]] == header[1]


def test_an_encoded_slash_is_kept_apart(server: ServerProcess) -> None:
    assert get(server, "/m/notes/a%2Fb")[0] == 200
    assert get(server, "/m/notes/a/b")[0] == 404


def test_http_1_0_without_host(server: ServerProcess) -> None:
    with RawClient(server.address) as client:
        client.send(b"GET /m/note-1 HTTP/1.0\r\n\r\n")
        assert client.read_until_close().endswith(b"Buy milk\n")
