"""Upstreams that speak FastCGI, SCGI and uwsgi behind the real server: our own, and programs from the system."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from gateway_backends import CProgram, PhpFpm, Uwsgi, php_fpm, uwsgi, why_no_c_program
from waiting import wait_for
from web_fronts import public_folder

from wsgikit.testing import RawClient, ServerProcess, free_port, wait_until_accepts
from wsgikit.testing.response import Response

APPS = Path(__file__).parent / "apps"
DOKUWIKI = Path("/usr/share/dokuwiki")
WIRES = ("fastcgi", "scgi", "uwsgi")

PHP = r"""<?php
header('Content-Type: application/json');
if (isset($_GET['code'])) http_response_code((int)$_GET['code']);
if (isset($_GET['to'])) { header('Location: ' . $_GET['to']); exit; }
if (isset($_GET['slow'])) {
    for ($i = 0; $i < 3; $i++) { echo "tick $i\n"; @ob_flush(); flush(); usleep(300000); }
    exit;
}
setcookie('first', '1'); setcookie('second', '2');
$seen = array_intersect_key($_SERVER, array_flip(['SCRIPT_NAME', 'PATH_INFO', 'REQUEST_URI', 'REMOTE_ADDR', 'HTTPS',
    'HTTP_HOST', 'PHP_SELF', 'SERVER_PORT', 'CONTENT_TYPE', 'DOCUMENT_ROOT', 'SCRIPT_FILENAME']));
