"""TLS and Unix sockets: verified by default, nothing cut off unseen, the same bytes."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import pytest
from scripted_upstream import Peer, ScriptedUpstream, answering, ok
from throwaway_certificate import make, server_context

from wsgikit.client import Client, ClientSettings, Request, TlsSettings
from wsgikit.errors import ConfigError, UpstreamError, UpstreamTimeout

HOST = (b"Host", b"a")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return make(tmp_path_factory.mktemp("tls"))


def trusting(certificate: tuple[str, str], **more: object) -> ClientSettings:
    return ClientSettings(tls=TlsSettings(ca=certificate[0]), **more)  # type: ignore[arg-type]


def test_verification_is_on_by_default(certificate) -> None:
    with (
        ScriptedUpstream(answering(ok()), tls=server_context(*certificate)) as upstream,
        Client(upstream.url) as client,
    ):
        with pytest.raises(UpstreamError) as caught:
            client.get(b"/")
        assert caught.value.phase == "tls"
        assert "certificate verify failed" in caught.value.detail
        assert upstream.requests == []


def test_a_trusted_certificate_for_another_name_is_refused(certificate) -> None:
    settings = ClientSettings(tls=TlsSettings(ca=certificate[0], server_name="shop.example"))
    with ScriptedUpstream(answering(ok()), tls=server_context(*certificate)) as upstream:
        with Client(upstream.url, settings) as client, pytest.raises(UpstreamError) as caught:
            client.get(b"/")
        assert "match" in caught.value.detail


def test_a_verified_connection_is_reused(certificate) -> None:
    body = bytes(range(256)) * 4096
    with (
        ScriptedUpstream(answering(ok(body)), tls=server_context(*certificate)) as upstream,
        Client(upstream.url, trusting(certificate)) as client,
    ):
        for _ in range(4):
            with client.get(b"/") as response:
                assert response.read_all(1 << 21) == body
        assert upstream.connections == 1


def test_a_large_upload_over_tls(certificate) -> None:
    size = 4 << 20
    with (
        ScriptedUpstream(answering(ok()), tls=server_context(*certificate)) as upstream,
        Client(upstream.url, trusting(certificate)) as client,
    ):
        fields = [HOST, (b"Content-Length", b"%d" % size)]
        with client.send(Request(method="POST", target=b"/", fields=fields, body=bytes(size))) as response:
            assert response.status == 200
        assert len(upstream.requests[0].body or b"") == size


def status(url: str, settings: ClientSettings) -> int:
    with Client(url, settings) as client, client.get(b"/") as response:
        return response.status


def test_verification_can_be_switched_off_by_name(certificate) -> None:
    with ScriptedUpstream(answering(ok()), tls=server_context(*certificate)) as upstream:
        assert status(upstream.url, ClientSettings(tls=TlsSettings(verify=False))) == 200


def test_a_context_of_ones_own(certificate) -> None:
    context = ssl.create_default_context(cafile=certificate[0])
    with ScriptedUpstream(answering(ok()), tls=server_context(*certificate)) as upstream:
        assert status(upstream.url, ClientSettings(tls=context)) == 200


def test_a_body_until_close_needs_the_end_of_tls(certificate) -> None:
    """Whoever can forge a FIN must not be able to cut a body (RFC 9112 9.8)."""

    def script(peer: Peer) -> None:
        received = peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it")
        if received.target == b"/polite":
            peer.socket.unwrap()
        else:
            peer.socket.shutdown(socket.SHUT_RDWR)

    with (
        ScriptedUpstream(script, tls=server_context(*certificate)) as upstream,
        Client(upstream.url, trusting(certificate)) as client,
    ):
        with client.get(b"/polite") as response:
            assert response.read_all(100) == b"all of it"
        with pytest.raises(UpstreamError) as caught, client.get(b"/cut") as response:
            response.read_all(100)
        assert caught.value.phase == "body"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (lambda peer: time.sleep(0.5), UpstreamTimeout),
        (lambda peer: peer.send(b"SSH-2.0-OpenSSH\r\n"), UpstreamError),
    ],
)
def test_a_server_that_speaks_no_tls(script, error: type[UpstreamError]) -> None:
    with ScriptedUpstream(script) as upstream, pytest.raises(error) as caught:
        status(upstream.url.replace("http:", "https:"), ClientSettings(tls_timeout=0.2))
    assert caught.value.phase == "tls"


@pytest.mark.parametrize("wrong", [{"ca": "/nonexistent.pem"}, {"cert": "/nonexistent.pem"}])
def test_files_are_looked_at_when_the_client_is_made(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="nonexistent"):
        Client("https://a", ClientSettings(tls=TlsSettings(**wrong)))  # type: ignore[arg-type]
    Client("http://a", ClientSettings(tls=TlsSettings(**wrong)))  # type: ignore[arg-type]  # speaks no TLS


def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with ScriptedUpstream(answering(ok(b"x" * 200_000)), path=path) as upstream, Client(upstream.url) as client:
        for _ in range(3):
            with client.get(b"/") as response:
                assert len(response.read_all(1 << 20)) == 200_000
        assert upstream.connections == 1
        assert upstream.requests[0].get("Host") == b"localhost"
