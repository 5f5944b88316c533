"""A forward proxy: fetches for its clients what they name, and tunnels CONNECT (RFC 9110 3.7, 9.3.6).

    app = ForwardProxy(allow=["*.debian.org", "pypi.org"], clients=["10.0.0.0/8"])

    [[mount.use]]
    middleware = "wsgikit.middleware.forward_proxy:ForwardProxy"
    allow = ["*.debian.org"]

It is off unless you put it somewhere, it does nothing without `allow`, and it is for nobody but `clients`: an open
proxy is found within hours. Addresses that are not public (private, link-local, loopback, the metadata addresses of
clouds, IPv4 dressed up as IPv6) are refused after the name was looked up, and the connection goes to the address that
was looked at, so that a name that changes in between gains nothing.

Options
    allow           hosts that may be reached: "pypi.org", "*.debian.org" for every name below, "*" for all public ones
    clients         addresses and ranges that may use it (["127.0.0.1", "::1"])
    ports           ports for http:// requests ([80])
    connect_ports   ports for CONNECT ([443])
    private         ranges that may be reached although they are not public ([])
    tunnels         CONNECT tunnels at once in a worker, each holds a thread (100)
    tunnel_idle     how long a tunnel may be silent ("5m")
    via             our name in Via ("wsgikit")
    connect_timeout, first_byte_timeout, idle_timeout, ...   of the connections, as for Forward

A request for an absolute http:// URL is sent on as any gateway does it (see `wsgikit.middleware.forward`), without
telling who asked. https goes through CONNECT: the listener has to allow `takeover`. What is neither goes to `app`; so
does an absolute URL that is not allowed, as it may be the app's own (RFC 9112 3.2.2); without an app it gets 403.

On other servers: CONNECT is impossible; absolute URLs need a server that gives the raw target.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any, TypeVar

from wsgikit.client import Client, ClientSettings, Origin, Response
from wsgikit.errors import ConfigError, UpstreamError
from wsgikit.middleware.amounts import Amount, address, networks, seconds, texts, whole, within
from wsgikit.middleware.answer import answer
from wsgikit.middleware.balancer.options import client_settings
from wsgikit.middleware.balancer.upstream import Unavailable
from wsgikit.middleware.forward import Gateway, refuse
from wsgikit.middleware.forward_settings import forward_settings
from wsgikit.middleware.forward_upgrade import Tunnel
from wsgikit.middleware.router.target import raw_target

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from wsgikit.middleware.amounts import Network
    from wsgikit.middleware.forward_request import Call

__all__ = ["ForwardProxy"]

T = TypeVar("T")

log = logging.getLogger("wsgikit.forward")

_PLACE = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_ABSOLUTE = re.compile(r"http://([^/?#]*)", re.IGNORECASE)
# RFC 6052: what stands in the last 32 bits is an IPv4 address
_NAT64 = IPv6Network("64:ff9b::/96")
# Addresses of a host that are tried: each may take connect_timeout.
_MOST = 4
# The private addresses before fc00::/7 (RFC 3879), which `is_global` takes for public.
_SITE_LOCAL = IPv6Network("fec0::/10")


class Forbidden(Exception):
    """This proxy does not go there; the text is for the log."""


class Place:
    """A host and port that may be reached, and the address to reach it at."""

    __slots__ = ("address", "host", "origin", "port")

    def __init__(self, host: str, port: int, found: str) -> None:
        self.host = host
        self.port = port
        self.address = found
        self.origin = Origin("http", found, port)

    @property
    def url(self) -> str:
        """For the log."""
        return f"http://{self.host}:{self.port} ({self.address})"


class Destinations:
    """Decides where requests may go. Looks names up, so it may wait for the resolver."""

    def __init__(self, allow: Sequence[str], private: Sequence[Network]) -> None:
        names = tuple(name.lower().rstrip(".") for name in allow)
        self._any = "*" in names
        self._exact = frozenset(names)
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))
        self._private = private

    def names(self, host: str) -> bool:
        """Whether the name is allowed."""
        name = host.lower().rstrip(".").strip("[]")
        return self._any or name in self._exact or name.endswith(self._suffixes or ("\0",))

    def allows(self, text: str) -> bool:
        """As `names`, for `host:port`."""
        match = _PLACE.fullmatch(text)
        return match is not None and self.names(match[1])

    def find(self, text: str, default: int, ports: Sequence[int]) -> list[Place]:
        """Where `host:port` is, in the resolver's order. Forbidden: not allowed; UpstreamError: unknown name."""
        match = _PLACE.fullmatch(text)
        if match is None:
            raise Forbidden(f"{text!a} is no host")
        host, port = match[1], int(match[2] or default)
        if not self.names(host):
            raise Forbidden(f"{host} is not in allow")
        if port not in ports:
            raise Forbidden(f"port {port} of {host} is not allowed")
        found = self._addresses(host, port)
        for each in found:
            if not self._may(each):
                raise Forbidden(f"{host} is {each}, which is not public")
        return [Place(host, port, each) for each in found[:_MOST]]

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise UpstreamError(f"http://{host}:{port}", "resolve", str(error)) from error
        return [str(each[4][0]).partition("%")[0] for each in found]

    def _may(self, text: str) -> bool:
        found = ip_address(text)
        return within(address(text), self._private) or all(map(is_public, (found, *embedded(found))))


