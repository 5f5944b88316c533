"""The clients of FastCGI, SCGI and uwsgi against upstreams that do what a script says."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from scripted_upstream import Peer, ScriptedUpstream

from wsgikit.client import Client, ClientSettings, GatewaySettings, Origin, Request
from wsgikit.client.fastcgi import FastcgiClient
from wsgikit.client.gateway_variables import Refused, make_variables
from wsgikit.client.scgi import ScgiClient
from wsgikit.client.uwsgi import UwsgiClient
from wsgikit.errors import ConfigError, UpstreamError, UpstreamTimeout
from wsgikit.wire.cgi import VariableLimits
from wsgikit.wire.fastcgi import Kind, RecordReader, format_end, format_record, format_stream, parse_begin, parse_pairs
from wsgikit.wire.scgi import parse_scgi
from wsgikit.wire.uwsgi import parse_uwsgi

LIMITS = VariableLimits()
Variables = dict[bytes, bytes]


def read_single(peer: Peer, parse: Callable) -> tuple[Variables, bytes]:
    """A request of SCGI or uwsgi."""
    buffer = b""
    while (found := parse(buffer, LIMITS)) is None:
        buffer += peer.read_some()
    variables = dict(found[0] if parse is parse_scgi else found.variables)
    rest = buffer[found[-1] :]
    length = int(variables.get(b"CONTENT_LENGTH", b"0"))
    while len(rest) < length:
        rest += peer.read_some()
    return variables, rest


def read_fastcgi(peer: Peer) -> tuple[Variables, bytes, bool]:
    """A request of FastCGI, and whether the connection is to be kept."""
    reader, params, body, keep = RecordReader(), b"", b"", False
    while True:
        for record in reader.feed(peer.read_some()):
            assert record.request == 1
            if record.kind == Kind.BEGIN_REQUEST:
                keep = parse_begin(record.content).keep
            elif record.kind == Kind.PARAMS:
                params += record.content
            elif record.content:
                body += record.content
            else:
                return dict(parse_pairs(params, LIMITS)), body, keep


def read_to_the_end(peer: Peer) -> None:
    while True:
        peer.read_some()


def client_of(upstream: ScriptedUpstream, wire: str, **settings) -> Client:
    gateway = GatewaySettings(**settings.pop("gateway", {}))
    return Client(upstream.url.replace("http", wire, 1), ClientSettings(gateway=gateway, **settings))


def test_the_url_chooses_the_class() -> None:
    assert type(Client("http://127.0.0.1:1")) is Client
    assert type(Client("https://127.0.0.1:1")) is Client
    assert type(Client("fastcgi://127.0.0.1")) is FastcgiClient
    assert type(Client("scgi://127.0.0.1:4000")) is ScgiClient
    assert type(Client(Origin.parse("uwsgi+unix:/run/a.sock"))) is UwsgiClient
    assert Origin.parse("fastcgi://[::1]:9001/").url == "fastcgi://[::1]:9001"
    assert Origin.parse("fastcgi://10.0.0.1").url == "fastcgi://10.0.0.1"
    for wrong in ("scgi://127.0.0.1", "uwsgi://127.0.0.1:0", "fastcgi://127.0.0.1/base", "ajp://127.0.0.1:1"):
        with pytest.raises(ConfigError):
            Origin.parse(wrong)


@pytest.mark.parametrize(("wire", "parse"), [("scgi", parse_scgi), ("uwsgi", parse_uwsgi)])
def test_a_request_over_scgi_and_uwsgi(wire, parse, tmp_path) -> None:
    seen: list[tuple[Variables, bytes]] = []

    def script(peer: Peer) -> None:
        seen.append(read_single(peer, parse))
        status = b"HTTP/1.1 404 Not Here" if wire == "uwsgi" else b"Status: 404 Not Here"
        peer.send(status + b"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nbody")

    with ScriptedUpstream(script, path=str(tmp_path / "s")) as upstream, client_of(upstream, wire) as client:
        with client.post(
            b"/a%20b?x", b"hello", (b"Content-Type", b"text/plain"), (b"X-A", b"1"), (b"X-A", b"2")
        ) as answer:
            assert (answer.status, answer.reason, answer.read_all(100)) == (404, b"Not Here", b"body")
            assert answer.get_all(b"set-cookie") == [b"a=1", b"b=2"]
        assert len(client.pool) == 0
    variables, body = seen[0]
    assert body == b"hello"
    expected = {
        b"REQUEST_METHOD": b"POST",
        b"REQUEST_URI": b"/a%20b?x",
        b"PATH_INFO": b"/a b",
        b"SCRIPT_NAME": b"",
        b"QUERY_STRING": b"x",
        b"CONTENT_LENGTH": b"5",
        b"CONTENT_TYPE": b"text/plain",
        b"HTTP_X_A": b"1, 2",
    }
    assert {name: variables.get(name) for name in expected} == expected
    assert b"HTTP_CONTENT_LENGTH" not in variables


def test_a_body_without_a_length_is_measured_or_sent_in_records() -> None:
    def script(peer: Peer) -> None:
        body = read_single(peer, parse_scgi)[1]
        peer.send(b"Content-Type: a\r\n\r\n" + body.upper())

    def fast(peer: Peer) -> None:
        variables, body, _ = read_fastcgi(peer)
        assert b"CONTENT_LENGTH" not in variables
        peer.send(format_stream(Kind.STDOUT, 1, b"Content-Type: a\r\n\r\n" + body.upper(), end=True) + format_end(1, 0))

    fields = ((b"Transfer-Encoding", b"chunked"),)
    for wire, server in (("scgi", script), ("fastcgi", fast)):
        request = Request(method="POST", target=b"/", fields=fields, body=iter([b"ab", b"", b"c" * 70_000]))
        with ScriptedUpstream(server) as upstream, client_of(upstream, wire) as client, client.send(request) as answer:
            assert answer.read_all(100_000) == b"AB" + b"C" * 70_000


def test_fastcgi_keeps_connections_where_it_may() -> None:
    def script(peer: Peer) -> None:
        while True:
            keep = read_fastcgi(peer)[2]
            peer.send(format_record(Kind.STDOUT, 1, b"Content-Length: 2\r\n\r\nok") + format_end(1, 0))
            if not keep:
                return

    with ScriptedUpstream(script) as upstream:
        with client_of(upstream, "fastcgi", gateway={"keep": True}) as client:
            for _ in range(3):
                with client.get(b"/") as answer:
                    assert answer.read_all(9) == b"ok"
            assert upstream.connections == 1
            with client.get(b"/") as answer:
                pass  # left unread: the connection cannot serve again
        with client_of(upstream, "fastcgi") as client:
            for _ in range(2):
                with client.get(b"/") as answer:
                    assert answer.read_all(9) == b"ok"
        assert upstream.connections == 3


def test_fastcgi_records_in_any_pieces(caplog) -> None:
    head = b"Status: 201 Made\r\nContent-Length: 6\r\n\r\n"
    wire = (
        format_record(Kind.STDERR, 1, b"a warning\nand another\n")
        + format_record(Kind.STDOUT, 1, head[:10])
        + format_record(Kind.STDOUT, 1, head[10:] + b"ab")
        + format_record(Kind.STDOUT, 7, b"of somebody else")
        + format_record(Kind.STDOUT, 1, b"cdef")
        + format_record(Kind.STDOUT, 1)
        + format_end(1, 0, 3)
    )

    def script(peer: Peer) -> None:
        read_fastcgi(peer)
        for start in range(0, len(wire), 7):
            peer.send(wire[start : start + 7])

    with ScriptedUpstream(script) as upstream, client_of(upstream, "fastcgi") as client, client.get(b"/") as answer:
        assert (answer.status, answer.read_all(9)) == (201, b"abcdef")
    logged = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [line.partition("stderr: ")[2] for line in logged] == ["a warning", "and another"]


HEAD = b"Content-Length: 4\r\n\r\n"


@pytest.mark.parametrize(
    ("wire", "phase"),
    [
        (b"", "head"),
        (format_record(Kind.STDOUT, 1, b"Content-Le"), "head"),
        (format_record(Kind.STDOUT, 1, b"nonsense\n\n"), "head"),
        (format_end(1, 0), "head"),
        (format_end(1, 2), "head"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "head"),
        (format_record(Kind.STDOUT, 1, HEAD + b"ab"), "body"),
        (format_record(Kind.STDOUT, 1, HEAD + b"abcd"), "body"),
        (format_record(Kind.STDOUT, 1, HEAD + b"ab") + format_end(1, 0), "body"),
        (format_record(Kind.STDOUT, 1, HEAD + b"abcde") + format_end(1, 0), "body"),
        (format_record(Kind.STDOUT, 1, b"A: b\n\nwithout a length"), "body"),
    ],
)
def test_fastcgi_responses_that_are_none_or_are_cut_short(wire, phase) -> None:
    def script(peer: Peer) -> None:
        read_fastcgi(peer)
        peer.send(wire)

    def read() -> None:
        with client.get(b"/") as answer:
            answer.read_all(100)

    with ScriptedUpstream(script) as upstream, client_of(upstream, "fastcgi") as client:
        with pytest.raises(UpstreamError) as caught:
            read()
        assert caught.value.phase == phase
        assert len(client.pool) == 0


def test_a_head_response_and_bodies_that_must_not_be() -> None:
    def script(peer: Peer) -> None:
        read_fastcgi(peer)
        peer.send(format_record(Kind.STDOUT, 1, b"Status: 304\nContent-Length: 4\n\nbody") + format_end(1, 0))

    with ScriptedUpstream(script) as upstream, client_of(upstream, "fastcgi") as client, client.get(b"/") as answer:
        assert (answer.status, answer.read_all(9)) == (304, b"")


def test_an_early_answer_ends_the_upload() -> None:
    def script(peer: Peer) -> None:
        peer.read_some()
        peer.send(format_record(Kind.STDOUT, 1, b"Status: 413\n\ntoo much") + format_end(1, 0))
        read_to_the_end(peer)

    def blocks():
        for _ in range(1000):
            yield b"x" * 65536

    request = Request(method="POST", target=b"/", fields=((b"Transfer-Encoding", b"chunked"),), body=blocks())
    with ScriptedUpstream(script) as upstream, client_of(upstream, "fastcgi", gateway={"keep": True}) as client:
        with client.send(request) as answer:
            assert (answer.status, answer.read_all(99)) == (413, b"too much")
            assert not answer.whole
        assert len(client.pool) == 0


def test_time_runs_out() -> None:
    with ScriptedUpstream(read_to_the_end) as upstream:
        for wire in ("fastcgi", "scgi", "uwsgi"):
            with client_of(upstream, wire, first_byte_timeout=0.1) as client, pytest.raises(UpstreamTimeout):
                client.get(b"/")


def test_a_local_redirect_is_the_client_s_to_follow() -> None:
    def script(peer: Peer) -> None:
        read_single(peer, parse_scgi)
        peer.send(b"Location: /there?a=b\n\n")

    with ScriptedUpstream(script) as upstream, client_of(upstream, "scgi") as client, client.get(b"/") as answer:
        assert (answer.status, answer.get_all(b"location")) == (302, [b"/there?a=b"])


def test_what_a_wire_cannot_carry_is_answered_here() -> None:
    with ScriptedUpstream(lambda peer: None) as upstream:
        with client_of(upstream, "scgi") as client, client.get(b"/a%00b") as answer:
            assert (answer.status, answer.done) == (400, False)
            assert answer.read_all(99) == b"400 Bad Request\n"
        with client_of(upstream, "uwsgi") as client, client.get(b"/", (b"X", b"y" * 66_000)) as answer:
            assert answer.status == 431
        assert upstream.connections == 0


def variables(target: bytes, mount: bytes = b"", environ: dict | None = None, **settings) -> Variables:
    request = Request(
        method="GET", target=target, fields=((b"Host", b"shop.example:81"),), environ=environ, mount=mount
    )
    return make_variables(request, 0, GatewaySettings(**settings))


PHP = {"root": "/srv/php"}
FRONT = {"root": "/srv/php", "front": "/index.php"}


@pytest.mark.parametrize(
    ("target", "settings", "script", "info"),
    [
        (b"/", PHP, b"/index.php", b""),
        (b"/a/", PHP, b"/a/index.php", b""),
        (b"/a.php", PHP, b"/a.php", b""),
        (b"/a.php/b/c?d", PHP, b"/a.php", b"/b/c"),
        (b"/a.php/b.php", PHP, b"/a.php", b"/b.php"),
        (b"/x/../a.php", PHP, b"/a.php", b""),
        (b"/%2e%2e/%2e%2e/etc/a.php", PHP, b"/etc/a.php", b""),
        (b"//a.php", PHP, b"/a.php", b""),
        (b"/caf%C3%A9.php", PHP, b"/caf\xc3\xa9.php", b""),
        (b"/pretty/url", FRONT, b"/index.php", b""),
        (b"/pretty/", FRONT, b"/index.php", b""),
        (b"/.php", PHP, b"/.php", b""),
    ],
)
def test_scripts(target, settings, script, info) -> None:
    found = variables(target, **settings)
    assert (found[b"SCRIPT_NAME"], found[b"PATH_INFO"]) == (script, info)
    assert found[b"SCRIPT_FILENAME"] == b"/srv/php" + script
    assert found[b"DOCUMENT_ROOT"] == b"/srv/php"
    assert found.get(b"PATH_TRANSLATED") == (b"/srv/php" + info if info else None)


@pytest.mark.parametrize("target", [b"/style.css", b"/a.php%00.jpg", b"/a%00.php", b"/a.phps", b"/a"])
def test_paths_that_name_no_script(target) -> None:
    with pytest.raises(Refused) as caught:
        variables(target, **PHP)
    assert caught.value.status == 404


def test_mounts_and_what_is_told_of_the_client() -> None:
    environ = {
        "REMOTE_ADDR": "192.0.2.1",
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": "443",
        "wsgi.url_scheme": "https",
        "HTTP_SECRET": "not passed by this way",
    }
    found = variables(b"/a.php/b", b"/caf\xc3\xa9", environ, **PHP, params={"MODE": "test", "DOCUMENT_ROOT": "/else"})
    assert found[b"SCRIPT_NAME"] == b"/caf\xc3\xa9/a.php"
    assert found[b"REQUEST_URI"] == b"/caf%C3%A9/a.php/b"
    assert (found[b"REMOTE_ADDR"], found[b"HTTPS"], found[b"SERVER_PORT"]) == (b"192.0.2.1", b"on", b"443")
    assert (found[b"MODE"], found[b"DOCUMENT_ROOT"]) == (b"test", b"/else")
    assert b"HTTP_SECRET" not in found
    app = variables(b"/x", b"/shop")
    assert (app[b"SCRIPT_NAME"], app[b"PATH_INFO"], app[b"REQUEST_URI"]) == (b"/shop", b"/x", b"/shop/x")
    assert (app[b"SERVER_NAME"], app[b"SERVER_PORT"]) == (b"shop.example", b"81")
    assert b"HTTPS" not in app


def test_fields_that_must_not_pass() -> None:
    fields = (
        (b"Host", b"a"),
        (b"Proxy", b"evil"),
        (b"X_Under", b"1"),
        (b"Cookie", b"a"),
        (b"Cookie", b"b"),
        (b"TE", b"x"),
    )
    found = make_variables(Request(method="GET", target=b"/", fields=fields), None, GatewaySettings())
    assert not {b"HTTP_PROXY", b"HTTP_X_UNDER", b"HTTP_TE", b"CONTENT_LENGTH"} & found.keys()
    assert found[b"HTTP_COOKIE"] == b"a; b"
