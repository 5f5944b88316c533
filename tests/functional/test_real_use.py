"""Real frameworks on the real command, with real clients."""

from __future__ import annotations

import hashlib
import re
import resource
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from wsgikit.testing import RawClient, ServerProcess

requests = pytest.importorskip("requests")
httpx = pytest.importorskip("httpx")

APPS = Path(__file__).parent / "apps"
BLOB = bytes(range(256)) * 8000
DIGEST = hashlib.sha256(BLOB).hexdigest()
GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"


def url(server: ServerProcess, path: str) -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def chunks():
    for start in range(0, len(BLOB), 10_000):
        yield BLOB[start : start + 10_000]


@pytest.fixture
def flask(serving) -> ServerProcess:
    pytest.importorskip("flask")
    return serving(app="flask_app:app")


def test_flask_with_requests(flask: ServerProcess) -> None:
    with requests.Session() as session:
        answer = session.post(
            url(flask, "/upload"), files={"file": ("blob.bin", BLOB)}, data={"note": "größer"}, timeout=10
        )
        assert answer.json() == {"name": "blob.bin", "sha256": DIGEST, "note": "größer"}
        assert session.post(url(flask, "/raw"), data=chunks(), timeout=10).text == DIGEST  # chunked
        assert session.get(url(flask, "/stream"), timeout=10).text == "".join(f"{n}\n" for n in range(1000))
        assert session.get(url(flask, "/whoami"), timeout=10).text == "nobody"
        session.post(url(flask, "/login"), data={"user": "ada"}, timeout=10)
        assert session.get(url(flask, "/whoami"), timeout=10).text == "ada"


def test_flask_with_httpx(flask: ServerProcess) -> None:
    with httpx.Client() as client:
        assert client.post(url(flask, "/raw"), content=chunks()).text == DIGEST
        assert client.head(url(flask, "/")).headers["Content-Length"] == "5"
        with client.stream("GET", url(flask, "/stream")) as answer:
            assert "".join(answer.iter_text()).endswith("999\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_flask_with_curl(flask: ServerProcess, tmp_path) -> None:
    (tmp_path / "blob").write_bytes(BLOB)

    def curl(*arguments: str) -> str:
        command = ["curl", "-sS", "--max-time", "10", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert curl("--data-binary", f"@{tmp_path}/blob", url(flask, "/raw")) == DIGEST  # with Expect: 100-continue
    chunked = ("-H", "Transfer-Encoding: chunked", "-H", "Expect:", "--data-binary", f"@{tmp_path}/blob")
    assert curl(*chunked, url(flask, "/raw")) == DIGEST
    assert curl("--http1.0", url(flask, "/stream")).endswith("999\n")
    assert curl(url(flask, "/"), url(flask, "/")) == "flaskflask"


def test_django_with_its_admin(serving, tmp_path) -> None:
    pytest.importorskip("django")
    server = serving(app="django_site:application", env={"DJANGO_DB": str(tmp_path / "db")})
    with requests.Session() as session:
        page = session.get(url(server, "/admin/login/"), timeout=10).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token is not None
        answer = session.post(
            url(server, "/admin/login/?next=/admin/auth/user/"),
            data={"username": "root", "password": "secret-secret", "csrfmiddlewaretoken": token[1]},
            headers={"Referer": url(server, "/admin/login/")},
            timeout=10,
        )
        assert answer.status_code == 200
        assert "root@example.com" in answer.text
        assert session.post(url(server, "/raw"), data=chunks(), timeout=10).text == str(len(BLOB))  # chunked
        assert session.get(url(server, "/stream"), timeout=10).text.endswith("999\n")


@pytest.mark.skipif(
    0 <= resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096, reason="fewer than 4,096 open files are allowed here"
)
def test_two_thousand_idle_connections_beside_active_ones(serving) -> None:
    server = serving("--threads", "2", "--keep-alive", "60")
    with ExitStack() as stack:
        idle = [stack.enter_context(RawClient(server.address)) for _ in range(2000)]
        for client in idle[::10]:
            client.send(GET % b"hello")
        for client in idle[::10]:
            assert client.read_response().status == 200
        active = stack.enter_context(RawClient(server.address))
        began = time.monotonic()
        for _ in range(200):
            active.send(GET % b"hello")
            assert active.read_response().body == b"hello"
        assert time.monotonic() - began < 5
        idle[-1].send(GET % b"hello")
        assert idle[-1].read_response().status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_FSIZE as a full disk is tried on Linux")
def test_a_full_disk_while_spooling_is_507_and_nothing_else_suffers(tmp_path) -> None:
    """RLIMIT_FSIZE stands for the disk: writing past it fails as on a full disk, with EFBIG for ENOSPC."""
    limited = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)); "
    limited += "sys.argv[0] = 'wsgikit'; runpy.run_module('wsgikit', run_name='__main__')"
    command = [
        sys.executable,
        "-c",
        limited,
        "serve",
        "many_sided:app",
        "-b",
        "{host}:{port}",
        "--pythonpath",
        str(APPS),
    ]
    with ServerProcess(command, cwd=tmp_path) as server:
        answer = requests.post(url(server, "/upload"), data=b"x" * 3_000_000, timeout=10)
        assert answer.status_code == 507
        assert requests.post(url(server, "/upload"), data=b"x" * 600_000, timeout=10).status_code == 200


def test_max_requests_replaces_the_worker_and_drops_nothing(serving) -> None:
    server = serving("-w", "2", "--max-requests", "20", "--max-requests-jitter", "5")
    seen = set()
    deadline = time.monotonic() + 20
    with requests.Session() as session:
        while len(seen) <= 4 and time.monotonic() < deadline:
            answer = session.get(url(server, "/pid"), timeout=10)
            assert answer.status_code == 200
            seen.add(answer.text)
    assert len(seen) > 4
