"""Settings of the master, its worker groups and its listeners: frozen values with their defaults.

It knows no option names, files or command lines: `config` fills these. Times are seconds, sizes bytes, and a time of 0
switches its limit off unless the field says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

DEFAULT_BIND = "127.0.0.1:8000"

# A function, or "pkg.mod:name" that the worker resolves after the fork, so that the master imports no app code.
Hook = Callable[[Any], None] | str


@dataclass(frozen=True, kw_only=True)
class CertificateSettings:
    """One certificate. `names` are the SNI names it answers to ("shop.example", "*.shop.example").

    cert: PEM file with the certificate and its chain. key: PEM file of the private key; "" when it is in `cert`.
    password: of an encrypted key. The first certificate of a list is also the answer to an unknown or absent name.
    """

    cert: str
    key: str = ""
    password: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TlsSettings:
    """TLS of one listener.

    client_cert: "none", "optional" or "required"; `client_ca` is the PEM file of the authorities that sign client
    certificates. They hold for all names of a listener: OpenSSL takes them from the first context even when SNI
    chooses another one. minimum: "1.2" or "1.3". ciphers: OpenSSL's cipher string for TLS 1.2, "" = Python's choice.
    """

    certificates: tuple[CertificateSettings, ...]
    client_ca: str = ""
    client_cert: str = "none"
    minimum: str = "1.2"
    ciphers: str = ""
    alpn: tuple[str, ...] = ("http/1.1",)


@dataclass(frozen=True, kw_only=True)
class BindSettings:
    """One address to listen on, and how.

    address: `host:port`, `[::1]:port`, `:port` or `port` (all IPv4 interfaces), `unix:/path`, `unix:@abstract`,
        `fd://N`, each also with a scheme: `http://host:port`, `http+unix:/path`, `https://host:port`. Port 0 lets the
        system choose. `https` needs `tls`; `http` is plain even when `tls` is set; without a scheme `tls` decides.
    backlog: connections the kernel holds until a worker accepts (precedent: Gunicorn 2048; the kernel caps it at
        net.core.somaxconn). reuse_port: SO_REUSEPORT, off: a worker that leaves would drop its own queue.
    mode: permission bits of a Unix socket (0o660); None leaves them to the umask.
    proxy_protocol, trusted, takeover: handed on to the worker's listener. trusted: addresses or CIDR networks.
    """

    address: str = DEFAULT_BIND
    backlog: int = 2048
    reuse_port: bool = False
    mode: int | None = None
    tls: TlsSettings | None = None
    proxy_protocol: bool = False
    trusted: tuple[str, ...] = ()
    takeover: bool = False


@dataclass(frozen=True, kw_only=True)
class GroupSettings:
    """A worker group: apps that share worker processes of their own.

    name: "" is the front group, which owns the public listeners; any other group listens on a private Unix socket.
    workers: processes. env: environment variables set in its workers before the app loads.
    preload: load the app once and fork the workers from there; None takes the master's. user, group: of its
    workers; "" takes the master's. address_space: hard limit of a worker's virtual memory (RLIMIT_AS), 0 = none.
    """

    name: str = ""
    workers: int = 1
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    preload: bool | None = None
    user: str = ""
    group: str = ""
    address_space: int = 0


@dataclass(frozen=True, kw_only=True)
class MasterSettings:
    """What the master itself needs.

    workers: processes of the front group. preload: load the app once, before the workers are forked, so that they
        share its memory.
    graceful_timeout: how long a worker that was told to leave may finish its requests before it is killed.
    worker_timeout: a ready worker whose heartbeat stands still that long is killed and replaced.
    start_timeout: a new worker that is not ready after that is given up; a reload then keeps the old workers.
    pid: file for the master's process id, "" = none. user, group: name or number the workers run as, "" = unchanged;
        the master keeps its own, so that a reload can bind ports and read keys. umask: of all processes, None =
        unchanged.
    shared_memory: arena for tables that middleware shares between workers; pages never written cost nothing.
    on_worker_start: called in each worker with a `WorkerInfo` before the app loads (with preload: before it serves).
    on_worker_exit: called in a worker on its way out, not when it is killed.
    reload: for development: restart the workers when a module they imported, or one of `reload_files`, changes;
        looked at every `reload_interval`.
    """

    workers: int = 1
    preload: bool = False
    graceful_timeout: float = 30.0
    worker_timeout: float = 60.0
    start_timeout: float = 300.0
    pid: str = ""
    user: str = ""
    group: str = ""
    umask: int | None = None
    shared_memory: int = 16 * 1024 * 1024
    on_worker_start: Hook | None = None
    on_worker_exit: Hook | None = None
    reload: bool = False
    reload_files: tuple[str, ...] = ()
    reload_interval: float = 1.0
