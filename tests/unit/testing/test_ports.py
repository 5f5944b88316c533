"""Ports for servers that must be told theirs."""

from __future__ import annotations

import socket

import pytest

from wsgikit.testing import accepts, free_port
from wsgikit.testing.ports import LOOPBACK


def handed_out() -> range:
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            first, last = map(int, file.read().split())
    except OSError:
        pytest.skip("this system does not tell")
    if (first, last) == (1024, 65535):
        pytest.skip("it hands out all there are")
    return range(first, last + 1)


def test_nobody_gets_it_by_chance() -> None:
    """A connection's own end may be any port that the system hands out: the server could not bind it then."""
    assert not set(handed_out()) & {free_port() for _ in range(50)}


def test_one_after_another_and_none_twice() -> None:
    ports = [free_port() for _ in range(200)]
    assert len(set(ports)) == 200


def test_a_port_in_use_is_passed_over() -> None:
    with socket.socket() as taken:
        following = free_port() + 1
        taken.bind((LOOPBACK, following if following < 65536 else 0))
        assert free_port() != taken.getsockname()[1]


def test_it_can_be_bound_and_nobody_listens() -> None:
    port = free_port()
    assert not accepts((LOOPBACK, port))
    with socket.create_server((LOOPBACK, port)):
        assert accepts((LOOPBACK, port))


def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises(OSError, match="address"):
        free_port("192.0.2.1")
