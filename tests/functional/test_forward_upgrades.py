"""Upgrade through a gateway, and CONNECT through a forward proxy: with real WebSocket peers on both ends."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from scripted_upstream import Gone, Peer, ScriptedUpstream, answering, ok
from throwaway_certificate import make, server_context
from wsgi_call import call, environ_of

from wsgikit.middleware.forward_proxy import Destinations, Forbidden, ForwardProxy, embedded, is_public
from wsgikit.middleware.forward_upgrade import Tunnel
from wsgikit.testing import RawClient, ServerProcess

websockets = pytest.importorskip("websockets")

APPS = Path(__file__).parent / "apps"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n"


def serve(app: str, env: dict[str, str], *more: str) -> ServerProcess:
    command = [sys.executable, "-m", "wsgikit", "serve", app, "-b", "{host}:{port}", "--threads", "8"]
    return ServerProcess([*command, "--pythonpath", str(APPS), *more], env=env)


def gateway(options: dict[str, object], *more: str) -> ServerProcess:
    return serve("gateways:app", {"GATEWAY": json.dumps(options)}, *(more or ("--takeover",)))


@contextmanager
def opened(script, **options: object) -> Iterator[tuple[RawClient, ScriptedUpstream]]:
    """A client of a gateway to an upstream with this script."""
    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedUpstream(script))
        server = stack.enter_context(gateway({"to": upstream.url, **options}))
        yield stack.enter_context(RawClient(server.address)), upstream


@pytest.fixture(scope="module")
def sockets() -> Iterator[str]:
    """A real WebSocket server that echoes; "bye" makes it close."""
    from websockets.sync.server import serve as serve_sockets

    def echo(connection) -> None:
        for message in connection:
            if message == "bye":
                connection.close(4000, "as you wish")
            else:
                connection.send(message)

    with serve_sockets(echo, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join(5)


def test_websockets_pass_through_a_balancer(sockets: str) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    with gateway({"endpoints": [sockets]}) as server:
        with connect(f"ws://127.0.0.1:{server.port}/chat", compression="deflate") as client:
            for message in ("hello", "ünï", b"\x00\xff" * 40_000, "x" * 300_000):
                client.send(message)
                assert client.recv(timeout=5) == message
            latency = client.ping()
            assert latency.wait(5)
            client.send("bye")
            with pytest.raises(ConnectionClosed) as caught:
                client.recv(timeout=5)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 4000
        with connect(f"ws://127.0.0.1:{server.port}/chat") as one, connect(f"ws://127.0.0.1:{server.port}/") as two:
            one.send("1")
            two.send("2")
            assert (one.recv(timeout=5), two.recv(timeout=5)) == ("1", "2")


def test_the_101_has_what_the_upstream_said_and_nothing_of_its_connection() -> None:
    def script(peer: Peer) -> None:
        received = peer.read_head()
        assert received.get_all("Connection") == [b"Upgrade"]
        assert received.get_all("Upgrade") == [b"echo"]
        peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade, X-Hop\r\nUpgrade: echo\r\nX-Hop: 1\r\n"
            b"Sec-X: 2\r\n\r\nearly"
        )
        peer.send(peer.take(4))

    with opened(script) as (client, _):
        client.send(UPGRADE + b"ping")  # bytes that came with the request, too
        head = client.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"\r\nSec-X: 2\r\n" in head
        assert b"\r\nUpgrade: echo\r\n" in head
        assert b"X-Hop" not in head
        assert client.read_until_close() == b"earlyping"


def test_an_upgrade_that_is_refused_is_an_answer_like_others() -> None:
    refusal = b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: other\r\nContent-Length: 2\r\n\r\nno"
    with opened(answering(refusal, ok())) as (client, _):
        client.send(UPGRADE)
        response = client.read_response()
        assert (response.status, response.body) == (426, b"no")
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_response().body == b"hello"


@pytest.mark.parametrize("options", [{}, {"upgrade": False}])
def test_without_takeover_or_by_option_the_field_is_dropped(options: dict[str, object]) -> None:
    more = ("--takeover",) if options else ("--threads", "2")
    with ScriptedUpstream(answering(ok())) as upstream, gateway({"to": upstream.url, **options}, *more) as server:
        with RawClient(server.address) as client:
            client.send(UPGRADE)
            assert client.read_response().body == b"hello"
        received = upstream.requests[0]
        assert (received.get("Upgrade"), received.get("Connection")) == (None, None)


def changing(peer: Peer) -> None:
    peer.read_head()
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
    while True:
        peer.send(peer.read_some())


def test_upgraded_connections_are_bounded_in_number_and_silence() -> None:
    options = {"upgrades": 1, "upgrade_idle": 0.3}
    with ScriptedUpstream(changing) as upstream, gateway({"to": upstream.url, **options}) as server:
        with RawClient(server.address) as first, RawClient(server.address) as second:
            first.send(UPGRADE)
            assert first.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
            second.send(UPGRADE)
            refused = second.read_response()
            assert refused.status == 503
            assert refused.get("Retry-After") is not None
            first.send(b"ping")
            assert first.read_until(b"ping") == b"ping"
            assert first.closed_by_peer(3.0)
        server.wait_for_output("ended after")  # the line may come after the end
        with RawClient(server.address) as third:
            third.send(UPGRADE)
            assert third.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")


def test_draining_ends_upgraded_connections(tmp_path: Path) -> None:
    with ScriptedUpstream(changing) as upstream, ScriptedUpstream(answering(ok())) as other:
        path = tmp_path / "endpoints"
        path.write_text(upstream.url)
        with gateway({"discover": f"file:{path}"}) as server, RawClient(server.address) as client:
            client.send(UPGRADE)
            assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
            client.send(b"ping")
            assert client.read_until(b"ping") == b"ping"
            path.write_text(f"{upstream.url} drain\n{other.url}\n")
            assert client.closed_by_peer(5.0)


def test_either_side_may_end_first() -> None:
    over = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        with pytest.raises(Gone):
            peer.take(10)
        peer.send(b"last words")
        over.set()

    with opened(script) as (client, _):
        client.send(UPGRADE)
        client.read_until(b"\r\n\r\n")
        client.send(b"half")
        client.half_close()
        assert client.read_until_close() == b"last words"
        assert over.wait(2)


def test_a_tunnel_holds_back_who_sends_too_much() -> None:
    """Backpressure: what one side does not take must not pile up with us."""
    (client, far_client), (upstream, far_upstream) = socket.socketpair(), socket.socketpair()
    with client, far_client, upstream, far_upstream:
        tunnel = threading.Thread(target=Tunnel(5.0, lambda: False).run, args=(client, upstream, b"", b""))
        tunnel.start()
        far_client.settimeout(0.3)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += far_client.send(bytes(65536))
        except TimeoutError:
            pass
        assert sent < 4 << 20
        received = 0
        far_upstream.settimeout(5)
        while received < sent:
            received += len(far_upstream.recv(1 << 20))
        far_client.close()
        far_upstream.close()
        tunnel.join(5)
        assert not tunnel.is_alive()


# Forward proxy


def proxying(upstream_port: int, **options: object) -> ServerProcess:
    allowed = {"allow": ["localhost", "*.test"], "private": ["127.0.0.0/8"], "ports": [upstream_port]}
    return serve(
        "proxies:app", {"PROXY": json.dumps({**allowed, "connect_ports": [upstream_port], **options})}, "--takeover"
    )


def test_absolute_urls_are_fetched_and_nothing_is_told_of_the_client() -> None:
    with ScriptedUpstream(answering(ok(b"fetched"))) as upstream, proxying(upstream.port) as server:
        place = b"localhost:%d" % upstream.port
        with RawClient(server.address) as client:
            client.send(
                b"GET http://" + place + b"/a%2Fb?x HTTP/1.1\r\nHost: evil\r\nProxy-Connection: keep-alive\r\n"
                b"Proxy-Authorization: Basic x\r\nX: 1\r\n\r\n"
            )
            assert client.read_response().body == b"fetched"
        (received,) = upstream.requests
        assert received.target == b"/a%2Fb?x"
        assert received.fields == [(b"Host", place), (b"X", b"1"), (b"Via", b"1.1 wsgikit")]


def test_connect_carries_tls_end_to_end(tmp_path: Path) -> None:
    import ssl

    certificate = make(tmp_path)
    with (
        ScriptedUpstream(answering(ok(b"secret")), tls=server_context(*certificate)) as upstream,
        proxying(upstream.port) as server,
        RawClient(server.address) as client,
    ):
        client.send(b"CONNECT localhost:%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % upstream.port)
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
        client.socket.settimeout(5)
        context = ssl.create_default_context(cafile=certificate[0])
        with context.wrap_socket(client.socket, server_hostname="localhost") as secure:
            secure.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert secure.recv(1000).endswith(b"secret")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"http://other.example/", (200, b"the app itself")),  # it may be the app's own name
        (b"/path", (200, b"the app itself")),
        (b"http://localhost:1/", (403, None)),
        (b"http://[::1]:80/", (200, b"the app itself")),
    ],
)
def test_what_is_not_allowed_is_not_fetched(target: bytes, expected: tuple[int, bytes | None], shared_proxy) -> None:
    with RawClient(shared_proxy.address) as client:
        client.send(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        response = client.read_response()
    assert response.status == expected[0]
    assert expected[1] is None or response.body == expected[1]


@pytest.mark.parametrize("target", [b"other.example:443", b"localhost:25", b"169.254.169.254:443"])
def test_connect_goes_nowhere_else(target: bytes, shared_proxy) -> None:
    with RawClient(shared_proxy.address) as client:
        client.send(b"CONNECT " + target + b" HTTP/1.1\r\nHost: a:1\r\n\r\n")
        assert client.read_response("GET").status == 403


@pytest.fixture(scope="module")
def shared_proxy() -> Iterator[ServerProcess]:
    with proxying(80, connect_ports=[443]) as server:
        yield server


def test_failures_and_a_full_house_are_told_and_logged() -> None:
    def silent(peer: Peer) -> None:
        peer.read_request()
        peer.left(10)

    with (
        ScriptedUpstream(silent) as upstream,
        proxying(upstream.port, tunnels=1, first_byte_timeout=0.1) as server,
        RawClient(server.address) as client,
        RawClient(server.address) as other,
    ):
        place = b"localhost:%d" % upstream.port
        client.send(b"CONNECT " + place + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_until(b"\r\n\r\n")
        other.send(b"CONNECT " + place + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        full = other.read_response("GET")
        assert (full.status, full.get("Retry-After")) == (503, b"1")
        other.send(b"GET http://" + place + b"/x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert other.read_response().status == 504
        server.wait_for_output("phase choose, attempt 1: too many tunnels")
        server.wait_for_output(f":{upstream.port}, phase head, attempt 1: nothing within")


def test_an_address_that_nobody_listens_at_is_followed_by_the_next(monkeypatch, caplog) -> None:
    """As `localhost` is ::1 and 127.0.0.1, and the server there has one of them."""
    real = socket.getaddrinfo

    def two(host: str, port: int, *rest: int, **more: int) -> list[object]:
        found = real("127.0.0.1" if host == "two.test" else host, port, *rest, **more)
        return [(*found[0][:4], ("127.0.0.2", port)), *found] if host == "two.test" else found

    with ScriptedUpstream(answering(ok(b"fetched"))) as upstream:
        monkeypatch.setattr(socket, "getaddrinfo", two)
        options = {"allow": ["two.test"], "private": ["127.0.0.0/8"], "clients": ["192.0.2.1"]}
        app = ForwardProxy(**options, ports=[upstream.port], connect_ports=[upstream.port])
        target = b"http://two.test:%d/x" % upstream.port
        assert call(app, environ_of(b"/", **{"wsgikit.raw_target": target})).body == b"fetched"
        assert f"//127.0.0.2:{upstream.port}, phase connect, attempt 1: " in caplog.text
        own, far = socket.socketpair()
        with own, far:
            far.sendall(b"GET / HTTP/1.1\r\nHost: two.test\r\nConnection: close\r\n\r\n")
            far.shutdown(socket.SHUT_WR)
            environ = environ_of(b"CONNECT two.test:%d HTTP/1.1\r\nHost: a\r\n\r\n" % upstream.port)
            app({**environ, "wsgikit.takeover": lambda *_: (own, b"")}, pytest.fail)
            assert far.recv(1000).endswith(b"fetched")


def test_strangers_may_not_use_it() -> None:
    with ScriptedUpstream(answering(ok())) as upstream, proxying(upstream.port, clients=["10.0.0.0/8"]) as server:
        with RawClient(server.address) as client:
            client.send(b"GET http://localhost:%d/ HTTP/1.1\r\nHost: a\r\n\r\n" % upstream.port)
            assert client.read_response().status == 403
        assert upstream.requests == []


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.0.1", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
        "::ffff:10.0.0.1", "::ffff:127.0.0.1", "2002:7f00:1::", "2002:a00:1::1", "64:ff9b::a00:1", "64:ff9b::7f00:1",
        "2001:0:a00:1::1", "fd00:ec2::254", "fec0::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(text: str) -> None:
    from ipaddress import ip_address

    found = ip_address(text)
    assert not all(map(is_public, (found, *embedded(found))))


@pytest.mark.parametrize("text", ["1.1.1.1", "8.8.8.8", "2606:4700::1111"])
def test_addresses_that_are_public(text: str) -> None:
    from ipaddress import ip_address

    found = ip_address(text)
    assert all(map(is_public, (found, *embedded(found))))


def test_names_are_judged_by_where_they_lead() -> None:
    destinations = Destinations(["*"], ())
    with pytest.raises(Forbidden, match="not public"):
        destinations.find("localhost:80", 80, [80])
    with pytest.raises(Forbidden, match="no host"):
        destinations.find("user@localhost:80", 80, [80])
    with pytest.raises(Forbidden, match="port"):
        Destinations(["*"], ()).find("1.1.1.1:22", 80, [80])
    exact = Destinations(["pypi.org", "*.debian.org"], ())
    assert exact.names("PyPI.org.")
    assert exact.names("deb.debian.org")
    assert not exact.names("debian.org")
    assert not exact.names("evildebian.org")
    assert not exact.names("pypi.org.evil.example")


def test_tunnels_end_when_told() -> None:
    (client, far_client), (upstream, far_upstream) = socket.socketpair(), socket.socketpair()
    with client, far_client, upstream, far_upstream:
        started = time.monotonic()
        assert Tunnel(60.0, lambda: True).run(client, upstream, b"", b"") == "over"
        assert time.monotonic() - started < 1
