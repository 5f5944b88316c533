"""Where a document's own <?xml-stylesheet?> leads: to a file below a folder, or to the app itself.

Owns the choice of the instruction and the meaning of its href. It never leads to a network. Must not know responses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

from wsgikit.middleware.xslt.failures import Refused
from wsgikit.middleware.xslt.preamble import Preamble, pseudo_attributes
from wsgikit.middleware.xslt.space import APP_SCHEME, SCHEME, Space
from wsgikit.middleware.xslt.subrequest import AppSpace

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

__all__ = ["Follow", "href_of"]

# RFC 3023 to RFC 7303, and what everybody writes
_TYPES = frozenset(("text/xsl", "application/xslt+xml", "text/xml", "application/xml"))


def href_of(instructions: Iterable[tuple[str, str]]) -> str:
    """The href of the first stylesheet instruction that is no alternative and for XSLT; "" when there is none."""
    for target, text in instructions:
        if target != "xml-stylesheet":
            continue
        found = pseudo_attributes(text)
        media = found.get("type", "").partition(";")[0].strip(" \t").lower()
        if media in _TYPES and found.get("alternate") != "yes" and found.get("href"):
            return found["href"]
    return ""


@dataclass(frozen=True, kw_only=True)
class Follow:
    """`folder`: where the files of the site's URLs are; "": ask the app. `depth`: internal requests in each other."""

    folder: str
    largest: int
    depth: int

    def space(self, app: WSGIApplication, environ: WSGIEnvironment) -> Space | None:
        """Where the stylesheets are; None: among the files."""
        return None if self.folder else AppSpace(app, environ, largest=self.largest, depth=self.depth)

    def uris(self, begins: Preamble, environ: WSGIEnvironment) -> tuple[str, ...]:
        """What a document names; empty when it names nothing. Refused: another host."""
        href = href_of(begins.instructions)
        if not href:
            return ()
        path = self._path(href, environ)
        if not self.folder:
            return (APP_SCHEME + path,)
        mount = quote(environ.get("SCRIPT_NAME", "").encode("latin-1"))
        if not (path == mount or path.startswith(mount + "/")):
            raise Refused("outside", f"<?xml-stylesheet href={href!r}?> is outside of this app")
        return (f"{SCHEME}{quote(self.folder)}{path[len(mount) :]}",)

    def _path(self, href: str, environ: WSGIEnvironment) -> str:
        """The path of href as the document's URL makes it (RFC 3986 5.2); the query is the app's business alone."""
        here = quote((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"))
        host = environ.get("HTTP_HOST", "")
        base = f"{environ.get('wsgi.url_scheme', 'http')}://{host or 'localhost'}"
        try:
            parts = urlsplit(urljoin(base + here, href))
        except ValueError:
            raise Refused("outside", f"<?xml-stylesheet href={href!r}?> is no URL") from None
        if f"{parts.scheme}://{parts.netloc}" != base:
            raise Refused("network", f"<?xml-stylesheet href={href!r}?> is on another host; nothing is fetched")
        if href.startswith("#"):
            raise Refused("outside", "a stylesheet inside the document itself is not used")
        path = quote(unquote_to_bytes(parts.path))
        return path + (f"?{parts.query}" if parts.query and not self.folder else "")
