"""CORS: which other sites' pages may read responses (https://fetch.spec.whatwg.org/#http-cors-protocol).

    Use(CORS, origins=["https://shop.example", "https://*.shop.example"], credentials=True)

Answers preflight requests itself, before routing and authentication, which would refuse them; so it belongs outside
both. Everything else goes to the app and gets the fields on the way back.

Options
    origins        "https://name[:port]", "https://*.name" for every name below, "null", or ["*"] for all ([])
    methods        methods beyond GET, HEAD and POST that may be used (["PUT", "PATCH", "DELETE"])
    headers        request fields that may be sent, or ["*"] for whatever is asked for (["Authorization",
                   "Content-Type", "X-Request-ID"])
    expose         response fields that scripts may read ([])
    credentials    allow cookies and HTTP authentication (false); not with origins = ["*"], as the standard forbids it
    max_age        how long a browser keeps a preflight's answer ("10m")
    private        answer Access-Control-Request-Private-Network with yes (false)

A request from another origin than these goes through without CORS fields, so the browser keeps the answer from the
page; a preflight from one is answered 403. `Vary: Origin` is set wherever the answer depends on it.

Streaming: bodies are not touched. Other servers: nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import Amount, seconds, texts
from wsgikit.middleware.answer import answer, send
from wsgikit.wsgi.wrap import Response, wrap

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["CORS"]

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:\*\.)?(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?\Z", re.IGNORECASE)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_PREFLIGHT = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class CORS:
    """Lets pages of named origins read responses. See the module for the options."""

    traits = frozenset({"preflight", "once"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        origins: Sequence[str] = (),
        methods: Sequence[str] = ("PUT", "PATCH", "DELETE"),
        headers: Sequence[str] = ("Authorization", "Content-Type", "X-Request-ID"),
        expose: Sequence[str] = (),
        credentials: bool = False,
        max_age: Amount = "10m",
        private: bool = False,
    ) -> None:
        self.app = app
        self.all = tuple(origins) == ("*",)
        self.origins, self.patterns = (frozenset[str](), ()) if self.all else _origins(texts(origins, "origins"))
        self.methods = ("GET", "HEAD", "POST", *_tokens(methods, "methods"))
        self.headers = _tokens(headers, "headers")
        self.expose = ", ".join(_tokens(expose, "expose"))
        self.credentials = credentials
        self.max_age = str(int(seconds(max_age, "max_age")))
        self.private = private
        if credentials and self.all:
            raise ConfigError("origins = ['*'] with credentials: any site could act for your users; name the origins")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        if asked is not None and environ.get("REQUEST_METHOD") == "OPTIONS" and "HTTP_ORIGIN" in environ:
            return self._preflight(environ, start_response, asked)
        return wrap(self.app, environ, start_response, on_headers=self._headers)

    def _allows(self, origin: str) -> bool:
        if self.all or origin in self.origins:
            return True
        return any(pattern.fullmatch(origin) for pattern in self.patterns)

    def _preflight(self, environ: WSGIEnvironment, start_response: StartResponse, method: str) -> Iterable[bytes]:
        origin = environ["HTTP_ORIGIN"]
        if not self._allows(origin):
            return answer(environ, start_response, 403, "This origin is not allowed here.", [("Vary", _PREFLIGHT)])
        fields = [("Access-Control-Allow-Origin", "*" if self.all else origin), ("Vary", _PREFLIGHT)]
        fields.append(("Access-Control-Allow-Methods", ", ".join(self.methods)))
        asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        names = ", ".join(name for name in (part.strip(" \t") for part in asked.split(",")) if _TOKEN.match(name))
        # "*" in the answer would not cover Authorization, nor requests with credentials: repeat what was asked for
        allowed = names if self.headers == ("*",) else ", ".join(self.headers)
        if allowed:
            fields.append(("Access-Control-Allow-Headers", allowed))
        fields.append(("Access-Control-Max-Age", self.max_age))
        if self.credentials:
            fields.append(("Access-Control-Allow-Credentials", "true"))
        if self.private and environ.get("HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK") == "true":
            fields.append(("Access-Control-Allow-Private-Network", "true"))
        return send(environ, start_response, "204 No Content", fields, b"")

    def _headers(self, response: Response) -> None:
        origin = response.environ.get("HTTP_ORIGIN")
        if not self.all:
            response.vary_on("Origin")
        if origin is None or not self._allows(origin):
            return
        response.set("Access-Control-Allow-Origin", "*" if self.all else origin)
        if self.credentials:
            response.set("Access-Control-Allow-Credentials", "true")
        if self.expose:
            response.default("Access-Control-Expose-Headers", self.expose)


def _origins(origins: Sequence[str]) -> tuple[frozenset[str], tuple[re.Pattern[str], ...]]:
    exact, patterns = set(), []
    for origin in origins:
        if origin == "*":
            raise ConfigError("origins: '*' stands for all origins and so has to stand alone")
        if origin != "null" and not _ORIGIN.match(origin):
            raise ConfigError(f"origins has {origin!r} in it: write 'https://name' or 'https://*.name', without a path")
        for form in _forms(origin.lower()):
            if "*" in form:
                patterns.append(re.compile(re.escape(form).replace(r"\*", r"[a-z0-9.-]+")))
            else:
                exact.add(form)
    return frozenset(exact), tuple(patterns)


def _forms(origin: str) -> tuple[str, ...]:
    """An origin as written, and as browsers send it: without its scheme's own port (RFC 6454 6.2)."""
    for end, scheme in ((":443", "https://"), (":80", "http://")):
        if origin.startswith(scheme) and origin.endswith(end):
            return origin, origin.removesuffix(end)
    return (origin,)


def _tokens(values: Sequence[str], option: str) -> tuple[str, ...]:
    for value in texts(values, option):
        if not _TOKEN.match(value):
            raise ConfigError(f"{option} has {value!r} in it, which is no HTTP name")
    return tuple(values)
