"""What trusted proxies say about the client: address, scheme, host, prefix.

    Use(ProxyHeaders, trusted=["10.0.0.0/8"])                        # X-Forwarded-For, -Proto, -Host, -Port
    Use(ProxyHeaders, trusted=["10.0.0.0/8"], family="forwarded")    # Forwarded, RFC 7239

Only a peer in `trusted` is believed, only one family of fields is read, and everybody's other fields of all families
are dropped, so that nothing behind this layer can be fooled by a sibling (X-Forwarded-For from a stranger, or a
Forwarded that the proxy passed on unread). Belongs outermost.

Options
    trusted      addresses and ranges of your proxies; "unix" for a peer on a Unix socket
                 (["127.0.0.1", "::1", "unix"])
    family       "x-forwarded" or "forwarded" ("x-forwarded")
    host         take over the host (true): the proxy has to set it, or pass a Host it has checked
    prefix       take over X-Forwarded-Prefix as what stands before SCRIPT_NAME (false)

The client is the right-most address of the chain that is no proxy of yours: each trusted proxy has added the peer it
saw, and what stands further left was written by a stranger. That part is cut off from the field that the app gets. An
address that is none ends the chain ("unknown", "_hidden"): the client is then the proxy that said so.

Sets REMOTE_ADDR, REMOTE_PORT (only where it is told), wsgi.url_scheme, HTTPS, HTTP_HOST, SERVER_NAME, SERVER_PORT and
with `prefix` SCRIPT_NAME, in a copy of the environ. A value that is no scheme, host or port is ignored. Notes `peer`,
the proxy's address, for the access log.

Streaming: bodies are not touched. Other servers: some do this themselves, so let one place do it. gunicorn takes the
scheme from `forwarded_allow_ips`; waitress drops all such fields unless told `--no-clear-untrusted-proxy-headers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import address, choice, networks, texts, within
from wsgikit.middleware.facts import note
from wsgikit.middleware.forwarded import Hop, forwarded_hops, x_forwarded_hops
from wsgikit.middleware.request_fields import drop_fields, environ_key, set_field

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ProxyHeaders"]

_X = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix")
# Fields of the kind that somebody somewhere believes. All but the chosen family's go, whoever sent them.
_OTHERS = (
    "X-Forwarded-Server",
    "X-Forwarded-By",
    "X-Forwarded-Scheme",
    "X-Forwarded-Protocol",
    "X-Forwarded-Ssl",
    "X-Forwarded-Script-Name",
    "X-Forwarded-Path",
    "X-Forwarded-Uri",
    "X-Original-Url",
    "X-Original-Host",
    "X-Rewrite-Url",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Host",
    "X-Scheme",
    "X-Url-Scheme",
    "X-Script-Name",
    "X-Https",
    "Front-End-Https",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "Client-IP",
)
_ALL = (*_X, "Forwarded", *_OTHERS)
_KEYS = frozenset(map(environ_key, _ALL))
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?)(?::([0-9]{1,5}))?\Z")
# A path as a URL writes it (RFC 3986 3.3), and what it may decode to: an empty segment would make a network path
# of what apps build from it, a dot segment another path, a control character another field.
_PREFIX = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})+\Z")
_SCRIPT_NAME = re.compile(r"(?:/(?!\.\.?(?:/|\Z))[^\x00-\x1f\x7f/\\]+)+\Z")


class ProxyHeaders:
    """Believes trusted proxies, and nobody else. See the module for the options."""

    traits = frozenset({"trusts-proxy", "once"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        trusted: Sequence[str] = ("127.0.0.1", "::1", "unix"),
        family: str = "x-forwarded",
        host: bool = True,
        prefix: bool = False,
    ) -> None:
        names = texts(trusted, "trusted")
        self.app = app
        self.unix = "unix" in names
        self.trusted = networks([name for name in names if name != "unix"], "trusted")
        self.family = choice(family, "family", ("x-forwarded", "forwarded"))
        self.host = host
        self.prefix = prefix
        if prefix and family == "forwarded":
            raise ConfigError("prefix: Forwarded has no prefix; RFC 7239 gives it none")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if _KEYS.isdisjoint(environ):
            return self.app(environ, start_response)
        trusted = self._trusts(environ.get("REMOTE_ADDR", ""))
        inner = dict(environ)
        hops = self._hops(environ) if trusted else []
        prefix = environ.get("HTTP_X_FORWARDED_PREFIX", "") if trusted and self.prefix else ""
        drop_fields(inner, _ALL)
        if hops:
            self._apply(inner, hops)
        if prefix:
            _put_prefix(inner, prefix)
        return self.app(inner, start_response)

    def _trusts(self, peer: str) -> bool:
        return within(address(peer), self.trusted) if peer else self.unix

    def _hops(self, environ: WSGIEnvironment) -> list[Hop]:
        """The chain from the client to our proxy, without what strangers have written to its left."""
        hops = (forwarded_hops if self.family == "forwarded" else x_forwarded_hops)(environ)
        for place in range(len(hops) - 1, -1, -1):
            if not hops[place].address:
                # the proxy on its right could or would not say who that was, and is itself the last one known
                return hops[place + 1 :] or hops[place:]
            if not self._trusts(hops[place].address):
                return hops[place:]
        return hops

    def _apply(self, environ: dict[str, Any], hops: list[Hop]) -> None:
        client = hops[0]
        if client.address:
            note(environ, "peer", environ.get("REMOTE_ADDR", ""))
            environ["REMOTE_ADDR"] = client.address
            environ.pop("REMOTE_HOST", None)
            environ.pop("REMOTE_PORT", None)
            if client.port:
                environ["REMOTE_PORT"] = client.port
        if client.scheme:
            _put_scheme(environ, client.scheme)
        if self.host and _HOST.match(client.host):
            _put_host(environ, client.host, client.server_port)
        name, value = ("Forwarded", _as_forwarded(hops)) if self.family == "forwarded" else (_X[0], _as_for(hops))
        if value:
            set_field(environ, name, value)


def _put_scheme(environ: dict[str, Any], scheme: str) -> None:
    environ["wsgi.url_scheme"] = scheme
    environ.pop("HTTPS", None)
    if scheme == "https":
        environ["HTTPS"] = "on"


def _put_host(environ: dict[str, Any], host: str, told_port: str) -> None:
    match = _HOST.match(host)
    if match is None:
        return
    name, port = match[1], match[2] or told_port
    if port and int(port) > 65535:
        return
    default = "443" if environ["wsgi.url_scheme"] == "https" else "80"
    set_field(environ, "Host", name if not port or port == default else f"{name}:{port}")
    environ["SERVER_NAME"] = name
    environ["SERVER_PORT"] = port or default


def _put_prefix(environ: dict[str, Any], prefix: str) -> None:
    from urllib.parse import unquote_to_bytes

    prefix = prefix.rstrip("/")
    decoded = unquote_to_bytes(prefix).decode("latin-1") if _PREFIX.match(prefix) else ""
    if not _SCRIPT_NAME.match(decoded):
        return
    environ["SCRIPT_NAME"] = decoded + environ.get("SCRIPT_NAME", "")
    raw = environ.get("wsgikit.raw_target")
    if isinstance(raw, bytes) and raw.startswith(b"/"):
        environ["wsgikit.raw_target"] = prefix.encode("ascii") + raw


def _as_for(hops: list[Hop]) -> str:
    return ", ".join(hop.address for hop in hops if hop.address)


def _as_forwarded(hops: list[Hop]) -> str:
    return ", ".join(hop.text for hop in hops if hop.text)
