"""One request on its way in, and the head of its answer on the way out.

Owns what is changed in the request (ranges, conditions, codings that nobody here can undo), and the decision whether a
response is transformed at all. The body is `work`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wsgikit.middleware.file_types import media_type
from wsgikit.middleware.request_fields import drop_fields, set_field
from wsgikit.middleware.xslt.conditions import Conditions
from wsgikit.middleware.xslt.failures import TooLarge, XsltError
from wsgikit.middleware.xslt.parameters import varies_on
from wsgikit.middleware.xslt.work import Work
from wsgikit.wsgi.wrap import Discard, Replace, Response, Transform, wrap

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from wsgikit.middleware.xslt.answers import Failures
    from wsgikit.middleware.xslt.follow import Follow
    from wsgikit.middleware.xslt.negotiation import Negotiation
    from wsgikit.middleware.xslt.parameters import Template
    from wsgikit.middleware.xslt.rules import MediaTypes, Rule
    from wsgikit.middleware.xslt.space import Space
    from wsgikit.middleware.xslt.workshop import Chain, Workshop

__all__ = ["Exchange", "Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of the middleware, checked. `follow`: None, or where <?xml-stylesheet?> leads."""

    rules: tuple[Rule, ...]
    parameters: tuple[Template, ...]
    types: MediaTypes
    statuses: frozenset[str]
    follow: Follow | None
    negotiation: Negotiation
    failures: Failures
    opt_out: str
    max_input: int
    max_ratio: int


