"""Free ports and the question whether somebody listens.

Loopback only. It knows nothing of processes.
"""

from __future__ import annotations

import socket
import time

from wsgikit.testing.client import Address

LOOPBACK = "127.0.0.1"


def free_port(host: str = LOOPBACK) -> int:
    """A TCP port that nobody had a moment ago.

    Another process may take it before you do: bind port 0 yourself where you can, and use this only for a server that
    must be told its port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(address: Address, timeout: float = 0.5) -> bool:
    """Whether a connection to `address` is taken within `timeout` seconds."""
    unix = isinstance(address, str)
    family = socket.AF_UNIX if unix else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
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
