"""Clients that want the server's time, memory or descriptors, or another client's answer: through the real command."""

from __future__ import annotations

import os
import time

import pytest

from wsgikit.testing import RawClient, ServerProcess

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
V1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n"


def processor_time(server: ServerProcess) -> float:
    """Seconds that all processes of the server have used so far."""
    ticks = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.getpgid(int(entry)) == server.pid:
                    with open(f"/proc/{entry}/stat") as file:
                        fields = file.read().rpartition(")")[2].split()
                    ticks += int(fields[11]) + int(fields[12])
            except (OSError, IndexError):
                continue
    return ticks / os.sysconf("SC_CLK_TCK")


def busy(server: ServerProcess, seconds: float = 0.6) -> float:
    """The share of a processor that the server uses while nothing is asked of it."""
    before, began = processor_time(server), time.monotonic()
    time.sleep(seconds)
    return (processor_time(server) - before) / (time.monotonic() - began)


def get(server: ServerProcess, path: bytes) -> bytes:
    with RawClient(server.address) as client:
        client.send(GET % path)
        return client.read_response().body


@pytest.fixture(params=["epoll", "selectors"])
def poller(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# Nothing to do, and yet busy


@pytest.mark.parametrize("bind", ["{host}:{port}", "unix:{socket}"])
def test_a_proxy_header_that_stops_in_the_midst_costs_nothing(serving, bind: str, poller: str) -> None:
    server = serving("--proxy-protocol", "--trusted", "127.0.0.0/8", "--poller", poller, bind=bind)
    get_through_proxy = V1 + GET % b"environment"
    with RawClient(server.address) as client, RawClient(server.address) as ended:
        client.send(V1[:9])
        ended.send(V1[:9])
        ended.half_close()
        assert ended.closed_by_peer(2.0)
        assert busy(server) < 0.2
        client.dribble(V1[9:] + GET % b"environment", size=5)
        assert b"REMOTE_ADDR=192.0.2.7\n" in client.read_response().body
    with RawClient(server.address) as client:
        client.send(get_through_proxy)
        assert client.read_response().status == 200