class Exchange:
    """One request. Made anew for each."""

    def __init__(self, app: WSGIApplication, settings: Settings, workshop: Workshop, environ: WSGIEnvironment) -> None:
        self.app = app
        self.settings = settings
        self.workshop = workshop
        self.client = environ
        self.path = environ.get("PATH_INFO", "")
        self.url = f"{environ.get('SCRIPT_NAME', '')}{self.path}?{environ.get('QUERY_STRING', '')}"
        self.rules = tuple(rule for rule in settings.rules if rule.fits_path(self.path))
        self.wish = settings.negotiation.wish(environ)
        self.reading = environ.get("REQUEST_METHOD") in ("GET", "HEAD")
        # media type of the source at this URL as last seen: None not yet, "" it was not for us
        self.kind = workshop.kinds.get(self.url)
        self._conditions = Conditions(self)
        self._collecting = False
        self._off = False
        # the body has turned out to be too large, and goes through
        self.passing = False

    def respond(self, start_response: StartResponse) -> Iterable[bytes]:
        environ = self._request() if self.reading else self.client
        return wrap(self._inner, environ, start_response, on_headers=self._head, on_body=self._body)

    def space(self) -> Space | None:
        """Where stylesheets of documents come from in this request; None: among the files."""
        follow = self.settings.follow
        return follow.space(self.app, self.client) if follow is not None else None

    def templates_of(self, chain: Chain) -> list[tuple[Template, ...]]:
        """The parameters that a chain may get in this request, at least one set of them."""
        found = [rule.parameters for rule in self.rules if rule.sheets == chain.uris]
        return found or [self.settings.parameters]

    def asked_for(self, source: str) -> tuple[Chain, tuple[Template, ...]] | None:
        """The chain and parameters of the client's copy of what is made of this source."""
        chain = self._conditions.asked_for(source)
        return (chain, self.templates_of(chain)[0]) if chain is not None else None

    def _inner(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        iterable = self.app(environ, start_response)
        wrapper = environ.get("wsgi.file_wrapper")
        if self._collecting and isinstance(wrapper, type) and issubclass(type(iterable), wrapper):
            # a file waits for nobody, so it can be read at once, and the answer has a Content-Length
            return _read(iterable, self.settings.max_input)
        return iterable

    # The request -----------------------------------------------------------------------------------------------------

    def _request(self) -> WSGIEnvironment:
        environ = dict(self.client)
        if ("HTTP_RANGE" in environ or "HTTP_IF_RANGE" in environ) and self._may_concern():
            # a range of the source is no range of the result
            drop_fields(environ, ("Range", "If-Range"))
        if "HTTP_ACCEPT_ENCODING" in environ and self.kind != "":
            from wsgikit.middleware.xslt.decoding import acceptable

            narrowed = acceptable(environ["HTTP_ACCEPT_ENCODING"])
            if narrowed is not None:
                set_field(environ, "Accept-Encoding", narrowed)
        self._conditions.translate(environ)
        return environ

    def _may_concern(self) -> bool:
        """Whether one has to expect a document that is transformed; films keep their ranges."""
        if self.kind is not None:
            return self.kind != ""
        name = self.path.rpartition("/")[2]
        media = media_type(name, {}, "") if "." in name else ""
        return not media or media == "application/octet-stream" or media in self.settings.types

    # The head of the response ----------------------------------------------------------------------------------------

    def _head(self, response: Response) -> None:
        settings = self.settings
        self._off = False
        if settings.opt_out and response.get(settings.opt_out):
            self._off = response.get(settings.opt_out).strip(" \t").lower() == "off"
            response.remove(settings.opt_out)
        if response.status[:3] == "304" and self.reading:
            self._conditions.answered(response)

    def vary(self, response: Response, templates: Iterable[Template], *, accept: bool = True) -> None:
        """Say what the choice and the result depend on."""
        names = ("Accept",) if accept and self.wish.negotiable else ()
        for name in (*names, *varies_on(templates)):
            response.vary_on(name)

    def _body(self, response: Response) -> Transform | None:
        self._collecting = False
        if self.passing:
            return None
        media = response.media_type
        fits = media in self.settings.types and not self._off
        rules = [rule for rule in self.rules if fits and rule.fits_type(media)]
        fits = bool(rules) or (fits and self.settings.follow is not None)
        whole = response.status[:3] in self.settings.statuses
        if whole:
            self.workshop.note_kind(self.url, media if fits else "")
        if not (whole and fits and _is_plain(response)):
            return None
        try:
            return self._chosen(response, rules)
        except XsltError as error:
            return self._failed(response, error)

    def _chosen(self, response: Response, rules: list[Rule]) -> Transform | None:
        expected = self.workshop.chain(rules[0].sheets) if rules else None
        media = response.media_type
        result = expected.output.media_for() if expected is not None else "text/html"
        self.vary(response, [t for rule in rules for t in rule.parameters], accept=media != "text/html")
        if self.wish.wants_source(media, result):
            return None
        length = response.content_length
        if length is not None and length > self.settings.max_input:
            raise TooLarge("max_input", f"the source has {length} bytes, more than {self.settings.max_input}")
        decided = self.settings.follow is None and not rules[0].roots
        work = Work(self, response, rules, expected, decided=decided)
        if work.is_fresh():
            return Discard()
        if self.client.get("REQUEST_METHOD") == "HEAD":
            work.describe()
            # what only the document would tell is left out (RFC 9110 9.3.2)
            response.remove("Content-Length", *([] if decided else ["Content-Type"]))
            return None
        kept = work.kept()
        if kept is not None:
            return Replace(kept)
        work.describe()
        self._collecting = True
        return work

    def _failed(self, response: Response, error: XsltError) -> Transform | None:
        answer = self.settings.failures.answer(error, self.client)
        if answer is None:
            return None
        response.status = answer.status
        cookies = [line for line in response.headers if line[0].lower() == "set-cookie"]
        response.headers[:] = [*answer.headers, *cookies]
        return Replace(answer.body)


def _is_plain(response: Response) -> bool:
    """As `may_rewrite`, but for codings that can be undone."""
    if response.status[:3] == "206" or response.get("Content-Range") or not response.has_body:
        return False
    if "no-transform" in response.tokens("Cache-Control"):
        return False
    codings = response.tokens("Content-Encoding")
    if not codings:
        return True
    from wsgikit.middleware.xslt.decoding import decodable

    return decodable(codings)


class _Rest:
    """Blocks that were read already, and those that follow."""

    def __init__(self, blocks: list[bytes], iterator: Iterator[bytes], iterable: Any) -> None:
        self._blocks = blocks
        self._iterator = iterator
        self._iterable = iterable

    def __iter__(self) -> Iterator[bytes]:
        yield from self._blocks
        yield from self._iterator

    def close(self) -> None:
        close = getattr(self._iterable, "close", None)
        if close is not None:
            close()


def _read(iterable: Any, limit: int) -> Iterable[bytes]:
    """A file's blocks; not more in memory than the limit and one block."""
    iterator, blocks, size = iter(iterable), [], 0
    try:
        for block in iterator:
            blocks.append(block)
            size += len(block)
            if size > limit:
                return _Rest(blocks, iterator, iterable)
    except BaseException:
        _Rest([], iterator, iterable).close()
        raise
    _Rest([], iterator, iterable).close()
    return blocks
