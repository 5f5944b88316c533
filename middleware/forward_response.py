"""An upstream's response on its way to the client: status, fields, and URLs that have to be the client's.

Owns which fields end here (RFC 9110 7.6.1), and the rewriting of Location, Content-Location, Refresh and Set-Cookie.
Must not know bodies.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from wsgikit.client import Origin
from wsgikit.middleware.forward_fields import connection_options
from wsgikit.middleware.forward_request import client_host
from wsgikit.middleware.forward_settings import ForwardSettings
from wsgikit.middleware.router.target import SAFE_IN_PATH
from wsgikit.wire.http11 import ResponseHead

TextFields = list[tuple[str, str]]

_PASS, _DROP, _CONNECTION, _LENGTH, _URL, _COOKIE, _REFRESH = range(7)
_KINDS = {
    b"connection": _CONNECTION,
    b"content-length": _LENGTH,
    b"location": _URL,
    b"content-location": _URL,
    b"set-cookie": _COOKIE,
    b"refresh": _REFRESH,
    # CGI's, not HTTP's: PEP 3333 has no place for it
    b"status": _DROP,
} | dict.fromkeys(
    b"""
    keep-alive proxy-connection te trailer transfer-encoding upgrade proxy-authenticate proxy-authorization
    """.split(),
    _DROP,
)
_LEARNED = 2048
_kinds: dict[bytes, tuple[str, int]] = {}
_statuses: dict[tuple[int, bytes], str] = {}

_ABSOLUTE = re.compile(r"(https?:)?//([^/?#]*)(/[^?#]*)?([?#].*|)\Z", re.IGNORECASE | re.DOTALL)
_PATH = re.compile(r"(/[^?#]*)(.*)\Z", re.DOTALL)
_ATTRIBUTE = re.compile(r";[ \t]*(path|domain)[ \t]*=[ \t]*([^;]*)", re.IGNORECASE)
_REFRESHING = re.compile(r"""([0-9.]+[ \t]*[;,][ \t]*url[ \t]*=[ \t]*["']?)([^"']*)(["']?)""", re.IGNORECASE)
_PORTS = {"http": "80", "https": "443"}


def status_text(head: ResponseHead) -> str:
    """Status and reason as PEP 3333 wants them; a reason where the upstream gave none."""
    key = head.status, head.reason
    known = _statuses.get(key)
    if known is None:
        reason = str(head.reason, "latin-1").strip(" \t")
        if not reason:
            try:
                reason = HTTPStatus(head.status).phrase
            except ValueError:
                reason = "Unknown"
        known = f"{head.status} {reason}"
        if len(_statuses) < _LEARNED:
            _statuses[key] = known
    return known


def early_fields(fields: list[tuple[bytes, bytes]]) -> TextFields:
    """The fields of a 103 that may go on."""
    found = ((_kind(name), value) for name, value in fields)
    return [(name, str(value, "latin-1")) for (name, kind), value in found if kind in (_PASS, _COOKIE)]


def response_fields(
    head: ResponseHead, environ: dict[str, Any], origin: Origin, settings: ForwardSettings
) -> TextFields:
    """The fields for the client, in the upstream's order."""
    memo = head.memo
    if memo is not None and memo[0] is settings and memo[1] is origin:
        return memo[2][:]  # type: ignore[no-any-return]
    fields: TextFields = []
    urls: Urls | None = None
    named: frozenset[bytes] = frozenset()
    # on the other wires the upstream is told where it is mounted (SCRIPT_NAME), and says what the client has to read
    rewrite = settings.rewrite and origin.scheme in _PORTS
    for name, value in head.fields:
        text, kind = _kinds.get(name) or _kind(name)
        if not kind:
            fields.append((text, str(value, "latin-1")))
        elif kind == _CONNECTION:
            named |= connection_options(str(value, "latin-1"))
        elif kind in (_URL, _COOKIE, _REFRESH):
            plain = str(value, "latin-1")
            if rewrite:
                urls = urls or Urls(environ, origin, settings)
                rewritten = {_URL: urls.location, _COOKIE: urls.cookie, _REFRESH: urls.refresh}[kind]
                plain = rewritten(plain)
            fields.append((text, plain))
    if named:
        fields = [field for field in fields if field[0].lower().encode("latin-1") not in named]
    # What a repeated Content-Length agrees on; a 204 must have none (RFC 9110 8.6).
    if head.content_length is not None and not head.chunked and head.status != 204:
        fields.append(("Content-Length", str(head.content_length)))
    if settings.via:
        fields.append(("Via", f"1.{head.minor} {str(settings.via, 'ascii')}"))
    if settings.response is not None:
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        fields = [(str(name, "latin-1"), str(value, "latin-1")) for name, value in settings.response.applied(raw)]
    if urls is None:  # else it is for this request alone
        head.memo = settings, origin, fields[:]
    return fields


