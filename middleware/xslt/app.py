"""`XSLT`, the middleware: its options, checked, and the parts that one of it keeps.

The manual page is the package's docstring. Must not know how a response is transformed: that is `exchange` and `work`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wsgikit.loader import require
from wsgikit.middleware.amounts import Amount, choice
from wsgikit.middleware.xslt.build import settings_from, workshop_from
from wsgikit.middleware.xslt.exchange import Exchange
from wsgikit.middleware.xslt.rules import TYPES
from wsgikit.wsgi.wrap import Discard, wrap

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["XSLT"]


class XSLT:
    """Transforms XML responses with stylesheets. See the package for the options."""

    traits = frozenset({"rewrites"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        stylesheet: str | Sequence[str] | None = None,
        rules: Sequence[Mapping[str, Any]] = (),
        params: Mapping[str, Any] | None = None,
        types: Sequence[str] = TYPES,
        statuses: Sequence[int] = (200, 203),
        html: str = "",
        follow: str = "no",
        folder: str = "",
        depth: int = 3,
        negotiate: bool = True,
        undecided: str = "auto",
        format_parameter: str = "format",
        opt_out: str = "X-XSLT",
        head: str = "headers",
        on_error: str = "500",
        too_large: str = "pass",
        debug: bool = False,
        results: Amount = 0,
        check: Amount = "1s",
        sheets: int = 100,
        copies: int = 16,
        engine: str = "lxml",
        roots: Sequence[str] | None = None,
        uris: Mapping[str, str] | None = None,
        allow: Sequence[str] = (),
        dtd: str = "unread",
        max_input: Amount = "2MiB",
        max_nodes: int = 1_000_000,
        max_depth: int = 256,
        max_output: Amount = "16MiB",
        max_ratio: int = 100,
        isolate: bool = False,
        deadline: Amount = "10s",
        memory: Amount = "512MiB",
        processes: int = 2,
        messages: str = "info",
        logger: str = "wsgikit.xslt",
    ) -> None:
        options = dict(locals())  # before anything else has a name here: the options as they were given
        self.app = app
        require("werkzeug")  # reads Accept, at every request
        self.head = choice(head, "head", ("headers", "get"))
        self.settings = settings_from(options)
        self.workshop = workshop_from(options, self.settings)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        settings = self.settings
        if settings.follow is None and not any(rule.fits_path(path) for rule in settings.rules):
            return self.app(environ, start_response)
        if self.head == "get" and environ.get("REQUEST_METHOD") == "HEAD":
            # a whole answer is made, and its body thrown away: the only way to know its length
            return wrap(self._as_get, environ, start_response, on_body=lambda response: Discard())
        return Exchange(self.app, settings, self.workshop, environ).respond(start_response)

    def _as_get(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = {**environ, "REQUEST_METHOD": "GET"}
        return Exchange(self.app, self.settings, self.workshop, request).respond(start_response)