$seen['body'] = hash('sha256', file_get_contents('php://input'));
$seen['post'] = $_POST; $seen['get'] = $_GET;
echo json_encode($seen);
"""


class Site:
    """The server in front, and what it is asked."""

    def __init__(self, upstreams: dict[str, dict[str, Any]], *options: str) -> None:
        command = [
            sys.executable,
            "-m",
            "wsgikit",
            "serve",
            "calling_wires:app",
            "--bind",
            "{host}:{port}",
            "--config",
            "",
        ]
        env = {"UPSTREAMS": json.dumps(upstreams)}
        self.process = ServerProcess([*command, "--pythonpath", str(APPS), "--idle-grace", "0", *options], env=env)

    def __enter__(self) -> Site:
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def client(self) -> RawClient:
        return RawClient(self.process.address, timeout=20)

    def ask(self, target: str, method: str = "GET", body: bytes = b"", *fields: str) -> Response:
        with self.client() as client:
            self.send(client, target, method, body, *fields)
            return client.read_response(method)

    def send(self, client: RawClient, target: str, method: str = "GET", body: bytes = b"", *fields: str) -> None:
        lines = [f"{method} {target} HTTP/1.1", "Host: shop.example", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        client.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


# Our own server on all wires


@pytest.fixture(scope="module")
def circle() -> Iterator[tuple[Site, str]]:
    """A server that forwards /WIRE to another one that listens on all of them."""
    folder = public_folder()
    ports = {wire: free_port() for wire in WIRES}
    command = [sys.executable, "-m", "wsgikit", "serve", "behind_fronts:app", "--pythonpath", str(APPS), "--config", ""]
    for wire, port in ports.items():
        command += ["--bind", f"{wire}://127.0.0.1:{port}"]
    env = {"TICKS": str(folder / "tick")}
    binds = ["--bind", f"fastcgi+unix:{folder}/app.sock", "--bind", "{host}:{port}", "--idle-grace", "0"]
    with ServerProcess([*command, *binds], env=env):
        for port in ports.values():
            wait_until_accepts(("127.0.0.1", port), 10)
        upstreams: dict[str, dict[str, Any]] = {
            f"/{wire}": {"to": f"{wire}://127.0.0.1:{port}"} for wire, port in ports.items()
        }
        upstreams["/kept"] = {"to": f"fastcgi+unix:{folder}/app.sock", "gateway": {"keep": True}}
        with Site(upstreams, "--body", "stream") as site:
            yield site, str(folder / "tick")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("path", ["/fastcgi", "/scgi", "/uwsgi", "/kept"])
def test_there_and_back(circle, path) -> None:
    site, ticks = circle
    seen = json.loads(site.ask(f"{path}/environ/caf%C3%A9/a%2Fb?x=1", "POST", b"the body").body)
    expected = {
        "SCRIPT_NAME": path,
        "PATH_INFO": "/environ/caf\xc3\xa9/a/b",
        "QUERY_STRING": "x=1",
        "REQUEST_URI": f"{path}/environ/caf%C3%A9/a%2Fb?x=1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "shop.example",
        "HTTP_X_FORWARDED_FOR": "127.0.0.1",
        "body": "the body",
    }
    assert {name: seen.get(name) for name in expected} == expected
    body = random.Random(2).randbytes(1 << 20)
    digest = f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()
    assert site.ask(f"{path}/upload", "PUT", body).body == digest
    assert len(site.ask(f"{path}/download?1048570").body) == 1048570
    with site.client() as client:
        site.send(client, f"{path}/upload", "POST", b"", "Transfer-Encoding: chunked")
        client.send(b"5\r\nhello\r\n0\r\n\r\n")
        assert client.read_response("POST").body.startswith(b"5 ")
    for code in (204, 304, 404, 500):
        assert site.ask(f"{path}/status?{code}").status == code
    assert site.ask(f"{path}/status?200", "HEAD").body == b""
    _streams(site, path, ticks)
    assert site.ask("/beside").body == b"python at /beside"


def _streams(site: Site, path: str, ticks: str) -> None:
    for number in range(3):
        Path(f"{ticks}.{number}").unlink(missing_ok=True)
    with site.client() as client:
        site.send(client, f"{path}/ticks")
        for number in range(3):
            Path(f"{ticks}.{number}").touch()
            client.read_until(b"tick %d\n" % number)
    left = Path(f"{ticks}.left")
    left.unlink(missing_ok=True)
    with site.client() as client:
        site.send(client, f"{path}/endless")
        client.read_until(b"xxx")
        client.reset()
    wait_for(left.exists)


@pytest.mark.parametrize("path", ["/fastcgi", "/scgi", "/uwsgi", "/kept"])
def test_what_breaks_off_does_not_look_whole(circle, path) -> None:
    from wsgikit.errors import WsgikitError

    site, _ = circle
    for what in ("short", "cut"):
        with site.client() as client:
            site.send(client, f"{path}/{what}")
            with pytest.raises(WsgikitError):
                client.read_response()


# PHP


@pytest.fixture(scope="module")
def php() -> Iterator[Site]:
    if php_fpm() is None:
        pytest.skip("php-fpm is not installed")
    with ExitStack() as stack:
        fpm = stack.enter_context(PhpFpm())
        (fpm.folder / "www").mkdir()
        for name in ("index.php", "page.php"):
            (fpm.folder / "www" / name).write_text(PHP)
        root = str(fpm.folder / "www")
        to = f"fastcgi://127.0.0.1:{fpm.port}"
        upstreams = {
            "/php": {"to": to, "gateway": {"root": root}},
            "/front": {"to": to, "gateway": {"root": root, "front": "/index.php", "keep": True}},
        }
        yield stack.enter_context(Site(upstreams, "--body", "stream"))


def test_php_beside_python(php) -> None:
    assert php.ask("/anything").body == b"python at /anything"
    seen = json.loads(php.ask("/php/page.php/more/caf%C3%A9?a=1&b=%2F").body)
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("/php/page.php", "/more/caf\xe9")
    assert seen["REQUEST_URI"] == "/php/page.php/more/caf%C3%A9?a=1&b=%2F"
    assert seen["get"] == {"a": "1", "b": "/"}
    assert (seen["REMOTE_ADDR"], seen["HTTP_HOST"]) == ("127.0.0.1", "shop.example")
    seen = json.loads(php.ask("/front/pretty/url?x").body)
    assert (seen["SCRIPT_NAME"], seen["REQUEST_URI"]) == ("/front/index.php", "/front/pretty/url?x")


def test_php_gets_forms_and_bodies(php) -> None:
    form = urlencode({"name": "J\xf6rg", "more": "x" * 100}).encode()
    answer = php.ask("/php/", "POST", form, "Content-Type: application/x-www-form-urlencoded")
    assert json.loads(answer.body)["post"] == {"name": "J\xf6rg", "more": "x" * 100}
    body = random.Random(4).randbytes(2_000_000)
    answer = php.ask("/front/", "PUT", body, "Content-Type: application/octet-stream")
    assert json.loads(answer.body)["body"] == hashlib.sha256(body).hexdigest()


def test_php_answers_pass(php) -> None:
    answer = php.ask("/php/?code=418")
    assert answer.status == 418
    assert [value for name, value in answer.fields if name.lower() == b"set-cookie"] == [b"first=1", b"second=2"]
    answer = php.ask("/php/?to=/there")
    assert (answer.status, answer.get("location")) == (302, b"/there"), "PHP knows where it is mounted"
    assert php.ask("/php/nothing.php").status == 404
    assert php.ask("/php/index.txt").status == 404
    assert php.ask("/php/index.php%00.jpg").status == 404
    with php.client() as client:
        php.send(client, "/php/?slow=1")
        client.read_until(b"tick 0")
        assert b"tick 2" not in client.received, "what PHP has flushed is here before it has ended"
        client.read_until(b"tick 2")


@pytest.mark.slow
def test_dokuwiki(tmp_path) -> None:
    """A real program: pages, style sheets made by PHP, forms with tokens, redirects, sessions."""
    if php_fpm() is None or not DOKUWIKI.is_dir():
        pytest.skip("dokuwiki and php-fpm are not installed")
    with ExitStack() as stack:
        fpm = PhpFpm()
        conf = _wiki(fpm.folder)
        fpm._prepend = f"<?php define('DOKU_CONF', '{conf}/');"
        stack.enter_context(fpm)
        gateway = {"root": str(DOKUWIKI), "index": "doku.php"}
        upstreams = {"/wiki": {"to": f"fastcgi://127.0.0.1:{fpm.port}", "gateway": gateway, "static": str(DOKUWIKI)}}
        site = stack.enter_context(Site(upstreams))
        page = site.ask("/wiki/doku.php?id=start&do=edit")
        assert page.status == 200, (page.body[:2000], fpm.log())
        text = page.body.decode()
        cookies = "; ".join(
            str(value, "latin-1").partition(";")[0] for name, value in page.fields if name.lower() == b"set-cookie"
        )
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text))
        fields |= {"wikitext": "====== From wsgikit ======\n\ncaf\xe9 **bold**", "summary": "", "do[save]": "1"}
        form = urlencode(fields).encode()
        content_type = "Content-Type: application/x-www-form-urlencoded"
        saved = site.ask("/wiki/doku.php?id=start", "POST", form, content_type, f"Cookie: {cookies}")
        assert saved.status == 302, (saved.body[:1500], fpm.log())
        assert (saved.get("location") or b"").startswith((b"/wiki/", b"http://shop.example/wiki/"))
        shown = site.ask("/wiki/doku.php?id=start").body.decode()
        assert "<strong>bold</strong>" in shown
        assert "caf\xe9" in shown
        style = re.search(r'href="(/wiki/lib/exe/css\.php[^"]*)"', shown)
        assert style is not None
        answer = site.ask(style[1].replace("&amp;", "&"))
        assert (answer.status, (answer.get("content-type") or b"")[:8]) == (200, b"text/css")
        assert site.ask("/wiki/lib/images/fileicons/file.png").body.startswith(b"\x89PNG")


def _wiki(folder: Path) -> Path:
    """A configuration and a data folder of the test's own, after the package's."""
    conf, data = folder / "conf", folder / "data"
    shutil.copytree("/etc/dokuwiki", conf, symlinks=True)
    for name in ("acl.auth.php", "users.auth.php", "local.php"):
        (conf / name).unlink(missing_ok=True)
        (conf / name).write_text("<?php\n")
    (conf / "local.php").write_text(
        f"<?php\n$conf['savedir'] = '{data}';\n$conf['useacl'] = 0;\n$conf['title'] = 'x';\n"
    )
    for name in (
        "attic",
        "cache",
        "index",
        "locks",
        "log",
        "media",
        "media_attic",
        "media_meta",
        "meta",
        "pages",
        "tmp",
    ):
        (data / name).mkdir(parents=True)
    for path in (data, *data.iterdir()):
        path.chmod(0o777)
    return conf


# Other people's servers


def test_uwsgi_of_others() -> None:
    if uwsgi() is None:
        pytest.skip("uWSGI is not installed")
    with ExitStack() as stack:
        backend = stack.enter_context(Uwsgi("behind_fronts", APPS))
        site = stack.enter_context(Site({"/u": {"to": f"uwsgi://127.0.0.1:{backend.port}"}}))
        seen = json.loads(site.ask("/u/environ/caf%C3%A9?x=1", "POST", b"the body").body)
        assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("/u", "/environ/caf\xc3\xa9")
        assert (seen["QUERY_STRING"], seen["body"], seen["REMOTE_ADDR"]) == ("x=1", "the body", "127.0.0.1")
        body = random.Random(5).randbytes(1 << 20)
        assert site.ask("/u/upload", "PUT", body).body.endswith(hashlib.sha256(body).hexdigest().encode())
        assert len(site.ask("/u/download?1000000").body) == 1000000
        assert site.ask("/u/status?404").status == 404
        assert site.ask("/u/fail").status in (500, 502)


def test_a_program_in_c() -> None:
    if why_no_c_program():
        pytest.skip(why_no_c_program())
    with ExitStack() as stack:
        backend = stack.enter_context(CProgram())
        to = f"fastcgi://127.0.0.1:{backend.port}"
        site = stack.enter_context(Site({"/c": {"to": to, "gateway": {"keep": True}}}))
        for number in range(3):
            answer = site.ask("/c/path", "POST", b"abc")
            assert (answer.status, answer.body) == (202, b"POST /path 294 %d\n" % number)
        assert len(site.ask("/c/big").body) == 1 << 20
        site.process.wait_for_output("stderr: request 2")


def test_spawn_fcgi_starts_us() -> None:
    """The other way round: our server is the program that is started with a socket on descriptor 0."""
    from web_fronts import program

    if program("spawn-fcgi") is None:
        pytest.skip("spawn-fcgi is not installed")
    command = [program("spawn-fcgi") or "", "-n", "-a", "{host}", "-p", "{port}", "--", sys.executable, "-m", "wsgikit"]
    command += ["serve", "behind_fronts:app", "--bind", "fastcgi+fd://0", "--pythonpath", str(APPS), "--config", ""]
    with ServerProcess(command) as spawned, Site({"/s": {"to": f"fastcgi://127.0.0.1:{spawned.port}"}}) as site:
        assert site.ask("/s/status?201").status == 201
