"""How large a request's CGI variables may be, on every wire that carries them."""

from __future__ import annotations

from dataclasses import dataclass

from wsgikit.wire.http11.limits import Limits

# A web server adds some thirty variables of its own and says the path up to six times over (REQUEST_URI, DOCUMENT_URI,
# SCRIPT_NAME, PATH_INFO, SCRIPT_FILENAME, PATH_TRANSLATED); with TLS, mod_ssl adds some fifty.
_OWN_VARIABLES = 100


@dataclass(frozen=True, slots=True)
class VariableLimits:
    """`size`: bytes of names and values as the wire writes them ("variables-too-long", 431); `count`: their number
    ("too-many-variables", 431)."""

    size: int = 131072
    count: int = 200

    @classmethod
    def of(cls, limits: Limits) -> VariableLimits:
        """From the limits of an HTTP head: the same fields come this way, with the web server's own variables."""
        return cls(2 * limits.head, limits.fields + _OWN_VARIABLES)
