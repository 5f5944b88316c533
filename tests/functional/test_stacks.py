"""A stack from a file over four workers, and one and the same stack on servers that are not ours."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from wsgikit.testing import RawClient, ServerProcess

ROOT = Path(__file__).parents[2]
STACKS = ROOT / "examples" / "stacks"
PYTHON = [sys.executable, "-m"]
ENV = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def ask(
    server: ServerProcess, path: str, method: str = "GET", body: bytes | None = None, **fields: str
) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection(server.host, server.port, timeout=20)
    try:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(method, path, body, {"Connection": "close", **headers})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def four_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    command = [*PYTHON, "wsgikit", "serve", "--config", str(STACKS / "wsgikit.toml"), "-b", "{host}:{port}"]
    with ServerProcess([*command, "--workers", "4"], env=ENV, cwd=tmp_path_factory.mktemp("w")) as server:
        yield server


def test_a_rate_limit_from_a_file_counts_over_all_workers(four_workers: ServerProcess) -> None:
    statuses = [ask(four_workers, "/who", "POST")[0] for _ in range(12)]
    assert sorted(statuses) == [200] * 3 + [429] * 9
    assert ask(four_workers, "/who")[0] == 200


def test_the_other_layers_of_the_file_are_there(four_workers: ServerProcess) -> None:
    status, fields, body = ask(four_workers, "/", Accept_Encoding="gzip")
    assert (status, fields["content-encoding"], fields["content-length"]) == (200, "gzip", str(len(body)))
    assert b"Tea, coffee" in gzip.decompress(body)
    assert (len(fields["x-request-id"]), fields["content-security-policy"]) == (32, "default-src 'self'")
    status, fields, body = ask(four_workers, "/fail", Accept="application/json")
    problem = json.loads(body)
    assert (status, problem["status"], problem["request_id"]) == (500, 500, fields["x-request-id"])
    four_workers.wait_for_output("the till is broken")


def test_compressed_events_arrive_as_they_are_sent(four_workers: ServerProcess) -> None:
    with RawClient(four_workers.address) as client:
        client.send(b"GET /events HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        response = client.read_response()
    decoder = zlib.decompressobj(31)
    assert decoder.decompress(response.body).count(b"cups sold") == 3
    assert decoder.eof


TORNADO = """
import sys, asyncio
from concurrent.futures import ThreadPoolExecutor
from tornado.httpserver import HTTPServer
from tornado.wsgi import WSGIContainer
from examples.stacks.everything import app

async def main():
    HTTPServer(WSGIContainer(app, ThreadPoolExecutor(4))).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()

asyncio.run(main())
"""
# Apache's processes are another user's and have an interpreter of their own
APACHE = """
import sys
sys.path[:0] = {path!r}
from examples.stacks.everything import app as application
"""
MOD_WSGI = Path(f"/usr/lib/apache2/modules/mod_wsgi.so-{sys.version_info[0]}.{sys.version_info[1]}")
UWSGI = shutil.which("uwsgi", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}") or "uwsgi"

# fmt: off
SERVERS = {
    "wsgikit": [*PYTHON, "wsgikit", "serve", "-b", "{host}:{port}", "examples.stacks.everything:app"],
    "gunicorn": [*PYTHON, "gunicorn", "-b", "{host}:{port}", "-k", "gthread", "examples.stacks.everything:app"],
    "waitress": [
        *PYTHON, "waitress", "--no-clear-untrusted-proxy-headers", "--listen={host}:{port}",
        "examples.stacks.everything:app",
    ],
    "cheroot": [*PYTHON, "cheroot", "examples.stacks.everything:app", "--bind", "{host}:{port}"],
    "tornado": [sys.executable, "-c", TORNADO, "{port}"],
    "mod_wsgi": [sys.executable, str(ROOT / "bench" / "apache.py"), "{host}", "{port}", "FILE", "FOLDER"],
    "uwsgi": [UWSGI, "--http-socket", "{host}:{port}", "--module", "examples.stacks.everything:app", "--need-app"],
}
# fmt: on


@pytest.fixture(scope="module", params=list(SERVERS))
def any_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    name = request.param
    if name == "mod_wsgi":
        with mod_wsgi() as server:
            yield server
        return
    if name == "uwsgi":
        if not shutil.which(UWSGI):
            pytest.skip("uwsgi is not installed")
    else:
        pytest.importorskip(name, reason=f"{name} is not installed")
    with ServerProcess(SERVERS[name], env=ENV, cwd=tmp_path_factory.mktemp(name)) as server:
        yield server


@contextmanager
def mod_wsgi() -> Iterator[ServerProcess]:
    """Debian's Apache and mod_wsgi (`apt-get install apache2 libapache2-mod-wsgi-py3`)."""
    if not Path("/usr/sbin/apache2").exists() or not MOD_WSGI.exists():
        pytest.skip(f"Apache is not installed, or there is no {MOD_WSGI}")
    path = [str(ROOT), *(entry for entry in sys.path if entry.endswith("site-packages"))]
    if not all(folder.stat().st_mode & 0o001 for entry in path for folder in (Path(entry), *Path(entry).parents)):
        pytest.skip("Apache's user may not read this checkout and its packages")
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        file = Path(folder, "stack.wsgi")
        file.write_text(APACHE.format(path=path), encoding="utf-8")
        places = {"FILE": str(file), "FOLDER": folder}
        command = [places.get(word, word) for word in SERVERS["mod_wsgi"]]
        with ServerProcess(command, env=ENV, cwd=folder) as server:
            yield server


@pytest.mark.slow
def test_one_stack_answers_alike_on_every_server(any_server: ServerProcess) -> None:
    server = any_server
    status, fields, body = ask(server, "/", Accept_Encoding="gzip")
    # Apache writes lists without the blanks
    vary = fields["vary"].replace(" ", "").split(",")
    assert (status, vary, fields["content-encoding"]) == (200, ["Accept-Encoding", "Origin"], "gzip")
    assert b"Tea, coffee" in gzip.decompress(body)
    etag = fields["etag"]
    assert ask(server, "/", Accept_Encoding="gzip", If_None_Match=etag)[0] == 304
    told = ask(server, "/who", X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="https")[2]
    assert b"REMOTE_ADDR: 192.0.2.1\n" in told
    assert b"wsgi.url_scheme: https\n" in told

    svg = (STACKS / "public" / "logo.svg").read_bytes()
    assert ask(server, "/logo.svg")[2] == svg
    assert ask(server, "/logo.svg", Range="bytes=5-14")[::2] == (206, svg[5:15])
    status, fields, body = ask(server, "/logo.svg", "HEAD")
    assert (status, body, fields["content-length"]) == (200, b"", str(len(svg)))

    assert ask(server, "/upload", "POST", b"x" * 5000)[2] == b"5000 bytes\n"
    preflight = {"Origin": "https://app.example", "Access_Control_Request_Method": "PUT"}
    assert ask(server, "/who", "OPTIONS", **preflight)[0] == 204
    status, fields, body = ask(server, "/fail", Accept="application/json")
    assert (status, json.loads(body)["request_id"]) == (500, fields["x-request-id"])
    assert ask(server, "/-/health")[0] == 200
    assert ask(server, "/events")[2].count(b"cups sold") == 3
