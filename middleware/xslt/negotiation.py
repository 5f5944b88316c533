"""The document or the page: what a client wants of the two.

Owns Accept (RFC 9110 12.5.1), the query parameter that overrides it, and what is done when the client likes both the
same. Must not know stylesheets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

__all__ = ["FEEDS", "Negotiation", "Wish"]

# What feed readers ask for with "*/*" as well: a page would break them, while nothing else is broken by XML.
FEEDS = frozenset(("application/rss+xml", "application/atom+xml", "application/rdf+xml", "application/feed+xml"))
_XML = ("application/xml", "text/xml")
_HTML = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True, kw_only=True)
class Negotiation:
    """enabled: look at Accept; undecided: "transform", "source" or "auto"; parameter: of the query, "" for none."""

    enabled: bool = True
    undecided: str = "auto"
    parameter: str = "format"

    def wish(self, environ: Mapping[str, Any]) -> Wish:
        """What this request asks for."""
        return Wish(self, environ.get("HTTP_ACCEPT", ""), self._forced(environ.get("QUERY_STRING", "")))

    def _forced(self, query: str) -> str:
        if not self.parameter or self.parameter not in query:
            return ""
        match = re.search(rf"(?:\A|&){re.escape(self.parameter)}=(xml|html)(?:&|\Z)", query)
        return {"xml": "source", "html": "result"}[match[1]] if match else ""


class Wish:
    """One request's Accept."""

    def __init__(self, negotiation: Negotiation, accept: str, forced: str) -> None:
        self._negotiation = negotiation
        self._accept = accept
        self.forced = forced

    @property
    def negotiable(self) -> bool:
        """Whether the answer depends on Accept."""
        return self._negotiation.enabled and not self.forced

    def wants_source(self, source: str, result: str) -> bool:
        """Whether the document itself is preferred; media types in lower case."""
        if self.forced:
            return self.forced == "source"
        if not self._negotiation.enabled or source == result or source == "text/html":
            return False
        for_source, for_result = self.quality(source), self.quality(result)
        if for_source != for_result:
            return for_source > for_result
        if for_source == 0:
            return False
        undecided = self._negotiation.undecided
        return undecided == "source" or (undecided == "auto" and source in FEEDS and result in _HTML)

    def leaning(self, results: Iterable[str]) -> str:
        """ "source" or "result" where that is sure whatever XML type the document turns out to have; else ""."""
        if self.forced:
            return self.forced
        if not self._negotiation.enabled:
            return "result"
        named = [media for media, _ in self._parsed() if media.endswith("+xml") and media not in _HTML]
        sources = (*_XML, *named, *FEEDS)
        verdicts = {self.wants_source(source, result) for source in sources for result in results}
        if len(verdicts) != 1:
            return ""
        return "source" if verdicts.pop() else "result"

    def quality(self, media: str) -> float:
        """The weight of a media type: of the most specific range that covers it; 1 where there is no Accept."""
        return _quality(self._accept, media)

    def _parsed(self) -> tuple[tuple[str, float], ...]:
        return _ranges(self._accept)


@lru_cache(maxsize=1000)
def _quality(accept: str, media: str) -> float:
    if not accept:
        return 1.0
    if media in _XML:
        # RFC 7303 9.2: the two are the same; a range that only covers the other does not outdo one that names this
        return max(_ranked(accept, same) for same in _XML)[1]
    return _ranked(accept, media)[1]


def _ranked(accept: str, media: str) -> tuple[int, float]:
    """How specific the range is that covers a type, 0 for none, and its weight."""
    kind = media.partition("/")[0] + "/*"
    found: dict[int, float] = {}
    for name, weight in _ranges(accept):
        rank = 3 if name == media else 2 if name == kind else 1 if name == "*/*" else 0
        if rank and weight > found.get(rank, -1):
            found[rank] = weight
    rank = max(found, default=0)
    return rank, found.get(rank, 0.0)


@lru_cache(maxsize=500)
def _ranges(accept: str) -> tuple[tuple[str, float], ...]:
    """Media ranges and weights; browsers send few different fields."""
    from werkzeug.http import parse_accept_header

    return tuple(
        (value.partition(";")[0].strip(" \t").lower(), float(weight)) for value, weight in parse_accept_header(accept)
    )
