"""Four endpoints under load, and what happens to one of them: killed, stopped, slow, reset, cut off, rolled.

Every answer is checked to the byte (`steady_load`). Counts are printed (-s).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from contextlib import ExitStack

import pytest
from scripted_upstream import Peer, ScriptedUpstream
from steady_load import FILE, Load, addresses, again, children, endpoint, field, front, say, state
from waiting import wait_for

from wsgikit.client import Client, ClientSettings
from wsgikit.errors import UpstreamError

PORT = 8000
HASTY = {"first_byte_timeout": 0.5, "connect_timeout": 0.5}
TIMEOUTS_TOO = {"retry": {"on": ["connect", "reset", "timeout"], "floor": 20}}


@pytest.mark.soak
def test_killing_one_of_four_costs_no_small_get() -> None:
    with field() as (endpoints, server), Load(server, large=False) as load:
        load.after(500)
        for pid in children(endpoints[0].pid):
            os.kill(pid, signal.SIGKILL)
        load.after(2000)
    assert load.wrong == []
    assert load.errors("GET", "HEAD") == 0, load.counts
    # a POST that was on its way when the endpoint died cannot be sent again
    assert load.errors("POST") <= 8, load.counts


@pytest.mark.soak
def test_killing_one_of_four_and_bringing_it_back_five_times() -> None:
    """Long bodies that were under way at that moment are cut off, visibly; nothing else is lost but POSTs."""
    with ExitStack() as stack:
        hosts = addresses(4)
        victim, *_ = (stack.enter_context(again(PORT, host)) for host in hosts)
        urls = [f"http://{host}:{PORT}" for host in hosts]
        server = stack.enter_context(front({"endpoints": urls, "eject": {"failures": 3, "base": 1}}))
        load = stack.enter_context(Load(server))
        for _ in range(5):
            load.after(800)
            for pid in children(victim.pid):
                os.kill(pid, signal.SIGKILL)
            load.after(800)
            victim = stack.enter_context(again(PORT, hosts[0]))
        wait_for(lambda: state(server)["endpoints"][0]["state"] == "up")
        load.after(500)
    assert load.wrong == []
    assert load.errors("GET", "HEAD") == load.cut() <= 5 * 8, load.counts
    assert load.errors("POST") <= 5 * 8, load.counts


@pytest.mark.soak
def test_resets_of_one_of_four_cost_no_get() -> None:
    def resetting(peer: Peer) -> None:
        peer.read_head()
        peer.reset()

    with ScriptedUpstream(resetting) as broken, ExitStack() as stack:
        endpoints = [stack.enter_context(endpoint()) for _ in range(3)]
        urls = [broken.url, *(f"http://127.0.0.1:{each.port}" for each in endpoints)]
        server = stack.enter_context(front({"endpoints": urls, "eject": {"failures": 5, "base": 2}}))
        with Load(server) as load:
            load.after(5000)
    assert load.wrong == []
    assert load.errors("GET", "HEAD") == 0, load.counts
    # five failures in each of two workers, and some at once, each time it is let in again; ten seconds of it
    assert load.errors("POST") <= 6 * (2 * 5 + 8), load.counts


@pytest.mark.soak
def test_bodies_that_are_reset_in_the_middle_are_cut_and_never_look_whole() -> None:
    def truncating(peer: Peer) -> None:
        while True:
            received = peer.read_request()
            if received.target == b"/file":
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FILE) + FILE[:700_000])
                peer.reset()
            elif received.target == b"/stream":
                peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n0\n0\n0\n\r\n")
                peer.close()
            say(peer, received)

    with ScriptedUpstream(truncating) as broken, ExitStack() as stack:
        endpoints = [stack.enter_context(endpoint()) for _ in range(3)]
        urls = [broken.url, *(f"http://127.0.0.1:{each.port}" for each in endpoints)]
        server = stack.enter_context(front({"endpoints": urls, "eject": {"failures": 0}}))
        with Load(server) as load:
            load.after(4000)
    assert load.wrong == []
    assert load.cut() > 40
    assert load.errors("GET") == load.cut(), load.counts


@pytest.mark.soak
def test_stopping_one_of_four() -> None:
    with field(**HASTY, **TIMEOUTS_TOO) as (endpoints, server), Load(server) as load:
        load.after(300)
        pids = children(endpoints[0].pid)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        load.after(4000)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        load.after(1500)
    assert load.wrong == []
    assert load.errors("GET", "HEAD") == load.cut(), load.counts
    assert load.errors("POST") <= 3 * (2 * 5 + 16), load.counts


@pytest.mark.soak
def test_stopping_one_of_four_with_checks_and_no_retries_of_timeouts() -> None:
    """The defaults but for times: whoever was with the stopped one waits in vain, and it is out for the others."""
    health = {"path": "/health", "interval": 0.3, "timeout": 0.3, "fall": 2, "rise": 2}
    with field(**HASTY, health=health) as (endpoints, server), Load(server) as load:
        load.after(500)
        pids = children(endpoints[0].pid)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: state(server)["endpoints"][0]["state"] == "down")
        before = load.counts.copy()
        load.after(2000)
        during = load.counts - before
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        wait_for(lambda: state(server)["endpoints"][0]["state"] == "up")
        load.after(500)
    assert load.wrong == []
    # those that were with it when it was found out
    assert sum(count for (_, status), count in during.items() if status != 200) <= 8
    assert load.errors("GET", "HEAD", "POST") <= 8 * 4, load.counts


@pytest.mark.soak
def test_one_of_four_slows_down_and_peak_ewma_goes_round_it() -> None:
    served = Counter[bytes]()

    def slow(peer: Peer) -> None:
        while True:
            received = peer.read_request()
            served[received.method] += 1
            time.sleep(0.2)
            say(peer, received)

    with ScriptedUpstream(slow) as slow_one, ExitStack() as stack:
        endpoints = [stack.enter_context(endpoint()) for _ in range(3)]
        urls = [slow_one.url, *(f"http://127.0.0.1:{each.port}" for each in endpoints)]
        server = stack.enter_context(front({"endpoints": urls, "balance": "peak-ewma"}))
        with Load(server, large=False) as load:
            load.after(3000)
    assert load.wrong == []
    assert load.errors("GET", "HEAD", "POST") == 0
    assert sum(served.values()) < 0.05 * load.done(), served


@pytest.mark.soak
def test_rolling_all_four_costs_nothing() -> None:
    """HUP starts new workers before the old ones leave; restarts of a whole server are below."""
    with field() as (endpoints, server), Load(server) as load:
        for each in endpoints:
            load.after(800)
            each.signal(signal.SIGHUP)
        load.after(2000)
    assert load.wrong == []
    assert load.errors("GET", "HEAD") == 0, load.counts
    assert load.errors("POST") <= 4, load.counts


@pytest.mark.soak
def test_restarting_all_four_one_after_another() -> None:
    with ExitStack() as stack:
        hosts = addresses(4)
        endpoints = [stack.enter_context(again(PORT, host)) for host in hosts]
        urls = [f"http://{host}:{PORT}" for host in hosts]
        options = {"endpoints": urls, "eject": {"failures": 3, "base": 1}}
        server = stack.enter_context(front(options))
        with Load(server) as load:
            for each, host in zip(endpoints, hosts, strict=True):
                load.after(800)
                each.terminate()
                each.wait(20)
                load.after(500)
                stack.enter_context(again(PORT, host))
            load.after(800)
    assert load.wrong == []
    assert load.errors("GET", "HEAD") == 0, load.counts
    assert load.errors("POST") <= 4 * 8, load.counts


@pytest.mark.soak
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root and ip")
def test_a_partition_cuts_one_of_four_off() -> None:
    """One endpoint in a network of its own; the cable is pulled, and plugged in again."""
    name = f"wk{os.getpid()}"[:10]
    run(f"ip netns add {name}")
    try:
        if not link(name):
            pytest.skip("no virtual network interfaces here")
        with ExitStack() as stack:
            endpoints = [stack.enter_context(endpoint()) for _ in range(3)]
            stack.enter_context(again(8000, "10.231.7.2", "ip", "netns", "exec", name))
            wait_for(lambda: far_answers("http://10.231.7.2:8000"))
            urls = ["http://10.231.7.2:8000", *(f"http://127.0.0.1:{each.port}" for each in endpoints)]
            options = {"eject": {"failures": 3, "base": 2}, "idle_timeout": 1, **HASTY, **TIMEOUTS_TOO}
            server = stack.enter_context(front({"endpoints": urls, **options}))
            with Load(server) as load:
                load.after(800)
                run(f"ip -n {name} link set {name}b down")
                load.after(4000)
                run(f"ip -n {name} link set {name}b up")
                load.after(1000)
                wait_for(lambda: state(server)["endpoints"][0]["state"] == "up")
                served = state(server)["endpoints"][0]["requests"]
                wait_for(lambda: state(server)["endpoints"][0]["requests"] > served)
        assert load.wrong == []
        assert load.errors("GET", "HEAD") == load.cut(), load.counts
    finally:
        run(f"ip netns del {name}")


def link(name: str) -> bool:
    commands = (
        f"ip link add {name}a type veth peer name {name}b netns {name}",
        f"ip addr add 10.231.7.1/30 dev {name}a",
        f"ip link set {name}a up",
        f"ip -n {name} addr add 10.231.7.2/30 dev {name}b",
        f"ip -n {name} link set {name}b up",
        f"ip -n {name} link set lo up",
    )
    return all(run(command) == 0 for command in commands)


def run(command: str) -> int:
    return subprocess.run(command.split(), capture_output=True, check=False).returncode


def far_answers(url: str) -> bool:
    try:
        with Client(url, ClientSettings(connect_timeout=0.5)) as client, client.get(b"/") as response:
            return response.status == 200
    except UpstreamError:
        return False
