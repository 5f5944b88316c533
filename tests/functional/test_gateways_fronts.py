"""Real web servers in front of the real server, by the configuration files that examples/deploy shows.

Every pair of server and wire goes through the same checks. What a server cannot carry stands in `ODDITIES`, with the
reason; everything else must be as it is when nothing stands in front.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from waiting import wait_for
from web_fronts import FILES, WIRES, Front, copy_for_scripts, missing, programs, public_folder

from wsgikit.testing import RawClient, ServerProcess, free_port, wait_until_accepts
from wsgikit.testing.response import Response

APPS = Path(__file__).parent / "apps"

ODDITIES = {
    # A CGI program can only end its output, and nothing tells the server that there should have been more.
    ("cut", "apache-cgi.conf"): "CGI",
    ("short", "apache-cgi.conf"): "makes a length of its own",
    ("cut", "lighttpd-cgi.conf"): "CGI",
    ("cut", "apache-fcgid.conf"): "mod_fcgid takes the end of the connection for the end",
    # SCGI and uwsgi end a response without a length by closing; these servers take a reset for such an end.
    ("cut", "apache-scgi.conf"): "takes a reset for the end",
    ("cut", "apache-uwsgi.conf"): "takes a reset for the end",
    # lighttpd 1.4.69 answers with what had come before the error, if it has not begun to answer, and gives it a length.
    ("cut", "lighttpd-http.conf"): "keeps what had come",
    ("cut", "lighttpd-fastcgi.conf"): "keeps what had come",
    ("cut", "lighttpd-scgi.conf"): "keeps what had come",
    ("cut", "lighttpd-uwsgi.conf"): "keeps what had come",
    # These two want to know the length before they ask us, and answer 411.
    ("chunked", "apache-scgi.conf"): "411",
    ("chunked", "apache-uwsgi.conf"): "411",
}


# What a front adds that RFC 9110 8.6 forbids: HAProxy 3.2 gives 204 and 304 a Content-Length of 0.
DEFECTS = {"haproxy-fastcgi.cfg": {"framing-on-bodiless-status"}}


@dataclass
class Pair:
    """A front, and what it is asked. `prefix`: where the app is mounted."""

    file: str
    front: Front
    prefix: str
    ticks: str

    def ask(self, target: str, method: str = "GET", body: bytes = b"", *fields: str) -> Response:
        with self.client() as client:
            self.send(client, target, method, body, *fields)
            answer = client.read_response(method)
        assert set(answer.defects) <= DEFECTS.get(self.file, set())
        return answer

    def client(self) -> RawClient:
        return RawClient(("127.0.0.1", self.front.port), timeout=15, strict=self.file not in DEFECTS)

    def send(self, client: RawClient, target: str, method: str = "GET", body: bytes = b"", *fields: str) -> None:
        lines = [f"{method} {self.prefix}{target} HTTP/1.1", f"Host: 127.0.0.1:{self.front.port}", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        client.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


@pytest.fixture(scope="module")
def ticks() -> Iterator[str]:
    folder = public_folder()
    folder.chmod(0o777)  # CGI programs run as another user
    yield str(folder / "tick")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server(ticks) -> Iterator[dict[str, int]]:
    """One worker, all wires at once. The ports by wire."""
    ports = {wire: free_port() for wire in WIRES if wire != "http"}
    command = [sys.executable, "-m", "wsgikit", "serve", "behind_fronts:app", "--bind", "http://{host}:{port}"]
    for wire, port in ports.items():
        command += ["--bind", f"{wire}://127.0.0.1:{port}"]
    command += ["--pythonpath", str(APPS), "--forwarded-allow-ips", "127.0.0.1", "--config", "", "--idle-grace", "0.1"]
    with ServerProcess(command, env={"TICKS": ticks}) as process:
        for port in ports.values():
            wait_until_accepts(("127.0.0.1", port), 10)
        yield {"http": process.port, **ports}


RARE = {"apache-fcgid.conf", "lighttpd-cgi.conf", "haproxy-http.cfg"}  # slow to start; in `make soak`
PAIRS = [pytest.param(file, marks=[pytest.mark.soak] if file in RARE else []) for file in FILES]


@pytest.fixture(scope="module", params=PAIRS)
def pair(request, server, ticks) -> Iterator[Pair]:
    file: str = request.param
    if missing(file):
        pytest.skip(missing(file))
    scripts = programs(file, "behind_fronts:app", f"TICKS={ticks}")
    with Front(file, server, scripts=scripts) as front:
        if scripts:
            copy_for_scripts(front.folder, APPS / "behind_fronts.py")
        yield Pair(file, front, "/shop" if scripts else "", ticks)


def test_environ(pair: Pair) -> None:
    answer = pair.ask("/environ/caf%C3%A9/a%2Fb%20c;d?x=1%2F&y=a+b", "POST", b"the body", "X-Some-Field: caf\xe9")
    assert answer.status == 200, pair.front.logs()
    seen = json.loads(answer.body)
    path = "/environ/caf\xc3\xa9/a/b c;d"
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": pair.prefix,
        "PATH_INFO": path,
        "QUERY_STRING": "x=1%2F&y=a+b",
        "REQUEST_URI": f"{pair.prefix}/environ/caf%C3%A9/a%2Fb%20c;d?x=1%2F&y=a+b",
        "SERVER_PORT": str(pair.front.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": f"127.0.0.1:{pair.front.port}",
        "HTTP_X_SOME_FIELD": "caf\xe9",
        "CONTENT_LENGTH": "8",
        "body": "the body",
        "wsgi.url_scheme": "http",
    }
    assert {name: seen.get(name) for name in expected} == expected
    assert seen["SERVER_NAME"] in ("127.0.0.1", "localhost")
    assert not {"HTTPS", "HTTP_TRANSFER_ENCODING", "HTTP_PROXY", "HTTP_CONTENT_LENGTH"} & seen.keys()


def test_root_and_empty_body(pair: Pair) -> None:
    assert pair.ask("/").status == 404
    assert json.loads(pair.ask("/environ").body).get("CONTENT_LENGTH", "0") == "0"
    answer = pair.ask("/upload", "POST", b"", "Content-Length: 0")
    assert answer.body.startswith(b"0 ")


def test_a_megabyte_each_way(pair: Pair) -> None:
    body = random.Random(1).randbytes(1 << 20)
    answer = pair.ask("/upload", "PUT", body)
    assert answer.body == f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()
    assert len(pair.ask("/download?1048570").body) == 1048570


def test_a_chunked_body(pair: Pair) -> None:
    with pair.client() as client:
        pair.send(client, "/upload", "POST", b"", "Transfer-Encoding: chunked")
        client.send(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        answer = client.read_response("POST")
    if ("chunked", pair.file) in ODDITIES:
        assert answer.status == 411
        return
    assert answer.body == b"11 " + hashlib.sha256(b"hello world").hexdigest().encode()


def test_statuses_and_fields_pass(pair: Pair) -> None:
    few = (200, 304, 404) if "-cgi." in pair.file else (200, 201, 204, 304, 404, 410, 500, 503)
    for code in few:
        answer = pair.ask(f"/status?{code}")
        assert answer.status == code
        assert answer.body == (b"" if code in (204, 304) else b"status %d" % code)
        cookies = [value for name, value in answer.fields if name.lower() == b"set-cookie"]
        if code != 304:  # RFC 9110 15.4.5: a server may leave them out
            assert cookies == [b"a=1; Path=/", b"b=2"]
    head = pair.ask("/status?200", "HEAD")
    assert (head.status, head.body) == (200, b"")


def test_keep_alive(pair: Pair) -> None:
    with pair.client() as client:
        for number in range(3):
            pair.send(client, f"/environ?{number}")
            assert json.loads(client.read_response().body)["QUERY_STRING"] == str(number)


def test_http_1_0_without_a_host(pair: Pair) -> None:
    with pair.client() as client:
        client.send(f"GET {pair.prefix}/status?200 HTTP/1.0\r\n\r\n".encode())
        assert client.read_until_close().partition(b"\r\n\r\n")[2] == b"status 200"


def test_an_app_that_fails(pair: Pair) -> None:
    assert pair.ask("/fail").status == 500
    assert pair.ask("/status?200").status == 200
    if "fastcgi" in pair.file or "-cgi" in pair.file:
        wait_for(lambda: "it fails on purpose" in pair.front.logs() or pair.file.startswith("haproxy"))


def test_streaming(pair: Pair) -> None:
    for number in range(3):
        Path(f"{pair.ticks}.{number}").unlink(missing_ok=True)
    with pair.client() as client:
        pair.send(client, "/ticks")
        for number in range(3):
            Path(f"{pair.ticks}.{number}").touch()
            client.read_until(b"tick %d\n" % number)


def test_a_client_that_leaves(pair: Pair) -> None:
    left = Path(f"{pair.ticks}.left")
    left.unlink(missing_ok=True)
    with pair.client() as client:
        pair.send(client, "/endless")
        client.read_until(b"xxx")
        client.reset()
    wait_for(left.exists)


def test_a_response_that_breaks_off_does_not_look_whole(pair: Pair) -> None:
    # these two keep a client's connection for seconds after such a response
    fields = ("Connection: close",) if pair.file.startswith(("apache", "lighttpd")) else ()
    for path in ("short", "cut"):
        if (path, pair.file) in ODDITIES:
            continue
        with pair.client() as client:
            pair.send(client, f"/{path}", "GET", b"", *fields)
            assert _outcome(client) != "whole", path
    wait_for(lambda: pair.ask("/status?200").status == 200)  # lighttpd does without a backend that failed for a second


def _outcome(client: RawClient) -> str:
    from wsgikit.errors import WsgikitError

    try:
        answer = client.read_response()
    except WsgikitError:
        return "broken"
    return "whole" if answer.status == 200 else "refused"


PREFIXED = {  # what nginx-prefix.conf has below each prefix
    "/shop": "fastcgi, SCRIPT_NAME and PATH_INFO set",
    "/blog": "uwsgi, the same",
    "/wiki": "scgi, the same",
    "/forum": "uwsgi, modifier1 30",
    "/news": "fastcgi_split_path_info",
}


@pytest.fixture(scope="module")
def prefixed(server, ticks) -> Iterator[Front]:
    if missing("nginx-prefix.conf"):
        pytest.skip(missing("nginx-prefix.conf"))
    with Front("nginx-prefix.conf", server) as front:
        yield front


@pytest.mark.parametrize("prefix", PREFIXED)
def test_apps_below_prefixes_of_nginx(prefix: str, prefixed: Front, ticks: str) -> None:
    pair = Pair("nginx-prefix.conf", prefixed, prefix, ticks)
    for target, path in (("/environ/caf%C3%A9/a%2Fb?x=1", "/environ/caf\xc3\xa9/a/b"), ("/environ", "/environ")):
        answer = pair.ask(target, "POST", b"abc")
        assert answer.status == 200, prefixed.logs()
        seen = json.loads(answer.body)
        assert (seen["SCRIPT_NAME"], seen["PATH_INFO"], seen["body"]) == (prefix, path, "abc")
        assert seen["REQUEST_URI"] == prefix + target
        assert seen["HTTP_HOST"] == f"127.0.0.1:{prefixed.port}"
    assert (pair.ask("").status, pair.ask("/").status) == (404, 404)  # the app's own root, with and without a slash


def test_the_host_of_an_absolute_target_counts(prefixed: Front) -> None:
    with RawClient(("127.0.0.1", prefixed.port), timeout=15) as client:
        client.send(b"GET http://shop.example:81/shop/environ HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert json.loads(client.read_response().body)["HTTP_HOST"] == "shop.example:81"
