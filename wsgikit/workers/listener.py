"""A listening socket and what is special about the connections it accepts."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from ipaddress import IPv4Network, IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Made by the master before the fork, shared by the workers."""

    sock: socket.socket
    address: str
    """Printable: "127.0.0.1:8000", "unix:/run/app.sock"."""
    scheme: str = "http"
    """The wire: names the protocol that serves the connections."""
    tls: ssl.SSLContext | None = None
    proxy_protocol: bool = False
    """Expect a PROXY header (v1 or v2) from `trusted` peers before anything else."""
    trusted: tuple[IPv4Network | IPv6Network, ...] = ()
    """Peers whose PROXY header and Forwarded or X-Forwarded-* fields are believed."""
    forwarded: str = "x-forwarded"
    """Header family that trusted peers send: "x-forwarded", "forwarded" (RFC 7239), or "" for none."""
    takeover: bool = False
    """Let apps take sockets over (`wsgikit.takeover`)."""
