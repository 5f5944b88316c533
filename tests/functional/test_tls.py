"""TLS through the real command: handshakes cost no thread, names choose certificates, clients show theirs."""

from __future__ import annotations

import shutil
import signal
import ssl
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from wsgikit.testing import RawClient, ServerProcess

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command makes the certificates")

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cert, self.key = folder / "ca.pem", folder / "ca.key"
        usage = ("-addext", "keyUsage=critical,keyCertSign")  # Python 3.13 asks for it (RFC 5280 4.2.1.3)
        made = ("-keyout", self.key, "-out", self.cert, "-subj", "/CN=Test Authority")
        self._openssl("req", "-x509", *NEW, *usage, *made)

    def issue(self, name: str, subject: str = "") -> tuple[Path, Path]:
        cert, key, request, extra = (self.folder / f"{name}.{kind}" for kind in ("pem", "key", "csr", "ext"))
        extra.write_text(f"subjectAltName=DNS:{name}\n")
        self._openssl("req", *NEW, "-keyout", key, "-out", request, "-subj", subject or f"/CN={name}")
        signing = ("-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", "2", "-extfile", extra)
        self._openssl("x509", "-req", "-in", request, "-out", cert, *signing)
        return cert, key

    def _openssl(self, *arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


class Named(ssl.SSLContext):
    """A client context that asks for one name, whatever address it connects to."""

    name = ""

    def wrap_socket(self, sock, **options):  # type: ignore[no-untyped-def]
        return super().wrap_socket(sock, **{**options, "server_hostname": self.name})

    def wrap_bio(self, incoming, outgoing, **options):  # type: ignore[no-untyped-def]
        return super().wrap_bio(incoming, outgoing, **{**options, "server_hostname": self.name})


def asking(authority: Authority, name: str, certificate: tuple[Path, Path] | None = None) -> Named:
    context = Named(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(str(authority.cert))
    context.name = name
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


def environment(server: ServerProcess, context: ssl.SSLContext) -> dict[str, str]:
    with RawClient(server.address, tls=context) as client:
        client.send(GET % b"environment")
        text = client.read_response().body.decode("latin-1")
    return dict(line.partition("=")[::2] for line in text.split("\n"))


@pytest.fixture
def server(serving, authority: Authority) -> ServerProcess:
    cert, key = authority.issue("shop.example")
    return serving("--threads", "2", "--certfile", str(cert), "--keyfile", str(key))


def test_requests_environ_and_large_bodies(server: ServerProcess, authority: Authority) -> None:
    context = asking(authority, "shop.example")
    environ = environment(server, context)
    assert (environ["HTTPS"], environ["wsgi.url_scheme"]) == ("on", "https")
    assert environ["SSL_PROTOCOL"].startswith("TLSv1.")
    body = bytes(range(256)) * 10_000
    with RawClient(server.address, tls=context) as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert client.read_response().body.startswith(b"%d " % len(body))
        client.send(GET % b"big?3000000")
        assert client.read_response().body == b"x" * 3_000_000


def test_pipelined_requests_in_one_record_are_all_answered(server: ServerProcess, authority: Authority) -> None:
    with RawClient(server.address, tls=asking(authority, "shop.example")) as client:
        client.send(GET % b"hello" * 50)
        for _ in range(50):
            assert client.read_response().body == b"hello"


def test_handshakes_that_do_not_go_on_cost_no_thread(server: ServerProcess, authority: Authority) -> None:
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(RawClient(server.address)).send(b"\x16\x03\x01\x02\x00\x01\x00")
        began = time.monotonic()
        with RawClient(server.address, tls=asking(authority, "shop.example")) as client:
            client.send(GET % b"hello")
            assert client.read_response().status == 200
        assert time.monotonic() - began < 2


def test_a_handshake_has_the_heads_deadline(serving, authority: Authority) -> None:
    cert, key = authority.issue("shop.example")
    server = serving("--head-timeout", "1", "--certfile", str(cert), "--keyfile", str(key))
    with RawClient(server.address) as client:
        client.send(b"\x16\x03\x01")
        assert client.closed_by_peer(4.0)


def test_plain_bytes_to_a_tls_listener_end_the_connection_only(server: ServerProcess, authority: Authority) -> None:
    with RawClient(server.address) as client:
        client.send(GET % b"hello")
        assert client.closed_by_peer(3.0)
    assert environment(server, asking(authority, "shop.example"))["HTTPS"] == "on"


def test_names_choose_certificates(serving, authority: Authority, tmp_path: Path) -> None:
    shop, blog = authority.issue("shop.example"), authority.issue("blog.example")
    (tmp_path / "wsgikit.toml").write_text(
        f'tls = [{{ cert = "{shop[0]}", key = "{shop[1]}" }},'
        f' {{ names = ["blog.example"], cert = "{blog[0]}", key = "{blog[1]}" }}]\n'
    )
    server = serving("--config", str(tmp_path / "wsgikit.toml"))
    for name in ("shop.example", "blog.example"):
        assert environment(server, asking(authority, name))["HTTPS"] == "on"


def test_client_certificates_reach_the_app(serving, authority: Authority) -> None:
    cert, key = authority.issue("shop.example")
    wanted = ("--ca-certs", str(authority.cert), "--client-cert", "required")
    server = serving("--certfile", str(cert), "--keyfile", str(key), *wanted)
    ada = authority.issue("ada", "/O=Analytical Engines/CN=Ada")
    environ = environment(server, asking(authority, "shop.example", ada))
    assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert environ["SSL_CLIENT_S_DN_CN"] == "Ada"
    assert environ["SSL_CLIENT_S_DN"] == "CN=Ada,O=Analytical Engines"
    with RawClient(server.address, tls=asking(authority, "shop.example")) as client:
        assert client.closed_by_peer(3.0)


def test_hup_brings_a_renewed_certificate(serving, authority: Authority, tmp_path: Path) -> None:
    cert, key = tmp_path / "live.pem", tmp_path / "live.key"
    shutil.copy(authority.issue("shop.example")[0], cert)
    shutil.copy(authority.folder / "shop.example.key", key)
    server = serving("--certfile", str(cert), "--keyfile", str(key))
    assert environment(server, asking(authority, "shop.example"))["HTTPS"] == "on"
    renewed = authority.issue("new.example")
    shutil.copy(renewed[0], cert)
    shutil.copy(renewed[1], key)
    server.signal(signal.SIGHUP)
    deadline = time.monotonic() + 15
    while True:
        try:
            assert environment(server, asking(authority, "new.example"))["HTTPS"] == "on"
            return
        except ssl.SSLCertVerificationError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
