"""Security headers on every response that does not bring its own.

    Use(SecurityHeaders)
    Use(SecurityHeaders, csp="default-src 'self'", hsts="180d")

Options (an empty text leaves the field out)
    nosniff        X-Content-Type-Options: nosniff (true)
    frame          X-Frame-Options: "SAMEORIGIN", "DENY" or "" ("SAMEORIGIN")
    referrer       Referrer-Policy ("strict-origin-when-cross-origin")
    opener         Cross-Origin-Opener-Policy ("same-origin"); pages that talk to a pop-up window from elsewhere need
                   "same-origin-allow-popups"
    resource       Cross-Origin-Resource-Policy ("": other sites may show your images)
    permissions    Permissions-Policy, e.g. "camera=(), geolocation=()" ("")
    csp            Content-Security-Policy ("": no default can fit every site)
    csp_report     Content-Security-Policy-Report-Only ("")
    hsts           Strict-Transport-Security: how long browsers shall come by https alone, e.g. "365d" (0: not sent).
                   Only ever sent on https. Start with a day: it cannot be taken back
    hsts_subdomains, hsts_preload   its two switches (false)
    remove         fields the app sends and nobody needs (["X-Powered-By", "Server"])

A field that the app sets stays as it is, so one page can differ. Streaming: bodies are not touched. Other servers: a
`Server` field of theirs is added after this layer, and stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import Amount, choice, seconds, texts
from wsgikit.wsgi.wrap import Response, wrap

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["SecurityHeaders"]


class SecurityHeaders:
    """Adds the fields that browsers go by. See the module for the options."""

    traits = frozenset({"once"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        nosniff: bool = True,
        frame: str = "SAMEORIGIN",
        referrer: str = "strict-origin-when-cross-origin",
        opener: str = "same-origin",
        resource: str = "",
        permissions: str = "",
        csp: str = "",
        csp_report: str = "",
        hsts: Amount = 0,
        hsts_subdomains: bool = False,
        hsts_preload: bool = False,
        remove: Sequence[str] = ("X-Powered-By", "Server"),
    ) -> None:
        self.app = app
        fields = {
            "X-Content-Type-Options": "nosniff" if nosniff else "",
            "X-Frame-Options": choice(frame, "frame", ("SAMEORIGIN", "DENY", "")),
            "Referrer-Policy": referrer,
            "Cross-Origin-Opener-Policy": opener,
            "Cross-Origin-Resource-Policy": resource,
            "Permissions-Policy": permissions,
            "Content-Security-Policy": csp,
            "Content-Security-Policy-Report-Only": csp_report,
        }
        self.fields = tuple((name, _field_value(name, value)) for name, value in fields.items() if value)
        self.hsts = _hsts(int(seconds(hsts, "hsts")), hsts_subdomains, hsts_preload)
        self.removed = texts(remove, "remove")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return wrap(self.app, environ, start_response, on_headers=self._headers)

    def _headers(self, response: Response) -> None:
        if self.removed:
            response.remove(*self.removed)
        there = {name.lower() for name, _ in response.headers}
        response.headers.extend(field for field in self.fields if field[0].lower() not in there)
        if self.hsts and response.environ.get("wsgi.url_scheme") == "https":
            response.default("Strict-Transport-Security", self.hsts)


def _hsts(age: int, subdomains: bool, preload: bool) -> str:
    if not age:
        if subdomains or preload:
            raise ConfigError("hsts_subdomains and hsts_preload need hsts, a time such as '365d'")
        return ""
    return f"max-age={age}" + "; includeSubDomains" * subdomains + "; preload" * preload


def _field_value(name: str, value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ConfigError(f"{name}: {value!r} is no header value; it has to be printable ASCII on one line")
    return value
