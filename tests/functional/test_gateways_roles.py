"""FastCGI beyond one request after the other: Authorizers behind real servers, Filters, and HAProxy's multiplexing."""

from __future__ import annotations

import base64
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import fastcgi_peer as peer
import pytest
from web_fronts import DEPLOY, Front, missing

from wsgikit.errors import Disconnected
from wsgikit.testing import RawClient, ServerProcess
from wsgikit.testing.response import Response
from wsgikit.wire.fastcgi import Kind, Role, format_stream

APPS = Path(__file__).parent / "apps"
FASTCGI = "fastcgi://{host}:{port}"


def serve(app: str, folder: Path, *options: str) -> ServerProcess:
    command = [sys.executable, "-m", "wsgikit", "serve", app, "--bind", FASTCGI, "--pythonpath", str(folder)]
    return ServerProcess([*command, "--config", "", "--idle-grace", "0", *options])


def ask(port: int, target: str, *fields: str, body: bytes = b"") -> Response:
    with RawClient(("127.0.0.1", port), timeout=20) as client:
        method = "PUT" if body else "GET"
        lines = [f"{method} {target} HTTP/1.1", "Host: a", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        client.send("\r\n".join([*lines, "", ""]).encode() + body)
        return client.read_response(method)


@pytest.mark.parametrize("file", ["lighttpd-authorizer.conf", "apache-authorizer.conf"])
def test_an_authorizer_behind_a_real_server(file) -> None:
    if missing(file):
        pytest.skip(missing(file))
    files = {"files/private/letter.txt": "dear alice\n", "files/public.txt": "for all\n"}
    with serve("gatekeeper:app", DEPLOY) as app, _front(file, app.port, files) as front:
        assert ask(front.port, "/public.txt").body == b"for all\n"
        refused = ask(front.port, "/private/letter.txt")
        assert (refused.status, b"dear alice" in refused.body) == (401, False)
        assert (refused.get("WWW-Authenticate") or b"").startswith(b"Basic")
        wrong = base64.b64encode(b"alice:looking-glass").decode()
        assert ask(front.port, "/private/letter.txt", f"Authorization: Basic {wrong}").status == 401
        right = base64.b64encode(b"alice:wonderland").decode()
        try:
            answer = ask(front.port, "/private/letter.txt", f"Authorization: Basic {right}")
        except Disconnected:
            if front.has_crashed():
                pytest.skip(f"{file.partition('-')[0]} itself ends with SIGSEGV here")
            raise
        assert (answer.status, answer.body) == (200, b"dear alice\n"), (answer, front.logs())


def _front(file: str, port: int, files: dict[str, str]) -> Front:
    front = Front(file, {"fastcgi": port})
    for name, text in files.items():
        path = front.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return front


FILTER = """
def app(environ, start_response):
    data = environ["wsgikit.fastcgi.data"].read()
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Role", environ["FCGI_ROLE"]), ("X-When", environ["FCGI_DATA_LAST_MOD"])])
    return [data.upper() + b"|" + body]
"""


def test_a_filter(tmp_path) -> None:
    (tmp_path / "filter_app.py").write_text(FILTER)
    content = b"a file of some length\n" * 20_000
    with serve("filter_app:app", tmp_path, "--body-memory", "64KiB") as app, peer.Peer(app.address) as front:
        for number in (1, 2):
            variables = {
                "FCGI_DATA_LENGTH": str(len(content)),
                "FCGI_DATA_LAST_MOD": "1700000000",
                "CONTENT_LENGTH": "4",
            }
            front.send(peer.begin(number, Role.FILTER), peer.params(number, REQUEST_METHOD="POST", **variables))
            front.send(peer.stdin(number, b"body"), format_stream(Kind.DATA, number, content, end=True))
        answers = front.wait(1, 2)
        for number in (1, 2):
            assert answers[number].body == content.upper() + b"|body"
            assert b"X-Role: FILTER\r\nX-When: 1700000000" in answers[number].head


@pytest.fixture
def haproxy() -> Iterator[tuple[Front, ServerProcess]]:
    if missing("haproxy-fastcgi.cfg"):
        pytest.skip(missing("haproxy-fastcgi.cfg"))
    with ExitStack() as stack:
        app = stack.enter_context(serve("many_sided:app", APPS, "--threads", "12", "--body", "stream"))
        yield stack.enter_context(Front("haproxy-fastcgi.cfg", {"fastcgi": app.port})), app


Jobs = list[tuple[str, bytes]]


def test_haproxy_sends_many_requests_on_one_connection(haproxy) -> None:
    """Some that sleep, downloads and quick ones, all at once: none waits for another, nothing stands still."""
    front, app = haproxy
    assert ask(front.port, "/hello").body == b"hello"
    jobs: Jobs = [("/sleep?1.0", b"")] * 8 + [("/big?900000", b"")] * 4 + [("/hello", b"")] * 8
    begun = time.monotonic()
    results, connections = at_once(front.port, app.port, jobs)
    assert time.monotonic() - begun < 6, "eight sleeps of a second one after the other would take 8 s"
    assert {status for _, status, _ in results} == {200}
    assert all(size == 900_000 for target, _, size in results if target.startswith("/big"))
    assert connections < len(jobs) / 2, "requests share connections"


ERRORS = """
def app(environ, start_response):
    environ["wsgi.errors"].write("x" * int(environ["QUERY_STRING"]) + "\\n")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def test_haproxy_survives_what_apps_write_to_the_log(tmp_path) -> None:
    """Records whose content needs no padding made HAProxy 2.6.12 end itself."""
    if missing("haproxy-fastcgi.cfg"):
        pytest.skip(missing("haproxy-fastcgi.cfg"))
    (tmp_path / "errors_app.py").write_text(ERRORS)
    with (
        serve("errors_app:app", tmp_path) as app,
        Front("haproxy-fastcgi.cfg", {"fastcgi": app.port}) as front,
        RawClient(("127.0.0.1", front.port), timeout=15) as client,
    ):
        for number in range(60):
            client.send(f"GET /?{(7, 15, 1023)[number % 3]} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert client.read_response().body == b"ok"


@pytest.mark.soak
def test_haproxy_uploads_on_one_connection(haproxy) -> None:
    """Uploads side by side. Beside other requests HAProxy 2.6.12 answers some with a 500 of its own making, in no time
    and before it has asked us (its log: IH); it does so in front of other servers, too. Nothing may stand still."""
    front, app = haproxy
    body = random.Random(6).randbytes(700_000)
    results, _ = at_once(front.port, app.port, [("/upload", body)] * 8)
    assert {status for _, status, _ in results} == {200}
    mixed: Jobs = [("/upload", body), ("/big?900000", b""), ("/sleep?0.5", b""), ("/hello", b"")] * 6
    results, _ = at_once(front.port, app.port, mixed)
    assert {status for _, status, _ in results} <= {200, 500}
    assert ask(front.port, "/hello").body == b"hello"


def at_once(port: int, backend: int, jobs: Jobs) -> tuple[list[tuple[str, int, int]], int]:
    """Target, status and length of each answer; the most connections that the backend has had."""
    results: list[tuple[str, int, int]] = []
    connections = [0]

    def one(target: str, content: bytes) -> None:
        answer = ask(port, target, body=content)
        results.append((target, answer.status, len(answer.body)))

    threads = [threading.Thread(target=one, args=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
        connections.append(_connections(backend))
        time.sleep(0.02)
    assert len(results) == len(jobs), "a deadlock"
    return results, max(connections)


def _connections(port: int) -> int:
    """Connections that the server has, by the kernel's table."""
    rows = Path("/proc/net/tcp").read_text().split("\n")[1:]
    return sum(1 for row in rows if row and row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "01")
