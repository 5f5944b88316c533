"""Error pages: exceptions become answers, and error statuses get pages of yours.

    Use(ErrorPages)
    Use(ErrorPages, pages={"404": "pages/404.html", "5xx": "pages/sorry.html"})

Options
    catch      answer 500 for an exception of the app, and log its traceback (true)
    pages      status, or class of statuses ("5xx"), -> an HTML file that is sent instead of the app's body; read when
               the app is set up. `$status`, `$title` and `$request_id` in it are filled in
    problem    replace the body of these statuses by application/problem+json (RFC 9457) where the client likes JSON
               better than HTML (true)
    debug      show the traceback to the client: for development alone (false)
    logger     name of the logger ("wsgikit.errors")

A page takes the place of HTML, plain text or an empty body; the app's own JSON stays. Status and all fields that are
not about the body (Allow, Retry-After, WWW-Authenticate, Set-Cookie) stay as well. Where the app failed after some of
the body was sent, nothing can be put right: the exception goes on and the server breaks the connection, so that the
client sees that the body is not whole.

Clients that like HTML get a page, JSON clients problem+json, others plain text. The request id is told where RequestId
stands outside.

Not caught: exceptions that are the client's doing and that the server, or BodyLimit outside, knows how to answer (it
went away, it sent a broken body or one that is too large); SystemExit and KeyboardInterrupt.

Streaming: bodies that are not replaced go through block by block; files keep their fast way. Other servers: uWSGI 2.0
sends no body where the app had called start_response before it failed (unbit/uwsgi#2278).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from wsgikit.errors import ConfigError, Disconnected, LimitError, PeerTimeout, ProtocolError
from wsgikit.middleware.answer import JSON, STATUSES, page, preferred
from wsgikit.wsgi.wrap import Replace, Response, Transform, wrap

if TYPE_CHECKING:
    from string import Template
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ErrorPages"]

_LARGEST = 1 << 20
_OF_THE_BODY = (
    "Content-Type",
    "Content-Encoding",
    "Content-Language",
    "Content-Disposition",
    "Content-Location",
    "ETag",
    "Last-Modified",
)


class ErrorPages:
    """Turns failures into pages. See the module for the options."""

    traits = frozenset({"catches"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        catch: bool = True,
        pages: Mapping[str, str] | None = None,
        problem: bool = True,
        debug: bool = False,
        logger: str = "wsgikit.errors",
    ) -> None:
        import logging

        self.app = app
        self.pages = {_status(key): _read(path) for key, path in (pages or {}).items()}
        self.problem = problem
        self.debug = debug
        self.logger = logging.getLogger(logger)
        self.on_error = self._failed if catch else None
        self.on_body = self._body if self.pages else None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return wrap(self.app, environ, start_response, on_body=self.on_body, on_error=self.on_error)

    def _template(self, status: str) -> Template | None:
        return self.pages.get(status[:3]) or self.pages.get(f"{status[:1]}xx")

    def _body(self, response: Response) -> Transform | None:
        template = self._template(response.status)
        if template is None or response.media_type not in ("", "text/html", "text/plain"):
            return None
        media, body = self._page(response.environ, response.status, template)
        response.remove(*_OF_THE_BODY)
        response.add("Content-Type", media)
        response.vary_on("Accept")
        return Replace(body)

    def _page(
        self, environ: WSGIEnvironment, status: str, template: Template | None, detail: str = ""
    ) -> tuple[str, bytes]:
        members = {"request_id": environ["wsgikit.request_id"]} if "wsgikit.request_id" in environ else {}
        json = self.problem and preferred(environ) in JSON
        if template is None or detail or json:
            return page(environ, status, detail, **members)
        return "text/html; charset=utf-8", _filled(template, status, members.get("request_id", ""))

    def _failed(self, response: Response) -> bytes:
        error = sys.exc_info()[1]
        if isinstance(error, (Disconnected, PeerTimeout)):
            raise
        # a limit is the client's matter (a body too large, 413), or ours (a response too large to be collected, 500)
        if isinstance(error, ProtocolError) and (error.status < 500 or not isinstance(error, LimitError)):
            raise
        environ = response.environ
        self.logger.error(
            "%s %r failed%s",
            environ.get("REQUEST_METHOD"),
            environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
            f" (request id {environ['wsgikit.request_id']})" if "wsgikit.request_id" in environ else "",
            exc_info=True,
        )
        detail = _traceback() if self.debug else ""
        media, body = self._page(environ, STATUSES[500], self._template("500"), detail)
        fields = [("Content-Type", media), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        response.restart(STATUSES[500], fields)
        return b"" if environ.get("REQUEST_METHOD") == "HEAD" else body


def _traceback() -> str:
    import traceback

    return traceback.format_exc()


def _status(key: str) -> str:
    text = str(key).lower()
    if len(text) == 3 and text[0] in "45" and (text[1:].isdigit() or text[1:] == "xx"):
        return text
    raise ConfigError(f"pages has {key!r} in it: a status such as '404', or a class '4xx' or '5xx'")


def _read(path: str) -> Template:
    from string import Template

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_LARGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"pages: {path}: {error}") from error
    if len(text) > _LARGEST:
        raise ConfigError(f"pages: {path} is larger than {_LARGEST} bytes")
    return Template(text)


def _filled(template: Template, status: str, request_id: str) -> bytes:
    from html import escape

    values = {"status": status[:3], "title": escape(status[4:]), "request_id": escape(request_id)}
    return template.safe_substitute(values).encode()
