"""Real servers behind us, and real proxies in front of us."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from nginx_server import NGINX, Nginx
from scripted_upstream import Peer, ScriptedUpstream

from wsgikit.errors import Disconnected
from wsgikit.testing import RawClient, ServerProcess, free_port, wait_until_accepts

APPS = Path(__file__).parent / "apps"
PYTHON = sys.executable
HOST = b"Host: shop.example\r\n"


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


UPSTREAMS = {
    "gunicorn": ["-m", "gunicorn", "-b", "{host}:{port}", "--threads", "4", "plain_echo:app"],
    "waitress": ["-m", "waitress", "--host={host}", "--port={port}", "plain_echo:app"],
    "wsgikit": ["-m", "wsgikit", "serve", "plain_echo:app", "-b", "{host}:{port}"],
    "uwsgi": [
        "--http-socket", "{host}:{port}", "--wsgi-file", "plain_echo.py", "--callable", "app", "--master",
        "--die-on-term", "--need-app", "--threads", "4",
    ],
}  # fmt: skip


def upstream(name: str) -> ServerProcess:
    if name == "uwsgi":
        found = shutil.which("uwsgi", path=str(Path(PYTHON).parent)) or shutil.which("uwsgi")
        if found is None:
            pytest.skip("uwsgi is not installed")
        return ServerProcess([found, *UPSTREAMS[name]], cwd=APPS)
    if not has(name):
        pytest.skip(f"{name} is not installed")
    return ServerProcess([PYTHON, *UPSTREAMS[name]], cwd=APPS, env={"PYTHONPATH": str(APPS)})


def gateway(options: dict[str, object], *more: str) -> ServerProcess:
    command = [PYTHON, "-m", "wsgikit", "serve", "gateways:app", "-b", "{host}:{port}", "--threads", "4"]
    return ServerProcess([*command, "--pythonpath", str(APPS), *more], env={"GATEWAY": json.dumps(options)})


# two of them in every run, all of them in both ways in the long one
COMBINATIONS = [(name, body) for name in UPSTREAMS for body in ("stream", "spool")]
OFTEN = [("gunicorn", "stream"), ("waitress", "spool")]


@pytest.mark.parametrize(
    ("name", "body"), [pytest.param(*each, marks=() if each in OFTEN else pytest.mark.soak) for each in COMBINATIONS]
)
def test_real_servers_behind_us(name: str, body: str) -> None:
    with (
        upstream(name) as server,
        gateway({"endpoints": [f"http://127.0.0.1:{server.port}"]}, "--body", body) as front,
        RawClient(front.address, timeout=15) as client,
    ):
        for turn in range(3):
            client.send(b"GET /a%2Fb?x=1 HTTP/1.1\r\n" + HOST + b"X-Thing: %d\r\n\r\n" % turn)
            said = json.loads(client.read_response().body)
            assert (said["PATH_INFO"], said["QUERY_STRING"], said["HTTP_X_THING"]) == ("/a/b", "x=1", str(turn))
            assert said["HTTP_HOST"] == "shop.example"
            if name != "waitress":  # it drops what a proxy says unless told otherwise
                assert said["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
            client.send(b"HEAD /file HTTP/1.1\r\n" + HOST + b"\r\n")
            response = client.read_response("HEAD")
            assert (response.status, response.get("Content-Length"), response.body) == (200, b"1048576", b"")
            client.send(b"GET /file HTTP/1.1\r\n" + HOST + b"\r\n")
            assert client.read_response().body == b"0123456789abcdef" * 65536
            client.send(b"GET /stream HTTP/1.1\r\n" + HOST + b"\r\n")
            assert client.read_response().body == b"".join(b"%d\n" % number * 100 for number in range(100))
            upload = bytes(range(256)) * 1200
            client.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(upload) + upload)
            assert client.read_response().body == upload
            client.send(b"GET /empty HTTP/1.1\r\n" + HOST + b"\r\nGET /missing HTTP/1.1\r\n" + HOST + b"\r\n")
            assert [client.read_response().status for _ in range(2)] == [204, 404]


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_behind_us(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789abcdef" * 65536)
    tmp_path.chmod(0o755)
    blocks = "server { listen 127.0.0.1:{port}; root FOLDER; location = /moved { return 301 /new/; } }"
    blocks = blocks.replace("FOLDER", str(tmp_path))
    with Nginx(blocks) as server, gateway({"endpoints": [server.url]}) as front, RawClient(front.address) as client:
        client.send(b"GET /file HTTP/1.1\r\n" + HOST + b"Range: bytes=10-19\r\n\r\n")
        response = client.read_response()
        assert (response.status, response.body) == (206, b"abcdef0123")
        client.send(b"GET /file HTTP/1.1\r\n" + HOST + b"\r\n")
        response = client.read_response()
        assert len(response.body) == 1 << 20
        client.send(b"GET /file HTTP/1.1\r\n" + HOST + b"If-None-Match: %b\r\n\r\n" % (response.get("ETag") or b""))
        assert client.read_response().status == 304
        client.send(b"GET /moved HTTP/1.1\r\n" + HOST + b"\r\n")
        assert client.read_response().get("Location") == b"http://shop.example/new/"


# Fronts


@pytest.fixture(scope="module")
def behind() -> Iterator[ServerProcess]:
    """A gateway that trusts a proxy on this machine, and an app behind it."""
    with upstream("wsgikit") as app:
        options = {"endpoints": [f"http://127.0.0.1:{app.port}"], "trusted": ["127.0.0.1"]}
        with gateway(options, "--body", "stream") as front:
            yield front


def look(port: int) -> None:
    """Through a front, us, and the app: what the client is called, bodies both ways, many on one connection."""
    with RawClient(("127.0.0.1", port), timeout=15) as client:
        for _ in range(3):
            client.send(b"GET /say?x HTTP/1.1\r\n" + HOST + b"X-Forwarded-For: 10.9.9.9\r\n\r\n")
            said = json.loads(client.read_response().body)
            assert said["HTTP_X_FORWARDED_FOR"].endswith("127.0.0.1, 127.0.0.1"), said
            assert said["HTTP_HOST"] == "shop.example"
            upload = b"x" * 300_000
            client.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 300000\r\n\r\n" + upload)
            assert client.read_response().body == upload
            client.send(b"GET /stream HTTP/1.1\r\n" + HOST + b"\r\n")
            assert client.read_response().body == b"".join(b"%d\n" % number * 100 for number in range(100))
            client.send(b"HEAD /file HTTP/1.1\r\n" + HOST + b"\r\n")
            assert client.read_response("HEAD").get("Content-Length") == b"1048576"


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_in_front_of_us(behind: ServerProcess) -> None:
    blocks = (
        "server { listen 127.0.0.1:{port}; location / { proxy_pass http://127.0.0.1:%d; proxy_http_version 1.1; "
        "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }"
    )
    with Nginx(blocks % behind.port) as front:
        look(front.port)


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
def test_haproxy_in_front_of_us(behind: ServerProcess, tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    command = ["sh", "-c", f'sed "s/PORT/$1/" {config}.in > {config} && exec haproxy -f {config} -db', "sh", "{port}"]
    Path(f"{config}.in").write_text(
        "defaults\n mode http\n timeout client 10s\n timeout server 10s\n timeout connect 5s\n"
        f"listen front\n bind 127.0.0.1:PORT\n option forwardfor\n server us 127.0.0.1:{behind.port}\n"
    )
    with ServerProcess(command) as front:
        look(front.port)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("varnishd") is None, reason="varnish is not installed")
def test_varnish_in_front_of_us(behind: ServerProcess) -> None:
    with tempfile.TemporaryDirectory() as folder:
        vcl = Path(folder, "front.vcl")
        backend = f'backend us {{ .host = "127.0.0.1"; .port = "{behind.port}"; }}'
        vcl.write_text(f"vcl 4.1;\n{backend}\nsub vcl_recv {{ return (pass); }}\n")
        port = free_port()
        command = [
            "varnishd",
            "-F",
            "-n",
            folder,
            "-a",
            f"127.0.0.1:{port}",
            "-f",
            str(vcl),
            "-j",
            "none",
            "-T",
            "none",
        ]
        with subprocess.Popen(
            [*command, "-s", "malloc,8m"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as varnish:
            try:
                assert wait_until_accepts(("127.0.0.1", port), 15)
                look(port)
            finally:
                varnish.terminate()


# The gateway on other servers


SERVERS = {
    "gunicorn": ["-m", "gunicorn", "-b", "{host}:{port}", "--threads", "4", "gateways:app"],
    "waitress": ["-m", "waitress", "--host={host}", "--port={port}", "gateways:app"],
}


@pytest.mark.parametrize("name", list(SERVERS))
def test_the_gateway_on_other_servers(name: str) -> None:
    """Right answers, uploads of both kinds, truncation never looks whole; what is lost is in the manual."""
    if not has(name):
        pytest.skip(f"{name} is not installed")

    def script(peer: Peer) -> None:
        while True:
            received = peer.read_request()
            if received.target == b"/cut":
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50_000)
                return
            said = received.target + b" " + (received.body or b"")
            peer.answer("200 OK", said, ("Set-Cookie", "a=1"), ("Set-Cookie", "b"))

    with ScriptedUpstream(script) as behind:
        env = {"GATEWAY": json.dumps({"to": behind.url}), "PYTHONPATH": str(APPS)}
        with ServerProcess([PYTHON, *SERVERS[name]], cwd=APPS, env=env) as server:
            with RawClient(server.address, timeout=10) as client:
                client.send(b"GET /a%2Fb?x=%20 HTTP/1.1\r\n" + HOST + b"Connection: X-Hop\r\nX-Hop: 1\r\n\r\n")
                response = client.read_response()
                assert response.body in (b"/a%2Fb?x=%20 ", b"/a/b?x=%20 ")
                assert response.get_all("Set-Cookie") == [b"a=1", b"b"]
                assert behind.requests[-1].get("X-Hop") is None
            with RawClient(server.address, timeout=10) as client:
                client.send(
                    b"POST /up HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                )
                assert client.read_response().body == b"/up hello"
            with RawClient(server.address, timeout=10) as client:
                client.send(b"GET /cut HTTP/1.1\r\n" + HOST + b"\r\n")
                with pytest.raises(Disconnected):
                    client.read_response()
