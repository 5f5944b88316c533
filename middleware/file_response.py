"""The response for one open file: validators, conditions, ranges, the coded file beside it.

Owns the headers and the choice of the body. Must not know how the file was found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO

from wsgikit.middleware.answer import STATUSES, answer
from wsgikit.middleware.file_body import BLOCK, Span, SpanBody, multipart, spans
from wsgikit.middleware.file_types import media_type
from wsgikit.middleware.preconditions import evaluate, range_still_valid

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from wsgikit.middleware.file_store import FileStore, Found

    Headers = list[tuple[str, str]]

__all__ = ["FileOptions", "respond"]

_SIDECARS = {"zstd": ".zst", "br": ".br", "gzip": ".gz"}
_YEAR = 365 * 86400


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """What `Static` says about its files; seconds, a pattern over the whole name, endings -> media types."""

    max_age: int
    immutable: re.Pattern[str] | None
    precompressed: bool
    types: Mapping[str, str]
    charset: str
    ranges: int


def respond(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    store: FileStore,
    found: Found,
    names: list[str],
    options: FileOptions,
) -> Iterable[bytes]:
    """Answer GET or HEAD with a file, and close it in the end."""
    coding, sent = "", found
    if options.precompressed:
        coding, sent = _coded(environ, store, found, names)
    file = open(sent.fd, "rb", buffering=0)  # noqa: SIM115
    try:
        return _File(environ, file, sent, names[-1], coding, options).respond(start_response)
    except BaseException:
        file.close()
        raise


def _coded(environ: WSGIEnvironment, store: FileStore, found: Found, names: list[str]) -> tuple[str, Found]:
    """The file beside `found` that holds it compressed, if the client takes it and it is not older."""
    accept = environ.get("HTTP_ACCEPT_ENCODING", "")
    offered = list(_SIDECARS) if accept and not names[-1].endswith(tuple(_SIDECARS.values())) else []
    while offered:
        from wsgikit.middleware.codings import choose

        coding = choose(accept, offered)
        if not coding:
            break
        beside = store.open(names, _SIDECARS[coding])
        if beside is not None and not beside.is_folder:
            if beside.modified_ns >= found.modified_ns:
                os.close(found.fd)
                return coding, beside
            os.close(beside.fd)
        offered.remove(coding)
    return "", found


@lru_cache(maxsize=1000)
def _date(seconds: int) -> str:
    """An HTTP date; the same for as long as a file lives."""
    from email.utils import formatdate

    return formatdate(seconds, usegmt=True)


class _File:
    """One request for one open file."""

    def __init__(
        self, environ: WSGIEnvironment, file: BinaryIO, found: Found, name: str, coding: str, options: FileOptions
    ) -> None:
        self._environ = environ
        self._file = file
        self._size = found.size
        self._modified = found.modified_ns // 10**9
        self._media = media_type(name, options.types, options.charset)
        self._options = options
        self._coding = coding
        # another coding is another representation, so it needs another strong ETag (RFC 9110 8.8.3)
        self._etag = f'"{found.modified_ns:x}-{found.size:x}{"-" * bool(coding)}{coding}"'
        self._name = name

    def respond(self, start_response: StartResponse) -> Iterable[bytes]:
        environ = self._environ
        code = evaluate(environ, self._etag, self._modified)
        if code == 412:
            self._file.close()
            return answer(environ, start_response, 412)
        fields = self._fields()
        if code == 304:
            self._file.close()
            start_response(STATUSES[304], fields)
            return []
        fields.append(("Accept-Ranges", "bytes"))
        ranges = self._ranges()
        if ranges is None:
            return self._whole(start_response, fields)
        if not ranges:
            self._file.close()
            return answer(environ, start_response, 416, "", [("Content-Range", f"bytes */{self._size}")])
        return self._some(start_response, fields, ranges)

    def _ranges(self) -> list[Span] | None:
        """None: the whole file is asked for. RFC 9110 14.2 defines ranges for GET alone."""
        environ = self._environ
        if "HTTP_RANGE" not in environ or environ.get("REQUEST_METHOD") != "GET":
            return None
        if not range_still_valid(environ, self._etag, self._modified):
            return None
        return spans(environ["HTTP_RANGE"], self._size, self._options.ranges)

    def _fields(self) -> Headers:
        fields = [
            ("ETag", self._etag),
            ("Last-Modified", _date(self._modified)),
            ("Cache-Control", self._caching()),
        ]
        if self._options.precompressed:
            fields.append(("Vary", "Accept-Encoding"))
        return fields

    def _caching(self) -> str:
        pattern = self._options.immutable
        if pattern is not None and pattern.search(self._name):
            return f"public, max-age={_YEAR}, immutable"
        return f"public, max-age={self._options.max_age}" if self._options.max_age else "no-cache"

    def _describe(self, fields: Headers, media: str, length: int) -> Headers:
        fields += [("Content-Type", media), ("Content-Length", str(length)), ("X-Content-Type-Options", "nosniff")]
        if self._coding:
            fields.append(("Content-Encoding", self._coding))
        return fields

    def _whole(self, start_response: StartResponse, fields: Headers) -> Iterable[bytes]:
        start_response(STATUSES[200], self._describe(fields, self._media, self._size))
        if self._environ.get("REQUEST_METHOD") == "HEAD":
            self._file.close()
            return []
        return self._wrapped((0, self._size))

    def _some(self, start_response: StartResponse, fields: Headers, ranges: list[Span]) -> Iterable[bytes]:
        if len(ranges) == 1:
            start, stop = ranges[0]
            fields.append(("Content-Range", f"bytes {start}-{stop - 1}/{self._size}"))
            start_response("206 Partial Content", self._describe(fields, self._media, stop - start))
            return self._wrapped(ranges[0])
        media, parts, end, length = multipart(ranges, self._size, self._media)
        start_response("206 Partial Content", self._describe(fields, media, length))
        return SpanBody(self._file, parts, end)

    def _wrapped(self, span: Span) -> Iterable[bytes]:
        """One span through wsgi.file_wrapper where that ends at Content-Length: for whole files everywhere, for others
        under wsgikit's server (PEP 3333 only says that it should)."""
        wrapper = self._environ.get("wsgi.file_wrapper")
        whole = span == (0, self._size)
        if wrapper is None or not (whole or "wsgikit.on_close" in self._environ):
            return SpanBody(self._file, [(b"", span)])
        if span[0]:
            self._file.seek(span[0])
        wrapped: Iterable[bytes] = wrapper(self._file, BLOCK)
        return wrapped
