"""What becomes of a transformation that failed: a page, the source as it is, or what the stylesheet asked for.

Owns `on_error` and `too_large`, the log line and the page. Must not know how a response is sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from wsgikit.middleware.answer import page
from wsgikit.middleware.xslt.failures import Terminated, TooLarge, XsltError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from logging import Logger
    from wsgiref.types import WSGIEnvironment

    Headers = list[tuple[str, str]]

__all__ = ["Answer", "Failures", "request_id"]

# "404 Not found": a stylesheet may choose any error, as nobody expects a redirect or a success from a failure
_STATUS = re.compile(r"([45][0-9]{2})(?:\s+(.*))?", re.DOTALL)
# a document can have a part in what is logged, and must not write lines of its own
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_OF_THE_SOURCE = frozenset(("max_input", "max_ratio", "max_nodes", "max_depth"))


class Answer(NamedTuple):
    """A whole response; None in place of it stands for "the source as it is"."""

    status: str
    headers: Headers
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Failures:
    """on_error: "500", "502" or "pass"; too_large: "pass", "413", "500" or "502"; debug: tell the client the reason."""

    on_error: str
    too_large: str
    debug: bool
    logger: Logger
    message_level: int

    def answer(self, error: XsltError, environ: WSGIEnvironment) -> Answer | None:
        """What to send for an error; logs it. None: the source as it is."""
        chosen = _STATUS.fullmatch(error.text.strip()) if isinstance(error, Terminated) else None
        if chosen is not None:
            # not a failure of anybody: the stylesheet says that there is no such page
            self._log(self.message_level, error, environ)
            detail = " ".join((chosen[2] or "").split())
            code = chosen[1]
            return self._page(_status(code, detail), environ, "" if detail == _phrase(code) else detail)
        policy = self.on_error
        if isinstance(error, TooLarge) and error.limit in _OF_THE_SOURCE:
            policy = self.too_large
        self._log(30 if policy == "pass" else 40, error, environ)
        if policy == "pass":
            return None
        return self._page(_status(policy), environ, error.whole if self.debug else "")

    def _page(self, status: str, environ: WSGIEnvironment, detail: str) -> Answer:
        found = request_id(environ)
        media, body = page(environ, status, detail, **({"request_id": found} if found else {}))
        headers = [("Content-Type", media), ("Cache-Control", "no-store"), ("Vary", "Accept")]
        return Answer(status, headers, body)

    def _log(self, level: int, error: XsltError, environ: WSGIEnvironment) -> None:
        text = _CONTROLS.sub(" ", error.whole)
        self.logger.log(level, "%s: %s%s", _request(environ), text, _suffix(environ))

    def messages(self, texts: Iterable[str], environ: WSGIEnvironment) -> None:
        """Log what xsl:message said."""
        if self.message_level <= 0:
            return
        for text in texts:
            self.logger.log(self.message_level, "%s: message %r%s", _request(environ), text, _suffix(environ))


def request_id(environ: WSGIEnvironment) -> str:
    """The id that RequestId gave, "" when there is none."""
    return str(environ.get("wsgikit.request_id", ""))


def _suffix(environ: WSGIEnvironment) -> str:
    found = request_id(environ)
    return f" (request id {found})" if found else ""


def _request(environ: WSGIEnvironment) -> str:
    path: Any = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return f"{environ.get('REQUEST_METHOD')} {path!r}"


def _phrase(code: str) -> str:
    try:
        return HTTPStatus(int(code)).phrase
    except ValueError:
        return ""


def _status(code: str, reason: str = "") -> str:
    """A status line's end; the reason is the stylesheet's where it can stand there."""
    if reason and len(reason) < 100 and reason.isascii() and reason.isprintable():
        return f"{code} {reason}"
    return f"{code} {_phrase(code) or 'Error'}"
