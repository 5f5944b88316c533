"""One request on its way in, and the head of its answer on the way out.

Owns what is changed in the request (ranges, conditions, codings that nobody here can undo), and the decision whether a
response is transformed at all. The body is `work`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsgikit.middleware.file_types import media_type
from wsgikit.middleware.request_fields import drop_fields, set_field
from wsgikit.middleware.xslt.conditions import Conditions
from wsgikit.middleware.xslt.failures import TooLarge, XsltError
from wsgikit.middleware.xslt.parameters import varies_on
from wsgikit.middleware.xslt.source_file import begun, close, read, sends_early
from wsgikit.middleware.xslt.source_head import SourceHead
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


# without them there is nothing to compare
_CONDITIONS = frozenset(("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE"))


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
        self.is_conditional = not environ.keys().isdisjoint(_CONDITIONS)
        # only where needed: the two refer to each other, which is work for the garbage collector
        self._conditions = Conditions(self) if self.is_conditional else None
        # the body is collected, and has this Content-Length; or nothing of it is needed
        self._begun = self._collecting = self._replacing = False
        self._length: int | None = None
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
        chain = self._conditions.asked_for(source) if self._conditions is not None else None
        return (chain, self.templates_of(chain)[0]) if chain is not None else None

    def _inner(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        iterable = self.app(environ, start_response)
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and issubclass(type(iterable), wrapper):
            if self._replacing:
                close(iterable)
                return []
            if self._collecting:
                # a file waits for nobody, so it can be read at once, and the answer has a Content-Length
                return read(iterable, self._length, self.settings.max_input)
        elif type(iterable) not in (list, tuple) and sends_early(environ):
            iterable = iterable if self._begun else begun(iterable)
            if self._collecting:
                return read(iterable, None, self.settings.max_input)
        return iterable

    # The request -----------------------------------------------------------------------------------------------------

    def _request(self) -> WSGIEnvironment:
        environ = dict(self.client)
        if ("HTTP_RANGE" in environ or "HTTP_IF_RANGE" in environ) and self.may_concern():
            # a range of the source is no range of the result
            drop_fields(environ, ("Range", "If-Range"))
        if "HTTP_ACCEPT_ENCODING" in environ and self.kind != "":
            from wsgikit.middleware.xslt.decoding import acceptable

            narrowed = acceptable(environ["HTTP_ACCEPT_ENCODING"])
            if narrowed is not None:
                set_field(environ, "Accept-Encoding", narrowed)
        if self._conditions is not None:
            self._conditions.translate(environ)
        return environ

    def may_concern(self) -> bool:
        """Whether one has to expect a document that is transformed; films keep their ranges."""
        if self.kind is not None:
            return self.kind != ""
        name = self.path.rpartition("/")[2]
        media = media_type(name, {}, "") if "." in name else ""
        return not media or media == "application/octet-stream" or media in self.settings.types

    # The head of the response ----------------------------------------------------------------------------------------

    def _head(self, response: Response) -> None:
        settings = self.settings
        self._begun, self._off = True, False
        said = response.get(settings.opt_out) if settings.opt_out else ""
        if said:
            self._off = said.strip(" \t").lower() == "off"
            response.remove(settings.opt_out)
        if response.status[:3] == "304" and self.reading and self._conditions is not None:
            self._conditions.answered(response)

    def varies(self, rules: Sequence[Rule], negotiable: bool) -> tuple[str, ...]:
        """The request fields that the choice and the result depend on, whichever of the rules it will be."""
        followed = self.settings.parameters if self.settings.follow is not None else ()
        names = [*varies_on(followed), *(name for rule in rules for name in rule.varies)]
        return ("Accept", *names) if negotiable else tuple(names)

    def _body(self, response: Response) -> Transform | None:
        self._collecting = self._replacing = False
        if self.passing:
            return None
        settings = self.settings
        source = SourceHead(response)
        media = source.media
        fits = media in settings.types and not self._off
        rules = [rule for rule in self.rules if fits and rule.fits_type(media)]
        fits = bool(rules) or (fits and settings.follow is not None)
        whole = response.status[:3] in settings.statuses
        if whole:
            self.workshop.note_kind(self.url, media if fits else "")
        if not (whole and fits and _is_plain(source)):
            return None
        try:
            return self._chosen(response, source, rules)
        except XsltError as error:
            return self._failed(response, error)

    def _chosen(self, response: Response, source: SourceHead, rules: list[Rule]) -> Transform | None:
        expected = self.workshop.chain(rules[0].sheets) if rules else None
        media = source.media
        result = expected.output.media_for() if expected is not None else "text/html"
        negotiable = self.wish.negotiable and media != "text/html"
        source.vary_on(self.varies(rules, negotiable))
        if self.wish.wants_source(media, result):
            response.headers[:] = source.headers
            return None
        if source.length is not None and source.length > self.settings.max_input:
            response.headers[:] = source.headers
            limit = self.settings.max_input
            raise TooLarge("max_input", f"the source has {source.length} bytes, more than {limit} (max_input)")
        work = Work(self, response, source, rules, expected)
        if work.is_fresh():
            return Discard()
        if self.client.get("REQUEST_METHOD") == "HEAD":
            work.describe()
            # what only the document would tell is left out (RFC 9110 9.3.2)
            response.remove("Content-Length", *([] if work.knows_type else ["Content-Type"]))
            return None
        kept = work.kept()
        if kept is not None:
            self._replacing = True
            return _Kept(kept)
        work.describe()
        self._collecting, self._length = True, source.length
        return work

    def _failed(self, response: Response, error: XsltError) -> Transform | None:
        answer = self.settings.failures.answer(error, self.client)
        if answer is None:
            return None
        response.status = answer.status
        cookies = [line for line in response.headers if line[0].lower() == "set-cookie"]
        response.headers[:] = [*answer.headers, *cookies]
        return Replace(answer.body)


class _Kept(Replace):
    """A body whose head is ready, with its length and a tag that is weak already."""

    __slots__ = ()
    keeps_length = True


def _is_plain(source: SourceHead) -> bool:
    """As `may_rewrite`, but for codings that can be undone."""
    if source.is_part or "no-transform" in source.caching:
        return False
    if not source.codings:
        return True
    from wsgikit.middleware.xslt.decoding import decodable

    return decodable(source.codings)
