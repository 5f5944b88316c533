"""A folder with an XML feed, a sitemap and their stylesheets, as a browser without XSLT and a feed reader see them.

wsgikit serve --config examples/feed/wsgikit.toml

    /feed.xml            a page in a browser, the feed for a feed reader (curl -H 'Accept: application/atom+xml, */*')
    /sitemap.xml         a page; ?format=xml shows the document
    /plain/feed.xml      the same folder without the middleware: what a browser without XSLT makes of it

The files are what browsers were given for twenty years: each document names its stylesheet by <?xml-stylesheet?>.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from wsgikit.middleware import XSLT, Compress, Stack, Static, Use

SITE = str(Path(__file__).with_name("site"))


def nothing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"No such page. Try /feed.xml or /sitemap.xml\n"]


files = Use(Static, directory=SITE)
plain = Stack(nothing, [Use(Compress), files])
# undecided="source": many a feed reader says no more than "Accept: */*", and browsers always ask for HTML
pages = Use(XSLT, follow="folder", folder=SITE, undecided="source", results="4MiB")
app = Stack(nothing, [Use(Compress), pages, files])
