"""Compression: gzip, and zstd and br where their libraries are installed.

    Use(Compress)                       [[mount.use]]
    Use(Compress, level=5)              middleware = "compress"
                                        level = 5

The client's Accept-Encoding chooses; of what it likes equally, zstd comes before br and br before gzip.

Options
    codings      ["zstd", "br", "gzip"], best first; default: those this Python has (`pip install zstandard`,
                 `pip install brotli`; Python 3.14 has zstd itself)
    level        for gzip, 1 to 9 (6)
    zstd_level   1 to 19 (3)
    br_level     0 to 11 (4); above 6 it is too slow for bodies made for each request
    min_size     bodies of a known length below it stay as they are (500 bytes: about one network packet's rest)
    types        media types to compress, "text/*" for a whole kind (text, JSON, XML, JavaScript, SVG, fonts, wasm)
    flush        give the client every block as soon as the app yields it (true)
    remembered   how many different Accept-Encoding values each worker keeps the choice for (256)

Left alone: 204, 206, 304, responses with a Content-Encoding or Content-Range or `Cache-Control: no-transform`, other
media types, HEAD's (empty) body. `Vary: Accept-Encoding` is set wherever the coding could have been another; a strong
ETag becomes weak, and comes back weak in a 304.

Streaming: each block goes out at once, so server-sent events arrive when they are sent. That costs a few bytes for
each block; an app that yields many small ones compresses badly, and `flush = false` is for it. A body that is there as
a whole (a list, or one block of the declared length) gets a Content-Length and is compressed in one piece.

Secrets: a page that holds a secret beside text an attacker can choose should not be compressed (BREACH). Keep such
pages out by `when=`, or let the app send `Cache-Control: no-transform`.

Other servers: nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from wsgikit.errors import ConfigError
from wsgikit.loader import require
from wsgikit.middleware.amounts import Amount, size, texts, whole
from wsgikit.middleware.codings import CODINGS, available, choose, encoder
from wsgikit.wsgi.wrap import Response, Transform, wrap

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from wsgikit.middleware.codings import Encoder

__all__ = ["TYPES", "Compress"]

_MEDIA = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/(?:\*|[A-Za-z0-9!#$&^_.+-]+)")

TYPES = (
    "text/*",
    "application/json",
    "application/ld+json",
    "application/problem+json",
    "application/manifest+json",
    "application/x-ndjson",
    "application/javascript",
    "application/xml",
    "application/xhtml+xml",
    "application/rss+xml",
    "application/atom+xml",
    "application/wasm",
    "image/svg+xml",
    "image/bmp",
    "font/ttf",
    "font/otf",
    "application/vnd.ms-fontobject",
)


class Compress:
    """Compresses bodies as the client accepts it. See the module for the options."""

    traits = frozenset({"compresses", "once"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        codings: Sequence[str] | None = None,
        level: int = 6,
        zstd_level: int = 3,
        br_level: int = 4,
        min_size: Amount = 500,
        types: Sequence[str] = TYPES,
        flush: bool = True,
        remembered: int = 256,
    ) -> None:
        self.app = app
        require("werkzeug")
        self.codings = available(None if codings is None else texts(codings, "codings"), "codings")
        given = {"gzip": ("level", level), "zstd": ("zstd_level", zstd_level), "br": ("br_level", br_level)}
        self.levels = {
            name: whole(value, option, CODINGS[name].levels[0], CODINGS[name].levels[-1])
            for name, (option, value) in given.items()
        }
        self.min_size = size(min_size, "min_size")
        wanted = [_media(media) for media in texts(types, "types")]
        self.types = frozenset(media for media in wanted if not media.endswith("/*"))
        self.kinds = tuple(media[:-1] for media in wanted if media.endswith("/*"))
        self.flush = flush
        self._choose = lru_cache(whole(remembered, "remembered", 1, 1_000_000))(self._coding)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return wrap(self.app, environ, start_response, on_headers=self._unchanged, on_body=self._body)

    def _coding(self, accept: str) -> str:
        return choose(accept, self.codings)

    def _body(self, response: Response) -> Transform | None:
        length = response.content_length
        if not response.may_rewrite or not self._fits(response.media_type):
            return None
        if length is not None and length < self.min_size:
            return None
        response.vary_on("Accept-Encoding")
        coding = self._choose(response.environ.get("HTTP_ACCEPT_ENCODING", ""))
        if not coding:
            return None
        etag = response.get("ETag")
        response.set("Content-Encoding", coding)
        return _Compressed(encoder(coding, self.levels[coding]), response, self.flush, self.min_size, etag)

    def _fits(self, media: str) -> bool:
        return media in self.types or media.startswith(self.kinds)

    def _unchanged(self, response: Response) -> None:
        """A 304 has to carry the ETag that the 200 had (RFC 9110 15.4.5): the weak one, if the client has that."""
        if response.status[:3] == "304":
            etag = response.get("ETag")
            if etag.startswith('"') and f"W/{etag}" in response.environ.get("HTTP_IF_NONE_MATCH", ""):
                response.weaken_etag()


def _media(text: str) -> str:
    if not _MEDIA.fullmatch(text):
        raise ConfigError(f"types has {text!r} in it: write 'application/json', or 'text/*' for a whole kind")
    return text.lower()


class _Compressed(Transform):
    """The body in its coding."""

    def __init__(self, stream: Encoder, response: Response, flush: bool, min_size: int, etag: str) -> None:
        self._stream = stream
        self._response = response
        self._flush = flush
        self._min_size = min_size
        self._etag = etag

    def feed(self, block: bytes) -> bytes:
        data = self._stream.feed(block)
        return data + self._stream.flush() if self._flush else data

    def end(self) -> bytes:
        return self._stream.finish()

    def whole(self, body: bytes) -> bytes:
        if len(body) < self._min_size:
            # no length was declared, so only now it shows that the body is too short to gain anything
            self._response.remove("Content-Encoding")
            if self._etag:
                self._response.set("ETag", self._etag)
            return body
        return self._stream.feed(body) + self._stream.finish()
