"""Endpoints that are found: in a file, in DNS, in etcd."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from scripted_upstream import Peer, ScriptedUpstream, answering, ok
from wsgi_call import call, environ_of

from wsgikit.errors import ConfigError
from wsgikit.middleware.balancer import Balancer
from wsgikit.middleware.balancer.discovery import Discovery, make_source
from wsgikit.middleware.balancer.discovery_etcd import EtcdSource, _after
from wsgikit.middleware.balancer.discovery_file import FileSource, read
from wsgikit.middleware.balancer.endpoint import EndpointSpec
from wsgikit.testing import free_port, wait_until_accepts


class Watched:
    """Runs a source in a thread and keeps the lists it found."""

    def __init__(self, source) -> None:
        self.lists: list[list[str]] = []
        self.discovery = Discovery(source, "test", self._found, retry=0.02)
        self.discovery.start()

    def _found(self, specs: Sequence[EndpointSpec]) -> None:
        self.lists.append([spec.url for spec in specs])

    def wait(self, expected: list[str], seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while not self.lists or self.lists[-1] != expected:
            assert time.monotonic() < deadline, self.lists
            time.sleep(0.005)


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    started: list[Watched] = []

    def begin(source) -> Watched:
        started.append(Watched(source))
        return started[-1]

    yield begin
    for each in started:
        each.discovery.stop()


# Files


def test_a_file_is_read_and_watched(tmp_path: Path, watch) -> None:
    path = tmp_path / "endpoints"
    path.write_text("# the shop\nhttp://a:8000 weight=2\n\nhttp://b:8000 backup # spare\n")
    assert [spec.weight for spec in read(path)] == [2, 1]
    seen = watch(FileSource("endpoints", str(tmp_path), every=0.01))
    seen.wait(["http://a:8000", "http://b:8000"])
    new = tmp_path / "new"
    new.write_text("http://c:8000\n")
    os.replace(new, path)
    seen.wait(["http://c:8000"])


def test_a_broken_or_empty_file_changes_nothing(tmp_path: Path, watch, caplog) -> None:
    path = tmp_path / "endpoints"
    path.write_text("http://a:8000\n")
    seen = watch(FileSource(str(path), every=0.01))
    seen.wait(["http://a:8000"])
    path.write_text("http://a:8000\nrubbish\n")
    wait_for(lambda: any(f"{path}:2" in record.message for record in caplog.records))
    path.write_text("# nothing\n")
    wait_for(lambda: any("no endpoint at all" in record.message for record in caplog.records))
    path.unlink()
    wait_for(lambda: any("No such file" in record.message for record in caplog.records))
    assert seen.lists == [["http://a:8000"]]
    path.write_text("http://b:8000\n")
    seen.wait(["http://b:8000"])


def test_a_balancer_lives_on_what_is_found(tmp_path: Path) -> None:
    with ScriptedUpstream(answering(ok(b"one"))) as one, ScriptedUpstream(answering(ok(b"two"))) as two:
        path = tmp_path / "endpoints"
        path.write_text(one.url)
        app = Balancer(discover=f"file:{path}", name="found")
        app._source = FileSource(str(path), every=0.01)
        try:
            assert app.describe() == "found (p2c): none yet"
            assert call(app, environ_of(b"/")).body == b"one"
            path.write_text(two.url)
            wait_for(lambda: call(app, environ_of(b"/")).body == b"two")
        finally:
            app.close()


def test_nothing_found_is_503(tmp_path: Path) -> None:
    app = Balancer(discover=f"file:{tmp_path / 'missing'}", queue_timeout=0.05)
    try:
        answer = call(app, environ_of(b"/"))
        assert (answer.code, answer.get("Retry-After")) == (503, "1")
    finally:
        app.close()


# DNS

dns = pytest.importorskip("dns")


class NameServer:
    """Answers UDP questions from a table: (name, kind) to (ttl, [text, ...])."""

    def __init__(self) -> None:
        self.table: dict[tuple[str, str], tuple[int, list[str]]] = {}
        self.asked: list[tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rdatatype
        import dns.rrset

        while True:
            data, peer = self._socket.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            question = query.question[0]
            key = str(question.name), dns.rdatatype.to_text(question.rdtype)
            self.asked.append(key)
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.RA
            if key in self.table:
                ttl, texts = self.table[key]
                if texts:
                    answer.answer.append(dns.rrset.from_text(question.name, ttl, "IN", key[1], *texts))
            elif not any(name == key[0] for name, _ in self.table):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            self._socket.sendto(answer.to_wire(), peer)

    def close(self) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()


@pytest.fixture
def names() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.close()


def test_addresses_are_asked_for_again_when_they_run_out(names: NameServer, watch) -> None:
    names.table["shop.test.", "A"] = (1, ["10.0.0.2", "10.0.0.1"])
    names.table["shop.test.", "AAAA"] = (60, ["2001:db8::1"])
    source = make_source(f"dns:shop.test:8000 nameserver={names.place} weight=2 max_connections=5")
    specs, ttl = source.look()  # type: ignore[attr-defined]
    assert ttl == 1
    assert {(spec.weight, spec.max_connections) for spec in specs} == {(2, 5)}
    seen = watch(source)
    seen.wait(["http://10.0.0.1:8000", "http://10.0.0.2:8000", "http://[2001:db8::1]:8000"])
    names.table["shop.test.", "A"] = (1, ["10.0.0.3"])
    names.table["shop.test.", "AAAA"] = (60, [])
    seen.wait(["http://10.0.0.3:8000"])


def test_services_have_weights_ports_and_priorities(names: NameServer) -> None:
    names.table["_http._tcp.shop.test.", "SRV"] = (30, ["1 5 8001 a.test.", "1 0 8002 b.test.", "2 9 8003 a.test."])
    names.table["a.test.", "A"] = (20, ["10.0.0.1"])
    names.table["b.test.", "A"] = (90, ["10.0.0.2"])
    specs, ttl = make_source(f"srv:_http._tcp.shop.test nameserver={names.place} scheme=https").look()  # type: ignore[attr-defined]
    assert ttl == 20
    assert [(spec.url, spec.weight, spec.backup) for spec in specs] == [
        ("https://10.0.0.1:8001", 5, False), ("https://10.0.0.2:8002", 1, False), ("https://10.0.0.1:8003", 9, True),
    ]  # fmt: skip


def test_a_name_that_vanishes_leaves_the_last_list(names: NameServer, watch, caplog) -> None:
    names.table["shop.test.", "A"] = (1, ["10.0.0.1"])
    seen = watch(make_source(f"dns:shop.test:80 nameserver={names.place}"))
    seen.wait(["http://10.0.0.1"])
    names.table.clear()
    wait_for(lambda: any("discovery failed" in record.message for record in caplog.records))
    assert seen.lists == [["http://10.0.0.1"]]


# etcd


def kv(key: str, value: str) -> dict[str, str]:
    return {"key": b64encode(key.encode()).decode(), "value": b64encode(value.encode()).decode()}


def test_a_list_and_then_what_changes(watch, caplog) -> None:
    go = threading.Event()
    asked: list[dict[str, object]] = []

    def script(peer: Peer) -> None:
        while True:
            received = peer.read_request()
            asked.append(json.loads(received.body or b""))
            if received.target == b"/v3/kv/range":
                values = [kv("/s/1", "http://a:80"), kv("/s/2", "rubbish"), kv("/s/3", "http://b:80 weight=2")]
                peer.answer("200 OK", json.dumps({"header": {"revision": "41"}, "kvs": values}).encode())
                continue
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            events = (
                {"created": True},
                {"events": [{"kv": kv("/s/4", "http://c:80")}]},
                {"events": [{"type": "DELETE", "kv": {"key": kv("/s/1", "")["key"]}}]},
            )
            for event in events:
                assert go.wait(5)
                go.clear()
                line = json.dumps({"result": event}).encode() + b"\n"
                for piece in (line[:7], line[7:]):
                    peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            peer.left(5)

    with ScriptedUpstream(script) as etcd:
        seen = watch(make_source(f"etcd:{etcd.url}/s/"))
        seen.wait(["http://a", "http://b"])
        assert any("/s/2" in record.message for record in caplog.records)
        go.set()
        wait_for(lambda: not go.is_set())
        go.set()
        seen.wait(["http://a", "http://b", "http://c"])
        go.set()
        seen.wait(["http://b", "http://c"])
        assert b64decode(str(asked[0]["key"])) == b"/s/"
        assert b64decode(str(asked[0]["range_end"])) == b"/s0"
        assert asked[1]["create_request"]["start_revision"] == "42"  # type: ignore[index]
        seen.discovery.stop()


def test_a_compacted_watch_and_a_broken_server_lead_to_a_new_list(watch) -> None:
    lists = iter(["http://a:80", "http://b:80", "http://c:80"])

    def script(peer: Peer) -> None:
        while True:
            received = peer.read_request()
            if received.target == b"/v3/kv/range":
                values = [kv("/s/1", next(lists, "http://c:80"))]
                peer.answer("200 OK", json.dumps({"header": {"revision": "1"}, "kvs": values}).encode())
            else:
                peer.answer("200 OK", b'{"result": {"canceled": true, "compact_revision": "9"}}\n')

    with ScriptedUpstream(script) as etcd, socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        watch(EtcdSource(f"{dead},{etcd.url}/s/")).wait(["http://c"])


@pytest.mark.parametrize(("prefix", "end"), [(b"/s/", b"/s0"), (b"a\xff", b"b"), (b"\xff", b"\0"), (b"", b"\0")])
def test_the_end_of_a_prefix(prefix: bytes, end: bytes) -> None:
    assert _after(prefix) == end


@pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")
def test_real_etcd(tmp_path: Path, watch) -> None:
    client, peer = free_port(), free_port()
    url = f"http://127.0.0.1:{client}"
    command = [
        "etcd",
        "--data-dir",
        str(tmp_path / "data"),
        "--listen-client-urls",
        url,
        "--advertise-client-urls",
        url,
    ]
    command += ["--listen-peer-urls", f"http://127.0.0.1:{peer}", "--log-level", "error"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            assert wait_until_accepts(("127.0.0.1", client), 20)
            put(url, "/services/shop/1", "http://a:80")
            seen = watch(make_source(f"etcd:{url}/services/shop/"))
            seen.wait(["http://a"], 20)
            put(url, "/services/shop/2", "http://b:80 weight=2")
            put(url, "/services/other/1", "http://x:80")
            seen.wait(["http://a", "http://b"], 20)
            put(url, "/services/shop/1", None)
            seen.wait(["http://b"], 20)
        finally:
            process.kill()


def put(url: str, key: str, value: str | None) -> None:
    from wsgikit.client import Client

    target = b"/v3/kv/put" if value is not None else b"/v3/kv/deleterange"
    body = kv(key, value or "") if value is not None else {"key": kv(key, "")["key"]}
    deadline = time.monotonic() + 20
    while True:  # a fresh etcd accepts before it has elected itself
        with Client(url) as client, client.post(target, json.dumps(body).encode()) as response:
            if response.status == 200:
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    "text",
    ["", "file:", "dns:shop", "dns:shop:0", "dns:shop:80 scheme=ftp", "dns:shop:80 weight=0", "srv:", "consul:x",
     "dns:shop:80 nameserver=x", "etcd:10.0.0.1:2379", "file:x y=1"],
)  # fmt: skip
def test_wrong_sources(text: str) -> None:
    with pytest.raises(ConfigError, match="discover"):
        make_source(text)


def test_sources_are_tried_again(watch, caplog) -> None:
    class Failing:
        tries = 0

        def watch(self, found, stop) -> None:
            self.tries += 1
            if self.tries == 1:
                raise OSError("not today")
            found([EndpointSpec.parse("http://a")])
            stop.wait()

    caplog.set_level(logging.INFO, "wsgikit.forward")
    watch(Failing()).wait(["http://a"])
    assert any("not today" in record.message for record in caplog.records)


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
