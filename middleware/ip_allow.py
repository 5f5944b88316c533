"""Who may come in, by address.

    Use(IpAllow, allow=["10.0.0.0/8", "2001:db8::/32"], when=path("/admin"))

Options
    allow     addresses and ranges that may; empty: all but those in `deny` ([])
    deny      addresses and ranges that may not, looked at first ([])
    sockets   whether a client on a Unix socket, which has no address, may (true)
    status    what the others get: 403, or 404 to tell them nothing (403)

The address is REMOTE_ADDR: behind a proxy, put ProxyHeaders outside this layer, or everybody is the proxy. An IPv4
address that a dual-stack listener shows as ::ffff:192.0.2.1 counts as 192.0.2.1. An address that is none is refused.

Streaming: bodies are not touched. Other servers: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import address, networks, within
from wsgikit.middleware.answer import answer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["IpAllow"]


class IpAllow:
    """Lets some addresses in. See the module for the options."""

    traits = frozenset({"by-address"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        sockets: bool = True,
        status: int = 403,
    ) -> None:
        if not allow and not deny:
            raise ConfigError("IpAllow has neither allow nor deny: name at least one address or range")
        if status not in (403, 404):
            raise ConfigError(f"status = {status!r}: allowed are 403 and 404")
        self.app = app
        self.allow = networks(allow, "allow")
        self.deny = networks(deny, "deny")
        self.sockets = sockets
        self.status = status

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._may(environ.get("REMOTE_ADDR", "")):
            return self.app(environ, start_response)
        return answer(environ, start_response, self.status)

    def _may(self, remote: str) -> bool:
        if not remote:
            return self.sockets
        client = address(remote)
        if client is None or within(client, self.deny):
            return False
        return not self.allow or within(client, self.allow)