def _kind(name: bytes) -> tuple[str, int]:
    known = _kinds.get(name)
    if known is None:
        known = str(name, "latin-1"), _KINDS.get(name.lower(), _PASS)
        if len(_kinds) < _LEARNED:
            _kinds[name] = known
    return known


class Urls:
    """What one upstream calls its URLs, and what the client calls them.

    An absolute URL is the upstream's own when it has the endpoint's address, or the Host that was sent, with the scheme
    it is spoken to; or when it is the client's already (the upstream believes X-Forwarded-*). Any other is left alone:
    a redirect from http to https would else lead back to where it came from. Then the endpoint's base path is taken
    off the path, and what the mounts had taken off is put on.
    """

    __slots__ = ("_base", "_domain", "_front", "_hosts", "_ours", "_prefix", "_scheme")

    def __init__(self, environ: dict[str, Any], origin: Origin, settings: ForwardSettings) -> None:
        self._scheme: str = environ.get("wsgi.url_scheme", "http")
        self._front = str(client_host(environ), "latin-1")
        self._prefix = "" if settings.whole_path else quote(environ.get("SCRIPT_NAME", ""), SAFE_IN_PATH, "latin-1")
        self._base = origin.base
        self._domain = settings.cookie_domain
        endpoint = str(origin.authority, "ascii")
        asked = {"preserve": self._front, "upstream": endpoint}.get(settings.host, settings.host)
        self._ours = {
            (self._scheme, _bare(self._front, self._scheme)),
            (origin.scheme, _bare(endpoint, origin.scheme)),
            (origin.scheme, _bare(asked, origin.scheme)),
            # the host that was asked for with the port it came in at: what nginx makes of `return 301 /path`
            (origin.scheme, _bare(f"{_without_port(asked)}:{origin.port}", origin.scheme)),
        }
        self._hosts = {endpoint.partition(":")[0], origin.host}

    def location(self, reference: str) -> str:
        """A Location or Content-Location (RFC 9110 10.2.2) as the client has to read it."""
        match = _ABSOLUTE.match(reference)
        if match is not None:
            scheme, authority, path, rest = match.groups()
            schemes = (scheme[:-1].lower(),) if scheme else ("http", "https")
            if not any((each, _bare(authority, each)) in self._ours for each in schemes):
                return reference
            return f"{self._scheme + ':' if scheme else ''}//{self._front}{self._path(path or '')}{rest}"
        match = _PATH.match(reference)
        # a relative one leads to the same place on both sides
        return reference if match is None else self._path(match[1]) + match[2]

    def refresh(self, value: str) -> str:
        """A Refresh (HTML 4.2.5.3, "shared declarative refresh steps"): seconds, and where to."""
        match = _REFRESHING.fullmatch(value)
        return value if match is None else f"{match[1]}{self.location(match[2])}{match[3]}"

    def _path(self, path: str) -> str:
        if self._base and (path == self._base or path.startswith(self._base + "/")):
            path = path[len(self._base) :]
        path = (self._prefix + path) or "/"
        # two slashes would begin another host's name (RFC 3986 4.2)
        return "/." + path if path.startswith("//") else path

    def _cookie_path(self, path: str) -> str:
        """The whole of an upstream is the whole of the mount: "/shop/" would leave "/shop" out (RFC 6265 5.1.4)."""
        return self._prefix if self._prefix and path == "/" else self._path(path)

    def cookie(self, value: str) -> str:
        """A Set-Cookie (RFC 6265 4.1) whose Path and Domain are the client's."""
        return _ATTRIBUTE.sub(self._attribute, value)

    def _attribute(self, match: re.Match[str]) -> str:
        name, value = match[1], match[2].strip(" \t")
        if name.lower() == "path":
            # RFC 6265 5.2.4: what does not begin with a slash means the default path
            return f"; {name}={self._cookie_path(value)}" if value.startswith("/") else match[0]
        if self._domain:
            return f"; {name}={self._domain}"
        # a cookie for the endpoint's own name would be refused by the client: it becomes one for this host alone
        return "" if value.lstrip(".").lower() in self._hosts else match[0]


def _without_port(authority: str) -> str:
    host, colon, port = authority.rpartition(":")
    return host if colon and port.isdecimal() else authority


def _bare(authority: str, scheme: str) -> str:
    """An authority in lower case, without the port that its scheme implies."""
    authority = authority.lower()
    host, colon, port = authority.rpartition(":")
    return host if colon and port == _PORTS.get(scheme, "") and not host.endswith(":") else authority
