"""Endpoints that are found: in a file, in DNS, in etcd."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from etcd_server import EtcdServer
from name_server import NameServer
from scripted_upstream import Peer, ScriptedUpstream, answering, ok
from throwaway_certificate import make
from waiting import wait_for
from wsgi_call import call, environ_of

from wsgikit.errors import ConfigError, UpstreamError
from wsgikit.middleware.balancer import Balancer
from wsgikit.middleware.balancer.discovery import Discovery, make_source
from wsgikit.middleware.balancer.discovery_etcd import EtcdSource, _after
from wsgikit.middleware.balancer.discovery_file import FileSource, read
from wsgikit.middleware.balancer.endpoint import EndpointSpec


class Watched:
    """Runs a source in a thread and keeps the lists it found."""

    def __init__(self, source) -> None:
        self.lists: list[list[str]] = []
        self.discovery = Discovery(source, "test", self._found, retry=0.02)
        self.discovery.start()

    def _found(self, specs: Sequence[EndpointSpec]) -> None:
        self.lists.append([spec.url for spec in specs])

    def wait(self, expected: list[str], seconds: float = 5.0) -> None:
        wait_for(lambda: self.lists and self.lists[-1] == expected, say=lambda: self.lists)


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


def test_what_one_family_does_not_tell_stays_as_it_was(names: NameServer, caplog) -> None:
    """Servers that answer SERVFAIL, or nothing, to AAAA are met with in the field."""
    names.table["shop.test.", "A"] = (60, ["10.0.0.1"])
    names.failing = {"AAAA"}
    source = make_source(f"dns:shop.test:80 nameserver={names.place}")
    assert urls(source.look()) == (["http://10.0.0.1"], 5.0)  # type: ignore[attr-defined]
    assert any("AAAA of shop.test stays" in record.message for record in caplog.records)
    names.table["shop.test.", "AAAA"] = (60, ["2001:db8::1"])
    names.failing = set()
    both = ["http://10.0.0.1", "http://[2001:db8::1]"]
    assert urls(source.look()) == (both, 60.0)  # type: ignore[attr-defined]
    names.failing = {"AAAA"}
    assert urls(source.look()) == (both, 5.0)  # type: ignore[attr-defined]
    names.failing = {"*"}
    with pytest.raises(Exception, match="failed to answer"):
        source.look()  # type: ignore[attr-defined]
    names.table.clear()
    names.failing = set()
    with pytest.raises(Exception, match="does not exist"):
        source.look()  # type: ignore[attr-defined]
    names.table["shop.test.", "A"] = (60, ["10.0.0.1"])
    names.failing = {"AAAA"}
    assert urls(source.look()) == (both, 5.0)  # type: ignore[attr-defined]
    names.failing = set()
    assert urls(source.look()) == (["http://10.0.0.1"], 60.0)  # type: ignore[attr-defined]


def test_one_family_alone(names: NameServer) -> None:
    names.table["shop.test.", "A"] = (60, ["10.0.0.1"])
    names.table["shop.test.", "AAAA"] = (60, ["2001:db8::1"])
    for family, url in (("4", "http://10.0.0.1"), ("6", "http://[2001:db8::1]")):
        source = make_source(f"dns:shop.test:80 nameserver={names.place} family={family}")
        assert urls(source.look())[0] == [url]  # type: ignore[attr-defined]


def test_an_alias_that_runs_out_sooner_counts(names: NameServer) -> None:
    names.table["shop.test.", "CNAME"] = (3, ["blue.test."])
    names.table["blue.test.", "A"] = (300, ["10.0.0.1"])
    found = make_source(f"dns:shop.test:80 nameserver={names.place}").look()  # type: ignore[attr-defined]
    assert urls(found) == (["http://10.0.0.1"], 3.0)


def test_an_answer_too_long_for_a_datagram_comes_over_tcp(names: NameServer) -> None:
    addresses = [f"10.0.{number // 250}.{number % 250 + 1}" for number in range(300)]
    names.table["shop.test.", "A"] = (60, addresses)
    names.truncating = True
    found = make_source(f"dns:shop.test:80 nameserver={names.place}").look()  # type: ignore[attr-defined]
    assert len(urls(found)[0]) == 300
    assert names.over_tcp


def test_a_target_without_addresses_is_left_out(names: NameServer, caplog) -> None:
    names.table["_http._tcp.shop.test.", "SRV"] = (30, ["1 5 8001 a.test.", "1 5 8002 gone.test."])
    names.table["a.test.", "A"] = (60, ["10.0.0.1"])
    source = make_source(f"srv:_http._tcp.shop.test nameserver={names.place}")
    assert urls(source.look()) == (["http://10.0.0.1:8001"], 5.0)  # type: ignore[attr-defined]
    assert any("left out" in record.message for record in caplog.records)
    names.table["_http._tcp.shop.test.", "SRV"] = (30, ["0 0 0 ."])
    assert urls(source.look()) == ([], 30.0)  # type: ignore[attr-defined]


def urls(found: tuple[Sequence[EndpointSpec], float]) -> tuple[list[str], float]:
    return [spec.url for spec in found[0]], found[1]


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
        watch(EtcdSource(f"{dead},{etcd.url}/s/", pause=0.01)).wait(["http://c"])


@pytest.mark.parametrize(("prefix", "end"), [(b"/s/", b"/s0"), (b"a\xff", b"b"), (b"\xff", b"\0"), (b"", b"\0")])
def test_the_end_of_a_prefix(prefix: bytes, end: bytes) -> None:
    assert _after(prefix) == end


@pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")
def test_real_etcd(tmp_path: Path, watch) -> None:
    with EtcdServer(tmp_path) as etcd:
        etcd.put("/services/shop/1", "http://a:80")
        seen = watch(make_source(f"etcd:{etcd.url}/services/shop/"))
        seen.wait(["http://a"], 20)
        etcd.put("/services/shop/2", "http://b:80 weight=2")
        etcd.put("/services/other/1", "http://x:80")
        seen.wait(["http://a", "http://b"], 20)
        etcd.delete("/services/shop/1")
        seen.wait(["http://b"], 20)


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")
def test_real_etcd_over_tls_with_users(tmp_path: Path, watch) -> None:
    cert, key = make(tmp_path)
    with EtcdServer(tmp_path, certificate=(cert, key)) as etcd:
        etcd.put("/s/1", "http://a:80")
        with pytest.raises(UpstreamError, match="certificate"):  # we are nobody it knows
            make_source(f"etcd:{etcd.url}/s/ ca={cert}").watch(lambda specs: None, threading.Event())
        watch(make_source(f"etcd:{etcd.url}/s/ ca={cert} cert={cert} key={key}")).wait(["http://a"], 20)
    with EtcdServer(tmp_path / "users") as etcd:
        etcd.put("/s/1", "http://a:80")
        etcd.ask(b"/v3/auth/user/add", {"name": "root", "password": "secret"})
        etcd.ask(b"/v3/auth/role/add", {"name": "root"})
        etcd.ask(b"/v3/auth/user/grant", {"user": "root", "role": "root"})
        etcd.ask(b"/v3/auth/enable", {})
        with pytest.raises(UpstreamError, match="user"):
            make_source(f"etcd:{etcd.url}/s/").watch(lambda specs: None, threading.Event())
        wrong = make_source(f"etcd:{etcd.url}/s/ user=root password=wrong")
        with pytest.raises(UpstreamError, match="password"):
            wrong.watch(lambda specs: None, threading.Event())
        seen = watch(make_source(f"etcd:{etcd.url}/s/ user=root password=secret"))
        seen.wait(["http://a"], 20)
        token = etcd.ask(b"/v3/auth/authenticate", {"name": "root", "password": "secret"})["token"]
        etcd.fields.append((b"Authorization", str(token).encode()))
        etcd.put("/s/2", "http://b:80")
        seen.wait(["http://a", "http://b"], 20)


def test_an_etcd_that_refuses_to_watch_is_not_asked_without_end(watch, caplog) -> None:
    asked: list[bytes] = []

    def script(peer: Peer) -> None:
        while True:
            received = peer.read_request()
            asked.append(received.target)
            if received.target == b"/v3/kv/range":
                values = [kv("/s/1", "http://a:80")]
                peer.answer("200 OK", json.dumps({"header": {"revision": "1"}, "kvs": values}).encode())
            else:
                peer.answer("503 Service Unavailable", b'{"error": "no leader"}')

    with ScriptedUpstream(script) as etcd:
        source = make_source(f"etcd:{etcd.url}/s/")
        stop = threading.Event()
        with pytest.raises(UpstreamError, match="no leader"):
            source.watch(lambda specs: None, stop)
        assert asked == [b"/v3/kv/range", b"/v3/watch"]


def test_a_watch_that_ends_at_once_is_followed_by_a_pause() -> None:
    asked: list[bytes] = []

    def script(peer: Peer) -> None:
        while True:
            received = peer.read_request()
            asked.append(received.target)
            answer = {"header": {"revision": "1"}, "kvs": [kv("/s/1", "http://a:80")]}
            peer.answer("200 OK", json.dumps(answer).encode() if received.target == b"/v3/kv/range" else b"")

    stop = threading.Event()
    with ScriptedUpstream(script) as etcd:
        source = EtcdSource(f"{etcd.url}/s/", pause=0.2)
        thread = threading.Thread(target=source.watch, args=(lambda specs: None, stop))
        thread.start()
        wait_for(lambda: asked.count(b"/v3/watch") >= 3)
        began, counted = time.monotonic(), asked.count(b"/v3/watch")
        wait_for(lambda: asked.count(b"/v3/watch") >= counted + 2)
        assert time.monotonic() - began > 0.2
        stop.set()
        thread.join(5)


@pytest.mark.parametrize(
    "text",
    ["", "file:", "dns:shop", "dns:shop:0", "dns:shop:80 scheme=ftp", "dns:shop:80 weight=0", "srv:", "consul:x",
     "etcd:http://a:1/s/ user=x", "etcd:https://a:1/s/ ca=/nonexistent", "etcd:http://a:1/s/ pasword=x",
     "dns:shop:80 nameserver=x", "dns:shop:80 family=5", "etcd:10.0.0.1:2379", "file:x y=1"],
)  # fmt: skip
def test_wrong_sources(text: str) -> None:
    with pytest.raises(ConfigError, match="discover"):
        make_source(text)


def test_no_password_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        make_source("etcd:http://a:1/s/ user=x password=secret colour=red")
    assert "unknown option 'colour'" in str(caught.value)
    assert "secret" not in str(caught.value)
    app = Balancer(discover="etcd:http://127.0.0.1:1/s/ user=x password=secret")
    try:
        assert "secret" not in app.name + app.describe() + repr(app)
    finally:
        app.close()


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


def test_a_source_that_works_but_for_moments_is_soon_asked_again() -> None:
    """The pause doubles from failure to failure, but not over a time in which it was well."""

    class Faltering:
        tries = 0

        def watch(self, found, stop) -> None:
            self.tries += 1
            found([EndpointSpec.parse("http://a")])  # always the same
            raise OSError("for a moment")

    source = Faltering()
    discovery = Discovery(source, "test", lambda specs: None, retry=0.01)
    discovery.start()
    try:
        wait_for(lambda: source.tries >= 50)  # with pauses that double this would take ages
    finally:
        discovery.stop()
