"""Endpoints that come and go under load, as a file, DNS and etcd tell: no request is lost over it.

Every answer is checked to the byte (`steady_load`). Counts are printed (-s).
"""

from __future__ import annotations

import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from etcd_server import EtcdServer
from name_server import NameServer
from steady_load import Load, again, endpoint, front, urls
from waiting import wait_for

pytestmark = pytest.mark.soak

LOOPBACKS = ("127.0.0.1", "127.0.0.2", "127.0.0.3", "::1")


def test_a_file_that_changes(tmp_path: Path) -> None:
    with ExitStack() as stack:
        endpoints = [stack.enter_context(endpoint()) for _ in range(4)]
        known = [f"http://127.0.0.1:{each.port}" for each in endpoints]
        path = tmp_path / "endpoints"
        path.write_text("\n".join(known[:2]))
        server = stack.enter_context(front({"discover": f"file:{path}"}))
        with Load(server) as load:
            for turn in range(8):
                load.after(300)
                new = tmp_path / "new"
                new.write_text("\n".join(known[turn % 4 :] + known[: max(0, turn % 4 - 2)]))
                new.replace(path)
                time.sleep(0.5)
    assert load.wrong == []
    assert load.errors("GET", "HEAD", "POST") == 0, load.counts


@pytest.fixture
def names() -> Iterator[NameServer]:
    pytest.importorskip("dns")
    server = NameServer()
    yield server
    server.close()


def common_port() -> int:
    """A port that is free on all loopback addresses."""
    for _ in range(50):
        with ExitStack() as stack:
            port = 0
            try:
                for host in LOOPBACKS:
                    family = socket.AF_INET6 if ":" in host else socket.AF_INET
                    sock = stack.enter_context(socket.socket(family))
                    sock.bind((host, port))
                    port = sock.getsockname()[1]
            except OSError:
                continue
            return port
    pytest.skip("no port is free on all loopback addresses, or there is no IPv6")


def test_addresses_in_dns_that_change_run_out_and_fail(names: NameServer) -> None:
    port = common_port()
    places = {host: f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}" for host in LOOPBACKS}
    with ExitStack() as stack:
        for host in LOOPBACKS:
            stack.enter_context(again(port, host))
        names.table["shop.test.", "A"] = (1, ["127.0.0.1", "127.0.0.2"])
        server = stack.enter_context(front({"discover": f"dns:shop.test:{port} nameserver={names.place}"}))
        with Load(server) as load:

            def told(*hosts: str) -> None:
                load.after(300)
                # twice in each of two workers, which the page is asked of in turn
                wait_for(lambda: all(urls(server) == sorted(places[host] for host in hosts) for _ in range(6)))
                load.after(300)

            told("127.0.0.1", "127.0.0.2")
            names.table["shop.test.", "A"] = (1, ["127.0.0.2", "127.0.0.3"])
            told("127.0.0.2", "127.0.0.3")
            names.table["shop.test.", "AAAA"] = (1, ["::1"])
            told("127.0.0.2", "127.0.0.3", "::1")
            for trouble in ("SERVFAIL", "NXDOMAIN", "silence", "AAAA alone fails"):
                before = len(names.asked)
                table = dict(names.table)
                names.failing = {"SERVFAIL": {"*"}, "AAAA alone fails": {"AAAA"}}.get(trouble, set())
                names.silent = {"*"} if trouble == "silence" else set()
                if trouble == "NXDOMAIN":
                    names.table.clear()
                wait_for(lambda before=before: len(names.asked) >= before + 4, 30)
                told("127.0.0.2", "127.0.0.3", "::1")  # the last list stays
                names.failing, names.silent = set(), set()
                names.table.update(table)
            names.truncating = True
            names.table["shop.test.", "A"] = (1, [])
            wait_for(lambda: all(urls(server) == [places["::1"]] for _ in range(6)), 60)
            told("::1")
            assert names.over_tcp
    assert load.wrong == []
    assert load.errors("GET", "HEAD", "POST") == 0, load.counts


def test_services_in_dns_that_change(names: NameServer) -> None:
    with ExitStack() as stack:
        ports = [stack.enter_context(endpoint()).port for _ in range(4)]
        places = [f"http://127.0.0.1:{port}" for port in ports]
        key = "_http._tcp.shop.test.", "SRV"
        names.table["a.test.", "A"] = (1, ["127.0.0.1"])
        names.table[key] = (1, [f"1 5 {ports[0]} a.test.", f"1 5 {ports[1]} a.test."])
        server = stack.enter_context(front({"discover": f"srv:_http._tcp.shop.test nameserver={names.place}"}))
        with Load(server) as load:

            def told(*numbers: int) -> None:
                wait_for(lambda: all(urls(server) == sorted(places[n] for n in numbers) for _ in range(6)), 30)
                load.after(500)

            told(0, 1)
            names.table[key] = (1, [f"1 5 {ports[1]} a.test.", f"2 5 {ports[2]} a.test."])
            told(1, 2)
            names.table[key] = (1, [f"1 5 {ports[2]} a.test.", f"1 1 {ports[3]} a.test.", "1 1 80 gone.test."])
            told(2, 3)  # one target has no address: the others are used
            names.table[key] = (1, ["0 0 0 ."])
            told(2, 3)  # the service is said not to be there: not believed
            names.failing = {"SRV"}
            told(2, 3)
            names.failing = set()
            names.table[key] = (1, [f"1 5 {port} a.test." for port in ports])
            told(0, 1, 2, 3)
    assert load.wrong == []
    assert load.errors("GET", "HEAD", "POST") == 0, load.counts


@pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")
def test_registrations_in_etcd_that_come_and_go(tmp_path: Path) -> None:
    """A real etcd: put, delete, a lease that runs out, compaction, killed and started again, stopped for a while."""
    with ExitStack() as stack:
        places = [f"http://127.0.0.1:{stack.enter_context(endpoint()).port}" for _ in range(4)]
        etcd = stack.enter_context(EtcdServer(tmp_path))
        etcd.put("/shop/0", places[0])
        etcd.put("/shop/1", places[1] + " weight=2")
        server = stack.enter_context(front({"discover": f"etcd:{etcd.url}/shop/"}))
        with Load(server) as load:

            def told(*numbers: int) -> None:
                wait_for(lambda: all(urls(server) == sorted(places[n] for n in numbers) for _ in range(6)), 40)
                load.after(500)

            told(0, 1)
            etcd.put("/shop/2", places[2])
            told(0, 1, 2)
            etcd.delete("/shop/0")
            told(1, 2)
            etcd.put("/shop/3", places[3], lease=etcd.lease(2))
            told(1, 2, 3)
            told(1, 2)  # the lease has run out
            etcd.compact()
            etcd.put("/shop/0", places[0])
            told(0, 1, 2)
            etcd.kill()
            load.after(1000)
            told(0, 1, 2)
            etcd.start()
            etcd.delete("/shop/1")
            told(0, 2)
            etcd.signal(signal.SIGSTOP)
            load.after(1000)
            etcd.signal(signal.SIGCONT)
            etcd.put("/shop/1", places[1])
            told(0, 1, 2)
            for turn in range(20):
                etcd.put("/shop/3", f"{places[3]} weight={turn + 1}")
                etcd.delete("/shop/3")
            load.after(500)
            told(0, 1, 2)
    assert load.wrong == []
    assert load.errors("GET", "HEAD", "POST") == 0, load.counts
