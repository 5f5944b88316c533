"""What one may set about connections to an upstream. Owns the defaults. Times are seconds, 0 switches a limit off where
its line says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from wsgikit.wire.http11 import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """How an `https` upstream is spoken to. Certificates are verified unless `verify` is switched off."""

    ca: str = ""
    """File or folder (PEM) of the authorities to believe. Empty: the system's."""

    cert: str = ""
    """File (PEM) of our own certificate, for upstreams that ask for one."""

    key: str = ""
    """File (PEM) of its key. Empty: in `cert`."""

    server_name: str = ""
    """Name to ask for (SNI) and to hold the certificate against. Empty: the host of the URL."""

    verify: bool = True
    """Off: believe anybody who answers. For a laboratory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """What a FastCGI, SCGI or uwsgi upstream is told besides the request."""

    root: str = ""
    """Folder of the scripts, on the upstream's machine: what php-fpm needs. Empty: the upstream is one app."""

    index: str = "index.php"
    """Script of a folder, with `root`."""

    front: str = ""
    """Script for every path that names none, with `root`: "/index.php" for an application with a front controller."""

    suffix: str = ".php"
    """What the names of scripts end with, with `root`. What follows such a name in a path is PATH_INFO."""

    params: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Further variables. They take the place of those that we make."""

    keep: bool = False
    """FastCGI: keep connections for further requests. Not with php-fpm: an idle connection holds a process there."""

    modifier1: int = 0
    """uwsgi: which plugin of uWSGI the request is for (0 Python, 5 Perl, 7 Ruby, 14 PHP)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Limits and timeouts of the connections to one upstream."""

    connect_timeout: float = 2.0
    """For the TCP connection, over all addresses of the host. Looking its name up is the resolver's time, not ours."""

    tls_timeout: float = 5.0
    """For the TLS handshake."""

    first_byte_timeout: float = 25.0
    """From the whole request sent to the whole head of its response. Below the 30 s a worker gives an app, so that it
    is us who say which endpoint it was."""

    idle_timeout: float = 60.0
    """Between two bytes of a body, in either direction."""

    total_timeout: float = 0.0
    """For request and response together. 0: no limit."""

    continue_timeout: float = 1.0
    """How long 100 (Continue) is waited for before a body is sent all the same (RFC 9110 10.1.1)."""

    keep_alive: float = 4.0
    """How long an unused connection is kept. Shorter than servers keep theirs (Node and Apache 5 s, nginx 75 s)."""

    max_idle: int = 128
    """Unused connections kept for each endpoint."""

    max_requests: int = 0
    """Requests after which a connection is not used again. 0: no limit."""

    limits: Limits = DEFAULT_LIMITS
    """How large a response head may be."""

    tls: TlsSettings | ssl.SSLContext = TlsSettings()
    """How `https` is spoken: settings, or a context of yours, which is used as it is."""

    gateway: GatewaySettings = GatewaySettings()
    """For upstreams that do not speak HTTP."""
