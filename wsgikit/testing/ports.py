"""Free ports and the question whether somebody listens.

Loopback only. It knows nothing of processes.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import random
import socket
import time

from wsgikit.testing.client import Address

LOOPBACK = "127.0.0.1"


def free_port(host: str = LOOPBACK) -> int:
    """A TCP port that nobody had a moment ago, and that the system gives to nobody who asks for any port.

    Another process may take it before you do: bind port 0 yourself where you can, and use this only for a server that
    must be told its port. Ports come one after another from a random place, so that two processes which start servers
    seldom try the same. Raises OSError when `host` is no address of this machine.
    """
    for port in itertools.islice(_walk, len(_fixed)):
        with contextlib.suppress(_Taken):
            return _bound(host, port)
    return _bound(host, 0)


def _outside_of_ephemeral() -> list[int]:
    """Ports that are neither a well-known service's nor in ip_local_port_range (ip(7)): that has clients' ends too."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            first, last = map(int, file.read().split())
    except (OSError, ValueError):
        first, last = 32768, 65535
    return [*range(20000, first), *range(last + 1, 65536)]


_fixed = _outside_of_ephemeral()
_start = random.SystemRandom().randrange(len(_fixed) or 1)
_walk = itertools.cycle(_fixed[_start:] + _fixed[:_start])


class _Taken(OSError):
    pass


def _bound(host: str, port: int) -> int:
    with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise _Taken from error
            raise
        found: int = probe.getsockname()[1]
        return found


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def accepts(address: Address, timeout: float = 0.5) -> bool:
    """Whether a connection to `address` is taken within `timeout` seconds."""
    unix = isinstance(address, str)
    family = socket.AF_UNIX if unix else _family(address[0])
    target = address.removeprefix("unix:") if isinstance(address, str) else address
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(timeout)
        try:
            probe.connect(target)
        except OSError:
            return False
        return True


def wait_until_accepts(address: Address, timeout: float = 10.0) -> bool:
    """Asks again until somebody listens; False after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if accepts(address):
            return True
        time.sleep(0.02)
    return False
