"""The body of one response that is transformed.

Owns collecting the source, the choice that only the document itself can make, and the way back when it cannot be
transformed: another head in the place of the one that was prepared.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from wsgikit.middleware.answer import STATUSES, page
from wsgikit.middleware.facts import note
from wsgikit.middleware.preconditions import evaluate
from wsgikit.middleware.xslt import tags
from wsgikit.middleware.xslt.engine import Parameter, Source
from wsgikit.middleware.xslt.failures import TooLarge, XsltError
from wsgikit.middleware.xslt.heads import Head, not_modified, result_time, transformed
from wsgikit.middleware.xslt.parameters import digest, values
from wsgikit.middleware.xslt.preamble import preamble
from wsgikit.middleware.xslt.results import Kept, content_digest
from wsgikit.wsgi.wrap import Response, Transform

if TYPE_CHECKING:
    from wsgikit.middleware.xslt.exchange import Exchange
    from wsgikit.middleware.xslt.heads import Headers
    from wsgikit.middleware.xslt.parameters import Template
    from wsgikit.middleware.xslt.rules import Rule
    from wsgikit.middleware.xslt.source_head import SourceHead
    from wsgikit.middleware.xslt.workshop import Chain

__all__ = ["Work"]


class _Outcome(NamedTuple):
    """What goes out. `source`: the source as it was."""

    status: str
    headers: Headers
    body: bytes
    source: bool = False


class _AnotherHead(Exception):
    """Raised and caught here: PEP 3333 lets a head be replaced, before any body, inside an except block alone."""


class _Chosen:
    """A chain, with its parameters as this request has them."""

    def __init__(self, chain: Chain, templates: tuple[Template, ...], exchange: Exchange) -> None:
        self.chain = chain
        self.templates = templates
        self.values: dict[str, Parameter] = values(templates, exchange.client)
        self.digest = digest(self.values)

    def tag(self, source: str, content: str = "") -> str:
        return tags.make(source, content, self.chain.digest, self.digest)


class Work(Transform):
    """Collects a source and gives its result. `expected`: the chain of the first rule."""

    def __init__(
        self, exchange: Exchange, response: Response, source: SourceHead, rules: list[Rule], expected: Chain | None
    ) -> None:
        self._exchange = exchange
        self._response = response
        self._rules = rules
        self._source = source
        self._conditional = exchange.reading and source.status[:3] == "200" and exchange.is_conditional
        self._expected = _Chosen(expected, rules[0].parameters, exchange) if expected is not None else None
        # nothing in the document can lead to another chain
        self.decided = self._expected is not None and exchange.settings.follow is None and not rules[0].roots
        self._decided = self._expected if self.decided else None
        self._blocks: list[bytes] = []
        self._size = 0
        # status and Content-Type that the server is given where the body does not come at once
        self._prepared = ("", "")
        self.done = False

    @property
    def knows_type(self) -> bool:
        """Whether the result's Content-Type is known before there is a result."""
        return self.decided and self._expected is not None and self._expected.chain.output.decided

    # Before the body is read -----------------------------------------------------------------------------------------

    def is_fresh(self) -> bool:
        """Whether the client's copy is known to be good without reading the source; the head is set for a 304."""
        exchange = self._exchange
        if not self._conditional:
            return False
        chosen = self._decided or self._asked_for()
        if chosen is None or chosen.chain.volatile:
            return False
        tag = chosen.tag(self._source.tag) if self._source.tag else ""
        if evaluate(exchange.client, tag, result_time(self._source, chosen.chain)) != 304:
            return False
        self._response.headers[:] = transformed(self._source, chosen.chain, chosen.templates, tag)
        not_modified(self._response)
        self._response.complete = True  # the app's body is closed without being asked for a block
        note(exchange.client, "xslt", "fresh")
        return True

    def _asked_for(self) -> _Chosen | None:
        """The chain of the client's tag, where that is for this very source: the document would choose it again."""
        found = self._exchange.asked_for(self._source.tag) if self._source.tag else None
        return _Chosen(*found, self._exchange) if found is not None else None

    def kept(self) -> bytes | None:
        """A result that is known for the source's tag; the head is set for it."""
        chosen = self._decided
        key = self._key(chosen, "") if chosen is not None else None
        found = self._exchange.workshop.results.get(key) if key is not None else None
        if found is None or chosen is None:
            return None
        tag = chosen.tag(self._source.tag)
        head = transformed(self._source, chosen.chain, chosen.templates, tag, found.content_type)
        head.append(("Content-Length", str(len(found.body))))
        self._response.headers[:] = head
        note(self._exchange.client, "xslt", "kept")
        return found.body

    def describe(self) -> None:
        """Give the response the head that is expected. Content-Length stays: wrap() goes by it, and drops it then."""
        chosen, source = self._expected, self._source
        if chosen is None:
            head = [*source.rest, ("Content-Type", source.content_type)]
            if source.vary:
                head.append(("Vary", source.vary))
        else:
            sure = source.tag and self.decided and not chosen.chain.volatile
            tag = chosen.tag(source.tag) if sure else ""
            head = transformed(source, chosen.chain, chosen.templates, tag, chosen.chain.output.content_type())
        if source.length is not None:
            head.append(("Content-Length", str(source.length)))
        self._response.headers[:] = head
        self._prepared = (source.status, self._response.get("Content-Type"))

    # The body --------------------------------------------------------------------------------------------------------

    def feed(self, block: bytes) -> bytes:
        if not self._blocks:
            self._response.set("Accept-Ranges", "none")
        self._blocks.append(block)
        self._size += len(block)
        if self._size <= self._exchange.settings.max_input:
            return b""
        outcome = self._failed(self._too_large(), self._taken())
        if outcome.source:
            return self._give_back(outcome)
        self.done = True
        return self._begin_again(outcome)

    def end(self) -> bytes:
        collected = bool(self._blocks)
        outcome = self._outcome(self._taken())
        if not collected:
            return self._set(outcome)
        head = Head(outcome.status, outcome.headers)
        if self._prepared != (head.status, head.get("Content-Type")) or outcome.source:
            return self._begin_again(outcome)
        # The ETag that is known only now is worth another head, but not on servers that may stumble over it (uWSGI).
        if head.get("ETag") and not self._response.get("ETag") and "wsgikit.on_close" in self._exchange.client:
            return self._begin_again(outcome)
        return outcome.body

    def whole(self, body: bytes) -> bytes:
        if len(body) > self._exchange.settings.max_input:
            return self._set(self._failed(self._too_large(), body))
        return self._set(self._outcome(body))

    def _taken(self) -> bytes:
        blocks, self._blocks = self._blocks, []
        return b"".join(blocks)

    def _set(self, outcome: _Outcome) -> bytes:
        """The server has no head yet."""
        self._response.status = outcome.status
        self._response.headers[:] = outcome.headers
        return outcome.body

    def _begin_again(self, outcome: _Outcome) -> bytes:
        """The server has one, and gets another."""
        headers = list(outcome.headers)
        if outcome.status[:3] != "304":
            headers = [line for line in headers if line[0].lower() != "content-length"]
            headers.append(("Content-Length", str(len(outcome.body))))
        try:
            raise _AnotherHead
        except _AnotherHead:
            self._response.restart(outcome.status, headers)
        return outcome.body

    def _give_back(self, outcome: _Outcome) -> bytes:
        """The server gets the source's own head; what was collected goes out, and what follows goes through."""
        self._exchange.passing = True
        try:
            raise _AnotherHead
        except _AnotherHead:
            # as if the app had changed its mind: the hooks are asked again, and leave this body alone
            self._response.start(outcome.status, outcome.headers, sys.exc_info())
        return outcome.body

    # The result ------------------------------------------------------------------------------------------------------

    def _too_large(self) -> TooLarge:
        return TooLarge("max_input", f"the source is larger than {self._exchange.settings.max_input} bytes (max_input)")

    def _outcome(self, body: bytes) -> _Outcome:
        if not body and self._kind() == "html":
            # what programs answer that have nothing to show: no page, so there is nothing to put a theme on
            return _Outcome(self._source.status, self._source.headers, body, source=True)
        try:
            data = self._decoded(body)
            chosen = self._decided or self._by_document(data)
            if chosen is None:
                return _Outcome(self._source.status, self._source.headers, body, source=True)
            return self._result(chosen, data)
        except XsltError as error:
            return self._failed(error, body)

    def _decoded(self, body: bytes) -> bytes:
        if not self._source.codings:
            return body
        from wsgikit.middleware.xslt.decoding import decode

        settings = self._exchange.settings
        return decode(body, self._source.codings, settings.max_input, settings.max_ratio)

    def _by_document(self, data: bytes) -> _Chosen | None:
        exchange = self._exchange
        begins = preamble(data, self._source.charset)
        follow = exchange.settings.follow
        uris = follow.uris(begins, exchange.client) if follow is not None else ()
        if uris and follow is not None:
            chain = exchange.workshop.chain(uris, follow.space(exchange.app, exchange.client))
            return _Chosen(chain, exchange.settings.parameters, exchange)
        for rule in self._rules:
            if rule.fits_root(begins.root):
                return _Chosen(exchange.workshop.chain(rule.sheets), rule.parameters, exchange)
        return None

    def _result(self, chosen: _Chosen, data: bytes) -> _Outcome:
        # a digest costs as much as a tenth of a transformation: only where something is known by it
        needed = not self._source.tag or self._exchange.workshop.results.limit
        content = content_digest(data) if needed else ""
        fresh = None if chosen.chain.volatile else self._judged(chosen, chosen.tag(self._source.tag, content))
        if fresh is not None:
            return fresh
        kept = self._made(chosen, data, content)
        if chosen.chain.volatile:
            tag = tags.make("", content_digest(kept.body), "0" * 12, chosen.digest)
        else:
            tag = chosen.tag(self._source.tag, content)
        fresh = self._judged(chosen, tag)
        if fresh is not None:
            return fresh
        headers = transformed(self._source, chosen.chain, chosen.templates, tag, kept.content_type)
        return _Outcome(self._source.status, headers, kept.body)

    def _made(self, chosen: _Chosen, data: bytes, content: str) -> Kept:
        """The result, from those that are kept or made now; `chosen` knows then what document() has read."""
        exchange = self._exchange
        results = exchange.workshop.results
        key = self._key(chosen, content)
        found = results.get(key) if key is not None else None
        note(exchange.client, "xslt", "made" if found is None else "kept")
        if found is None:
            found = self._transform(chosen, data)
        for key in (self._key(chosen, content), self._key(chosen, "")):
            if key is not None:
                results.put(key, found)
        return found

    def _transform(self, chosen: _Chosen, data: bytes) -> Kept:
        exchange = self._exchange
        failures = exchange.settings.failures
        source = Source(data, self._kind(), self._source.charset, exchange.path)
        try:
            result, chosen.chain = exchange.workshop.transform(chosen.chain, source, chosen.values)
        except XsltError as error:
            failures.messages(_before(error), exchange.client)
            raise
        failures.messages(result.messages, exchange.client)
        return Kept(result.body, result.content_type)

    def _kind(self) -> str:
        if self._source.media == "application/json" or self._source.media.endswith("+json"):
            return "json"
        return "html" if self._source.media == "text/html" else "xml"

    def _key(self, chosen: _Chosen, content: str) -> tuple[str, ...] | None:
        """Where a result is kept: by content, or without one by the source's tag, which has to be a strong one of a
        response that is the same for everybody. None: nowhere."""
        exchange = self._exchange
        if not exchange.workshop.results.limit or chosen.chain.volatile:
            return None
        if content:
            return ("content", content, self._source.charset, self._kind(), chosen.chain.digest, chosen.digest)
        if self._source.is_personal or not self._source.tag.startswith('"'):
            return None
        return ("tag", exchange.url, self._source.tag, chosen.chain.digest, chosen.digest)

    def _judged(self, chosen: _Chosen, tag: str) -> _Outcome | None:
        """304 or 412 where the request has conditions that say so (RFC 9110 13.2.2)."""
        exchange = self._exchange
        if not self._conditional:
            return None
        code = evaluate(exchange.client, tag, result_time(self._source, chosen.chain))
        if code == 200:
            return None
        if code == 304:
            head = Head(self._source.status, transformed(self._source, chosen.chain, chosen.templates, tag))
            not_modified(head)
            note(exchange.client, "xslt", "fresh")
            return _Outcome(head.status, head.headers, b"")
        media, body = page(exchange.client, STATUSES[412])
        return _Outcome(STATUSES[412], [("Content-Type", media)], body)

    def _failed(self, error: XsltError, body: bytes) -> _Outcome:
        exchange = self._exchange
        note(exchange.client, "xslt", "failed")
        answer = exchange.settings.failures.answer(error, exchange.client)
        if answer is None:
            return _Outcome(self._source.status, self._source.headers, body, source=True)
        cookies = [line for line in self._source.headers if line[0].lower() == "set-cookie"]
        return _Outcome(answer.status, [*answer.headers, *cookies], answer.body)


def _before(error: XsltError) -> tuple[str, ...]:
    """Messages of a run that failed; the last of one that ended itself is the failure's own text."""
    found: tuple[str, ...] = tuple(getattr(error, "messages", ()))
    return found[:-1] if found and found[-1] == error.text else found