def is_public(found: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the Internet's: not private, loopback, link-local, shared, reserved, multicast."""
    return found.is_global and not (found.is_multicast or found.is_reserved or found in _SITE_LOCAL)


def embedded(found: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for: mapped, 6to4, Teredo, NAT64."""
    if isinstance(found, IPv4Address):
        return []
    inner = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
    if found in _NAT64:
        inner.append(IPv4Address(int(found) & 0xFFFFFFFF))
    return [each for each in inner if each is not None]


class ForwardProxy:
    """See the module. ConfigError names a wrong option."""

    def __init__(
        self,
        app: WSGIApplication | None = None,
        *,
        allow: Sequence[str],
        clients: Sequence[str] = ("127.0.0.1", "::1"),
        ports: Sequence[int] = (80,),
        connect_ports: Sequence[int] = (443,),
        private: Sequence[str] = (),
        tunnels: int = 100,
        tunnel_idle: Amount = "5m",
        via: str = "wsgikit",
        **connections: Any,
    ) -> None:
        if not texts(allow, "allow"):
            raise ConfigError("allow is empty: name the hosts that may be reached; '*' stands for every public one")
        self.app = app
        self._clients = networks(clients, "clients")
        self._ports = tuple(whole(port, "ports", 1, 65535) for port in ports)
        self._connect_ports = tuple(whole(port, "connect_ports", 1, 65535) for port in connect_ports)
        self._destinations = Destinations(texts(allow, "allow"), networks(private, "private"))
        self._places = threading.BoundedSemaphore(whole(tunnels, "tunnels", 1))
        self._idle = seconds(tunnel_idle, "tunnel_idle")
        self._connections = client_settings({"max_idle": 0, **connections})
        self._settings = forward_settings(forwarded="off", rewrite=False, upgrade=False, via=via)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "CONNECT":
            return self._try(environ, start_response, self._connect)
        match = _ABSOLUTE.match(raw_target(environ))
        if match is None:
            return self._ours(environ, start_response, 404)
        if self.app is not None and not self._destinations.allows(match[1]):
            return self.app(environ, start_response)
        return self._try(environ, start_response, partial(self._fetch, match[1]))

    def _ours(self, environ: WSGIEnvironment, start_response: StartResponse, code: int) -> Iterable[bytes]:
        if self.app is not None:
            return self.app(environ, start_response)
        return answer(environ, start_response, code)

    def _try(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        serve: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]],
    ) -> Iterable[bytes]:
        try:
            if not within(address(environ.get("REMOTE_ADDR", "")), self._clients):
                raise Forbidden("this client may not use the proxy")
            return serve(environ, start_response)
        except Forbidden as error:
            peer = environ.get("REMOTE_ADDR", "")
            log.warning("proxy: %s %s from %s: %s", environ["REQUEST_METHOD"], _target(environ), peer, error)
            return answer(environ, start_response, 403, "This proxy does not go there.")
        except UpstreamError as error:
            if error.phase in ("resolve", "choose"):  # what comes later is told where it happens
                _note(environ, error)
            return refuse(environ, start_response, error.status)

    def _fetch(self, authority: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        places = self._destinations.find(authority, 80, self._ports)
        return Gateway(_Direct(places, self._connections), self._settings)(environ, start_response)

    def _connect(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        takeover = environ.get("wsgikit.takeover")
        if takeover is None:
            raise Forbidden("the listener does not allow takeover")
        if not self._places.acquire(blocking=False):
            raise Unavailable("proxy", "too many tunnels", 1.0)
        try:
            places = self._destinations.find(raw_target(environ), 0, self._connect_ports)
            place, upstream = _first(places, environ, partial(self._dial, environ))
            with upstream:
                sock, early = takeover("200 Connection established", [])
                why = Tunnel(self._idle, lambda: False).run(sock, upstream, early, b"")
            log.info("proxy: tunnel to %s ended: %s", place.url, why)
            return []
        finally:
            self._places.release()

    def _dial(self, environ: WSGIEnvironment, place: Place) -> tuple[Place, socket.socket]:
        gone = environ.get("wsgikit.client_gone")
        with Client(place.origin, self._connections) as client:
            return place, client.connect(gone.fileno() if gone is not None else -1).detach()


def _first(places: Sequence[Place], environ: WSGIEnvironment, attempt: Callable[[Place], T]) -> T:
    """What the first of the addresses gives that can be connected to. UpstreamError: of the last."""
    for number, place in enumerate(places, 1):
        try:
            return attempt(place)
        except UpstreamError as error:
            _note(environ, error, number)
            if error.phase != "connect" or place is places[-1]:
                raise
    raise UpstreamError("proxy", "resolve", "no address")


def _target(environ: WSGIEnvironment) -> str:
    return ascii(raw_target(environ))[1:-1]


def _note(environ: WSGIEnvironment, error: UpstreamError, attempt: int = 1) -> None:
    log.warning(
        "proxy: %s %s: endpoint %s, phase %s, attempt %d: %s",
        environ["REQUEST_METHOD"], _target(environ), error.endpoint, error.phase, attempt, error.detail,
    )  # fmt: skip


class _Direct:
    """What a Gateway asks: here, the one place that the client has named."""

    name = "proxy"

    def __init__(self, places: Sequence[Place], settings: ClientSettings) -> None:
        self._places = places
        self._settings = settings

    def send(self, call: Call) -> _Reply:
        return _first(self._places, call.environ, partial(self._ask, call))

    def _ask(self, call: Call, place: Place) -> _Reply:
        return _Reply(place, Client(place.origin, self._settings).send(call.request(place.origin)))

    def serves(self, endpoint: object) -> bool:
        return True


class _Reply:
    cookie = ""
    attempts = 1

    def __init__(self, place: Place, response: Response) -> None:
        self.endpoint = place
        self.response = response

    def end(self, error: BaseException | None = None) -> None:
        pass
