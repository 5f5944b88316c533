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
from wsgikit.middleware.preconditions import timestamp
from wsgikit.wsgi.wrap_head import ResponseHead

if TYPE_CHECKING:
    from wsgikit.middleware.xslt.parameters import Template
    from wsgikit.middleware.xslt.workshop import Chain

    Headers = list[tuple[str, str]]

__all__ = ["OF_THE_SOURCE", "Head", "not_modified", "result_time", "set_validators", "transformed"]

OF_THE_SOURCE = (
    "Content-Length",
    "Content-Encoding",
    "Content-MD5",
    "Content-Digest",
    "Repr-Digest",
    "Digest",
    "Signature",
    "Signature-Input",
    "Accept-Ranges",
    "Content-Type",
    "ETag",
    "Last-Modified",
)


class Head(ResponseHead):
    """A head that is not (yet) a response's."""

    def __init__(self, status: str, headers: Headers) -> None:
        self.status = status
        self.headers = headers


def transformed(
    source: Headers, chain: Chain, parameters: Iterable[Template], tag: str = "", content_type: str = ""
) -> Headers:
    """The fields of a result. `tag`: its ETag, "" for none; `content_type`: "" leaves it out, as for a 304."""
    head = Head("", list(source))
    head.remove(*OF_THE_SOURCE)
    if content_type:
        head.add("Content-Type", content_type)
    head.add("Accept-Ranges", "none")
    set_validators(head, source, chain, parameters, tag)
    return head.headers


def set_validators(head: ResponseHead, source: Headers, chain: Chain, parameters: Iterable[Template], tag: str) -> None:
    """ETag and Last-Modified. The time goes where the result depends on more than files: it could not tell."""
    head.remove("ETag", "Last-Modified")
    if tag:
        head.add("ETag", tag)
    modified = result_time(source, chain)
    depends = any(template.source in ("environ", "header") for template in parameters)
    # RFC 9110 8.8.2.1: never later than the message itself
    if modified is not None and modified <= time() and not depends:
        head.add("Last-Modified", formatdate(modified, usegmt=True))


def result_time(source: Headers, chain: Chain) -> int | None:
    """Last-Modified of a result: a second after the newest of source and stylesheets; None where the source has none.

    The second tells it from the source: a client that has that from before, or by another Accept, and asks with its
    time gets the result and not a 304.
    """
    found = next((value for name, value in source if name.lower() == "last-modified"), "")
    time_of_source = _seconds(found) if found else None
    return None if time_of_source is None or chain.volatile else max(time_of_source, chain.modified) + 1


@lru_cache(maxsize=500)
def _seconds(field: str) -> int | None:
    """An HTTP date; asked for several times in a request, and the same for as long as a document lives."""
    return timestamp(field)


def not_modified(head: ResponseHead) -> None:
    """Make it a 304 (RFC 9110 15.4.5): validators, Vary and caching fields stay, what is about the body goes."""
    head.status = STATUSES[304]
    head.headers[:] = [
        line
        for line in head.headers
        if not line[0].lower().startswith("content-") or line[0].lower() == "content-location"
    ]
