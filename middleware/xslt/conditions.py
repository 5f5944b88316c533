"""Conditions of a request for a result, turned into conditions for the source that the app knows.

Owns If-None-Match and If-Modified-Since on their way in, and what the app's 304 means for the client.

A client's copy may be the result, or the document itself: it asked with another Accept, or it is from before there was
a stylesheet on the server. A tag of ours says which. Any other tag may be the document's, and for a client that wants
the page a 304 would bring the document back; so it goes on only where this worker has seen that the URL is no document
for us, or the client prefers the document anyway.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from wsgikit.middleware.preconditions import timestamp
from wsgikit.middleware.request_fields import drop_fields, set_field
from wsgikit.middleware.xslt import tags
from wsgikit.middleware.xslt.failures import XsltError
from wsgikit.middleware.xslt.heads import set_validators
from wsgikit.middleware.xslt.parameters import digest, values
from wsgikit.middleware.xslt.source_head import SourceHead

if TYPE_CHECKING:
    from wsgikit.middleware.xslt.exchange import Exchange
    from wsgikit.middleware.xslt.parameters import Template
    from wsgikit.middleware.xslt.workshop import Chain
    from wsgikit.wsgi.wrap import Response

__all__ = ["Conditions"]


class Conditions:
    """The conditions of one request."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        # source's tag without W/ -> our tag that the client has, and its chain
        self._asked: dict[str, tuple[str, Chain]] = {}
        self._since: Chain | None = None

    def translate(self, environ: dict[str, Any]) -> None:
        """Change them in the environ for the app."""
        exchange = self._exchange
        kind = exchange.kind
        if kind == "":
            return
        if "HTTP_IF_NONE_MATCH" in environ:
            self._translate_tags(environ, kind)
        elif "HTTP_IF_MODIFIED_SINCE" in environ:
            self._translate_time(environ, kind)

    def _translate_tags(self, environ: dict[str, Any], kind: str | None) -> None:
        listed = tags.listed(environ["HTTP_IF_NONE_MATCH"])
        sources = [source for source in map(self._source_of, listed) if source]
        leaning = self._leaning(kind, [chain for _, chain in self._asked.values()])
        wanted = [*([] if leaning == "source" else sources), *([] if leaning == "result" else listed)]
        # RFC 9110 13.1.3: the second is ignored beside the first, and must not count without it
        drop_fields(environ, ("If-None-Match", "If-Modified-Since"))
        if wanted:
            set_field(environ, "If-None-Match", ", ".join(dict.fromkeys(wanted)))

    def _source_of(self, tag: str) -> str:
        """The source's tag in a tag of ours, if stylesheets and parameters are still the same; else ""."""
        taken = tags.taken_apart(tag)
        if taken is None or not taken.source:
            return ""
        exchange = self._exchange
        chain = exchange.workshop.still(taken.chain, exchange.space())
        if chain is None:
            return ""
        digests = [digest(values(templates, exchange.client)) for templates in exchange.templates_of(chain)]
        if taken.parameters not in [found[: tags.PARAMETERS] for found in digests]:
            return ""
        self._asked[_opaque(taken.source)] = (tag, chain)
        return taken.source

    def _translate_time(self, environ: dict[str, Any], kind: str | None) -> None:
        """A result is a second younger than the newest of source and stylesheets; see `heads.result_time`."""
        chain = self._only_chain()
        leaning = self._leaning(kind, [chain] if chain is not None else [])
        if leaning == "source":
            return
        since = timestamp(environ["HTTP_IF_MODIFIED_SINCE"])
        drop_fields(environ, ("If-Modified-Since",))
        if leaning == "result" and since is not None and chain is not None and chain.modified < since:
            self._since = chain
            set_field(environ, "If-Modified-Since", formatdate(since - 1, usegmt=True))

    def _only_chain(self) -> Chain | None:
        """The chain that whatever comes is transformed with; None: it depends, or results depend on more than time."""
        exchange = self._exchange
        rules = exchange.rules
        if exchange.settings.follow is not None or len(rules) != 1 or rules[0].roots:
            return None
        if any(template.source in ("environ", "header") for template in rules[0].parameters):
            return None
        try:
            chain = exchange.workshop.chain(rules[0].sheets)
        except XsltError:
            return None
        return None if chain.volatile else chain

    def _leaning(self, kind: str | None, chains: list[Chain]) -> str:
        results = {chain.output.media_for() for chain in chains} or {"text/html"}
        wish = self._exchange.wish
        if kind is None:
            return wish.leaning(results)
        verdicts = {wish.wants_source(kind, result) for result in results}
        return "" if len(verdicts) != 1 else "source" if verdicts.pop() else "result"

    def asked_for(self, source: str) -> Chain | None:
        """The chain of the client's copy of what is made of this source."""
        found = self._asked.get(_opaque(source))
        return found[1] if found is not None else None

    def answered(self, response: Response) -> None:
        """The app's 304 for the source becomes one for the result (RFC 9110 15.4.5)."""
        etag = response.get("ETag")
        found = self._asked.get(_opaque(etag)) if etag else None
        if not etag and len(self._asked) == 1:
            found = next(iter(self._asked.values()))
        chain = found[1] if found is not None else self._since
        exchange = self._exchange
        if exchange.may_concern():
            # the same as with a 200, whether the client's copy is the document or the result (RFC 9110 15.4.5)
            for name in exchange.varies(exchange.rules, exchange.wish.negotiable and exchange.kind != "text/html"):
                response.vary_on(name)
        if chain is None:
            return
        templates: tuple[Template, ...] = exchange.templates_of(chain)[0]
        tag = found[0] if found is not None else ""
        if not tag and etag:
            tag = tags.make(etag, "", chain.digest, digest(values(templates, exchange.client)))
        set_validators(response, SourceHead(response), chain, templates, tag)


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")
