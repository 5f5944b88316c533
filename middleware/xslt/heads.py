"""The head of a transformed response: what RFC 9110 says of fields when the body becomes another one.

Owns these rules. Must not know bodies, nor how a chain is chosen.

Content-Type comes from the stylesheet. ETag is made of the source's and always weak, Last-Modified is the newest of
source and stylesheets, Accept-Ranges is none. Content-Length, Content-Encoding, digests and signatures are of the
source's bytes alone and go.
"""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import TYPE_CHECKING

from wsgikit.middleware.answer import STATUSES
from wsgikit.wsgi.wrap_head import ResponseHead

if TYPE_CHECKING:
    from wsgikit.middleware.xslt.parameters import Template
    from wsgikit.middleware.xslt.source_head import SourceHead
    from wsgikit.middleware.xslt.workshop import Chain

    Headers = list[tuple[str, str]]

__all__ = ["Head", "not_modified", "result_time", "set_validators", "transformed"]


class Head(ResponseHead):
    """A head that is not (yet) a response's."""

    def __init__(self, status: str, headers: Headers) -> None:
        self.status = status
        self.headers = headers


def transformed(
    source: SourceHead, chain: Chain, parameters: Iterable[Template], tag: str = "", content_type: str = ""
) -> Headers:
    """The fields of a result. `tag`: its ETag, "" for none; `content_type`: "" leaves it out, as for a 304."""
    headers = [*source.rest]
    if source.vary:
        headers.append(("Vary", source.vary))
    if content_type:
        headers.append(("Content-Type", content_type))
    headers.append(("Accept-Ranges", "none"))
    headers += _validators(source, chain, parameters, tag)
    return headers


def set_validators(
    head: ResponseHead, source: SourceHead, chain: Chain, parameters: Iterable[Template], tag: str
) -> None:
    """ETag and Last-Modified of a result in place of the source's."""
    head.remove("ETag", "Last-Modified")
    head.headers += _validators(source, chain, parameters, tag)


def _validators(source: SourceHead, chain: Chain, parameters: Iterable[Template], tag: str) -> Headers:
    """The time goes where the result depends on more than files: it could not tell."""
    found = [("ETag", tag)] if tag else []
    modified = result_time(source, chain)
    depends = any(template.source in ("environ", "header") for template in parameters)
    # RFC 9110 8.8.2.1: never later than the message itself
    if modified is not None and modified <= time() and not depends:
        found.append(("Last-Modified", _date(modified)))
    return found


def result_time(source: SourceHead, chain: Chain) -> int | None:
    """Last-Modified of a result: a second after the newest of source and stylesheets; None where the source has none.

    The second tells it from the source: a client that has that from before, or by another Accept, and asks with its
    time gets the result and not a 304.
    """
    if source.modified is None or chain.volatile:
        return None
    return max(source.modified, chain.modified) + 1


@lru_cache(maxsize=500)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def not_modified(head: ResponseHead) -> None:
    """Make it a 304 (RFC 9110 15.4.5): validators, Vary and caching fields stay, what is about the body goes."""
    head.status = STATUSES[304]
    head.headers[:] = [
        line
        for line in head.headers
        if not line[0].lower().startswith("content-") or line[0].lower() == "content-location"
    ]
