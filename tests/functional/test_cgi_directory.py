"""CGIDirectory under the real server, as an operator sets it up in a file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from waiting import wait_for

from wsgikit.testing import RawClient, ServerProcess

CONFIG = """
[[mount]]
path = "/"
app = "many_sided:app"
[[mount.use]]
middleware = "cgi-directory"
directory = "programs"
at = "/cgi-bin"
grace = "300ms"
[[mount.use]]
middleware = "forward"
to = "http+unix:/no/such/socket"
when = { path = "/api" }
[[mount]]
path = "/-/status"
app = "many_sided:app"
[[mount.use]]
middleware = "status"
"""
PROGRAMS = {
    "hello.sh": "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nfrom sh %s' \"$QUERY_STRING\"\n",
    "cat.sh": "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nexec cat\n",
    "first.sh": "#!/bin/sh\ndd bs=5 count=1 of=got 2>/dev/null\nprintf 'Content-Type: text/plain\\n\\n'\nexec cat\n",
    "wait.sh": "#!/bin/sh\necho $$ > pid\nprintf 'Content-Type: text/plain\\n\\nbegun\\n'\nexec sleep 30\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    (folder / "wsgikit.toml").write_text(CONFIG)
    (folder / "programs").mkdir()
    for name, text in PROGRAMS.items():
        (folder / "programs" / name).write_text(text)
        (folder / "programs" / name).chmod(0o755)
    apps = str(Path(__file__).parent / "apps")
    command = [sys.executable, "-m", "wsgikit", "serve", "--bind", "{host}:{port}", "--config", "wsgikit.toml"]
    with ServerProcess(
        [*command, "--pythonpath", apps, "--body", "stream", "--idle-grace", "0"], cwd=folder
    ) as process:
        yield process, folder


def ask(address, target: str, method: str = "GET", body: bytes = b"") -> bytes:
    with RawClient(address, timeout=10) as client:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        client.send(f"{method} {target} HTTP/1.1\r\nHost: a\r\n{length}\r\n".encode() + body)
        return client.read_response(method).body


def test_beside_an_app(server) -> None:
    process, _ = server
    assert ask(process.address, "/cgi-bin/hello.sh?a=b") == b"from sh a=b"
    assert ask(process.address, "/hello") == b"hello"
    body = bytes(range(256)) * 4096
    assert ask(process.address, "/cgi-bin/cat.sh", "POST", body) == body


def test_other_ends_have_short_names_too(server) -> None:
    process, _ = server
    assert b"502" in ask(process.address, "/api/prices")
    assert b'"upstreams"' in ask(process.address, "/-/status/json")


def test_streams_in(server) -> None:
    """What has come of a slow upload is with the program before the rest of it was sent."""
    process, folder = server
    got = folder / "programs" / "got"
    with RawClient(process.address, timeout=10) as client:
        client.send(b"POST /cgi-bin/first.sh HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst")
        wait_for(lambda: got.exists() and got.read_bytes() == b"first")
        assert got.read_bytes() == b"first"
        client.send(b"there")
        assert client.read_response("POST").body == b"there"


def test_a_client_that_leaves_takes_the_program_with_it(server) -> None:
    process, folder = server
    with RawClient(process.address, timeout=10) as client:
        client.send(b"GET /cgi-bin/wait.sh HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_until(b"begun")
        pid = int((folder / "programs" / "pid").read_text())
        assert Path(f"/proc/{pid}").exists()
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
    assert not Path(f"/proc/{pid}").exists()
