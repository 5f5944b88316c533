"""Settings of the master, its worker groups and its listeners: frozen values with their defaults.

It knows no option names, files or command lines: `config` fills these. Times are seconds, sizes bytes; a limit of 0 is
off where its line says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

DEFAULT_BIND = "127.0.0.1:8000"

# A function, or "pkg.mod:name" that the worker resolves after the fork, so that the master imports no app code.
Hook = Callable[[Any], object] | str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSettings:
    """One certificate. The first of a list is also the answer to an unknown or absent server name."""

    cert: str
    """PEM file with the certificate and its chain."""

    key: str = ""
    """PEM file with the private key. Empty: it is in `cert`."""

    password: str = ""
    """Password of an encrypted private key."""

    names: tuple[str, ...] = ()
    """Server names (SNI) it answers to: `shop.example`, `*.shop.example`. Every certificate but the first needs one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """TLS of a listener. All names of a listener share these, save the certificates themselves."""

    certificates: tuple[CertificateSettings, ...]

    client_ca: str = ""
    """PEM file of the authorities that sign client certificates."""

    client_cert: str = "none"
    """"none", "optional" or "required". With the last two `client_ca` says whom to believe."""

    minimum: str = "1.2"
    """Lowest TLS version: "1.2" or "1.3"."""

    ciphers: str = ""
    """OpenSSL cipher string for TLS 1.2. Empty: Python's choice."""

    alpn: tuple[str, ...] = ("http/1.1",)
    """Protocols offered by ALPN, the preferred one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BindSettings:
    """One address to listen on, and how."""

    address: str = DEFAULT_BIND
    """`host:port`, `[::1]:port`, `:port` or `port` (all IPv4 interfaces), `unix:/path`, `unix:@abstract`, `fd://N`.
    Each also with a scheme: `http://host:port`, `http+unix:/path`, `https://host:port`. Port 0: the system chooses.
    `https` needs `tls`, `http` is plain even with `tls`, without a scheme `tls` decides."""

    backlog: int = 2048
    """Connections the kernel holds until a worker takes them; net.core.somaxconn caps it. As Gunicorn."""

    reuse_port: bool = False
    """SO_REUSEPORT: another process may bind the same address. A process that leaves drops what waits in its queue."""

    mode: int | None = None
    """Permission bits of a Unix socket (0o660). None: as the umask says."""

    tls: TlsSettings | None = None
    """None: plain."""

    proxy_protocol: bool = False
    """Every connection begins with a PROXY protocol line or block (from `trusted` addresses only)."""

    trusted: tuple[str, ...] = ()
    """Addresses and networks (CIDR) whose PROXY header and Forwarded fields are believed."""

    forwarded: str = "x-forwarded"
    """Header family that trusted peers send: "x-forwarded", "forwarded" (RFC 7239), or "" for none."""

    takeover: bool = False
    """Apps behind this listener may take the socket over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    """A worker group: apps with worker processes of their own."""

    name: str = ""
    """Empty: the front group, which has the public listeners. Any other group listens on a private Unix socket."""

    workers: int = 1
    """Worker processes of this group."""

    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Environment variables of its workers, set before the app loads."""

    preload: bool | None = None
    """Load the app once and fork the workers from there. None: as the master's `preload`."""

    user: str = ""
    """User (name or number) of its workers. Empty: as the master's `user`."""

    group: str = ""
    """Group (name or number) of its workers. Empty: as the master's `group`."""

    address_space: int = 0
    """Hard limit in bytes of a worker's virtual memory (RLIMIT_AS). 0: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterSettings:
    """What the master itself needs."""

    workers: int = 1
    """Worker processes of the front group."""

    preload: bool = False
    """Load the app once, before the workers are forked, so that they share its memory."""

    graceful_timeout: float = 30.0
    """How long a worker that was told to leave may finish its requests before it is killed."""

    worker_timeout: float = 60.0
    """A ready worker whose heartbeat stands still for so long is killed and replaced. 0: never."""

    start_timeout: float = 300.0
    """A new worker that is not ready after that is killed; a reload then keeps the old workers. 0: no limit."""

    pid: str = ""
    """File for the process id of the master. Empty: none."""

    user: str = ""
    """User (name or number) the workers run as. The master keeps its own, so that a reload can bind ports and read
    keys. Empty: unchanged."""

    group: str = ""
    """Group (name or number) the workers run as. Empty: the user's own group, or unchanged without `user`."""

    umask: int | None = None
    """Umask of all processes. None: unchanged."""

    shared_memory: int = 16 * 1024 * 1024
    """Bytes for tables that middleware shares between workers. Pages that are never written cost nothing."""

    on_worker_start: Hook | None = None
    """Called in each worker with its `WorkerInfo` before the app loads (with `preload`: before it serves)."""

    on_worker_exit: Hook | None = None
    """Called in a worker with its `WorkerInfo` on its way out; not when it is killed."""

    reload: bool = False
    """For development: restart the workers when a module they imported, or one of `reload_files`, changes."""

    reload_files: tuple[str, ...] = ()
    """Further files that `reload` watches."""

    reload_interval: float = 1.0
    """Seconds between two looks at the watched files."""
