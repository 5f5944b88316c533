"""What a trusted proxy says of its client: Forwarded (RFC 7239) or X-Forwarded-*, applied to the environ.

One family is read, the one the operator named, and only from peers he trusts. From anybody else the whole family is
removed, so that an app never sees what a stranger made up. The address list is walked from the right: trusted proxies
are passed over, and the first that is not trusted is the client, whatever it claims further to the left.

Owns REMOTE_ADDR, wsgi.url_scheme, HTTP_HOST and SERVER_PORT behind a proxy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

Network = IPv4Network | IPv6Network

_X_FAMILY = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX",
)
_HOST = re.compile(r"[A-Za-z0-9.\-_~%]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
_PORT = re.compile(r"[0-9]{1,5}")
# Proxies pass on what clients write: all of these are possessive, so that matching is linear (CVE-2020-5236).
_QUOTED = r'"(?:[^"\\]++|\\.)*+"'
_BALANCED = re.compile(rf'(?:[^"]++|{_QUOTED})*+')
_PARTS = {mark: re.compile(rf'(?:[^{mark}"]++|{_QUOTED})++') for mark in ",;"}
# RFC 7239 4 wants quotes around `192.0.2.1:80`; proxies leave them out.
_PAIR = re.compile(r"""([!#$%&'*+\-.^_`|~0-9A-Za-z]++)=(?:([^\s",;]++)|"((?:[^"\\]++|\\.)*+)")""")


class Forwarded:
    """Apply one family. `trusted`: networks whose word counts; `family`: "forwarded" or "x-forwarded"."""

    def __init__(self, trusted: Sequence[Network], family: str) -> None:
        self._trusted = tuple(trusted)
        self._family = family

    def __call__(self, environ: dict[str, Any], peer: str) -> None:
        """Change `environ`, which is the server's own, in place. `peer` is the address the connection came from."""
        believed = not peer or self._is_trusted(peer)  # a Unix socket is guarded by its permissions
        if self._family == "x-forwarded":
            environ.pop("HTTP_FORWARDED", None)
            if believed:
                self._apply_x(environ)
        else:
            forwarded = environ.get("HTTP_FORWARDED")
            if believed and forwarded:
                self._apply_forwarded(environ, forwarded)
            elif not believed:
                environ.pop("HTTP_FORWARDED", None)
        if not believed or self._family != "x-forwarded":
            for name in _X_FAMILY:
                environ.pop(name, None)

    def _is_trusted(self, address: str) -> bool:
        try:
            client = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(client in network for network in self._trusted)

    def _apply_x(self, environ: dict[str, Any]) -> None:
        client = self._client(environ.get("HTTP_X_FORWARDED_FOR", "").split(","))
        if client:
            environ["REMOTE_ADDR"] = client
            environ.pop("REMOTE_PORT", None)
        _set_scheme(environ, _last(environ, "HTTP_X_FORWARDED_PROTO"))
        _set_host(environ, _last(environ, "HTTP_X_FORWARDED_HOST"))
        port = _last(environ, "HTTP_X_FORWARDED_PORT")
        if _PORT.fullmatch(port):
            environ["SERVER_PORT"] = port

    def _apply_forwarded(self, environ: dict[str, Any], value: str) -> None:
        hops = [_pairs(element) for element in _split(value, ",")]
        client = self._client([hop.get("for", "") for hop in hops])
        if client:
            environ["REMOTE_ADDR"] = client
            environ.pop("REMOTE_PORT", None)
        if hops:
            _set_scheme(environ, hops[-1].get("proto", ""))
            _set_host(environ, hops[-1].get("host", ""))

    def _client(self, addresses: Sequence[str]) -> str:
        """The rightmost address that is not a trusted proxy's; "" when none can be read."""
        found = ""
        for text in reversed(addresses):
            address = _address(text)
            if not address:
                break  # "unknown", an obfuscated name, or junk: nothing further left can be believed
            found = address
            if not self._is_trusted(address):
                break
        return found


def _address(text: str) -> str:
    """An IP address out of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`; else ""."""
    text = text.strip(" \t")
    if "%" in text:
        return ""  # a scope (RFC 4007) means nothing to others, and may be any text
    if text[:1] == "[":
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _pairs(element: str) -> dict[str, str]:
    """The parameters of one hop; what is none is passed over."""
    matches = [_PAIR.fullmatch(pair.strip(" \t")) for pair in _split(element, ";")]
    return {
        match[1].lower(): match[2] or re.sub(r"\\(.)", r"\1", match[3] or "") for match in matches if match is not None
    }


def _split(value: str, mark: str) -> list[str]:
    """Split at each `mark`, save those inside quotes.

    When a quote does not end, none counts: else a client could begin one, and hide in it what the proxies add.
    """
    return _PARTS[mark].findall(value) if _BALANCED.fullmatch(value) else value.split(mark)


def _last(environ: dict[str, Any], name: str) -> str:
    """What the nearest proxy said: the last element of a list."""
    value: str = environ.get(name, "")
    return value.rpartition(",")[2].strip(" \t")


def _set_scheme(environ: dict[str, Any], scheme: str) -> None:
    if scheme.lower() in ("http", "https"):
        environ["wsgi.url_scheme"] = scheme.lower()
        if scheme.lower() == "https":
            environ["HTTPS"] = "on"
        else:
            environ.pop("HTTPS", None)


def _set_host(environ: dict[str, Any], host: str) -> None:
    if _HOST.fullmatch(host):
        environ["HTTP_HOST"] = host
