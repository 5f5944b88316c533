"""TLS that ends at a web server in front of us: the app has to learn of it, whatever the wire between the two.

The configuration files are those of examples/deploy, with a certificate put in.
"""

from __future__ import annotations

import json
import shutil
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import throwaway_certificate
from web_fronts import FILES, Front, copy_for_scripts, missing, programs, public_folder

from wsgikit.testing import RawClient, ServerProcess, free_port, wait_until_accepts
from wsgikit.testing.response import Response

APPS = Path(__file__).parent / "apps"
# what makes a file's listener one for TLS: what stands in place of what
SECURED = {
    "nginx": {
        "listen 127.0.0.1:{port};": "listen 127.0.0.1:{port} ssl; ssl_certificate {pem}; ssl_certificate_key {pem};"
    },
    "apache": {
        "Listen 127.0.0.1:{port}": "Listen 127.0.0.1:{port}\n"
        'LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\nSSLEngine on\nSSLCertificateFile "{pem}"',
    },
    "lighttpd": {
        "server.port = {port}": 'server.port = {port}\nssl.engine = "enable"\nssl.pemfile = "{pem}"',
        "server.modules = (": 'server.modules = ( "mod_openssl",',
    },
    "haproxy": {"bind 127.0.0.1:{port}": "bind 127.0.0.1:{port} ssl crt {pem}"},
}
MODULES = {"apache": "/usr/lib/apache2/modules/mod_ssl.so", "lighttpd": "/usr/lib/lighttpd/mod_openssl.so"}


class SecureFront(Front):
    """A front whose clients come by TLS. `pem`: certificate and key."""

    def __init__(self, file: str, ports: dict[str, int], pem: str, scripts: dict[str, str]) -> None:
        super().__init__(file, ports, scripts=scripts)
        self.pem = pem

    def text(self) -> str:
        text = super().text()
        for plain, secured in SECURED[self.file.partition("-")[0]].items():
            found = plain.format(port=self.port)
            assert text.count(found) == 1
            text = text.replace(found, secured.format(port=self.port, pem=self.pem))
        return text


@pytest.fixture(scope="module")
def pem() -> Iterator[str]:
    folder = public_folder()
    cert, key = throwaway_certificate.make(folder)
    both = folder / "both.pem"
    both.write_bytes(Path(cert).read_bytes() + Path(key).read_bytes())
    yield str(both)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, int]]:
    """The ports by wire, without TLS. Fields of a front are believed over HTTP, where there is no other way."""
    serve = [sys.executable, "-m", "wsgikit", "serve", "behind_fronts:app", "--pythonpath", str(APPS), "--config", ""]
    ports = {"scgi": free_port(), "uwsgi": free_port()}
    binds = [f"{wire}://127.0.0.1:{port}" for wire, port in ports.items()]
    binds = [part for bind in ("fastcgi://{host}:{port}", *binds) for part in ("--bind", bind)]
    http = [*serve, "--bind", "{host}:{port}", "--forwarded-allow-ips", "127.0.0.1"]
    with ServerProcess(http) as trusting, ServerProcess([*serve, *binds]) as others:
        for port in ports.values():
            wait_until_accepts(("127.0.0.1", port), 10)
        yield {"http": trusting.port, "fastcgi": others.port, **ports}


def absent(file: str) -> str:
    """Why this front cannot be tried here; "" when it can."""
    module = MODULES.get(file.partition("-")[0], "/")
    return missing(file) or ("" if Path(module).exists() else f"{module} is not installed")


@pytest.mark.parametrize(
    "file", [pytest.param(file, marks=() if file.startswith("nginx") else pytest.mark.soak) for file in FILES]
)
def test_the_app_learns_that_its_client_came_by_https(file: str, server: dict[str, int], pem: str) -> None:
    if absent(file):
        pytest.skip(absent(file))
    scripts = programs(file, "behind_fronts:app")
    prefix = "/shop" if scripts else ""
    with SecureFront(file, server, pem, scripts) as front:
        if scripts:
            copy_for_scripts(front.folder, APPS / "behind_fronts.py")
        seen = json.loads(ask(front, pem, f"{prefix}/environ", "X-Forwarded-Proto: http").body)
        login = ask(front, pem, f"{prefix}/login")
        base = f"https://127.0.0.1:{front.port}"
        assert {name: seen.get(name) for name in ("wsgi.url_scheme", "HTTPS", "SERVER_PORT", "HTTP_HOST")} == {
            "wsgi.url_scheme": "https",
            "HTTPS": "on",
            "SERVER_PORT": str(front.port),
            "HTTP_HOST": f"127.0.0.1:{front.port}",
        }
        assert login.get("Location") == f"{base}{prefix}/environ".encode()
        assert login.get("Set-Cookie") == b"session=1; Secure"


def ask(front: Front, pem: str, target: str, *fields: str) -> Response:
    context = ssl.create_default_context(cafile=pem)
    with RawClient(("127.0.0.1", front.port), timeout=15, tls=context) as client:
        lines = [f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{front.port}", *fields]
        client.send("\r\n".join([*lines, "", ""]).encode())
        return client.read_response()
